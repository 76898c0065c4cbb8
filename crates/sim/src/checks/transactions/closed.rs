//! C11 of commit, L3: no branch stays open.

use super::Transactions;
use crate::violation::{Checked, demand};

impl Transactions {
    /// Everything has come to an end: no promise is open.
    pub(super) fn none_is_open(&self) -> Checked {
        demand!(self.open.is_empty(), "L3", "still open: {:?}", self.open);
        Ok(())
    }
}

/// What a universe breaks that comes to no end, if not all participants rest.
pub(crate) fn broken(mut rest: impl Iterator<Item = bool>) -> Option<&'static str> {
    (!rest.all(|rests| rests)).then_some("L3")
}
