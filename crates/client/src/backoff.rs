use std::time::Duration;

use crate::deadline::Deadline;

/// Pauses between attempts: each twice the one before, up to a limit, and each anywhere between
/// half and the whole of it, so that many clients do not knock at the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Backoff {
        Backoff { next: first, max }
    }

    /// The length of the next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.max);
        jittered(whole)
    }

    /// From here on pauses grow to this.
    pub(crate) fn rise_to(&mut self, max: Duration) {
        self.max = max;
    }

    /// Waits for the next pause, or until the deadline.
    pub(crate) async fn wait(&mut self, deadline: Deadline) {
        let until = deadline.or_after(self.next());
        tokio::time::sleep_until(until.at()).await;
    }
}

fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_are_never_less_than_half() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));
        for whole_ms in [10, 20, 40, 50, 50] {
            let whole = Duration::from_millis(whole_ms);
            let pause = backoff.next();
            assert!(whole / 2 <= pause && pause <= whole, "{pause:?} of {whole:?}");
        }
    }

    /// Many clients that lost the same node at the same moment do not come back at the same one.
    #[test]
    fn pauses_differ() {
        let whole = Duration::from_millis(50);
        let pauses: BTreeSet<Duration> = (0..100).map(|_| jittered(whole)).collect();
        assert!(pauses.len() > 50, "{pauses:?}");
    }
}
