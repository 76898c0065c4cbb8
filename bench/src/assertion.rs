//! What a measurement is held to: `p99<5ms`, `ops>=10000`, `floor<2`, `errors=0`.

use std::{fmt, str::FromStr};

use crate::trial::Outcome;

/// One claim about an outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    figure: Figure,
    compared: Compared,
    /// Microseconds where the figure is a span.
    limit: f64,
    text: String,
}

/// Why a text claims nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} claims nothing: {why}")]
pub struct AssertionError {
    text: String,
    why: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    P50,
    P90,
    P99,
    P999,
    Max,
    Ops,
    Floor,
    Errors,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

impl Assertion {
    /// Whether it holds; a figure that was not measured holds nothing.
    pub fn holds(&self, outcome: &Outcome) -> bool {
        self.figure.of(outcome).is_some_and(|found| match self.compared {
            Compared::Below => found < self.limit,
            Compared::AtMost => found <= self.limit,
            Compared::Above => found > self.limit,
            Compared::AtLeast => found >= self.limit,
            Compared::Equal => (found - self.limit).abs() < f64::EPSILON,
        })
    }
}

impl Figure {
    fn of(self, outcome: &Outcome) -> Option<f64> {
        let latency = &outcome.latency_us;
        Some(match self {
            Figure::P50 => latency.p50 as f64,
            Figure::P90 => latency.p90 as f64,
            Figure::P99 => latency.p99 as f64,
            Figure::P999 => latency.p999 as f64,
            Figure::Max => latency.max as f64,
            Figure::Ops => outcome.ops_per_s,
            Figure::Floor => outcome.over_floor?,
            Figure::Errors => outcome.errors.sum() as f64,
        })
    }

    fn is_span(self) -> bool {
        matches!(self, Figure::P50 | Figure::P90 | Figure::P99 | Figure::P999 | Figure::Max)
    }
}

impl FromStr for Assertion {
    type Err = AssertionError;

    fn from_str(text: &str) -> Result<Assertion, AssertionError> {
        let wrong = |why| AssertionError { text: text.to_owned(), why };
        let at = text.find(['<', '>', '=']).ok_or_else(|| wrong("compare by <, <=, >, >= or ="))?;
        let (name, rest) = text.split_at(at);
        let figure = match name.trim() {
            "p50" => Figure::P50,
            "p90" => Figure::P90,
            "p99" => Figure::P99,
            "p999" => Figure::P999,
            "max" => Figure::Max,
            "ops" => Figure::Ops,
            "floor" => Figure::Floor,
            "errors" => Figure::Errors,
            _ => return Err(wrong("p50, p90, p99, p999, max, ops, floor and errors are figures")),
        };
        let signs = [
            ("<=", Compared::AtMost),
            (">=", Compared::AtLeast),
            ("<", Compared::Below),
            (">", Compared::Above),
            ("=", Compared::Equal),
        ];
        let signs = signs.into_iter();
        let compared = signs.filter_map(|(sign, how)| Some((rest.strip_prefix(sign)?, how))).next();
        let (limit, compared) = compared.ok_or_else(|| wrong("compare by <, <=, >, >= or ="))?;
        let limit = limit.trim();
        let limit = if figure.is_span() {
            span_us(limit).ok_or_else(|| wrong("a span is a number with us, ms or s"))?
        } else {
            limit.parse().map_err(|_| wrong("that is no number"))?
        };
        Ok(Assertion { figure, compared, limit, text: text.to_owned() })
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn span_us(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let (number, unit) =
        units.iter().find_map(|(unit, us)| Some((text.strip_suffix(unit)?, us)))?;
    let number: f64 = number.trim().parse().ok()?;
    (number >= 0.0).then_some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Errors, Generator, Latency, Spread};

    fn outcome() -> Outcome {
        Outcome {
            target: "synod".to_owned(),
            clients: 1,
            rate_per_s: None,
            ops_per_s: 1_000.0,
            latency_us: Latency {
                count: 9,
                p50: 900,
                p90: 1_000,
                p99: 4_999,
                p999: 6_000,
                max: 7_000,
            },
            by_op: std::collections::BTreeMap::new(),
            floor_us: None,
            over_floor: None,
            stages_us: None,
            errors: Errors { unknown: 1, ..Errors::default() },
            server_cpu_s_per_10k: None,
            rss_bytes: None,
            spread: Spread::default(),
            rounds: Vec::new(),
            generator: Generator { cpu_share: 0.1, late_us_p99: None, saturated: false },
            histogram_us: Vec::new(),
        }
    }

    #[test]
    fn an_assertion_holds_or_does_not() {
        let holds = |text: &str| text.parse::<Assertion>().unwrap().holds(&outcome());
        for yes in ["p99<5ms", "p50<=900us", "max >= 0.007s", "ops>999", "errors=1", "p999=6ms"] {
            assert!(holds(yes), "{yes}");
        }
        // The floor was not measured, so nothing may be said of it.
        for no in ["p99<4.999ms", "p50>900us", "ops<1000", "errors=0", "floor<100", "floor>0"] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn what_claims_nothing_is_refused() {
        for wrong in ["", "p99", "p98<5ms", "p99<5", "p99<ms", "p99<-1ms", "ops<x", "p99!5ms"] {
            assert!(wrong.parse::<Assertion>().is_err(), "{wrong}");
        }
    }
}
