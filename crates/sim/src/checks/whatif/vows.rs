//! E6 at a copy: what it keeps that has vowed, and what a leader counts towards its lease.

use std::time::Duration;

use synod_paxos::{
    Ballot, CLOCKS_OFF_BY_ONE_IN, Config, Durable, Envelope, Input, Life, Message, Output, Peer,
    Role, Slot, Tick, Write,
};

use super::{bounds::Bounds, starts::Start};
use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// A round that no leader comes to.
pub(super) const NO_ROUND: u64 = u64::MAX;

/// The finest that a clock is read.
pub(super) const TICK: Duration = Duration::from_micros(1);

impl Bounds<'_> {
    /// What leases and reads rest on, where vows last so long.
    pub(super) fn leases_are_sound(&self, ghost: &Ghost, vow: Duration) -> Checked {
        let others = ghost.nodes().filter(|other| *other != self.node).map(Life::first);
        let others: Vec<Life> = others.collect();
        if let [one, other, ..] = others[..] {
            self.reads_keep_to_their_questions(one)?;
            if vow > Duration::ZERO {
                self.a_vow_is_kept(one, other, vow)?;
                self.a_call_breaks_no_vow(one, other, vow)?;
                self.no_round_revives_a_reign(one)?;
                let quorum = ghost.quorum();
                self.only_what_was_asked_is_answered(&others[..quorum - 1], vow)?;
                self.a_lease_ends_before_the_vows(&others[..quorum - 1], vow)?;
            }
        }
        Ok(())
    }

    /// It vows to `one`. Neither what comes late of other reigns, nor another who campaigns, nor
    /// its own patience has it promise anybody else before the vow has run out.
    pub(super) fn a_vow_is_kept(&self, one: Life, other: Life, vow: Duration) -> Checked {
        let low = self.peer.promised().raised_by(other);
        let reign = low.raised_by(one);
        let (round, earlier) = (1, Ballot::of(low.round(), one));
        let (mut copy, out) = self.given([self.word(one, Message::Vow { ballot: reign, round })]);
        if vowed(&out) != Some(reign) {
            return Ok(());
        }
        let mut out = Output::default();
        let late = [
            (other, Message::Vow { ballot: low, round }),
            (other, Message::Release { ballot: low }),
            (one, Message::Release { ballot: earlier }),
        ];
        for (from, message) in late {
            self.give(&mut copy, self.now, self.word(from, message), &mut out);
        }
        let last = micros(self.now, vow, -1);
        let (ballot, first) = (reign.raised_by(other), Slot::new(1));
        let prepare = self.word(other, Message::Prepare { ballot, first, holds: Vec::new() });
        self.give(&mut copy, last, prepare, &mut out);
        self.give(&mut copy, last, Input::Wake, &mut out);
        let (again, promise) = (vowed(&out), promised(&out));
        demand!(
            again.is_none() && promise.is_none_or(|ballot| ballot.owner() == one),
            "E6",
            "{} has vowed to {reign}, and would vow to {again:?} and promise {promise:?}",
            self.node
        );
        Ok(())
    }

    /// It vows to `one`; then the end of an earlier reign comes late, whose leader calls it to be
    /// the next. What a quorum would promise it could depose `one`, who reads by its lease: it
    /// promises itself nothing before the vow has run out.
    pub(super) fn a_call_breaks_no_vow(&self, one: Life, other: Life, vow: Duration) -> Checked {
        let ballot = self.peer.promised().raised_by(other);
        let reign = ballot.raised_by(one);
        let (mut copy, out) =
            self.given([self.word(one, Message::Vow { ballot: reign, round: 1 })]);
        if vowed(&out) != Some(reign) {
            return Ok(());
        }
        let (next, chosen_upto) = (reign.raised_by(Life::first(self.node)), Slot::ZERO);
        let call = Message::HandOver { ballot, next, chosen_upto };
        let (last, mut out) = (micros(self.now, vow, -1), Output::default());
        for input in [self.word(other, call), Input::Wake] {
            self.give(&mut copy, last, input, &mut out);
        }
        let promise = promised(&out);
        demand!(
            promise.is_none_or(|ballot| ballot.owner() == one),
            "E6",
            "{} has vowed to {reign}, and would promise {promise:?}, to which {ballot} calls it",
            self.node
        );
        Ok(())
    }

    /// It vows to `one`, who says that the reign is over, and what it had said of a reign before
    /// comes late; then a round of that reign does. A vow to it would bind nobody's promise: that
    /// has been given away by then.
    pub(super) fn no_round_revives_a_reign(&self, one: Life) -> Checked {
        let reign = self.peer.promised().raised_by(one);
        let (first, late) = (Message::Vow { ballot: reign, round: 1 }, 2);
        let (mut copy, out) = self.given([self.word(one, first)]);
        if vowed(&out) != Some(reign) {
            return Ok(());
        }
        let (mut out, before) = (Output::default(), Ballot::of(1, one).min(reign));
        for message in [
            Message::Release { ballot: reign },
            Message::Release { ballot: before },
            Message::Vow { ballot: reign, round: late },
        ] {
            self.give(&mut copy, self.now, self.word(one, message), &mut out);
        }
        demand!(
            vowed(&out).is_none(),
            "E6",
            "{} would vow to {reign}, which is over by its leader's own word",
            self.node
        );
        Ok(())
    }

    /// A leader opens rounds until its lease must have run out; the others answer a round that it
    /// never opened, then its first one again, and one of a reign before.
    pub(super) fn only_what_was_asked_is_answered(
        &self,
        answer: &[Life],
        vow: Duration,
    ) -> Checked {
        let Role::Leading { ballot, .. } = self.peer.role() else { return Ok(()) };
        let earlier = Ballot::of(ballot.round().saturating_sub(1), ballot.owner());
        let vowed = |from: &Life, ballot, round| self.word(*from, Message::Vowed { ballot, round });
        let (mut copy, _) = self.given(answer.iter().map(|from| vowed(from, ballot, NO_ROUND)));
        let end = self.now.after(vow);
        let mut now = self.now;
        while now < end && matches!(copy.role(), Role::Leading { .. }) {
            self.give(&mut copy, now, Input::Wake, &mut Output::default());
            for from in answer {
                for word in [vowed(from, ballot, 1), vowed(from, earlier, NO_ROUND)] {
                    self.give(&mut copy, now, word, &mut Output::default());
                }
            }
            let soon = now.after(TICK);
            now = copy.wake_at().unwrap_or(soon).max(soon);
        }
        let lease = copy.lease(end);
        demand!(
            lease.is_none(),
            "E6",
            "{} at {ballot} holds a lease until {lease:?}, and nobody has answered since {:?}",
            self.node,
            self.now
        );
        Ok(())
    }

    /// A leader asks, and `answer` vow at that very moment. Their clocks run as fast as any may,
    /// and showed the next tick at once; its own runs as slowly. The lease that they give it is
    /// over first. As long as it runs the leader, which vowed before them, keeps to that: who
    /// campaigns has to wait, and does not end it.
    pub(super) fn a_lease_ends_before_the_vows(&self, answer: &[Life], vow: Duration) -> Checked {
        let Role::Leading { ballot, .. } = self.peer.role() else { return Ok(()) };
        let asked = self.peer.wake_at().unwrap_or(self.now).max(self.now);
        let (mut copy, mut out) = (self.peer.clone(), Output::default());
        self.give(&mut copy, asked, Input::Wake, &mut out);
        let Some(round) = asks_for_vows(&out, ballot) else { return Ok(()) };
        for from in answer {
            let vowed = self.word(*from, Message::Vowed { ballot, round });
            self.give(&mut copy, asked, vowed, &mut out);
        }
        let Some(until) = copy.lease(asked) else { return Ok(()) };
        let part = CLOCKS_OFF_BY_ONE_IN;
        let (lease, shown) = (until.since(asked), vow.saturating_sub(TICK));
        demand!(
            lease * (part + 1) <= shown * (part - 1),
            "E6",
            "{} at {ballot} holds a lease for {lease:?} by vows that may last for {shown:?} of a \
             clock that is fast, and so for less",
            self.node
        );
        let (last, other) = (micros(until, Duration::ZERO, -1), answer[0]);
        let (above, first) = (copy.promised().raised_by(other), Slot::new(1));
        let prepare = Message::Prepare { ballot: above, first, holds: Vec::new() };
        let mut out = Output::default();
        self.give(&mut copy, last, self.word(other, prepare), &mut out);
        let promise = promised(&out);
        demand!(
            promise.is_none() && copy.lease(last) == Some(until),
            "E6",
            "{} leads at {ballot} with a lease until {until:?}, and would promise {promise:?}",
            self.node
        );
        Ok(())
    }
}

/// A node starts from `durable`, and somebody campaigns at once, and when a vow that it gave before
/// has all but run out.
pub(super) fn a_start_is_silent(config: &Config, durable: &Durable, start: Start) -> Checked {
    let vow = config.leasing.vow;
    let me = config.life;
    let Some(other) = config.members.iter().find(|life| *life != me) else { return Ok(()) };
    if vow == Duration::ZERO {
        return Ok(());
    }
    let mut copy: Peer = start(config.clone(), durable.clone(), durable.chosen_upto);
    let (ballot, first) = (copy.promised().raised_by(other), Slot::new(1));
    let message = Message::Prepare { ballot, first, holds: Vec::new() };
    let word = Envelope::of(other, me.node, message);
    let asks = Envelope::of(other, me.node, Message::Vow { ballot, round: 1 });
    let mut out = Output::default();
    for now in [Tick::ZERO, micros(Tick::ZERO, vow, -1)] {
        copy.step(now, Input::Deliver(asks.clone()), &mut out);
        copy.step(now, Input::Deliver(word.clone()), &mut out);
        copy.step(now, Input::Wake, &mut out);
    }
    let vow_given = vowed(&out);
    demand!(
        vow_given.is_none(),
        "E6",
        "{me} would vow to {vow_given:?} within {vow:?} of its start; it may have vowed before"
    );
    let promise = promised(&out);
    demand!(
        promise.is_none(),
        "E6",
        "{me} would promise {promise:?} within {vow:?} of its start; it may have vowed before"
    );
    Ok(())
}

fn micros(now: Tick, later: Duration, less: i64) -> Tick {
    Tick::from_micros(now.after(later).micros().saturating_add_signed(less))
}

/// The round in which it asks for vows.
fn asks_for_vows(out: &Output, reign: Ballot) -> Option<u64> {
    out.at_once.iter().find_map(|word| match word.message {
        Message::Vow { ballot, round } if ballot == reign => Some(round),
        _ => None,
    })
}

/// To whom it says that it has vowed.
fn vowed(out: &Output) -> Option<Ballot> {
    out.at_once.iter().find_map(|word| match word.message {
        Message::Vowed { ballot, .. } => Some(ballot),
        _ => None,
    })
}

fn promised(out: &Output) -> Option<Ballot> {
    out.durably.writes().iter().find_map(|write| match write {
        Write::Promised { ballot } => Some(*ballot),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Leasing, Members, NodeId};

    use super::{
        super::{bounds::Hears, hollow::Hollow, starts::RECOVER, tests::seen},
        *,
    };

    const ME: NodeId = NodeId::new(1);
    const OTHER: Life = Life::first(NodeId::new(2));
    const THIRD: Life = Life::first(NodeId::new(3));
    const VOW: Duration = Leasing::VOW;

    fn config() -> Config {
        let me = Life::first(ME);
        let config = Config::new(me, Members::new(vec![me, OTHER, THIRD]).unwrap()).unwrap();
        Config { leasing: Leasing { asks: true, vow: VOW }, ..config }
    }

    /// One whose silence is over.
    fn follower() -> Peer {
        let mut peer = Peer::recover(config(), Durable::default(), 0);
        for now in [Tick::ZERO, Tick::ZERO.after(VOW)] {
            peer.step(now, Input::Wake, &mut Output::default());
        }
        peer
    }

    fn leader() -> Hollow {
        let mut hollow = Hollow::of(&config(), &Durable::default());
        let ballot = hollow.campaigns().unwrap();
        drop(hollow.is_told_of_a_vote(ballot));
        hollow
    }

    #[test]
    fn a_promise_against_a_vow_is_seen() {
        let of_the_reign: Hears = |input| match input {
            Input::Deliver(Envelope { to, message: Message::Release { ballot }, .. }) => {
                let message = Message::Release { ballot: ballot.raised_by(OTHER) };
                vec![Input::Deliver(Envelope::of(OTHER, to, message))]
            }
            input => vec![input],
        };
        let check = |bounds: &Bounds<'_>| bounds.a_vow_is_kept(OTHER, THIRD, VOW);
        let now = Tick::ZERO.after(VOW * 2);
        assert_eq!(seen(&follower(), now, of_the_reign, check), Some("E6"));
    }

    #[test]
    fn a_vow_to_a_reign_that_is_over_is_seen() {
        let goes_on: Hears = |input| match input {
            Input::Deliver(Envelope { message: Message::Release { .. }, .. }) => Vec::new(),
            input => vec![input],
        };
        let check = |bounds: &Bounds<'_>| bounds.no_round_revives_a_reign(OTHER);
        let now = Tick::ZERO.after(VOW * 2);
        assert_eq!(seen(&follower(), now, goes_on, check), Some("E6"));
    }

    /// It is called by whom it has vowed to, and hears of nobody else.
    #[test]
    fn a_promise_to_oneself_beside_a_vow_is_seen() {
        let mut hollow = Hollow::of(&config(), &Durable::default());
        while hollow.now <= Tick::ZERO.after(VOW) {
            hollow.is_answered();
        }
        assert!(matches!(hollow.peer.role(), Role::Following { .. }));
        let by_the_leader: Hears = |input| match input {
            Input::Deliver(Envelope {
                to,
                message: Message::HandOver { ballot, next, chosen_upto },
                ..
            }) => {
                let ballot = ballot.raised_by(OTHER);
                let message = Message::HandOver { ballot, next, chosen_upto };
                vec![Input::Deliver(Envelope::of(OTHER, to, message))]
            }
            input => vec![input],
        };
        let check = |bounds: &Bounds<'_>| bounds.a_call_breaks_no_vow(OTHER, THIRD, VOW);
        assert_eq!(seen(&hollow.peer, hollow.now, by_the_leader, check), Some("E6"));
    }

    #[test]
    fn a_lease_by_answers_to_something_else_is_seen() {
        let to_the_last: Hears = |input| match input {
            Input::Deliver(Envelope {
                from, to, message: Message::Vowed { ballot, .. }, ..
            }) => {
                let message = Message::Vowed { ballot, round: NO_ROUND };
                vec![Input::Deliver(Envelope::of(from, to, message))]
            }
            input => vec![input],
        };
        let check = |bounds: &Bounds<'_>| bounds.only_what_was_asked_is_answered(&[OTHER], VOW);
        let leader = leader();
        assert_eq!(seen(&leader.peer, leader.now, to_the_last, check), Some("E6"));
    }

    #[test]
    fn a_start_that_is_not_silent_is_seen() {
        let check = |start| a_start_is_silent(&config(), &Durable::default(), start);
        assert_eq!(check(RECOVER), Ok(()));
        let free: Start = |config, durable, applied| {
            let leasing = Leasing { vow: Duration::ZERO, ..config.leasing };
            RECOVER(Config { leasing, ..config }, durable, applied)
        };
        assert_eq!(check(free).unwrap_err().invariant, "E6");
    }

    /// Who answers has vowed for less than it seems; and a leader that gives way to another.
    #[test]
    fn a_lease_that_outlasts_a_vow_is_seen() {
        let leader = leader();
        let bounds = Bounds::of(&leader.peer, ME, leader.now);
        let shorter = bounds.a_lease_ends_before_the_vows(&[OTHER], VOW - TICK);
        assert_eq!(shorter.unwrap_err().invariant, "E6");
        let gives_way: Hears = |input| match input {
            Input::Deliver(Envelope { message: Message::Prepare { .. }, .. }) => {
                vec![Input::StepDown, input]
            }
            input => vec![input],
        };
        let check = |bounds: &Bounds<'_>| bounds.a_lease_ends_before_the_vows(&[OTHER], VOW);
        assert_eq!(seen(&leader.peer, leader.now, gives_way, check), Some("E6"));
    }
}
