//! The log's beginning: what is trimmed, what is said of it, and what a snapshot replaces.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "snapshot without the session table",
        does: "a restored machine knows no sessions and no replies",
        source: "atomix/atomix#341: a session from a snapshot is unknown to the state machine",
        edits: &[
            edit(
                "machine/src/machine/snapshot.rs",
                "Sessions::restore(SESSIONS, &mut from)?",
                "{ Sessions::restore(SESSIONS, &mut from)?; Sessions::new(SESSIONS) }",
            ),
            edit("machine/src/machine/snapshot.rs", "0 if «found == written»", "true"),
        ],
    },
    Bug {
        name: "snapshot install lowers the promise",
        does: "an acceptor that installs a snapshot forgets what it promised",
        source: "formancehq/ledger#2080, cockroach#24854: a snapshot takes the term back, or away",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "self.votes = self.votes.split_off(&upto.next());",
            "self.votes = self.votes.split_off(&upto.next()); self.promised = Ballot::ZERO;",
        )],
    },
    Bug {
        name: "snapshot install drops the votes above it",
        does: "an acceptor that installs a snapshot forgets what it voted for above",
        source: "camunda#6092: a late snapshot truncates what was acknowledged above it",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "self.votes = self.votes.split_off(&upto.next());",
            "self.votes.clear();",
        )],
    },
    Bug {
        name: "trim past the slowest durable snapshot",
        does: "a log is trimmed as far as its own snapshots go, whatever a quorum's cover",
        source: "databendlabs/openraft#437: entries are purged that no snapshot holds",
        edits: &[edit(
            "paxos/src/cover.rs",
            "quorum.min(self.own())",
            "{ let _ = quorum; self.own() }",
        )],
    },
    Bug {
        name: "trim past the own snapshots",
        does: "a log is trimmed as far as a quorum's snapshots go, whatever its own cover",
        source: "nats-server#8425: the log goes before what it made is durable",
        edits: &[edit("paxos/src/cover.rs", "quorum.min(self.own())", "quorum")],
    },
    Bug {
        name: "trim below the newest snapshot alone",
        does: "what one snapshot covers counts as covered: it may be the damaged one",
        source: "hashicorp/raft#85: the newest snapshot is bad, and the log begins after it",
        edits: &[edit(
            "replica/src/snapshots.rs",
            "self.kept.iter().rev().nth(KEPT - 1)",
            "self.kept.iter().next_back()",
        )],
    },
    Bug {
        name: "trimmed reported as empty",
        does: "a promise is silent about what was trimmed when the state that it made is lost",
        source: "scylladb#6154: what was pruned is accepted again",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "let (chosen_upto, settled) = (learner.upto(), «learner.settled()»);",
            "learner.upto()",
        )],
    },
    Bug {
        name: "lost told as known",
        does: "an acceptor whose snapshots decayed says that it can tell what it trimmed",
        source: "first written so: nobody proposed in those slots, and nobody knew what they hold",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "let (chosen_upto, settled) = («learner.upto()», learner.settled());",
            "learner.settled()",
        )],
    },
    Bug {
        name: "snapshot installed in the machine alone",
        does: "the machine is replaced, and the peer does not hear of it",
        source: "nexi-lab/nexus#4215: the snapshot and what Raft knows of it are two writes",
        edits: &[edit(
            "replica/src/replica/shelf.rs",
            "self.consult(paxos::Input::Installed(slot), out);",
            "",
        )],
    },
    Bug {
        name: "install that the log is not told of",
        does: "a snapshot takes the place of the log in memory and not on disk",
        source: "CurvineIO/curvine#1551: after a restart the log knows nothing of the snapshot",
        edits: &[edit(
            "paxos/src/peer/trimming.rs",
            "self.acceptor.forget_upto(upto);\n        «self.forget_below(upto, out);»",
            "",
        )],
    },
    Bug {
        name: "snapshot ahead of its log that is never told",
        does: "a node starts from a snapshot that its log does not know of, and tells it nothing",
        source: "databendlabs/openraft#1894: a snapshot ahead of the log goes unnoticed at the \
                 start",
        edits: &[edit(
            "paxos/src/peer/trimming.rs",
            "self.ahead.take()",
            "self.ahead.take().filter(|_| false)",
        )],
    },
];
