//! `paxos/src/acceptor.rs`, `learner.rs`, `proposer.rs`, `reads.rs`, `cover.rs` and `admit.rs`.

use super::{super::row::Bug, lines};

pub(super) const LINES: &[&[Bug]] = &[
    lines! { "paxos/src/acceptor.rs":
        "a vote on disk implies its promise":
            "self.promised = self.promised.max(vote.ballot);" => "",
        "a vote on disk takes no promise back": "self.promised.max(vote.ballot)" => "vote.ballot",
        "no promise below the promise": "if «ballot < self.promised» {" => "false",
        "a promise is remembered": "self.promised = ballot;" => "",
        "a promise is written": "out.durably.write(Write::Promised { ballot });" => "",
        "votes keep to their slots":
            "slot.distance_from(chosen_upto) > AHEAD_SLOTS_MAX" => "false",
        "votes keep to their bytes":
            "others_bytes + vote.decree.bytes() > AHEAD_BYTES_MAX" =>
            "{ let _ = others_bytes; false }",
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
        "a watermark covers what it names":
            "self.votes.range(..=upto)" => "{ let _ = upto; self.votes.range(..) }",
        "a decree at another ballot is another vote":
            "earlier.filter(|earlier| «earlier.ballot == vote.ballot»)" =>
            "earlier.decree == vote.decree",
    },
    lines! { "paxos/src/durable.rs":
        "votes of a ballot go together": "(«at == ballot»).then_some" => "{ let _ = at; true }",
        "a run is of slots with votes": "run.last.next() == span.first" => "true",
        "what is written later comes later":
            "self.writes.extend(later.writes);" => "drop(self.writes.splice(0..0, later.writes));",
        "one sync reaches the later mark": "self.mark = self.mark.max(later.mark);" => "",
        "a sealed word tells of what it relies on":
            "envelope.marks.holds = envelope.marks.holds.map(|holds| holds.max(self.mark));" =>
            "let _ = envelope;",
        "a batch reaches its mark": "self.mark = self.mark.max(mark);" => "let _ = mark;",
    },
    lines! { "paxos/src/config.rs":
        "a quorum is a majority": "self.0.len() / 2 + 1" => "(self.0.len() / 2).max(1)",
        "a voter is a life": "self.0.binary_search(&life).is_ok()" =>
            "self.0.iter().any(|voter| voter.node == life.node)",
        "a cluster has an odd number of voters, and some":
            "if «!matches!(voters.len(), 1 | 3 | 5 | 7)» {" => "false",
        "voters of one node stand side by side": "voters.sort();" => "",
        "a voter is there once": "pair[0].node == pair[1].node" => "{ let _ = pair; false }",
        "who starts is a voter": "if «!members.contains(life)» {" => "false",
        "a tick is no part of a lease": "self.vow.saturating_sub(TICK)" => "self.vow",
    },
    lines! { "paxos/src/ballot.rs":
        "a raised ballot is a higher one":
            "self.round.checked_add(1).expect(\"ballot rounds exhausted\")" => "self.round",
    },
    lines! { "paxos/src/learner.rs":
        "what the disk knew is known however far above":
            "if «!self.knows(slot)» {\n            self.learn" => "self.takes(slot)",
        "what is known is not learned again":
            "«!self.knows(slot)» && slot.distance_from" => "true",
        "nothing is learned that is too far ahead":
            "slot.distance_from(self.upto) <= AHEAD_SLOTS_MAX" => "true",
        "what is known is settled": "self.settled.max(self.upto)" => "self.settled",
        "a snapshot brings the prefix": "«self.upto = upto;»\n        self.above" =>
            "let _ = upto;",
        "a page is of the slots asked for":
            "first.get().checked_sub(forgotten + 1)?" => "first.get().checked_sub(forgotten)?",
        "what is settled survives a restart": "self.settled = settled;" => "let _ = settled;",
        "an install clears what it covers":
            "self.above = self.above.split_off(&upto.next());" => "",
        "what an install covers is not remembered":
            "self.recent.clear();\n        self.recent_bytes = 0;" => "",
    },
    lines! { "paxos/src/proposer.rs":
        "votes are in runs that begin before they end": "span.first <= span.last" => "true",
        "chosen by a quorum of votes":
            "tally.voters.len() >= quorum" => "tally.voters.len() + 1 >= quorum",
        "new slots begin above inherited ones":
            "next: «legacy.inherited.next()»" => "legacy.inherited",
        "a slot not given out is another's": "slot >= self.next" => "false",
        "a proposed decree may be chosen otherwise": "tally.decree == *decree" => "true",
        "slots not given out are open": "«self.next <= upto» ||" => "false",
        "what is learned is proposed no more": "self.backlog.remove(&slot);" => "",
        "votes count where they were cast": "self.in_flight.range_mut(span.first..=span.last)" =>
            "self.in_flight.range_mut(span.first..)",
        "what waits for votes is open":
            "first.min().is_some_and(|first| *first <= upto)" => "{ drop(first); false }",
        "a slot is given out once": "self.next = slot.next();" => "",
        "what is adopted keeps to the window": "*entry.key() <= last" =>
            "{ let _ = entry; true }",
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
        "a quorum covers what is trimmed": "marks.get(members.quorum() - 1)" => "marks.first()",
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
        "an answer is for the owner of its ballot": "ballot.owner() == me" => "true",
        "a node hears nothing of itself": "«from != me» && standing.reign" => "true",
        "a node tells itself nothing": "Message::Trimmed { .. } => «from != me»" => "true",
        "a disk speaks for itself": "Message::Synced { .. } => «from == me»" => "true",
        "numbers are such as come about": "«numbers_are_sane(&envelope.message)»\n}" => "true",
        "no round is beyond all others": "ballot.round() <= ROUND_MAX" =>
            "{ let _ = ballot; true }",
        "no slot is beyond all others": "slot.get() <= SLOT_MAX" => "{ let _ = slot; true }",
        "slots begin at one": "«slot > Slot::ZERO» && mark(slot)" => "true",
        "runs of votes are few": "holds.len() <= HELD_RUNS_MAX" => "{ let _ = holds; true }",
        "nobody remembers more than a disk can hold":
            "envelope.marks.heard.get() <= MARK_MAX" => "true",
        "no disk holds more than it can":
            "envelope.marks.holds.is_none_or(|holds| holds.get() <= MARK_MAX)" => "true",
        "a page begins at a slot": "&& «slot(page.first)»" => "true",
        "a page ends at a slot": "page.upto.is_none_or(slot)" => "true",
        "a page knows what comes about": "mark(page.chosen_upto)" => "true",
        "a page lost what comes about": "mark(page.lost_upto)" => "true",
        "a page reports slots": "«slot(*at)» && reported(report)" => "{ let _ = at; true }",
        "a page reports votes that come about": "slot(*at) && «reported(report)»" =>
            "{ let _ = report; true }",
        "a reign is at a round that comes about": "standing.reign.as_ref().is_none_or(round)" =>
            "true",
        "who stands knows what comes about": "mark(standing.chosen_upto)" => "true",
        "a snapshot covers what comes about": "mark(standing.covered)" => "true",
        "what is trimmed comes about": "Message::Trimmed { upto } => «slot(*upto)»" =>
            "{ let _ = upto; true }",
        "what is fathomed comes about": "Message::Fathomed { upto, .. } => «mark(*upto)»" =>
            "{ let _ = upto; true }",
    },
];
