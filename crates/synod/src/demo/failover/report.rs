//! What a failover showed, `synod.demo.failover/1`, and what it must say to have ended well.

use serde::Serialize;

use crate::{
    signs::Signs,
    units::{grouped, span},
};

/// Changes of the primary in one run: a murder and a switchover.
const CHANGES: usize = 2;

/// What a run showed. Within this schema fields are only added.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) schema: &'static str,
    /// What was supervised: `file` or `postgres`.
    pub(super) child: &'static str,
    /// Of each reign, the first one too.
    pub(super) tokens: Vec<u64>,
    pub(super) changes: Vec<Change>,
    /// Rows that must not be lost, of those that were acknowledged.
    pub(super) rows: u64,
    /// Those that were.
    pub(super) lost: u64,
    /// Signs of two primaries at once.
    pub(super) disorder: Vec<String>,
    pub(super) ok: bool,
}

/// One change of the primary.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    /// `killed` or `switchover`.
    pub(super) what: &'static str,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) token: u64,
    /// Until the grant was heard of.
    pub(super) granted_after_ms: u64,
    /// From the last row under the old token to the first under the new one.
    pub(super) without_primary_ms: u64,
}

impl Report {
    /// Everything that is not as it must be.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut found = self.disorder.clone();
        let mut must = |holds: bool, what: String| {
            if !holds {
                found.push(what);
            }
        };
        must(self.rows > 0, "no row was acknowledged".to_owned());
        must(self.lost == 0, format!("{} acknowledged rows are lost", self.lost));
        must(self.changes.len() == CHANGES, "not every change was played".to_owned());
        let grow = self.tokens.is_sorted_by(|before, after| before < after);
        must(grow, format!("tokens do not grow: {:?}", self.tokens));
        found
    }

    /// In one line, for people.
    pub(super) fn line(&self, signs: Signs) -> String {
        let tokens: Vec<_> = self.tokens.iter().map(u64::to_string).collect();
        let ms =
            |change: &Change| span(std::time::Duration::from_millis(change.without_primary_ms));
        let gaps: Vec<_> = self.changes.iter().map(ms).collect();
        let order = match self.disorder.len() {
            0 => "one primary at a time".to_owned(),
            count => format!("{count} SIGNS OF TWO PRIMARIES"),
        };
        let parts = [
            format!("{} changes of the primary", self.changes.len()),
            format!("{} rows acknowledged, {} lost", grouped(self.rows), self.lost),
            format!("{order}, tokens {}", tokens.join(" < ")),
            format!("nobody was primary for {}", gaps.join(" and ")),
        ];
        parts.join(&format!(" {} ", signs.apart))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signs::ASCII;

    fn good() -> Report {
        let change = |what, token| Change {
            what,
            from: "db-1".to_owned(),
            to: "db-2".to_owned(),
            token,
            granted_after_ms: 3_012,
            without_primary_ms: 3_120,
        };
        Report {
            schema: "synod.demo.failover/1",
            child: "file",
            tokens: vec![3, 9, 14],
            changes: vec![change("killed", 9), change("switchover", 14)],
            rows: 1_204,
            lost: 0,
            disorder: Vec::new(),
            ok: true,
        }
    }

    fn complaints(spoil: impl Fn(&mut Report)) -> String {
        let mut report = good();
        spoil(&mut report);
        report.complaints().join("; ")
    }

    #[test]
    fn a_run_ends_well_only_when_nothing_is_lost_and_nobody_wrote_out_of_turn() {
        assert_eq!(complaints(|_| ()), "");
        assert_eq!(complaints(|r| r.rows = 0), "no row was acknowledged");
        assert_eq!(complaints(|r| r.lost = 2), "2 acknowledged rows are lost");
        assert_eq!(complaints(|r| r.changes.truncate(1)), "not every change was played");
        assert_eq!(complaints(|r| r.tokens[2] = 9), "tokens do not grow: [3, 9, 9]");
        assert_eq!(complaints(|r| r.disorder.push("two at once".to_owned())), "two at once");
    }

    #[test]
    fn it_is_told_in_one_line() {
        let told = "2 changes of the primary | 1 204 rows acknowledged, 0 lost | one primary at a \
                    time, tokens 3 < 9 < 14 | nobody was primary for 3.1 s and 3.1 s";
        assert_eq!(good().line(ASCII), told);
    }
}
