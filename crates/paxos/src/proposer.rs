use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    time::Duration,
};

use crate::{
    Ballot, Decree, NodeId, Slot, Span, Tick,
    campaign::Legacy,
    handing::Handing,
    lease::Lease,
    limits::{RESEND_BYTES_MAX, RESEND_SLOTS_MAX},
    reads::Reads,
};

/// Phase 2 of one reign: slots are given out in order, voted on in any.
///
/// Invariant: one decree per slot at this ballot, for a slot is given out once.
#[derive(Clone, Debug)]
pub(crate) struct Proposer {
    pub(crate) ballot: Ballot,
    /// The last slot that may have been touched before this reign.
    pub(crate) inherited: Slot,
    /// The first slot never given out.
    pub(crate) next: Slot,
    /// The watermark that every follower was told.
    pub(crate) told: Slot,
    /// Since when no quorum has answered.
    pub(crate) lost_since: Option<Tick>,
    /// Whether it was told alone since the last accept.
    pub(crate) told_alone: bool,
    /// The watermark when last looked at, and when it rose to that, or had nowhere to rise to.
    pub(crate) progress: (Slot, Tick),
    pub(crate) reads: Reads,
    pub(crate) lease: Lease,
    /// How the lead is about to be handed over. It is rare.
    pub(crate) handing: Option<Box<Handing>>,
    /// Adopted decrees that wait for the window.
    backlog: BTreeMap<Slot, Decree>,
    in_flight: BTreeMap<Slot, Tally>,
    bytes: usize,
    /// How long a slot has taken of late, from its accept to its quorum (a moving average).
    usual: Duration,
}

/// A slot is said again when it takes this many times as long as usual.
const PATIENCE_FACTOR: u32 = 4;

/// The weight, one in so many, of the last slot in what is usual.
const USUAL_WEIGHT: u32 = 8;

/// The votes for one slot at the ballot of the reign.
#[derive(Clone, Debug)]
struct Tally {
    decree: Decree,
    voters: BTreeSet<NodeId>,
    first_spoken_at: Tick,
    spoken_at: Tick,
    patience: Duration,
}

impl Proposer {
    pub(crate) fn new(ballot: Ballot, legacy: Legacy, now: Tick) -> Proposer {
        Proposer {
            ballot,
            inherited: legacy.inherited,
            next: legacy.inherited.next(),
            told: Slot::ZERO,
            lost_since: None,
            told_alone: false,
            progress: (Slot::ZERO, now),
            reads: Reads::default(),
            lease: Lease::default(),
            handing: None,
            backlog: legacy.adopted,
            in_flight: BTreeMap::new(),
            bytes: 0,
            usual: Duration::ZERO,
        }
    }

    /// Bytes proposed and not yet chosen.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing proposed waits for votes.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.backlog.is_empty()
    }

    /// The next adopted decree, if its slot lies within the window that ends at `last`.
    pub(crate) fn next_adopted(&mut self, last: Slot) -> Option<(Slot, Decree)> {
        let entry = self.backlog.first_entry().filter(|entry| *entry.key() <= last)?;
        Some(entry.remove_entry())
    }

    /// Gives out the next slot.
    pub(crate) fn next_slot(&mut self) -> Slot {
        let slot = self.next;
        self.next = slot.next();
        slot
    }

    /// The decree is on its way at the ballot of this reign. It is said again when no quorum has
    /// voted for it in several times the usual span, or in `patience_min`, whichever is longer.
    pub(crate) fn spoken(&mut self, slot: Slot, decree: Decree, now: Tick, patience_min: Duration) {
        self.bytes += decree.bytes();
        let patience = patience_min.max(self.usual * PATIENCE_FACTOR);
        let voters = BTreeSet::new();
        let tally = Tally { decree, voters, first_spoken_at: now, spoken_at: now, patience };
        let earlier = self.in_flight.insert(slot, tally);
        assert!(earlier.is_none(), "slot {slot} was given out twice at {}", self.ballot);
    }

    /// Counts votes at this ballot, and only those (*Paxos Made Simple* §2.2): returns what a
    /// quorum has accepted by now.
    ///
    /// Of what was said again nobody knows which of the two was answered. It is taken for the
    /// first, or what is usual would never come to be as long as it is where a way has become
    /// slow, and each slot would go over it twice or more, and make it slower yet. But no longer
    /// than `patience_max` is ever waited for that: the first may have been lost.
    pub(crate) fn count(
        &mut self,
        voter: NodeId,
        spans: &[Span],
        quorum: usize,
        now: Tick,
        patience_max: Duration,
    ) -> Vec<(Slot, Decree)> {
        let mut chosen = Vec::new();
        for span in spans.iter().filter(|span| span.first <= span.last) {
            for (slot, tally) in self.in_flight.range_mut(span.first..=span.last) {
                tally.voters.insert(voter);
                if tally.voters.len() >= quorum {
                    let mut took = now.since(tally.first_spoken_at);
                    if tally.spoken_at != tally.first_spoken_at {
                        took = took.min(self.usual.max(patience_max / PATIENCE_FACTOR));
                    }
                    self.usual = (self.usual * (USUAL_WEIGHT - 1) + took) / USUAL_WEIGHT;
                    chosen.push((*slot, tally.decree.clone()));
                }
            }
        }
        chosen
    }

    /// Whether this reign has proposed, or has yet to propose, something up to `upto` that it does
    /// not know to be chosen: it may be chosen there with another decree.
    pub(crate) fn is_open_below(&self, upto: Slot) -> bool {
        let first = self.backlog.keys().next().into_iter().chain(self.in_flight.keys().next());
        self.next <= upto || first.min().is_some_and(|first| *first <= upto)
    }

    /// The slot is known to be chosen. True when it was proposed in this reign with that decree, or
    /// never will be; false when it is chosen with another decree than ours, or where this reign
    /// has yet to give out slots: somebody reigns above us.
    pub(crate) fn agrees(&mut self, slot: Slot, decree: &Decree) -> bool {
        if slot >= self.next {
            return false;
        }
        // What was adopted and never said may be chosen with any decree: at this ballot nobody has
        // voted there, and nobody will.
        self.backlog.remove(&slot);
        match self.in_flight.remove(&slot) {
            Some(tally) => {
                self.bytes -= tally.decree.bytes();
                tally.decree == *decree
            }
            None => true,
        }
    }

    /// Proposals to say again: a bounded number of the oldest whose patience has run out, each with
    /// those who have voted for it. Patience doubles with each retry, up to `patience_max` or what
    /// it was at first.
    pub(crate) fn overdue(
        &mut self,
        now: Tick,
        patience_max: Duration,
    ) -> Vec<(Slot, Decree, BTreeSet<NodeId>)> {
        let mut again = Vec::new();
        let mut bytes = 0;
        for (slot, tally) in &mut self.in_flight {
            if again.len() == RESEND_SLOTS_MAX || bytes > RESEND_BYTES_MAX {
                break;
            }
            if now.since(tally.spoken_at) < tally.patience {
                continue;
            }
            tally.spoken_at = now;
            tally.patience = (tally.patience * 2).min(patience_max.max(tally.patience));
            bytes += tally.decree.bytes();
            again.push((*slot, tally.decree.clone(), tally.voters.clone()));
        }
        again
    }
}

/// See the one of [`Peer`](crate::Peer).
impl Hash for Proposer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Proposer { progress: _, usual: _, ballot, inherited, next, told, .. } = self;
        let Proposer { lost_since, told_alone, reads, lease, backlog, .. } = self;
        let Proposer { in_flight, bytes, handing, .. } = self;
        (ballot, inherited, next, told, told_alone, reads, lease).hash(state);
        (backlog, in_flight, bytes, lost_since.is_some()).hash(state);
        handing.as_ref().map(|handing| (handing.to, handing.answered)).hash(state);
    }
}

/// See the one of [`Peer`](crate::Peer).
impl Hash for Tally {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Tally { decree, voters, first_spoken_at: _, spoken_at: _, patience: _ } = self;
        (decree, voters).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Life, NodeId};

    const PATIENCE: Duration = Duration::from_millis(10);
    const PATIENCE_MAX: Duration = Duration::from_millis(30);

    fn proposer(inherited: u64) -> Proposer {
        let legacy = Legacy { adopted: BTreeMap::new(), inherited: Slot::new(inherited) };
        Proposer::new(Ballot::first(Life::first(NodeId::new(1))), legacy, Tick::ZERO)
    }

    fn speak(proposer: &mut Proposer, count: u64) {
        for _ in 0..count {
            speak_one(proposer, Tick::ZERO);
        }
    }

    fn at(millis: u64) -> Tick {
        Tick::from_micros(millis * 1_000)
    }

    /// The next slot, on its way since `now`.
    fn speak_one(proposer: &mut Proposer, now: Tick) -> Slot {
        let slot = proposer.next_slot();
        proposer.spoken(slot, Decree::Noop, now, PATIENCE);
        slot
    }

    fn choose(proposer: &mut Proposer, slot: Slot, now: Tick, patience_max: Duration) {
        let run = Span { first: slot, last: slot };
        let chosen = proposer.count(NodeId::new(1), &[run], 1, now, patience_max);
        assert_eq!(chosen, [(slot, Decree::Noop)]);
        assert!(proposer.agrees(slot, &Decree::Noop));
    }

    /// New slots begin above everything that may have been touched before.
    #[test]
    fn a_reign_gives_out_slots_above_what_it_inherited() {
        assert_eq!(proposer(7).next_slot(), Slot::new(8));
    }

    /// Votes count per slot, each voter once, over runs of any shape.
    #[test]
    fn votes_are_counted_per_slot_and_voter() {
        let mut proposer = proposer(0);
        speak(&mut proposer, 3);
        let run = |first, last| Span { first: Slot::new(first), last: Slot::new(last) };
        assert_eq!(proposer.count(NodeId::new(1), &[run(1, 2)], 2, Tick::ZERO, PATIENCE_MAX), []);
        assert_eq!(
            proposer.count(NodeId::new(1), &[run(1, 3), run(9, 4)], 2, Tick::ZERO, PATIENCE_MAX),
            []
        );
        let chosen =
            proposer.count(NodeId::new(2), &[run(2, u64::MAX)], 2, Tick::ZERO, PATIENCE_MAX);
        assert_eq!(chosen, [(Slot::new(2), Decree::Noop), (Slot::new(3), Decree::Noop)]);
    }

    /// A retry is bounded, comes later each time, and leaves out what was said lately.
    #[test]
    fn a_retry_is_no_storm() {
        let mut proposer = proposer(0);
        speak(&mut proposer, RESEND_SLOTS_MAX as u64 + 5);
        assert_eq!(proposer.overdue(at(9), PATIENCE_MAX).len(), 0);
        assert_eq!(proposer.overdue(at(10), PATIENCE_MAX).len(), RESEND_SLOTS_MAX);
        assert_eq!(proposer.overdue(at(11), PATIENCE_MAX).len(), 5, "the rest");
        assert_eq!(proposer.overdue(at(29), PATIENCE_MAX).len(), 0, "patience doubled");
        assert_eq!(proposer.overdue(at(31), PATIENCE_MAX).len(), RESEND_SLOTS_MAX);
    }

    /// Where a slot usually takes long, a retry waits for longer than that.
    #[test]
    fn patience_follows_what_is_usual() {
        let mut proposer = proposer(0);
        for round in 1..=100 {
            let slot = speak_one(&mut proposer, at(round * 1_000));
            choose(&mut proposer, slot, at(round * 1_000 + 200), PATIENCE_MAX);
        }
        speak_one(&mut proposer, at(0));
        assert_eq!(proposer.overdue(at(790), PATIENCE_MAX).len(), 0);
        assert_eq!(proposer.overdue(at(800), PATIENCE_MAX).len(), 1);
        assert_eq!(proposer.overdue(at(1_590), PATIENCE_MAX).len(), 0, "nor is it cut down then");
        assert_eq!(proposer.overdue(at(1_600), PATIENCE_MAX).len(), 1);
    }

    /// On a way that has become slow, first words and repeated ones arrive all the same. (What was
    /// said again told nothing of what is usual, so on a way that took longer than the patience of
    /// better days each slot was said again, for good: a megabyte a second over a way that had room
    /// for a third of that, which was full of repetitions from then on.)
    #[test]
    fn patience_comes_to_a_way_that_has_become_slow() {
        const USUAL_MAX: Duration = Duration::from_millis(1_000);
        let mut proposer = proposer(0);
        let mut repeated = 0;
        for round in 1..=40 {
            let began = round * 10_000;
            let slot = speak_one(&mut proposer, at(began));
            repeated = (1..700).map(|ms| proposer.overdue(at(began + ms), USUAL_MAX).len()).sum();
            choose(&mut proposer, slot, at(began + 700), USUAL_MAX);
        }
        assert_eq!(repeated, 0, "the last slot");
    }

    /// What was lost is not waited for longer and longer, however much is.
    #[test]
    fn patience_has_an_end_where_words_are_lost() {
        let mut proposer = proposer(0);
        for round in 1..=40 {
            let began = at(round * 10_000);
            let slot = speak_one(&mut proposer, began);
            let again = (1..).map(|ms| began.after(Duration::from_millis(ms)));
            let again =
                again.take(1_000).find(|now| !proposer.overdue(*now, PATIENCE_MAX).is_empty());
            assert!(again.unwrap().since(began) <= PATIENCE_MAX, "{round}");
            let heard = again.unwrap().after(Duration::from_millis(1));
            choose(&mut proposer, slot, heard, PATIENCE_MAX);
        }
    }
}
