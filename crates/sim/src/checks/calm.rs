//! L1, L2, L4: once trouble has ended, somebody leads soon, everybody learns everything, and nobody
//! campaigns any more.

use synod_paxos::{Ballot, Slot};

use crate::{
    plan::SECOND,
    violation::{Checked, Violation, demand},
};

/// How long after the end of trouble something new is chosen at the latest: until the last node is
/// started and the last pause is over, and then four periods of detection at their longest.
const CHOOSES_US: u64 = 7 * SECOND;

/// How long a universe that has come to a good end is watched for unrest.
const QUIET_US: u64 = SECOND;

/// What is watched after the end of trouble.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calm {
    healed: Option<(u64, Slot)>,
    /// Since when all is well, and the highest ballot promised by then.
    well: Option<(u64, Ballot)>,
}

impl Calm {
    /// Trouble has ended, with everything up to here chosen.
    pub(crate) fn healed(&mut self, now: u64, upto: Slot) {
        self.healed = Some((now, upto));
    }

    /// Time has passed.
    pub(crate) fn passes(&mut self, now: u64, upto: Slot) -> Checked {
        let Some((healed, before)) = self.healed else { return Ok(()) };
        if upto > before {
            self.healed = None;
            return Ok(());
        }
        demand!(
            now < healed + CHOOSES_US,
            "L1",
            "nothing is chosen after slot {before}, {} us after trouble ended",
            now - healed
        );
        Ok(())
    }

    /// All is well at this moment, and this is the highest ballot that anybody has promised. True
    /// when it has been so for long enough: nobody campaigns.
    pub(crate) fn is_quiet(&mut self, now: u64, highest: Ballot) -> Result<bool, Violation> {
        let (since, first) = *self.well.get_or_insert((now, highest));
        demand!(
            highest == first,
            "L4",
            "{highest} is promised after {first}, with all well for {} us",
            now - since
        );
        Ok(now >= since + QUIET_US)
    }
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Life, NodeId};

    use super::*;

    /// Whoever chooses nothing for seven seconds is caught, whoever does is not.
    #[test]
    fn a_cluster_that_does_not_come_back_is_caught() {
        let mut calm = Calm::default();
        calm.healed(0, Slot::new(4));
        calm.passes(CHOOSES_US - 1, Slot::new(4)).unwrap();
        assert_eq!(calm.passes(CHOOSES_US, Slot::new(4)).unwrap_err().invariant, "L1");
        let mut calm = Calm::default();
        calm.healed(0, Slot::new(4));
        calm.passes(5, Slot::new(5)).unwrap();
        calm.passes(2 * CHOOSES_US, Slot::new(5)).unwrap();
    }

    /// A campaign when all is well is caught.
    #[test]
    fn a_duel_in_the_calm_is_caught() {
        let low = Ballot::first(Life::first(NodeId::new(1)));
        let mut calm = Calm::default();
        assert_eq!(calm.is_quiet(0, low), Ok(false));
        assert_eq!(calm.is_quiet(QUIET_US - 1, low), Ok(false));
        assert_eq!(calm.clone().is_quiet(QUIET_US, low), Ok(true));
        let high = low.raised_by(Life::first(NodeId::new(1)));
        assert_eq!(calm.is_quiet(QUIET_US, high).unwrap_err().invariant, "L4");
    }
}
