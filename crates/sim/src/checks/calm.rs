//! L1, L2 and L4: once trouble has ended, somebody leads soon, everybody learns everything, and
//! nobody campaigns any more.

mod chooses;
pub(crate) mod learns;
mod quiet;

use synod_paxos::{Ballot, Slot};

use self::{chooses::Chooses, quiet::Quiet};
use crate::violation::{Checked, Violation};

/// What is watched after the end of trouble.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calm {
    chooses: Chooses,
    quiet: Quiet,
}

impl Calm {
    /// Trouble has ended, with everything up to here chosen.
    pub(crate) fn healed(&mut self, now: u64, upto: Slot) {
        self.chooses.healed(now, upto);
    }

    /// Time has passed.
    pub(crate) fn passes(&mut self, now: u64, upto: Slot) -> Checked {
        self.chooses.passes(now, upto)
    }

    /// All is well at this moment, and this is the highest ballot that anybody has promised. True
    /// when it has been so for long enough: nobody campaigns.
    pub(crate) fn is_quiet(&mut self, now: u64, highest: Ballot) -> Result<bool, Violation> {
        self.quiet.lasts(now, highest)
    }
}
