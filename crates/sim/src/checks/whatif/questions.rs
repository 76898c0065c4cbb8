//! E2 and E5 at a copy: which question answers a read that came where another leads, how old that
//! answer is, and what a leader tells a member that asks.

use synod_paxos::{Envelope, Input, Life, Message, Output, Process, Role, Slot};

use super::{
    bounds::Bounds,
    vows::{NO_ROUND, TICK},
};
use crate::violation::{Checked, demand};

impl Bounds<'_> {
    /// Whoever asks, and whoever is asked.
    pub(super) fn reads_keep_to_their_questions(&self, other: Life) -> Checked {
        self.a_read_joins_no_question_under_way(other)?;
        self.a_question_keeps_its_age()?;
        self.what_a_member_asks_is_confirmed(other)
    }

    /// A read comes and is asked for; another comes, and then answers to other questions.
    pub(super) fn a_read_joins_no_question_under_way(&self, other: Life) -> Checked {
        let (mut copy, mut out) = self.given([Input::ReadNearby]);
        let Some((process, round)) = asked(&out) else { return Ok(()) };
        self.give(&mut copy, self.now, Input::ReadNearby, &mut out);
        demand!(
            out.joined.last().is_some_and(|joined| *joined > round),
            "E2",
            "{} has asked in round {round}, and reads that come later wait for {:?}",
            self.node,
            out.joined
        );
        let upto = Slot::ZERO;
        let before = Message::Fathomed { process, round: round - 1, upto };
        let strange = Message::Fathomed { process: Process::new(NO_ROUND), round, upto };
        for message in [before, strange] {
            self.give(&mut copy, self.now, self.word(other, message), &mut out);
        }
        demand!(
            out.fathomed.is_empty(),
            "E2",
            "{} asks in round {round} of {process:?}, and would take {:?} for answers",
            self.node,
            out.fathomed
        );
        Ok(())
    }

    /// A leader asks itself, answers only when it has been asked again, and leads all the while.
    pub(super) fn a_question_keeps_its_age(&self) -> Checked {
        let (mut copy, out) = self.given([Input::ReadNearby]);
        let (Some((process, round)), Role::Leading { .. }) = (asked(&out), copy.role()) else {
            return Ok(());
        };
        let (mut now, mut again) = (self.now, Output::default());
        while asked(&again).is_none() {
            let soon = now.after(TICK);
            now = copy.wake_at().unwrap_or(soon).max(soon);
            self.give(&mut copy, now, Input::Wake, &mut again);
            if !matches!(copy.role(), Role::Leading { .. }) {
                return Ok(());
            }
        }
        let answer = Message::Fathomed { process, round, upto: Slot::ZERO };
        let me = Life::first(self.node);
        self.give(&mut copy, now, self.word(me, answer), &mut again);
        let late = again.fathomed.iter().find(|fathomed| fathomed.at > self.now);
        demand!(
            late.is_none(),
            "E5",
            "{} asked at {:?}, and would take {late:?} for the answer",
            self.node,
            self.now
        );
        Ok(())
    }

    /// A member asks a leader how far a state must have come: no lease vouches for that, for
    /// nobody looks at the clock when the member has read.
    pub(super) fn what_a_member_asks_is_confirmed(&self, other: Life) -> Checked {
        let (process, round) = (Process::new(NO_ROUND), NO_ROUND);
        let (_, out) = self.given([self.word(other, Message::Fathom { process, round })]);
        let told = |word: &Envelope| matches!(word.message, Message::Fathomed { .. });
        demand!(
            !out.at_once.iter().any(told),
            "E2",
            "{} would tell {other} how far its state must have come, and has asked nobody",
            self.node
        );
        Ok(())
    }
}

/// What it asks the leader for reads that wait for it.
fn asked(out: &Output) -> Option<(Process, u64)> {
    out.at_once.iter().find_map(|word| match word.message {
        Message::Fathom { process, round } => Some((process, round)),
        _ => None,
    })
}
