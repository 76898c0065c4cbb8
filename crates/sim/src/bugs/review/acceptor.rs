//! `paxos/src/acceptor.rs`, `learner.rs`, `proposer.rs`, `reads.rs`, `cover.rs` and `admit.rs`.

use super::{super::row::Bug, lines};

pub(super) const LINES: &[&[Bug]] = &[
    lines! { "paxos/src/acceptor.rs":
        "a vote on disk implies its promise":
            "self.promised = self.promised.max(vote.ballot);" => "",
        "no promise below the promise": "if «ballot < self.promised» {" => "false",
        "a promise is remembered": "self.promised = ballot;" => "",
        "a promise is written": "out.durably.write(Write::Promised { ballot });" => "",
        "no vote below the promise": "vote.ballot < self.promised" => "false"
            and "paxos/src/peer/phase2.rs":
            "if ballot < self.acceptor.promised() {\n            \
             return self.refuse(ballot, out);\n        }" => "",
        "one decree to a ballot and slot": "same.decree == vote.decree" => "true",
        "a vote is written":
            "out.durably.write(Write::Accepted { slot, ballot, decree });" => "drop(decree);",
        "a vote is remembered": "«self.keep(slot, vote);»\n        true" => "drop(vote);",
        "a page says where it ends": "page.upto = Some(*last);" => "let _ = last;",
        "votes are reported":
            "self.votes.range(from..)" => "self.votes.range(Slot::new(u64::MAX)..)",
        "what is known above a gap is reported":
            "votes.chain(faults).chain(learner.known_from(from)).collect()" =>
            "votes.chain(faults).collect()",
        "held is the vote that was named": "held.ballot == ballot" => "true",
    },
    lines! { "paxos/src/learner.rs":
        "what is settled survives a restart": "self.settled = settled;" => "let _ = settled;",
        "an install clears what it covers":
            "self.above = self.above.split_off(&upto.next());" => "",
        "what an install covers is not remembered":
            "self.recent.clear();\n        self.recent_bytes = 0;" => "",
    },
    lines! { "paxos/src/proposer.rs":
        "chosen by a quorum of votes":
            "tally.voters.len() >= quorum" => "tally.voters.len() + 1 >= quorum",
        "new slots begin above inherited ones":
            "next: «legacy.inherited.next()»" => "legacy.inherited",
        "a slot not given out is another's": "slot >= self.next" => "false",
        "a proposed decree may be chosen otherwise": "tally.decree == *decree" => "true",
        "slots not given out are open": "«self.next <= upto» ||" => "false",
        "what is learned is proposed no more": "self.backlog.remove(&slot);" => "",
    },
    lines! { "paxos/src/reads.rs":
        "each question has its round": "self.rounds += 1;" => "self.rounds = 1;",
        "a read waits for the next question":
            "self.waiting.push(Read { reader, upto });" =>
            "match &mut self.asked {\n\
             Some(question) => question.reads.push(Read { reader, upto }),\n\
             None => self.waiting.push(Read { reader, upto }),\n\
             };",
        "an answer is for its round": "question.round == round" => "true",
    },
    lines! { "paxos/src/cover.rs":
        "a snapshot may be lost": "self.marks.insert(life, upto);" =>
            "{ let mark = self.marks.entry(life).or_default(); *mark = upto.max(*mark); }",
    },
    lines! { "paxos/src/admit.rs":
        "a word is for whom it names": "envelope.to == me.node" => "true",
        "a word is of this epoch": "envelope.epoch == Epoch::FIRST" => "true",
        "only voters speak": "members.contains(envelope.from)" => "true",
        "a ballot is its owner's": "ballot.owner() == from" => "true",
        "a reign is told of by its leader":
            "standing.reign.is_none_or(|reign| reign.owner() == from)" => "true",
    },
];
