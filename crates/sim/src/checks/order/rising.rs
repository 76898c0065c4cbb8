//! C1: trimmed ≤ snapshot ≤ applied ≤ chosen at every node, and none of them falls.

use synod_paxos::{Life, NodeId, Slot};

use crate::violation::{Checked, demand};

/// A node had come so far, chosen and applied, and has now.
pub(super) fn goes_on(node: NodeId, before: (Slot, Slot), now: (Slot, Slot)) -> Checked {
    demand!(
        now.0 >= before.0 && now.1 >= before.1,
        "C1",
        "{node} falls back from chosen {} and applied {} to {} and {}",
        before.0,
        before.1,
        now.0,
        now.1
    );
    Ok(())
}

/// A node applies what it knows to be chosen.
pub(super) fn is_applied(node: NodeId, applied: Slot, chosen: Slot) -> Checked {
    demand!(
        applied <= chosen,
        "C1",
        "{node} has applied {applied} and knows only {chosen} to be chosen"
    );
    Ok(())
}

/// A log is trimmed, with everything chosen up to there.
pub(super) fn is_trimmed(life: Life, upto: Slot, chosen: Slot) -> Checked {
    demand!(upto <= chosen, "C1", "{life} trims up to {upto}; chosen is up to {chosen}");
    Ok(())
}

/// It was trimmed before.
pub(in crate::checks) fn is_trimmed_on(life: Life, upto: Slot, trimmed: Slot) -> Checked {
    demand!(upto >= trimmed, "C1", "{life} trims up to {upto} after {trimmed}");
    Ok(())
}

/// And this node has so many snapshots of that.
pub(in crate::checks) fn is_covered(life: Life, upto: Slot, own: usize) -> Checked {
    demand!(own > 0, "C1", "{life} trims up to {upto} and has no snapshot of that");
    Ok(())
}

/// A record is written, to a log that is trimmed.
pub(in crate::checks) fn is_written(life: Life, slot: Slot, trimmed: Slot) -> Checked {
    demand!(slot > trimmed, "C1", "{life} writes slot {slot}; its log begins at {trimmed}");
    Ok(())
}
