//! One line a minute, however often it happens.

use std::time::{Duration, Instant};

const ONCE_IN: Duration = Duration::from_secs(60);

/// Counts what would flood the log.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    unsaid: u64,
    said_at: Option<Instant>,
}

impl Quiet {
    /// Counts one more; returns how many there were since the last line when a line is due.
    pub(crate) fn count(&mut self) -> Option<u64> {
        self.count_at(Instant::now())
    }

    fn count_at(&mut self, now: Instant) -> Option<u64> {
        self.unsaid = self.unsaid.saturating_add(1);
        let due = self.said_at.is_none_or(|at| now.saturating_duration_since(at) >= ONCE_IN);
        if !due {
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Security §5: nonsense of a peer is one line a minute, not one a frame.
    #[test]
    fn many_in_one_minute_are_one_line() {
        let mut quiet = Quiet::default();
        let began = Instant::now();
        assert_eq!(quiet.count_at(began), Some(1));
        assert_eq!(quiet.count_at(began + Duration::from_secs(1)), None);
        assert_eq!(quiet.count_at(began + Duration::from_secs(59)), None);
        assert_eq!(quiet.count_at(began + ONCE_IN), Some(3));
    }
}
