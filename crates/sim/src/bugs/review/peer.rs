//! `paxos/src/peer.rs` and `paxos/src/peer/`.

use super::{super::row::Bug, lines};

pub(super) const LINES: &[&[Bug]] = &[
    lines! { "paxos/src/peer.rs":
        "what the log settled is known": "learner.settle(durable.chosen_upto);" => "",
        "no votes where the state is":
            "filter(|(slot, _)| «*slot > applied»)" => "{ let _ = slot; true }",
        "votes come back from the disk":
            "acceptor.recall(slot, Vote { ballot, decree });" => "drop((ballot, decree));",
        "known decrees come back from the disk":
            "Record::Chosen { decree } => «learner.recall(slot, decree)»" => "drop(decree)",
        "faults come back from the disk":
            "Record::Faulty => «acceptor.recall_faulty(slot)»" => "drop(slot)",
        "where the log begins comes back": "trimmed: «durable.trimmed»" => "Slot::ZERO",
        "a log is told at once what is ahead of it":
            "«self.ahead.is_some()» || self.disk.is_probing()" => "false",
        "proposals keep to the window": "proposer.next <= self.window_end()" => "true",
        "a learner begins where the state is":
            "Learner::new(applied)" => "Learner::new(durable.chosen_upto)",
        "a leader without a quorum takes nothing":
            "«self.has_quorum()» && proposer.next" => "true",
        "how much was written comes back from the disk":
            "Disk::new(timing.disk_stall, «durable.mark»)" => "crate::Mark::ZERO",
        "what another life told is not this one's":
            "«marks.of == me.incarnation» &&" => "true",
        "a step that writes is marked": "out.durably.writes().len() > written" =>
            "{ let _ = written; false }",
        "a batch is told its mark": "out.durably.reaches(self.disk.mark());" => "",
        "who has forgotten takes no further step":
            "if «self.forgotten.is_some()» {\n            return;\n        }\n        \
             let written" =>
            "false",
    },
    lines! { "paxos/src/disk.rs":
        "each step that writes has its mark": "self.mark = self.mark.next();" => "",
        "a step that writes writes its mark": "out.durably.write(Write::Marked { mark });" => "",
    },
    lines! { "paxos/src/voice.rs":
        "what was heard of a disk is told back":
            "disk.heard = mark.max(disk.heard);" => "let _ = mark;",
        "who has spoken is told of the disk":
            "disk.has_spoken.then_some(self.holds)" => "None",
        "a disk is measured as it was found":
            "std::mem::replace(&mut disk.has_spoken, true)" => "true",
    },
    lines! { "paxos/src/peer/phase1.rs":
        "a campaign is above what was promised":
            "self.acceptor.promised().max(Ballot::of(self.round_heard, owner))" =>
            "Ballot::of(self.round_heard, owner)",
        "a promise is asked for from the first open slot":
            "let first = «self.learner.upto().next()»;\n        let mut campaign" =>
            "self.learner.upto().next().next()",
        "a lower ballot is refused":
            "if !self.acceptor.promise(ballot, out) {\n            \
             return self.refuse(ballot, out);\n        }" =>
            "self.acceptor.promise(ballot, out);",
        "a start repeats no promise":
            "if «ballot == self.acceptor.promised() && self.is_listening(now)» {" => "false",
        "a promise ends a lower reign":
            "if newer {\n            «self.yield_to(now, ballot, out);»" => "",
        "a refusal waits for its promise":
            "self.voice.seal(out, ballot.owner().node, Message::Refused { ballot, promised });" =>
            "self.voice.say(out, ballot.owner().node, Message::Refused { ballot, promised });",
        "a repeated prepare waits for its ballot":
            "let holds = self.acceptor.held(first);\n        \
             «self.voice.seal(out, to, Message::Prepare { ballot, first, holds });»" =>
            "self.voice.say(out, to, Message::Prepare { ballot, first, holds });",
        "a refusal is of its ballot":
            "«self.reign_ballot() == Some(ballot)» && promised > ballot" =>
            "self.reign_ballot().is_some()",
        "a refusal names a higher promise":
            "self.reign_ballot() == Some(ballot) && «promised > ballot»" => "true",
        "a promise is for its ballot": "campaign.ballot != ballot" => "false",
    },
    lines! { "paxos/src/peer/phase2.rs":
        "no own vote where it is lost": "«slot > settled» && self" => "true",
        "an accept below the promise is refused":
            "if ballot < self.acceptor.promised() {\n            \
             return self.refuse(ballot, out);\n        }" => "",
        "no vote on what is chosen": "if «slot <= settled» {" => "false",
        "no vote on what is known":
            "if let Some(decree) = «self.learner.known(slot)» {" => "None::<&Decree>",
        "a vote ends a lower reign":
            "if newer {\n                «self.yield_to(now, ballot, out);»" => "",
        "a vote is for its ballot": "proposer.ballot != ballot" => "false",
        "a read sees what was inherited":
            "proposer.inherited.max(chosen_upto)" => "{ let _ = proposer.inherited; chosen_upto }",
        "a read sees what is chosen":
            "proposer.inherited.max(chosen_upto)" => "{ let _ = chosen_upto; proposer.inherited }",
        "who promised above confirms nothing":
            "if «self.acceptor.promised() > ballot» {" => "false",
        "a start confirms nothing": "else if «!self.is_listening(now)» {" => "true",
        "a confirmation is for its ballot": "proposer.ballot == ballot" => "true",
    },
    lines! { "paxos/src/links.rs":
        "an answer is to a question that was asked":
            "round <= self.round && self.round - round < self.rounds_live" =>
            "self.round.saturating_sub(round) < self.rounds_live",
        "an old answer is no sign of life": "self.round - round < self.rounds_live" => "true",
    },
    lines! { "paxos/src/peer/learning.rs":
        "what is not taken is not learned": "if «!self.learner.takes(slot)» {" => "false",
        "a reign ends over another decree":
            "!proposer.agrees(slot, &decree)" => "{ proposer.agrees(slot, &decree); false }",
        "a learned decree is written":
            "out.durably.write(Write::Chosen { slot, decree });" => "drop(decree);",
        "the vote is that decree": "vote.decree == decree" => "true",
        "what is chosen is no vote any more": "self.acceptor.forget(slot);" => "",
        "what was trimmed is not written again": "«slot > self.trimmed»" => "true",
        "a watermark of one reign only rises": "mark.max(upto)" => "{ let _ = mark; upto }",
        "a watermark of an earlier reign comes late":
            "(heard, mark) if «heard > ballot» =>" => "false",
        "an earlier watermark is none of a later reign":
            "(_, _) => «(ballot, upto)»," => "(ballot, self.watermark.1.max(upto))",
        "a watermark is of its ballot": "if «self.watermark.0 == ballot» {" => "true",
        "only what is known is told":
            "let upto = «upto.min(self.learner.upto())»;" => "upto",
        "what is trimmed is not told": "if «first <= self.trimmed» {" => "false",
    },
    lines! { "paxos/src/peer/trimming.rs":
        "only what is chosen is trimmed":
            "self.cover.by_quorum(&self.config.members).min(self.learner.upto())" =>
            "self.cover.by_quorum(&self.config.members)",
        "an old snapshot changes nothing": "if «upto <= self.learner.upto()» {" => "false",
        "an install ends a reign that is open below":
            "matches!(&self.reign, Reign::Leading(proposer) if proposer.is_open_below(upto))" =>
            "false",
        "an install ends the votes below": "self.acceptor.forget_upto(upto);" => "",
        "a log begins no earlier than it did": "if «upto > self.trimmed» {" => "true",
    },
    lines! { "paxos/src/peer/handing.rs":
        "a call is for a ballot above the promise":
            "if «next <= self.acceptor.promised()» ||" => "next < self.acceptor.promised()",
        "who leads or campaigns is not called":
            "!matches!(self.reign, Reign::Following)" => "false",
        "a call is for whom it names": "if «next.owner() != me» {" => "false",
        "whoever hands over has vowed to nobody else":
            "if «self.vow.allows(heir, now)» && self" => "true",
    },
    lines! { "paxos/src/peer/vitals.rs":
        "who has promised above ends a reign below":
            "if «self.reign_ballot().is_some_and(|own| own < standing.promised)» {" => "false",
        "a leader without a quorum ends": "if «lost» || stuck" => "{ let _ = lost; false }",
        "snapshots are told of as they are":
            "covered: «self.cover.own()»" => "self.learner.upto()",
    },
];
