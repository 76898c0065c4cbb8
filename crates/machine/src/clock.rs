use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What one batch adds to the age of the log at most. Clusters that are used have a batch an hour;
/// in one that sleeps, what is to be forgotten is kept for longer.
pub(crate) const LEAP_MS: u64 = 60 * 60 * 1_000;

/// What the stamps of the batches tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clock {
    /// The largest stamp of all batches: time here never runs backwards.
    pub(crate) now: Timestamp,
    pub(crate) age: Age,
}

/// For how long the log has lived, in milliseconds without the leaps of its stamps. Whatever is to
/// be forgotten after a while waits in these. A leader whose wall clock is a month ahead makes the
/// time leap, but nobody has had a month to ask in: the branches of a session that ended just now
/// would be told `Retired` and left for a person.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub(crate) struct Age(u64);

impl Clock {
    pub(crate) fn tell(&mut self, stamp: Timestamp) {
        let step = stamp.0.saturating_sub(self.now.0);
        self.now = self.now.max(stamp);
        self.age = Age(self.age.0.saturating_add(step.min(LEAP_MS)));
    }
}

impl Age {
    /// Milliseconds from then till now.
    pub(crate) fn since(self, then: Age) -> u64 {
        self.0.saturating_sub(then.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stamps: impl IntoIterator<Item = u64>) -> Clock {
        let mut clock = Clock::default();
        stamps.into_iter().for_each(|stamp| clock.tell(Timestamp(stamp)));
        clock
    }

    /// Stamps an hour apart and closer add up to what passed between the first and the last.
    #[test]
    fn a_log_that_is_used_ages_as_time_passes() {
        let hours = |count: u64| told((1..=count).map(|hour| hour * LEAP_MS));
        assert_eq!(hours(100).age.since(hours(1).age), 99 * LEAP_MS);
        assert_eq!(told([5, 6, 9]).age, Age(9));
    }

    /// A clock that is set ahead costs an hour, once, whoever leads afterwards; one that is set
    /// back costs nothing.
    #[test]
    fn a_leap_ages_the_log_by_an_hour_at_most() {
        let right = told([LEAP_MS]);
        let ahead = told([LEAP_MS, 900 * LEAP_MS, 2 * LEAP_MS, 900 * LEAP_MS, 3 * LEAP_MS]);
        assert_eq!(ahead.now, Timestamp(900 * LEAP_MS));
        assert_eq!(ahead.age.since(right.age), LEAP_MS);
        assert_eq!(told([LEAP_MS, u64::MAX, u64::MAX]).age.since(right.age), LEAP_MS);
    }
}
