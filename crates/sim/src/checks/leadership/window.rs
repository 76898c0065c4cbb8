//! D4: nobody proposes further ahead of what is chosen than the window reaches.

use synod_paxos::{Life, Slot};

use crate::violation::{Checked, demand};

/// Somebody proposes in this slot, with everything chosen up to there.
pub(super) fn holds(from: Life, slot: Slot, upto: Slot, window_slots: u64) -> Checked {
    demand!(
        slot.distance_from(upto) <= window_slots,
        "D4",
        "{from} proposes in slot {slot}, the window is {window_slots} from {upto}"
    );
    Ok(())
}
