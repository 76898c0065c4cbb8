//! How long recent syncs took.

use std::time::Duration;

/// Syncs remembered: some seconds of a busy node, enough for a 99th percentile.
const SYNCS_MAX: usize = 1_024;

/// A ring of the latest.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    micros: Vec<u64>,
    next: usize,
}

impl Syncs {
    pub(crate) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if self.micros.len() < SYNCS_MAX {
            self.micros.push(micros);
        } else {
            self.micros[self.next] = micros;
        }
        self.next = (self.next + 1) % SYNCS_MAX;
    }

    /// Median and 99th percentile in microseconds; zeros before the first sync.
    pub(crate) fn median_and_p99(&self) -> (u64, u64) {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let at = |hundredths: usize| {
            let rank = (sorted.len() * hundredths).div_ceil(100).max(1) - 1;
            sorted.get(rank).copied().unwrap_or(0)
        };
        (at(50), at(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearest-rank definition of a percentile, over the latest 1 024.
    #[test]
    fn percentiles_are_of_the_latest_syncs() {
        let mut syncs = Syncs::default();
        assert_eq!(syncs.median_and_p99(), (0, 0));
        for micros in 1..=100 {
            syncs.record(Duration::from_micros(micros));
        }
        assert_eq!(syncs.median_and_p99(), (50, 99));
        for _ in 0..SYNCS_MAX {
            syncs.record(Duration::from_micros(7));
        }
        assert_eq!(syncs.median_and_p99(), (7, 7));
    }
}
