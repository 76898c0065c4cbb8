//! Acceptors and learners: what is promised, voted, learned and told.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "promise spoken before it is durable",
        does: "`Promise` leaves beside the sync and not after it",
        source: "valkey-io/valkey#3887: the vote is answered before `votedFor` is on disk",
        edits: &[edit(
            "paxos/src/peer/phase1.rs",
            "self.voice.seal(out, to, Message::Promise { ballot, page });",
            "self.voice.say(out, to, Message::Promise { ballot, page });",
        )],
    },
    Bug {
        name: "vote spoken before it is durable",
        does: "`Accepted` leaves beside the sync and not after it",
        source: "yugabyte-db#32875, tikv#994: a follower acknowledges what its disk has not",
        edits: &[edit(
            "paxos/src/peer/phase2.rs",
            "self.voice.seal_accepted(out, ballot.owner().node, accepted);",
            "self.voice.say(out, ballot.owner().node, accepted);",
        )],
    },
    Bug {
        name: "promise lower after a restart",
        does: "a restarted acceptor remembers its votes and not its promise",
        source: "bakwc/PySyncObj#202: term and vote are nought after a restart",
        edits: &[edit(
            "paxos/src/peer.rs",
            "durable.promised.unwrap_or(Ballot::ZERO)",
            "Ballot::ZERO",
        )],
    },
    Bug {
        name: "older disk not noticed",
        does: "a node that was put on an older image of its disk goes on, whatever others were \
               told",
        source: "camunda#14509: partitions that were restored from a backup contradict what was \
                 committed",
        edits: &[edit("paxos/src/peer.rs", "marks.heard > is", "{ let _ = is; false }")],
    },
    Bug {
        name: "a start listens to nobody first",
        does: "a node that starts votes before it has heard from those who know what it forgot",
        source: "nats-server#7038: a wiped node votes again",
        edits: &[edit(
            "paxos/src/peer.rs",
            "self.vow.is_silent(now) && !self.links.have_all_spoken()",
            "{ let _ = (now, self.links.have_all_spoken()); false }",
        )],
    },
    Bug {
        name: "a disk said to hold what it does not yet",
        does: "a word tells the mark of what was written, durable or not",
        source: "valkey-io/valkey#3887: the vote is answered before `votedFor` is on disk",
        edits: &[edit(
            "paxos/src/peer.rs",
            "out.durably.reaches(self.disk.mark());",
            "out.durably.reaches(self.disk.mark()); self.voice.holds(self.disk.mark());",
        )],
    },
    Bug {
        name: "a vote does not raise the promise",
        does: "an acceptor votes at a ballot and could still promise a lower one",
        source: "scylladb#6139: a lower ballot is accepted after a higher one, without a \
                 promise between",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "if !self.promise(vote.ballot, out) {\n            return false;\n        }",
            "",
        )],
    },
    Bug {
        name: "vote below the promise",
        does: "an accept that was buffered at an older ballot is voted for after a promise",
        source: "neon#2109: what was buffered is flushed without a look at the term",
        edits: &[
            edit(
                "paxos/src/acceptor.rs",
                "if !self.promise(vote.ballot, out) {\n            return false;\n        }",
                "",
            ),
            edit(
                "paxos/src/peer/phase2.rs",
                "if ballot < self.acceptor.promised() {\n            \
                 return self.refuse(ballot, out);\n        }",
                "",
            ),
        ],
    },
    Bug {
        name: "vote below a vote",
        does: "an older accept of a value that comes late takes the place of a vote",
        source: "nats-server#5661: entries of earlier terms that come late reset the log",
        edits: &[
            edit(
                "paxos/src/acceptor.rs",
                "!self.promise(vote.ballot, out)",
                "!self.promise(vote.ballot, out)\n\
                 && (vote.decree == Decree::Noop || !self.votes.contains_key(&slot))",
            ),
            edit(
                "paxos/src/peer/phase2.rs",
                "if ballot < self.acceptor.promised() {\n            \
                 return self.refuse(ballot, out);\n        }",
                "if ballot < self.acceptor.promised()\n\
                 && (vote.decree == Decree::Noop || self.acceptor.vote(slot).is_none()) {\n\
                 return self.refuse(ballot, out); }",
            ),
        ],
    },
    Bug {
        name: "watermark trusted at another ballot",
        does: "a follower takes its vote for chosen, whatever its ballot, when the watermark \
               covers it",
        source: "atomix/copycat#265, scylladb#9965, scylladb#10578: obsolete entries are taken \
                 for committed",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "filter(|(_, vote)| «vote.ballot == ballot»)",
            "vote.ballot <= ballot",
        )],
    },
    Bug {
        name: "watermark applied past a gap",
        does: "what is known to be chosen is handed out over a slot that is not",
        source: "lni/dragonboat#156: entries are applied to a state that lacks those before",
        edits: &[edit(
            "paxos/src/learner.rs",
            "self.above.remove(&self.upto.next())",
            "{ let first = self.above.first_key_value().map(|(slot, _)| *slot);\n\
             if let Some(slot) = first { self.upto = Slot::new(slot.get() - 1); }\n\
             self.above.remove(&self.upto.next()) }",
        )],
    },
    Bug {
        name: "learned decree reported with a made-up ballot",
        does: "what was only learned is reported as a vote at the promised ballot",
        source: "efficient/epaxos#20: no ballot is kept with what is accepted, the last one \
                 seen stands for it",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "Report::Chosen { decree: decree.clone() }",
            "Report::Accepted { ballot: self.promised, decree: decree.clone() }",
        )],
    },
    Bug {
        name: "unreadable reported as empty",
        does: "a promise is silent about a record that cannot be read",
        source: "camunda#6098: a corrupt entry is taken for the end of the log",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "votes.chain(faults).chain(learner.known_from(from)).collect()",
            "{ drop(faults); votes.chain(learner.known_from(from)).collect() }",
        )],
    },
    Bug {
        name: "amnesia after a wipe",
        does: "a node whose disk has decayed is given an empty one, and goes on under its old \
               incarnation",
        source: "openraft#2002, nats-server#7038, palantir/atlasdb#1504: a wiped node votes again",
        edits: &[
            edit(
                "sim/src/disk.rs",
                "facts.open();",
                "if std::mem::take(&mut self.decayed) { *facts = Facts::default(); } facts.open();",
            ),
            edit(
                "sim/src/disk.rs",
                "«return Ok(Opened::Gone(what));»",
                "drop(what);\n\
             *drive = Drive::default();\n\
             let (home, wal) = drive.attach();\n\
             Store::format_ahead_on(home, wal, WAL_BYTES[0], identity)?;\n\
             let (home, wal) = drive.attach();\n\
             let (opened, durable) = Store::open_ahead_on(home, wal, identity)?;\n\
             *store = Some(Box::new(opened));\n\
             durable",
            ),
        ],
    },
    Bug {
        name: "retry after a failed sync",
        does: "a sync that failed is tried again, and is believed when it says that it is done",
        source: "PostgreSQL, LWN 752063, WiredTiger WT-4045: the second `fsync` has forgotten",
        edits: &[edit(
            "sim/src/world/nodes.rs",
            "if let Some(up) = &mut self.node(id).up {\n                    \
             up.syncing = Some(batch);\n                \
             }\n                \
             self.watch.seen.see(Sight::SyncFailed);\n                \
             self.stop(id, Stop::Process, \"fails to sync, and ends\");\n                \
             return Ok(());",
            "",
        )],
    },
];
