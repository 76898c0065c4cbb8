//! L4: nobody campaigns when all is well.

use synod_paxos::Ballot;

use crate::{
    plan::SECOND,
    violation::{Violation, demand},
};

/// How long a universe that has come to a good end is watched for unrest.
const QUIET_US: u64 = SECOND;

/// Since when all is well, and the highest ballot promised by then.
#[derive(Clone, Debug, Default)]
pub(super) struct Quiet {
    well: Option<(u64, Ballot)>,
}

impl Quiet {
    /// All is well at this moment, and this is the highest ballot that anybody has promised. True
    /// when it has been so for long enough.
    pub(super) fn lasts(&mut self, now: u64, highest: Ballot) -> Result<bool, Violation> {
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

    /// A campaign when all is well is caught.
    #[test]
    fn a_duel_in_the_calm_is_caught() {
        let low = Ballot::first(Life::first(NodeId::new(1)));
        let mut calm = Quiet::default();
        assert_eq!(calm.lasts(0, low), Ok(false));
        assert_eq!(calm.lasts(QUIET_US - 1, low), Ok(false));
        assert_eq!(calm.clone().lasts(QUIET_US, low), Ok(true));
        let high = low.raised_by(Life::first(NodeId::new(1)));
        assert_eq!(calm.lasts(QUIET_US, high).unwrap_err().invariant, "L4");
    }
}
