//! A measurement as a document: `synod.bench/1`.

use serde::{Deserialize, Serialize};

use crate::{
    environment::Environment,
    held::Held,
    trial::{Mean, Outcome},
};

/// The schema of [`Document`].
pub const SCHEMA: &str = "synod.bench/1";

/// A load on Synod, and on others in the same minutes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`]. Within one number fields are only added.
    pub schema: String,
    /// The verb: `kv`, `lock`, `journal`.
    pub what: String,
    /// What each client asked.
    pub mix: String,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Different keys.
    pub keys: u64,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long shards held locks, warm-up included, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locks_held: Option<Held>,
    /// The same load on others, in turn with Synod, round by round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
    /// What it was measured on.
    pub environment: Environment,
}

/// The same load on another system, and Synod beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Synod over this.
    pub ratio: Ratio,
}

/// One outcome over another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Of requests a second.
    pub ops: Quotient,
    /// Of medians of latency.
    pub p50: Quotient,
    /// Of 99th percentiles.
    pub p99: Quotient,
    /// Of the servers' processor time for a request, where it is known of both.
    pub server_cpu: Option<f64>,
}

/// A quotient over rounds: the median of them, and the middle half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quotient {
    /// The median.
    pub median: f64,
    /// A quarter lies below.
    pub low: f64,
    /// A quarter lies above.
    pub high: f64,
}

impl Ratio {
    /// One over the other, each round over the round of the same number: of two systems that took
    /// turns they are neighbours.
    pub fn of(one: &Outcome, other: &Outcome) -> Ratio {
        let quotients = |of: fn(&crate::trial::RoundOutcome) -> f64| {
            let pairs = one.rounds.iter().zip(&other.rounds);
            Quotient::of(pairs.map(|(one, other)| of(one) / of(other).max(f64::MIN_POSITIVE)))
        };
        let cpu = one.server_cpu_s_per_10k.zip(other.server_cpu_s_per_10k);
        Ratio {
            ops: quotients(|round| round.ops_per_s),
            p50: quotients(|round| round.p50_us as f64),
            p99: quotients(|round| round.p99_us as f64),
            server_cpu: cpu.filter(|(_, other)| *other > 0.0).map(|(one, other)| one / other),
        }
    }
}

impl Quotient {
    fn of(quotients: impl Iterator<Item = f64>) -> Quotient {
        let mut all: Vec<f64> = quotients.collect();
        all.sort_by(f64::total_cmp);
        let at = |part: usize| all.get(all.len() * part / 4).copied().unwrap_or_default();
        Quotient { median: at(2), low: at(1), high: at(3) }
    }
}

/// Two measurements of one load that were made one after the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// `synod.bench.compare/1`.
    pub schema: &'static str,
    /// Requests a second, B over A, and how far from it the true quotient may lie, 19 times in 20.
    pub ops: Mean,
    /// The same of medians.
    pub p50: Mean,
    /// Of 99th percentiles, without a statement about chance.
    pub p99: f64,
    /// Of the servers' processor time for a request.
    pub server_cpu: Option<f64>,
    /// What the two measurements do not have in common, so that they should not be compared.
    pub differ: Vec<String>,
}

impl Comparison {
    /// B over A.
    pub fn of(a: &Document, b: &Document) -> Comparison {
        let (one, other) = (&b.outcome, &a.outcome);
        let cpu = one.server_cpu_s_per_10k.zip(other.server_cpu_s_per_10k);
        let p99 = |outcome: &Outcome| outcome.latency_us.p99.max(1) as f64;
        Comparison {
            schema: "synod.bench.compare/1",
            ops: over(one.spread.ops_per_s, other.spread.ops_per_s),
            p50: over(one.spread.p50_us, other.spread.p50_us),
            p99: p99(one) / p99(other),
            server_cpu: cpu.filter(|(_, other)| *other > 0.0).map(|(one, other)| one / other),
            differ: differ(a, b),
        }
    }
}

/// A quotient of two means; relative errors add as squares do.
fn over(one: Mean, other: Mean) -> Mean {
    let mean = one.mean / other.mean.max(f64::MIN_POSITIVE);
    let relative = |of: Mean| of.within / of.mean.max(f64::MIN_POSITIVE);
    Mean { mean, within: mean * relative(one).hypot(relative(other)) }
}

fn differ(a: &Document, b: &Document) -> Vec<String> {
    let rate = |document: &Document| match document.outcome.rate_per_s {
        None => "closed loop".to_owned(),
        Some(rate) => format!("{rate}/s"),
    };
    let rows = [
        ("load", a.what.clone(), b.what.clone()),
        ("mix", a.mix.clone(), b.mix.clone()),
        ("value", format!("{} B", a.value_bytes), format!("{} B", b.value_bytes)),
        ("clients", a.outcome.clients.to_string(), b.outcome.clients.to_string()),
        ("rate", rate(a), rate(b)),
        ("target", a.outcome.target.clone(), b.outcome.target.clone()),
        ("processor", a.environment.cpu.clone(), b.environment.cpu.clone()),
        ("disk", a.environment.disk.clone(), b.environment.disk.clone()),
        ("profile", a.environment.profile.clone(), b.environment.profile.clone()),
    ];
    let differ = rows.into_iter().filter(|(_, a, b)| a != b);
    differ.map(|(what, a, b)| format!("{what}: {a} and {b}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotient_is_the_median_of_pairs() {
        let quotient = Quotient::of([4.0, 1.0, 2.0, 3.0, 100.0].into_iter());
        assert_eq!(quotient, Quotient { median: 3.0, low: 2.0, high: 4.0 });
        assert_eq!(Quotient::of(std::iter::empty()), Quotient::default());
    }

    #[test]
    fn relative_errors_add_as_squares() {
        let quotient = over(Mean { mean: 30.0, within: 3.0 }, Mean { mean: 10.0, within: 1.0 });
        assert!((quotient.mean - 3.0).abs() < 1e-9);
        assert!((quotient.within - 3.0 * 0.02f64.sqrt()).abs() < 1e-9, "{quotient:?}");
    }
}
