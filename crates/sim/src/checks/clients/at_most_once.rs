//! F1: a request takes effect at most once, and whoever repeats it is answered as at first.

use bytes::Bytes;
use synod_machine::{Answer, FirstReply, Reply, RequestId};

use crate::{
    checks::{order::Effect, shelf::Shelf},
    violation::{Checked, demand},
};

/// Each request of a slot comes to one result.
pub(super) fn is_done(effect: &Effect) -> Checked {
    demand!(
        effect.results.len() == effect.batch.requests.len(),
        "F1",
        "{} requests came to {} results",
        effect.batch.requests.len(),
        effect.results.len()
    );
    Ok(())
}

/// A request takes effect, and had come to this before.
pub(super) fn is_new(id: RequestId, reply: &Reply, first: Option<&Reply>) -> Checked {
    demand!(first.is_none(), "F1", "{id} takes effect again with {reply:?}, after {first:?}");
    Ok(())
}

/// A request is repeated.
pub(super) fn is_repeated(id: RequestId, reply: &Reply, first: Option<&Reply>) -> Checked {
    demand!(
        first == Some(reply),
        "F1",
        "{id} is repeated with {reply:?}; it took effect with {first:?}"
    );
    Ok(())
}

/// A request is settled as one that took effect.
pub(super) fn is_settled(
    about: RequestId,
    reply: &FirstReply,
    first: Option<&FirstReply>,
) -> Checked {
    // What was looked at and refused is known, too, and had no effect.
    let refused = first.is_none() && matches!(reply, Reply::Rejected(_));
    demand!(
        refused || first == Some(reply),
        "F1",
        "{about} is settled as {reply:?}; it took effect with {first:?}"
    );
    Ok(())
}

/// The machine has a key as the model has it.
pub(super) fn is_as_each_made_it(key: &Bytes, found: &Answer, shelf: &Shelf) -> Checked {
    let Answer::Key { entry, .. } = found else {
        demand!(false, "F1", "a question for a key is answered with {found:?}");
        return Ok(());
    };
    let expected = shelf.entry(key);
    demand!(
        entry.as_ref() == expected,
        "F1",
        "{key:?} holds {entry:?}; each request once makes it {expected:?}"
    );
    Ok(())
}
