//! B8: a node on an older disk gives no word of an acceptor, and ends, and no other does; and no
//! word says that more is durable than is, for by such words an older disk is known.

use synod_paxos::{Envelope, Mark, Message, NodeId};

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
