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
];
