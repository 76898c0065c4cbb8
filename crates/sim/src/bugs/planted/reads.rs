//! Reads by a leader's lease, and at any node: what is vowed, counted and looked at.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "vow not kept",
        does: "an acceptor that has vowed promises whoever campaigns",
        source: "cockroach#134922: a peer that supports a leader's lease steps down to a newer \
                 term",
        edits: &[edit(
            "paxos/src/peer/phase1.rs",
            "newer && «!self.vow.allows(ballot.owner(), now)»",
            "false",
        )],
    },
    Bug {
        name: "write acknowledged beside an earlier lease",
        does: "a lease is counted on for far longer than the vows last, and nothing looks at vows \
               (E6) or at two leases at once (E1)",
        source: "sofa-jraft#25: a new leader does not wait until the lease of the old one is over",
        edits: &[
            edit(
                "paxos/src/config.rs",
                "self.vow.saturating_sub(TICK) * (part - 1) / (part + 1)",
                "{ let _ = (part, TICK); self.vow * 20 }",
            ),
            edit(
                "sim/src/checks/vows.rs",
                "bound.is_none_or(|given| given.to.owner() == ballot.owner())",
                "true",
            ),
            edit("sim/src/checks/vows.rs", "earlier.is_none_or(|given| given.to <= to)", "true"),
            edit(
                "sim/src/checks/vows.rs",
                "long >= quorum && !self.is_over(lease.at)",
                "{ let _ = (long, quorum); true }",
            ),
            edit("sim/src/checks/whatif.rs", "bounds.leases_are_sound(ghost, self.vow)?;", ""),
            edit(
                "sim/src/checks/whatif.rs",
                "vows::a_start_is_silent(config, durable, RECOVER)?;",
                "",
            ),
            edit(
                "sim/src/checks/alone.rs",
                "demand!(false, \"E1\", \"{one} runs beside {other}\");",
                "let _ = (one, other);",
            ),
        ],
    },
    Bug {
        name: "lease counted from the answer",
        does: "a lease runs from when a vow was heard of, and not from before it was asked for",
        source: "hashicorp/raft `setLastContact`: a follower's contact is when its answer came",
        edits: &[edit(
            "paxos/src/peer.rs",
            "Message::Vowed { ballot, round } => «self.on_vowed(from, ballot, round)»",
            "{ let (quorum, term) = (self.config.members.quorum(), self.config.leasing.term());\n\
             let me = self.voice.me();\n\
             if let Reign::Leading(proposer) = &mut self.reign\n\
             && proposer.ballot == ballot {\n\
             let _ = round;\n\
             let late = proposer.lease.ask(me, now, term);\n\
             proposer.lease.answer(from, late, quorum, term);\n\
             } }",
        )],
    },
    Bug {
        name: "answer to an older round prolongs a lease",
        does: "whichever round is answered, the lease runs from the last one that left",
        source: "etcd#20418, antflydb/antfly#599: a late heartbeat answer confirms a later read",
        edits: &[edit(
            "paxos/src/lease.rs",
            "if let Some(asked) = «self.asked.get(round)»",
            "self.asked.last_key_value().map(|(_, asked)| asked)",
        )],
    },
    Bug {
        name: "lease kept across a transfer of the lead",
        does: "a leader that is to let another lead frees the others, and reads on by its lease",
        source: "databendlabs/openraft#1749, etcd#12704: a leader that hands over reads on by its \
                 lease",
        edits: &[edit(
            "paxos/src/peer/vitals.rs",
            "if !matches!(self.reign, Reign::Following) {\n            «self.follow(now, out);»",
            "match self.reign_ballot() {\n\
             Some(ballot) => {\n\
             self.vow.release(ballot);\n\
             self.voice.say_to_others(out, &Message::Release { ballot });\n\
             }\n\
             None => {}\n\
             }",
        )],
    },
    Bug {
        name: "clock not looked at after the read",
        does: "an answer leaves by a lease that ran when its step began",
        source: "tikv#13568, #10011: a lease is looked at before the state is read, and ends \
                 between the two",
        edits: &[edit("replica/src/leased.rs", "now < self.until", "true")],
    },
    Bug {
        name: "no silence after a start",
        does: "an acceptor that starts promises at once, whatever it had vowed before",
        source: "cockroach#230: nobody may vote for another leader for as long as a lease lasts, \
                 also just after it started",
        edits: &[edit(
            "paxos/src/vow.rs",
            "Silence::Ahead => «Silence::Until(now.after(self.lasts))»",
            "Silence::Over",
        )],
    },
    Bug {
        name: "vow below a promise",
        does: "an acceptor that has promised another leader vows to the one before",
        source: "miniraft-cpp#28: a leader of an outdated term still puts off a follower's \
                 election",
        edits: &[edit(
            "paxos/src/peer/leasing.rs",
            "if «self.acceptor.promised() > ballot»",
            "false",
        )],
    },
    Bug {
        name: "lease as long as a vow",
        does: "a lease does not end earlier than a vow by what clocks may differ",
        source: "tikv#9728: a lease as long as the election timeout ends after a follower's",
        edits: &[edit(
            "paxos/src/config.rs",
            "self.vow.saturating_sub(TICK) * (part - 1) / (part + 1)",
            "{ let _ = part; self.vow }",
        )],
    },
    Bug {
        name: "nearby read joins a question under way",
        does: "a read at a follower is answered by a question that was asked before it came",
        source: "deventlab/d-engine#236: later reads join the verification that is under way",
        edits: &[edit(
            "paxos/src/nearby.rs",
            "self.rounds + 1",
            "self.rounds + u64::from(self.asked.is_none())",
        )],
    },
];
