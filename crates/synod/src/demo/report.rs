//! The demo's report, `synod.demo/1`, and what it must say for the run to have ended well.

use serde::Serialize;

use super::script::{Planned, Victim};
use crate::{signs::Signs, units::span_us};

/// What a run showed. Within this schema fields are only added.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: &'static str,
    /// How many there are.
    pub(crate) satellites: usize,
    /// How many were found exactly once, whole, in one of the catalogs.
    pub(crate) accounted: usize,
    /// Moves whose owner was told `committed`.
    pub(crate) committed: u64,
    /// Moves whose owner was told `aborted`.
    pub(crate) aborted: u64,
    /// Moves whose owner was not told, or died.
    pub(crate) unknown: u64,
    pub(crate) kills: Vec<Kill>,
    /// From asking for the first vote to hearing the verdict.
    pub(crate) commit_us: Quantiles,
    /// What one commit cannot cost less than here: owner to shard and back, a sync there, owner to
    /// leader and back, a quorum's round trip, a sync there. Measured in this run.
    pub(crate) floor_us: u64,
    /// Whether nodes that applied the same slots hold the same state.
    pub(crate) state_hashes_equal: bool,
    /// Transactions of which some shard still waits for a verdict.
    pub(crate) in_doubt_at_end: u64,
    pub(crate) ok: bool,
}

/// One murder.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Kill {
    /// `leader`, `owner`, `shard` or `follower`.
    pub(crate) what: &'static str,
    /// Since the moves began.
    pub(crate) at_ms: u64,
    /// Transactions that were prepared without a verdict at that moment.
    pub(crate) in_doubt: u64,
    /// Until a move committed again.
    pub(crate) first_commit_after_ms: Option<u64>,
    /// Until none of those transactions was in doubt any more.
    pub(crate) resolved_after_ms: Option<u64>,
}

/// Latency in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

impl Report {
    /// Everything that is not as it must be, beside what the audit found in single records.
    pub(crate) fn complaints(&self, script: &[Planned]) -> Vec<String> {
        let mut found = Vec::new();
        let mut must = |holds: bool, what: String| {
            if !holds {
                found.push(what);
            }
        };
        let (accounted, satellites) = (self.accounted, self.satellites);
        must(accounted == satellites, format!("{accounted} of {satellites} are accounted for"));
        must(self.committed > 0, "nothing was moved".to_owned());
        must(
            self.in_doubt_at_end == 0,
            format!("{} are in doubt at the end", self.in_doubt_at_end),
        );
        must(self.state_hashes_equal, "the nodes' states differ or were not compared".to_owned());
        must(self.kills.len() == script.len(), "not every kill was played".to_owned());
        for Kill { what, at_ms, first_commit_after_ms, resolved_after_ms, .. } in &self.kills {
            let of = format!("after the {what} was killed at {at_ms} ms");
            must(first_commit_after_ms.is_some(), format!("nothing committed {of}"));
            must(resolved_after_ms.is_some(), format!("something stayed in doubt {of}"));
        }
        let leaders = || self.kills.iter().filter(|kill| kill.what == Victim::Leader.word());
        let in_doubt = leaders().next().is_none() || leaders().any(|kill| kill.in_doubt > 0);
        must(in_doubt, "no leader was killed with prepared branches in doubt".to_owned());
        found
    }
}

impl Report {
    /// In one line, for people.
    pub(crate) fn line(&self, signs: Signs) -> String {
        let states = if self.state_hashes_equal { "states agree" } else { "STATES DIFFER" };
        let parts = [
            format!("{} of {} accounted for", self.accounted, self.satellites),
            format!(
                "{} committed, {} aborted, {} unknown",
                self.committed, self.aborted, self.unknown
            ),
            format!("{} kills", self.kills.len()),
            states.to_owned(),
            format!("{} in doubt", self.in_doubt_at_end),
            format!(
                "commit p50 {}, p99 {}, floor {}",
                span_us(self.commit_us.p50),
                span_us(self.commit_us.p99),
                span_us(self.floor_us)
            ),
        ];
        parts.join(&format!(" {} ", signs.apart))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn kill(what: Victim, in_doubt: u64) -> Kill {
        let (first_commit_after_ms, resolved_after_ms) = (Some(155), Some(183));
        Kill { what: what.word(), at_ms: 9, in_doubt, first_commit_after_ms, resolved_after_ms }
    }

    fn good() -> Report {
        Report {
            schema: "synod.demo/1",
            satellites: 979,
            accounted: 979,
            committed: 1,
            aborted: 0,
            unknown: 0,
            kills: vec![kill(Victim::Leader, 0), kill(Victim::Leader, 8)],
            commit_us: Quantiles { p50: 5_400, p99: 27_391 },
            floor_us: 4_107,
            state_hashes_equal: true,
            in_doubt_at_end: 0,
            ok: false,
        }
    }

    fn complaints(spoil: impl Fn(&mut Report)) -> String {
        let leader = Planned { at: Duration::ZERO, victim: Victim::Leader };
        let mut report = good();
        spoil(&mut report);
        report.complaints(&[leader, leader]).join("; ")
    }

    /// The demo itself asserts what it shows; each thing that may go wrong is said by itself.
    #[test]
    fn a_run_ends_well_only_when_everything_is_as_it_must_be() {
        assert_eq!(complaints(|_| ()), "");
        assert_eq!(complaints(|r| r.accounted = 978), "978 of 979 are accounted for");
        assert_eq!(complaints(|r| r.committed = 0), "nothing was moved");
        assert_eq!(complaints(|r| r.in_doubt_at_end = 1), "1 are in doubt at the end");
        assert!(complaints(|r| r.state_hashes_equal = false).contains("states differ"));
        assert!(complaints(|r| r.kills.truncate(1)).contains("not every kill was played"));
        let blocked = complaints(|r| r.kills[1].first_commit_after_ms = None);
        assert_eq!(blocked, "nothing committed after the leader was killed at 9 ms");
        let unresolved = complaints(|r| r.kills[1].resolved_after_ms = None);
        assert_eq!(unresolved, "something stayed in doubt after the leader was killed at 9 ms");
        let lucky = complaints(|r| r.kills[1].in_doubt = 0);
        assert_eq!(lucky, "no leader was killed with prepared branches in doubt");
    }

    /// The fields of the schema, no more and no fewer.
    #[test]
    fn the_report_has_the_fields_of_its_schema() {
        let report = serde_json::to_value(good()).unwrap();
        let names = |value: &serde_json::Value| {
            value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
        };
        let whole = "aborted accounted commit_us committed floor_us in_doubt_at_end kills ok \
                     satellites schema state_hashes_equal unknown";
        assert_eq!(names(&report), whole);
        let kill = "at_ms first_commit_after_ms in_doubt resolved_after_ms what";
        assert_eq!(names(&report["kills"][0]), kill);
        assert_eq!(names(&report["commit_us"]), "p50 p99");
    }
}
