//! E4: a read of at least a revision is of that one or a later one, and finds what there was then.

use bytes::Bytes;
use synod_machine::{Entry, Revision};

use crate::violation::{Checked, demand};

/// A client hears what it read.
pub(crate) fn hears(asked: Revision, revision: Revision) -> Checked {
    demand!(revision >= asked, "E4", "a read of at least {asked} is of {revision}");
    Ok(())
}

/// It finds this entry.
pub(crate) fn finds(
    key: &Bytes,
    revision: Revision,
    entry: Option<&Entry>,
    expected: Option<&Entry>,
) -> Checked {
    demand!(
        entry == expected,
        "E4",
        "a read of {key:?} at {revision} finds {entry:?}; there was {expected:?}"
    );
    Ok(())
}
