//! Reigns: what a leader counts, tells, serves and answers.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "votes counted across ballots",
        does: "a leader counts what it was told at an earlier ballot of its own",
        source: "nats-server#7955, bakwc/PySyncObj#169: acknowledgements of earlier terms commit",
        edits: &[edit(
            "paxos/src/peer/phase2.rs",
            "proposer.ballot != ballot",
            "proposer.ballot < ballot",
        )],
    },
    Bug {
        name: "one acceptor counted twice",
        does: "a vote that comes twice is two votes",
        source: "xnnyygn/xraft#27, jgroups-extras/jgroups-raft#24: a vote that comes twice is two",
        edits: &[edit(
            "paxos/src/proposer.rs",
            "tally.voters.insert(voter);",
            "if !tally.voters.insert(voter) { tally.voters.insert(NodeId::new(u16::MAX)); }",
        )],
    },
    Bug {
        name: "watermark over a slot chosen with another decree",
        does: "a leader that learns such a slot goes on leading",
        source: "apache/iggy#3824: a primary leads on with another operation than the chosen one",
        edits: &[edit(
            "paxos/src/peer/learning.rs",
            "!proposer.agrees(slot, &decree)",
            "{ proposer.agrees(slot, &decree); false }",
        )],
    },
    Bug {
        name: "serves before it has applied what it inherited",
        does: "a leader serves as soon as its `LeaderStart` is proposed",
        source: "etcd#7331, tikv#9239: a new leader reads below what its predecessor committed",
        edits: &[
            edit("replica/src/replica/lead.rs", "start <= self.state.applied", "true"),
            edit(
                "replica/src/replica/lead.rs",
                "assert!(inherited <= applied, \"serving at {applied}, having inherited \
                 {inherited}\");",
                "",
            ),
        ],
    },
    Bug {
        name: "read joins a round that is under way",
        does: "a read is served by a round that was asked before it arrived",
        source: "deventlab/d-engine#236: later reads join the verification that is under way",
        edits: &[edit(
            "paxos/src/reads.rs",
            "self.waiting.push(Read { reader, upto });",
            "match &mut self.asked {\n\
             Some(question) => question.reads.push(Read { reader, upto }),\n\
             None => self.waiting.push(Read { reader, upto }),\n\
             };",
        )],
    },
    Bug {
        name: "answer to an older round counted",
        does: "a read is confirmed by an answer to an earlier question",
        source: "etcd#20418, antflydb/antfly#599: a late heartbeat answer confirms a later read",
        edits: &[edit("paxos/src/reads.rs", "question.round == round", "question.round >= round")],
    },
    Bug {
        name: "read without a round",
        does: "a leader answers reads without asking whether it still leads",
        source: "deventlab/d-engine#381: a leader in a minority answers reads",
        edits: &[edit("paxos/src/reads.rs", "question.answered.len() >= quorum", "true")],
    },
    Bug {
        name: "leader with a dead disk leads on",
        does: "a leader whose disk does nothing any more says that it leads, and does nothing",
        source: "hashicorp/raft#503, tarantool#9399: heartbeats go on, and nothing is written",
        edits: &[edit(
            "paxos/src/peer/vitals.rs",
            "stuck || «!alive» {",
            "{ let _ = alive; false }",
        )],
    },
    Bug {
        name: "heartbeats put off no campaign",
        does: "a node that has had its patience campaigns, whoever leads",
        source: "redpanda#31547, stateIs0/lu-raft-kv#2: followers run elections beside a leader",
        edits: &[
            edit(
                "paxos/src/peer/vitals.rs",
                "self.leader.is_some() || self.links.somebody_sees_a_leader(now)",
                "false",
            ),
            edit("paxos/src/peer/vitals.rs", "self.election.has_yielded();", ""),
        ],
    },
];
