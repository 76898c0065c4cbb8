//! L1: something new is chosen soon after the end of trouble.

use synod_paxos::Slot;

use crate::{
    plan::SECOND,
    violation::{Checked, demand},
};

/// How long after the end of trouble something new is chosen at the latest: until the last node is
/// started and the last pause is over, and then four periods of detection at their longest.
const CHOOSES_US: u64 = 7 * SECOND;

/// When trouble ended, and what was chosen by then.
#[derive(Clone, Debug, Default)]
pub(super) struct Chooses {
    healed: Option<(u64, Slot)>,
}

impl Chooses {
    /// Trouble has ended, with everything up to here chosen.
    pub(super) fn healed(&mut self, now: u64, upto: Slot) {
        self.healed = Some((now, upto));
    }

    /// Time has passed.
    pub(super) fn passes(&mut self, now: u64, upto: Slot) -> Checked {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever chooses nothing for seven seconds is caught, whoever does is not.
    #[test]
    fn a_cluster_that_does_not_come_back_is_caught() {
        let mut calm = Chooses::default();
        calm.healed(0, Slot::new(4));
        calm.passes(CHOOSES_US - 1, Slot::new(4)).unwrap();
        assert_eq!(calm.passes(CHOOSES_US, Slot::new(4)).unwrap_err().invariant, "L1");
        let mut calm = Chooses::default();
        calm.healed(0, Slot::new(4));
        calm.passes(5, Slot::new(5)).unwrap();
        calm.passes(2 * CHOOSES_US, Slot::new(5)).unwrap();
    }
}
