//! Rules as they were first written, or without one of their clauses, that only a search is sent
//! after: the universes have rows of their own.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "chosen elsewhere taken for empty",
        does: "a new leader begins above its own watermark, whatever others know to be chosen",
        source: "first written so: an acceptor that knows a slot to be chosen has no vote there",
        edits: &[edit(
            "paxos/src/campaign.rs",
            "self.chosen_upto.max(learner.upto())",
            "learner.upto()",
        )],
    },
    Bug {
        name: "begins below what was reported",
        does: "a new leader gives out the slots in which votes were reported",
        source: "apache/iggy#3824: the next operation gets the number of one that a backup has",
        edits: &[edit("paxos/src/campaign.rs", "known.max(reported).max(lost)", "known.max(lost)")],
    },
    Bug {
        name: "leads on over another decree than its own",
        does: "a leader that learns a slot chosen with another decree than it proposed goes on",
        source: "first written so: a follower with the old decree at this ballot trusts it",
        edits: &[edit("paxos/src/proposer.rs", "tally.decree == *decree", "true")],
    },
    Bug {
        name: "forgets below the low-water mark",
        does: "whatever lies below it is answered with *retired*",
        source: "first written so: branches that a retire had aborted could hear nothing else",
        edits: &[edit(
            "machine/src/transactions.rs",
            "if «self.past_horizon(txn)» {\n            return Verdict::Retired;",
            "self.past_horizon(txn)\n\
             || self.marks.get(&txn.session).is_some_and(|marks| txn.n < marks.lwm)",
        )],
    },
    Bug {
        name: "retire leaves no mark",
        does: "a retire lets aborts go, and says nothing of what is undecided",
        source: "redpanda#1384: a delayed commit of an older transaction is obeyed",
        edits: &[edit(
            "machine/src/transactions.rs",
            "self.mark(session, |marks| marks.lwm = marks.lwm.max(below));",
            "",
        )],
    },
    Bug {
        name: "number that is forgotten taken for aborted",
        does: "a commit whose number there is no room for is answered by its session's end",
        source: "cockroach#48302: a rollback of a commit long cleaned up seems to succeed",
        edits: &[edit(
            "machine/src/transactions.rs",
            "txn.n < forgotten",
            "{ let _ = forgotten; false }",
        )],
    },
    Bug {
        name: "fence leaves the undecided open",
        does: "what a session left undecided stays in progress when it has ended",
        source: "redpanda#23131: a producer whose transaction has expired is not fenced",
        edits: &[edit(
            "machine/src/transactions.rs",
            "standing == Standing::Ended || txn.n < lwm",
            "txn.n < lwm",
        )],
    },
    Bug {
        name: "abort leaves no record",
        does: "an abort by somebody else is answered and not remembered",
        source: "tikv#5673: a transaction is found aborted and no record says so",
        edits: &[edit(
            "machine/src/transactions.rs",
            "self.records.insert(txn, Record { at: now, decision: Decision::Aborted(cause) });",
            "drop((cause, now));",
        )],
    },
    Bug {
        name: "committed numbers are not looked at",
        does: "a commit that all have acknowledged is read like one that never was",
        source: "cockroach#48302: a commit that is cleaned up is read as an abort",
        edits: &[edit(
            "machine/src/transactions.rs",
            "if «self.committed.contains(txn)» {\n            return",
            "false",
        )],
    },
    Bug {
        name: "records are not looked at",
        does: "a decision is known only once all have acknowledged it",
        source: "cockroach#37866: a transaction that is committed is found to be pending",
        edits: &[edit(
            "machine/src/transactions.rs",
            "if let Some(record) = «self.records.get(&txn)» {\n            return",
            "self.records.get(&txn).filter(|_| false)",
        )],
    },
    Bug {
        name: "abort of a session that was never opened",
        does: "a decision is recorded for a session that is yet to come",
        source: "no report found; against docs/protocol.md, where a decision belongs to a session",
        edits: &[edit(
            "machine/src/machine/decide.rs",
            "self.sessions.standing(txn.session) == Standing::Unopened",
            "false",
        )],
    },
    Bug {
        name: "fence of a session that has spoken since",
        does: "what a leader took for silence ends a session that was not silent",
        source: "atomix/copycat#42: a keep-alive and the end of its session cross in the log",
        edits: &[edit(
            "machine/src/machine/decide.rs",
            "Some(guard.renewals) == renewals",
            "renewals.is_some()",
        )],
    },
    Bug {
        name: "one acknowledgement counts for all",
        does: "whoever acknowledges does so for everybody",
        source: "MartinKalema/horizontal-scaling-convex#151: the decision goes while a \
                 participant is away",
        edits: &[edit(
            "machine/src/transactions.rs",
            "*acked |= part == participant;",
            "drop(part); *acked = true;",
        )],
    },
    Bug {
        name: "acknowledged commit stays on record",
        does: "who has acknowledged is still waited for",
        source: "citus#1614: records of what is long over are kept for ever",
        edits: &[edit(
            "machine/src/transactions.rs",
            "*acked |= part == participant;",
            "drop(part);",
        )],
    },
    Bug {
        name: "retired while somebody has to finish",
        does: "a session that ended long ago is forgotten with its commits unacknowledged",
        source: "MartinKalema/horizontal-scaling-convex#151: decisions are kept for an hour, \
                 whoever waits",
        edits: &[
            edit(
                "machine/src/transactions.rs",
                "ended_at: Some(at), .. }) = «self.marks.get(&session)»",
                "self.marks.get(&session).map(|marks| \
                 &*Box::leak(Box::new(Marks { commits: 0, ..*marks })))",
            ),
            edit("machine/src/transactions.rs", "past && !self.records.contains(&txn)", "past"),
        ],
    },
    Bug {
        name: "floor of numbers falls",
        does: "a branch that ends late takes down the number below which all is over",
        source: "found by reading: what had been applied between could be promised again",
        edits: &[edit(
            "machine/src/branch/ended.rs",
            "row.floor.max(last.saturating_add(1))",
            "last.saturating_add(1)",
        )],
    },
    Bug {
        name: "floor of sessions falls",
        does: "a branch that ends late takes down the session below which all are over",
        source: "found by reading: what had been applied between could be promised again",
        edits: &[edit(
            "machine/src/branch/ended.rs",
            "self.sessions_below.max(session.next())",
            "session.next()",
        )],
    },
    Bug {
        name: "commit that is forgotten taken for never prepared",
        does: "a verdict that comes again for what is long done calls for a person",
        source: "found by this search, in its place *commit-forgets-session*",
        edits: &[edit(
            "machine/src/branch/branches.rs",
            "if «!self.ended.is_forgotten(txn)» {\n                self.alarm",
            "true",
        )],
    },
];
