//! E4: a read of at least a revision is of that one or a later one.

use synod_machine::Revision;

use crate::violation::{Checked, demand};

/// A client hears what it read.
pub(crate) fn hears(asked: Revision, revision: Revision) -> Checked {
    demand!(revision >= asked, "E4", "a read of at least {asked} is of {revision}");
    Ok(())
}
