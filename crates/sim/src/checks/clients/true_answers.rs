//! F2: clients are told the truth: what a request came to in the log, and of one that it was not
//! applied only if it never will be.

use std::fmt;

use synod_machine::{Reply, RequestId};

use crate::violation::{Checked, Violation, demand};

/// A client is answered.
pub(super) fn is_what_came_of_it(id: RequestId, reply: &Reply, first: Option<&Reply>) -> Checked {
    demand!(
        first == Some(reply),
        "F2",
        "{id} is answered with {reply:?}; in the log it came to {first:?}"
    );
    Ok(())
}

/// Somebody is told that a request never takes effect.
pub(super) fn is_never(id: RequestId, first: Option<&Reply>) -> Checked {
    demand!(first.is_none(), "F2", "{id} is said never to take effect; it did: {first:?}");
    Ok(())
}

/// A request takes effect.
pub(super) fn was_not_never(id: RequestId, was_never: bool) -> Checked {
    demand!(!was_never, "F2", "{id} takes effect after it was said never to");
    Ok(())
}

/// Somebody who asked this hears what is no answer to it.
pub(crate) fn is_no_answer(asked: fmt::Arguments<'_>, said: &impl fmt::Debug) -> Checked {
    let what = format!("{asked} is answered with {said:?}");
    Err(Violation { invariant: "F2", what })
}
