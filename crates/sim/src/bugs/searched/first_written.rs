//! Rules as they were first written, or without one of their clauses, that only a search is sent
//! after: the universes have rows of their own.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "adopts beside a faulty answer",
        does: "an acceptor that cannot read its record counts as one that never voted",
        source: "first written so: a faulty answer may hide the vote at the highest ballot",
        edits: &[edit(
            "paxos/src/campaign.rs",
            "whole.difference(&evidence.faulty).count()",
            "whole.len()",
        )],
    },
    Bug {
        name: "unreadable reported as empty",
        does: "a promise is silent about a record that cannot be read",
        source: "Alagappan et al., Protocol-Aware Recovery",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "votes.chain(faults).chain(learner.known_from(from)).collect()",
            "{ drop(faults); votes.chain(learner.known_from(from)).collect() }",
        )],
    },
    Bug {
        name: "chosen elsewhere taken for empty",
        does: "a new leader begins above its own watermark, whatever others know to be chosen",
        source: "first written so: an acceptor that knows a slot to be chosen has no vote there",
        edits: &[edit(
            "paxos/src/campaign.rs",
            "self.chosen_upto.max(learner.settled())",
            "learner.settled()",
        )],
    },
    Bug {
        name: "begins below what was reported",
        does: "a new leader gives out the slots in which votes were reported",
        source: "",
        edits: &[edit("paxos/src/campaign.rs", "known.max(reported)", "known")],
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
        source: "",
        edits: &[edit(
            "machine/src/transactions.rs",
            "self.mark(session, |marks| marks.lwm = marks.lwm.max(below));",
            "",
        )],
    },
    Bug {
        name: "fence leaves the undecided open",
        does: "what a session left undecided stays in progress when it has ended",
        source: "",
        edits: &[edit(
            "machine/src/transactions.rs",
            "standing == Standing::Ended || txn.n < lwm",
            "txn.n < lwm",
        )],
    },
    Bug {
        name: "abort leaves no record",
        does: "an abort by somebody else is answered and not remembered",
        source: "citus#1030: a missing record acted on",
        edits: &[edit(
            "machine/src/transactions.rs",
            "self.records.insert(txn, Record { at: now, decision: Decision::Aborted(cause) });",
            "drop((cause, now));",
        )],
    },
    Bug {
        name: "committed numbers are not looked at",
        does: "a commit that all have acknowledged is read like one that never was",
        source: "classic presumed abort",
        edits: &[edit(
            "machine/src/transactions.rs",
            "if «self.committed.contains(txn)» {\n            return",
            "false",
        )],
    },
    Bug {
        name: "records are not looked at",
        does: "a decision is known only once all have acknowledged it",
        source: "",
        edits: &[edit(
            "machine/src/transactions.rs",
            "if let Some(record) = «self.records.get(&txn)» {\n            return",
            "self.records.get(&txn).filter(|_| false)",
        )],
    },
    Bug {
        name: "abort of a session that was never opened",
        does: "a decision is recorded for a session that is yet to come",
        source: "",
        edits: &[edit(
            "machine/src/machine/decide.rs",
            "self.sessions.standing(txn.session) == Standing::Unopened",
            "false",
        )],
    },
    Bug {
        name: "fence of a session that has spoken since",
        does: "what a leader took for silence ends a session that was not silent",
        source: "",
        edits: &[edit(
            "machine/src/machine/decide.rs",
            "Some(guard.renewals) == renewals",
            "renewals.is_some()",
        )],
    },
    Bug {
        name: "one acknowledgement counts for all",
        does: "whoever acknowledges does so for everybody",
        source: "",
        edits: &[edit(
            "machine/src/transactions.rs",
            "*acked |= part == participant;",
            "drop(part); *acked = true;",
        )],
    },
    Bug {
        name: "acknowledged commit stays on record",
        does: "who has acknowledged is still waited for",
        source: "",
        edits: &[edit(
            "machine/src/transactions.rs",
            "*acked |= part == participant;",
            "drop(part);",
        )],
    },
    Bug {
        name: "retired while somebody has to finish",
        does: "a session that ended long ago is forgotten with its commits unacknowledged",
        source: "",
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
];
