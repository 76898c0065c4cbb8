//! Atomic commit: the rules of the log, owners, and participants.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "decide ignores the fence",
        does: "an owner that was fenced commits",
        source: "redpanda#23131: a producer whose transaction has expired is not fenced",
        edits: &[
            edit(
                "machine/src/machine/decide.rs",
                "match «self.verdict(txn)» {\n            Verdict::InProgress => {}\n            \
                 stands",
                "self.transactions.verdict(txn, Standing::Live)",
            ),
            // The door before it: a session that has ended is asked no further.
            edit(
                "machine/src/machine.rs",
                "fresh(self.refuse_late(&request.command, late))",
                "match request.command {\n\
                 Command::Decide { .. } => fresh(self.execute(Some(id), request.command)),\n\
                 other => fresh(self.refuse_late(&other, late)),\n\
                 }",
            ),
        ],
    },
    Bug {
        name: "decide accepted below the low-water mark",
        does: "a transaction commits that its owner has retired",
        source: "redpanda#1384: a delayed commit of an older transaction is obeyed",
        edits: &[edit("machine/src/transactions.rs", "txn.n < lwm", "false")],
    },
    Bug {
        name: "second verdict overwrites the first",
        does: "the last of decide, fence and retire is the verdict",
        source: "tikv#8439: a commit overwrites the record of a rollback",
        edits: &[edit(
            "machine/src/machine/decide.rs",
            "match «self.verdict(txn)» {\n            Verdict::InProgress => {}\n            \
             stands",
            "Verdict::InProgress",
        )],
    },
    Bug {
        name: "commit record dropped before every part acknowledged",
        does: "the first acknowledgement drops the record",
        source: "MartinKalema/horizontal-scaling-convex#151: the decision goes while a \
                 participant is away",
        edits: &[edit(
            "machine/src/transactions.rs",
            "parts.iter().all(|(_, acked)| *acked)",
            "parts.iter().any(|(_, acked)| *acked)",
        )],
    },
    Bug {
        name: "commit record dropped without its number",
        does: "the last acknowledgement forgets the commit",
        source: "cockroach#53156: a record that is gone is taken for one that was aborted",
        edits: &[edit(
            "machine/src/transactions.rs",
            "record.at));\n            «self.acknowledged(txn);»",
            "",
        )],
    },
    Bug {
        name: "forgotten read as aborted",
        does: "past the horizon the answer is a guess",
        source: "cockroach#48302: a rollback of a commit long cleaned up seems to succeed",
        edits: &[edit(
            "machine/src/transactions.rs",
            "return Verdict::Retired;",
            "return Verdict::Aborted;",
        )],
    },
    Bug {
        name: "in progress acted on",
        does: "a branch rolls back when it hears that nothing is decided",
        source: "citus#1030: what has no record yet is rolled back",
        edits: &[
            edit("machine/src/transactions.rs", "*verdict != Verdict::InProgress", "true"),
            edit(
                "machine/src/branch/branches.rs",
                "refuse(asker, &mut out)",
                "self.roll_back(asker, txn, &mut out)",
            ),
        ],
    },
    Bug {
        name: "owner aborts after it sent its commit",
        does: "giving up is no question to the log, though a commit may be in it",
        source: "cockroach#48301: the coordinator rolls back what may be committed",
        edits: &[edit(
            "machine/src/owner.rs",
            "let outcome = Proposal::Abort { cause: AbortCause::Owner };\n                \
             return GivenUp::AskTheLog(Command::Decide { txn: self.txn, outcome });",
            "self.phase = Phase::Aborted;",
        )],
    },
    Bug {
        name: "phase 2 before the verdict is chosen",
        does: "an owner tells its participants to commit when it has proposed to",
        source: "ydb#2598: success is told before the commit is durable, and it fails",
        edits: &[edit(
            "machine/src/owner.rs",
            "self.phase = Phase::Proposed;",
            "self.phase = Phase::Committed;",
        )],
    },
    Bug {
        name: "votes before its prepare is durable",
        does: "a participant says yes beside the sync and not after it",
        source: "MartinKalema/horizontal-scaling-convex#101: what is prepared is in memory only",
        edits: &[edit(
            "machine/src/branch/branches.rs",
            "out.durably.then_say(asker, yes);\n        self.hold(now, txn, work);",
            "out.at_once.push((asker, yes));\n        self.hold(now, txn, work);",
        )],
    },
    Bug {
        name: "participant forgets its locks at a restart",
        does: "a restarted participant knows its branches and holds no locks for them",
        source: "CUBRID/cubrid#7554: the lock of a prepared transaction does not survive a crash",
        edits: &[edit(
            "machine/src/branch/branches.rs",
            "branches.hold(now, *txn, work.clone());",
            "let asks_at = now.after_ms(branches.config.in_doubt_grace_ms);\n\
             branches.asks.insert((asks_at, *txn));\n\
             let branch = Branch { work: work.clone(), since: now, asks_at: Some(asks_at) };\n\
             branches.prepared.insert(*txn, branch);",
        )],
    },
    Bug {
        name: "unknown vote counted as yes",
        does: "a vote that never came is a vote for",
        source: "reboot-dev/reboot#162: a participant is told to commit what it never prepared",
        edits: &[edit(
            "machine/src/owner.rs",
            "Vote::Unknown => «Stance::Unknown»",
            "Stance::ReadOnly",
        )],
    },
    Bug {
        name: "lost vote counted",
        does: "a yes counts though its participant votes from another store by now",
        source: "MartinKalema/horizontal-scaling-convex#155: a new leader of a partition does not \
                 know what was prepared",
        edits: &[edit(
            "machine/src/machine/decide.rs",
            "self.participants.lost_vote(&parts).cloned()",
            "None::<ParticipantName>",
        )],
    },
    Bug {
        name: "stale leader's fence not guarded by its ballot",
        does: "a fence of a leader that is none any more ends a session that lives",
        source: "etcd#12528, etcd#15247: a leader that is none any more revokes leases",
        edits: &[edit("machine/src/machine/decide.rs", "guard.reign == self.reign", "true")],
    },
    Bug {
        name: "branch rolls back by itself",
        does: "a prepared branch whose grace is over does not ask the log",
        source: "MariaDB/server#3578: before 10.5 a prepared transaction was rolled back at a \
                 disconnect",
        edits: &[edit(
            "machine/src/branch/branches.rs",
            "out.propose.push(Command::Decide { txn, outcome: Proposal::Abort { cause } });",
            "drop(cause); self.roll_back(None, txn, out);",
        )],
    },
    Bug {
        name: "branch in doubt asks nobody",
        does: "a branch whose owner is silent waits for its verdict, and never asks for an abort",
        source: "atomix/atomix#360: what a coordinator has prepared hangs when that one has failed",
        edits: &[edit("machine/src/branch/branches.rs", "self.asks.insert((asks_at, txn));", "")],
    },
    Bug {
        name: "late prepare promised again",
        does: "a prepare that comes again after its commit is prepared and done again",
        source: "apache/incubator-seata#152, tikv#5673: a late prepare is done after the \
                 transaction is over",
        edits: &[edit(
            "machine/src/branch/ended.rs",
            "let over = «self.applied(txn) || self.is_forgotten(txn)»;",
            "false",
        )],
    },
    Bug {
        name: "abort by force that nothing tells of",
        does: "an operator's abort is done and not written down",
        source: "argo-workflows#10257: nothing says who terminated a workflow",
        edits: &[edit(
            "machine/src/machine/decide.rs",
            "self.audit.note(self.clock.now, Act::Aborted { txn, actor, reason });",
            "drop((actor, reason));",
        )],
    },
    Bug {
        name: "session ended by force that nothing tells of",
        does: "an operator's end of a session is done and not written down",
        source: "drawpile#626: a session that a moderator ends leaves no line in the log",
        edits: &[edit(
            "machine/src/machine/decide.rs",
            "self.audit.note(self.clock.now, Act::Fenced { session });",
            "",
        )],
    },
];
