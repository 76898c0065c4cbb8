use std::{
    fmt,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::BenchError;

/// Latency of many requests, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// Half were at most this.
    pub p50: u64,
    /// Nine in ten were.
    pub p90: u64,
    /// 99 in a hundred.
    pub p99: u64,
    /// The slowest.
    pub max: u64,
}

/// Collects spans of time.
#[derive(Clone, Debug)]
pub(crate) struct Spans(Histogram<u64>);

impl Default for Spans {
    fn default() -> Spans {
        let mut histogram = Histogram::new(3).expect("3 significant digits are within 0..=5");
        histogram.auto(true);
        Spans(histogram)
    }
}

impl Spans {
    pub(crate) fn new() -> Spans {
        Spans::default()
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// So many of all, from 0 to 1, took at most this.
    pub(crate) fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// How many took up to so many microseconds, and more than the bucket before: a dozen buckets
    /// for each factor of ten.
    pub(crate) fn buckets(&self) -> Vec<(u64, u64)> {
        let buckets = self.0.iter_log(1, 10f64.powf(1.0 / 12.0));
        let counted =
            buckets.map(|step| (step.value_iterated_to(), step.count_since_last_iteration()));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    pub(crate) fn add(&mut self, span: Duration) {
        // It fails only beyond a histogram's range, and no span is that long.
        let _ = self.0.record(micros(span));
    }

    /// Adds how long this work takes, unless it fails.
    pub(crate) async fn time<T, E: Into<BenchError>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BenchError> {
        let begun = Instant::now();
        let done = work.await.map_err(Into::into)?;
        self.add(begun.elapsed());
        Ok(done)
    }

    pub(crate) fn merge(&mut self, other: &Spans) {
        // Both resize themselves, so neither can be too small for the other.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        Quantiles {
            count: self.0.len(),
            p50: self.0.value_at_quantile(0.50),
            p90: self.0.value_at_quantile(0.90),
            p99: self.0.value_at_quantile(0.99),
            max: self.0.max(),
        }
    }
}

/// A span as documents hold it.
pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {} us, p90 {}, p99 {}, max {}", self.p50, self.p90, self.p99, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_merged_spans_are_those_of_all_of_them() {
        let (mut low, mut high) = (Spans::new(), Spans::new());
        (1..=50).for_each(|us| low.add(Duration::from_micros(us)));
        (51..=100).for_each(|us| high.add(Duration::from_micros(us)));
        low.merge(&high);
        let seen = low.quantiles();
        assert_eq!((seen.count, seen.p50, seen.p90, seen.max), (100, 50, 90, 100));
    }
}
