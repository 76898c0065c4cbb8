//! B8: a node on an older disk gives no word of an acceptor, and ends, and no other does; and no
//! word says that more is durable than is, nor an acceptor's that less is, for by such words an
//! older disk is known.

use synod_paxos::{Envelope, Life, Mark, Message, NodeId, Write};

use crate::violation::{Checked, demand};

/// A word leaves, and says up to which mark its speaker's disk holds all.
pub(super) fn holds_no_more(envelope: &Envelope, durable: Mark) -> Checked {
    let holds = envelope.marks.holds.unwrap_or_default();
    demand!(
        durable >= holds,
        "B8",
        "{} says that its disk holds {holds:?}, with only {durable:?} durable",
        envelope.from
    );
    Ok(())
}

/// A word leaves with the sync of what it relies on. Whoever gets it remembers at least so much.
pub(super) fn holds_no_less(envelope: &Envelope, durable: Mark) -> Checked {
    let relies = match &envelope.message {
        Message::Prepare { .. } | Message::Promise { .. } => true,
        Message::Accepted { slots, .. } => !slots.is_empty(),
        _ => false,
    };
    let holds = envelope.marks.holds.filter(|_| relies).unwrap_or(durable);
    demand!(
        holds >= durable,
        "B8",
        "{} says that its disk holds {holds:?}, when {durable:?} is durable, by {:?}",
        envelope.from,
        envelope.message
    );
    Ok(())
}

/// A step has asked for writes: what ends them is its mark.
pub(super) fn ends_with_its_mark(life: Life, writes: &[Write]) -> Checked {
    let last = writes.last();
    demand!(
        matches!(last, None | Some(Write::Marked { .. })),
        "B8",
        "a step of {life} writes no mark after {last:?}"
    );
    Ok(())
}

/// A step has written: by its mark what it wrote is told from all that was written before.
pub(super) fn rises(life: Life, mark: Mark, before: Mark) -> Checked {
    demand!(mark > before, "B8", "{life} has written up to {before:?}, and then marks {mark:?}");
    Ok(())
}

/// A node says something before it knows that its disk is older than it.
pub(crate) fn is_silent(envelope: &Envelope) -> Checked {
    let is_acceptors = match &envelope.message {
        Message::Promise { .. }
        | Message::Confirmed { .. }
        | Message::Vowed { .. }
        | Message::Prepare { .. }
        | Message::Accept { .. } => true,
        Message::Accepted { slots, .. } => !slots.is_empty(),
        _ => false,
    };
    demand!(
        !is_acceptors,
        "B8",
        "{} is on an older image of its disk and says {:?}",
        envelope.from,
        envelope.message
    );
    Ok(())
}

/// A node has been told that its disk is older than it, and ends.
pub(crate) fn ends_no_other(node: NodeId, is_older: bool) -> Checked {
    demand!(is_older, "B8", "{node} takes its disk for older than it, and it is not");
    Ok(())
}

/// By now it must have been, if it is.
pub(crate) fn has_ended(node: NodeId, is_older: bool) -> Checked {
    demand!(!is_older, "B8", "{node} has heard everybody, and works on with an older disk");
    Ok(())
}
