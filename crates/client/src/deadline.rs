use std::time::Duration;

use tokio::time::Instant;

/// A node is given so much less time than is left, so that its own "not applied, the deadline
/// passed" arrives before the caller has to give up without knowing.
const MARGIN_MAX: Duration = Duration::from_millis(100);
/// And this part of what is left at most.
const MARGIN_PART: u32 = 8;

/// The one moment at which a call gives up, whatever it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(within: Duration) -> Deadline {
        /// Longer is for ever, and still a moment that can be computed.
        const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        Deadline(Instant::now() + within.min(FOR_EVER))
    }

    pub(crate) fn at_moment(at: Instant) -> Deadline {
        Deadline(at)
    }

    pub(crate) fn at(self) -> Instant {
        self.0
    }

    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub(crate) fn passed(self) -> bool {
        self.left().is_zero()
    }

    /// The earlier of this one and `within` from now.
    pub(crate) fn or_after(self, within: Duration) -> Deadline {
        self.min(Deadline::after(within))
    }

    /// What is sent along: at least a millisecond.
    pub(crate) fn within_ms(self) -> u32 {
        let left = self.left();
        let margin = (left / MARGIN_PART).min(MARGIN_MAX);
        u32::try_from((left - margin).as_millis()).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the node's word that nothing was done would always be too late.
    #[tokio::test(start_paused = true)]
    async fn a_node_is_given_less_time_than_is_left() {
        for (left_ms, told_ms) in [(5_000, 4_900), (80, 70), (0, 1)] {
            assert_eq!(Deadline::after(Duration::from_millis(left_ms)).within_ms(), told_ms);
        }
    }
}
