//! Elections: who is granted, when, and with which token.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "token of an election that comes again",
        does: "the token of an incumbent is its place among those who stand",
        source: "StarRocks/starrocks#12138: an epoch that is counted is one that was there before",
        edits: &[edit(
            "machine/src/services/elections.rs",
            "Term::new(place, (at, now))",
            "Term::new(place, (place, now))",
        )],
    },
    Bug {
        name: "candidate granted against its word",
        does: "a candidate that says that it must not be granted is",
        source: "openark/orchestrator#1050: a replica that has not replicated for days is promoted",
        edits: &[edit(
            "machine/src/services/elections/race.rs",
            "Some((Report::NotNow, _)) => return «Some(Bar::NotNow)»,",
            "None",
        )],
    },
    Bug {
        name: "candidate on a lease that is over",
        does: "a lease ends, and its candidate is there to be granted",
        source: "cloudamqp/lavinmq#906: a follower is elected whose lease has expired",
        edits: &[edit(
            "machine/src/services.rs",
            "self.elections.leave_all(lease, (*revision, now), history);",
            "",
        )],
    },
    Bug {
        name: "switchover before the incumbent has left",
        does: "a switchover grants its target at once, and the incumbent hears of it",
        source: "cloudnative-pg#11294: the next primary is chosen while the last one still commits",
        edits: &[edit(
            "machine/src/services/elections.rs",
            "«there(&term.place).is_some()») {",
            "there(&term.place).is_some() && term.successor.is_none()",
        )],
    },
    Bug {
        name: "pause ignored",
        does: "somebody is granted while the election is paused",
        source: "patroni#2919: a replica is promoted while the cluster is paused",
        edits: &[edit(
            "machine/src/services/elections/race.rs",
            "if self.pause.is_some() {\n            return Some(Bar::Paused);\n        }",
            "",
        )],
    },
    Bug {
        name: "lag ignored",
        does: "whoever is far behind is granted like anybody else",
        source: "openark/orchestrator#83: replicas that lag by hours are elected",
        edits: &[edit(
            "machine/src/services/elections/race.rs",
            "lag_max.is_some_and(|most| lag > most)",
            "{ let _ = (lag_max, lag); false }",
        )],
    },
    Bug {
        name: "position ignored",
        does: "whoever has not come as far as it must is granted",
        source: "openark/orchestrator#88: a replica is promoted that has not read its relay log",
        edits: &[edit(
            "machine/src/services/elections/race.rs",
            "position_min.filter(|min| position < *min)",
            "position_min.filter(|_| false)",
        )],
    },
    Bug {
        name: "report of long ago believed",
        does: "a candidate is granted whose last word of itself is too old",
        source: "openark/orchestrator#1403: the lag that counts at a promotion is not today's",
        edits: &[edit(
            "machine/src/services/elections/race.rs",
            "fresh_ms.is_some_and(|most| age_ms > most)",
            "{ let _ = fresh_ms; false }",
        )],
    },
    Bug {
        name: "report counted again after a grant",
        does: "a candidate that stands again counts what it had said before the last grant",
        source: "so it was in Synod: others were held to be behind what a grant had given up",
        edits: &[edit(
            "machine/src/services/elections.rs",
            "self.remove(&name, place);\n        «self.insert(name.clone(), place, row);»",
            "let report = row.report.map(|(report, _)| report);\n\
             self.races.change(&name, |race| race.reached(report));\n\
             self.insert(name.clone(), place, row);",
        )],
    },
    Bug {
        name: "priority ignored",
        does: "whoever came first is granted, however important another is",
        source: "patroni#3498: priorities are ignored when there is more than one standby",
        edits: &[edit(
            "machine/src/services/elections/race.rs",
            "(Reverse(self.priority), place)",
            "(Reverse(0), place)",
        )],
    },
    Bug {
        name: "switchover to whoever is best",
        does: "a switchover to a certain candidate goes to the one that would be granted",
        source: "patroni#2074: a switchover ends on another standby than it was meant for",
        edits: &[edit(
            "machine/src/services/elections.rs",
            "others.filter(|(_, one)| «wanted.is_none_or(|wanted| one.candidate == *wanted)»)",
            "{ let _ = (wanted, one); true }",
        )],
    },
    Bug {
        name: "successor passed over",
        does: "the incumbent leaves for another, and the best of all is granted",
        source: "openark/orchestrator#293: another is promoted first than the one that is meant",
        edits: &[edit(
            "machine/src/services/elections.rs",
            "may.min_by_key(|(place, one)| «(wanted != Some(*place), one.rank(*place))»)",
            "(false, one.rank(*place))",
        )],
    },
    Bug {
        name: "successor not told",
        does: "nobody is told for whom the incumbent is to leave",
        source: "patroni#743: a switchover is under way, and whoever asked hears nothing of it",
        edits: &[edit(
            "machine/src/services/elections.rs",
            "if «office != before» {",
            "office.incumbent != before.incumbent",
        )],
    },
];
