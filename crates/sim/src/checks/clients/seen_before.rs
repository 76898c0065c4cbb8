//! E2 as clients see it: a linearizable read sees all that anybody had been shown before it was
//! asked, and finds what there was at the revision that it tells; and a write is told at none that
//! was seen before.

use bytes::Bytes;
use synod_machine::{Entry, Query, RequestId, Revision};

use crate::violation::{Checked, demand};

/// A write is told of, which was asked when so much had been seen.
pub(super) fn is_written_later(id: RequestId, revision: Revision, floor: Revision) -> Checked {
    demand!(
        revision > floor,
        "E2",
        "{id} writes at {revision}, and {floor} was seen before it was asked"
    );
    Ok(())
}

/// And so a read of a key.
pub(super) fn is_read_no_earlier(key: &Bytes, revision: Revision, floor: Revision) -> Checked {
    demand!(
        revision >= floor,
        "E2",
        "a read of {key:?} sees {revision}, and {floor} was seen before it was asked"
    );
    Ok(())
}

/// It finds this entry.
pub(super) fn is_what_there_was(
    key: &Bytes,
    revision: Revision,
    entry: Option<&Entry>,
    expected: Option<&Entry>,
) -> Checked {
    demand!(
        entry == expected,
        "E2",
        "a read of {key:?} at {revision} finds {entry:?}; there was {expected:?}"
    );
    Ok(())
}

/// And so a read of a service.
pub(super) fn is_looked_at_no_earlier(
    query: &Query,
    revision: Revision,
    floor: Revision,
) -> Checked {
    demand!(
        revision >= floor,
        "E2",
        "{query:?} sees {revision}, and {floor} was seen before it was asked"
    );
    Ok(())
}
