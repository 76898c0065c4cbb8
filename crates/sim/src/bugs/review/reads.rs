//! The leader's lease and the vows under it, `paxos/src/lease.rs`, `vow.rs` and `peer/leasing.rs`,
//! and reads at any node, `nearby.rs` of `paxos` and of `replica`.

use super::{super::row::Bug, lines};

pub(super) const LINES: &[&[Bug]] = &[
    lines! { "paxos/src/lease.rs":
        "a round counts that a quorum has answered": "rounds.get(quorum - 1)" => "rounds.first()",
        "nobody answers what was not asked": "round.min(self.rounds)" => "round",
        "each round of a lease has its number": "self.rounds += 1;" => "self.rounds = 1;",
    },
    lines! { "paxos/src/vow.rs":
        "a vow lasts its time": "Some((ballot, now.after(self.lasts)))" => "Some((ballot, now))",
        "a vow goes to the highest reign":
            "self.given.is_some_and(|(given, until)| now < until && ballot < given)" => "false",
        "a word ends the vow of its own reign": "*given != ballot" => "false",
        "a silence lasts its time": "Silence::Until(until) if «until <= now» => Silence::Over" =>
            "{ let _ = until; true }",
        "a vow is kept until it has run out":
            "self.given = self.given.filter(|(_, until)| «now < *until»);" =>
            "{ let _ = until; false }",
        "what is over stays over": "self.over = self.over.max(ballot);" => "self.over = ballot;",
        "a reign that is over is vowed nothing": "|| «ballot <= self.over»" => "false",
        "silence binds as a vow does":
            "given.map(|(_, until)| until).max(self.silent_until())" =>
            "given.map(|(_, until)| until)",
        "silence keeps vows back, too": "|| «self.is_silent(now)»" => "false",
    },
    lines! { "paxos/src/peer/leasing.rs":
        "a leader vows itself": "«self.vow.give(ballot, now)» {\n            let round" => "true",
        "a vow is for its ballot": "proposer.ballot == ballot" => "true",
        "only who vows says so":
            "if «self.vow.give(ballot, now)» {\n            self.voice.say(out, from" =>
            "{ self.vow.give(ballot, now); true }",
        "a lease runs out": "filter(|until| «now < *until»)" => "{ let _ = until; true }",
    },
    lines! { "paxos/src/peer/vitals.rs":
        "who has vowed does not campaign":
            "if «!self.vow.allows(self.voice.life(), now)»" => "false",
    },
    lines! { "paxos/src/peer/phase2.rs":
        "an answer by a lease says so": "leased_until: «leased»" => "None",
        "no lease vouches for what a member asks":
            "proposer.reads.arrive(reader, upto);" =>
            "if let (Reader::Member { node, process, round }, Some(_)) = (reader, leased) {
             return self.voice.say(out, node, Message::Fathomed { process, round, upto });
             } proposer.reads.arrive(reader, upto);",
    },
    lines! { "paxos/src/nearby.rs":
        "an answer is for its question": "round == self.rounds" => "round <= self.rounds",
        "a question is as old as when it was first asked":
            "self.asked = Some(Question { of: leader, said_at: now });" =>
            "self.asked = Some(Question { of: leader, said_at: now }); self.asked_at = now;",
    },
    lines! { "paxos/src/peer/nearby.rs":
        "an answer is for its process": "process != self.process" => "false",
    },
    lines! { "replica/src/nearby.rs":
        "a read waits for its round":
            "self.take(round, round)" => "self.take(round, Until::Fathomed(u64::MAX))",
        "and then for the state":
            "self.wait(«Until::Applied(upto)», client, query);" => "Until::Applied(Slot::ZERO)",
        "a state answers what it has come to":
            "Until::Applied(Slot::ZERO), «Until::Applied(applied)»" =>
            "{ let _ = applied; Until::Applied(Slot::new(u64::MAX)) }",
        "a revision is waited for":
            "self.take(least, «Until::Revision(revision)»)" =>
            "{ let _ = revision; Until::Revision(Revision::new(u64::MAX)) }",
        "a state is current when it has caught up":
            "filter(|it| «*it.key() <= applied»)" => "{ let _ = it; true }",
    },
];
