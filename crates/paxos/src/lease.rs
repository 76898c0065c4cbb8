use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    time::Duration,
};

use crate::{NodeId, Tick};

/// The leader's right to answer reads without asking anybody, for as long as a quorum keeps its
/// vows. It belongs to one reign and ends with it.
///
/// Invariant: `until` is at most one term after the moment before a round left that a quorum has
/// answered, itself included. Each of them vowed when it heard that round, which was later, and for
/// longer than the term, by any clock whose rate is within the bound: so as long as the lease runs
/// no quorum has promised another ballot, and nobody else is past phase 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    rounds: u64,
    /// Rounds that may still prolong it, each with the moment before it left.
    asked: BTreeMap<u64, Tick>,
    /// The highest round that each has answered.
    answered: BTreeMap<NodeId, u64>,
    until: Tick,
}

impl Lease {
    /// Opens a round, which is about to leave. `me` vows with it.
    pub(crate) fn ask(&mut self, me: NodeId, now: Tick, term: Duration) -> u64 {
        self.rounds += 1;
        self.asked.retain(|_, asked| now.since(*asked) < term);
        self.asked.insert(self.rounds, now);
        self.answered.insert(me, self.rounds);
        self.rounds
    }

    /// A member has vowed in answer to a round. Who answered a later one kept its promise when that
    /// came, and so when the earlier did.
    pub(crate) fn answer(&mut self, member: NodeId, round: u64, quorum: usize, term: Duration) {
        let answered = self.answered.entry(member).or_default();
        *answered = (*answered).max(round.min(self.rounds));
        let mut rounds: Vec<u64> = self.answered.values().copied().collect();
        rounds.sort_unstable_by(|one, other| other.cmp(one));
        let Some(round) = rounds.get(quorum - 1) else { return };
        if let Some(asked) = self.asked.get(round) {
            self.until = self.until.max(asked.after(term));
            self.asked = self.asked.split_off(&(round + 1));
        }
    }

    /// Until when it runs: not at this moment any more.
    pub(crate) fn until(&self) -> Tick {
        self.until
    }

    /// What moments make of it, as seen from `now`: how much longer it runs, and how old each round
    /// is that may still prolong it.
    pub(crate) fn ages(&self, now: Tick, term: Duration) -> (Duration, Vec<(u64, Duration)>) {
        let ages = self.asked.iter().map(|(round, asked)| (*round, now.since(*asked)));
        (self.until.since(now), ages.filter(|(_, age)| *age < term).collect())
    }
}

/// See the one of [`Peer`](crate::Peer).
impl Hash for Lease {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Lease { rounds, asked: _, answered, until: _ } = self;
        (rounds, answered).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId::new(1);
    const QUORUM: usize = 2;
    const TERM: Duration = Duration::from_millis(80);

    fn ms(ms: u64) -> Tick {
        Tick::from_micros(ms * 1_000)
    }

    fn other(node: u16) -> NodeId {
        NodeId::new(node)
    }

    /// The answer may have been long on its way: what it says was so when the round was heard.
    #[test]
    fn a_lease_counts_from_before_its_round_left() {
        let mut lease = Lease::default();
        let round = lease.ask(ME, ms(100), TERM);
        assert_eq!(lease.until(), Tick::ZERO, "alone it is no quorum");
        lease.answer(other(2), round, QUORUM, TERM);
        assert_eq!(lease.until(), ms(180));
    }

    /// What answers an earlier round says nothing of a later one.
    #[test]
    fn an_answer_prolongs_a_lease_from_the_round_that_it_answers() {
        let mut lease = Lease::default();
        let first = lease.ask(ME, ms(0), TERM);
        let second = lease.ask(ME, ms(20), TERM);
        lease.answer(other(2), first, QUORUM, TERM);
        assert_eq!(lease.until(), ms(80));
        lease.answer(other(3), first, QUORUM, TERM);
        assert_eq!(lease.until(), ms(80));
        lease.answer(other(3), second, QUORUM, TERM);
        assert_eq!(lease.until(), ms(100));
        lease.answer(other(2), first, QUORUM, TERM);
        assert_eq!(lease.until(), ms(100), "the same word again, late");
    }

    /// Among five, the round counts that three have answered, or later ones.
    #[test]
    fn a_quorum_may_have_answered_different_rounds() {
        let mut lease = Lease::default();
        let rounds: Vec<u64> = (0..3).map(|beat| lease.ask(ME, ms(20 * beat), TERM)).collect();
        lease.answer(other(2), rounds[2], 3, TERM);
        assert_eq!(lease.until(), Tick::ZERO);
        lease.answer(other(3), rounds[1], 3, TERM);
        assert_eq!(lease.until(), ms(100));
        lease.answer(other(4), rounds[0], 3, TERM);
        assert_eq!(lease.until(), ms(100));
    }

    /// Rounds that nobody answers are not kept for ever.
    #[test]
    fn rounds_that_are_over_are_forgotten() {
        let mut lease = Lease::default();
        (0..1_000).for_each(|beat| _ = lease.ask(ME, ms(20 * beat), TERM));
        assert_eq!(lease.asked.len(), 4);
        lease.answer(other(2), 1, QUORUM, TERM);
        lease.answer(other(2), u64::MAX, QUORUM, TERM);
        assert_eq!(lease.until(), ms(20 * 999 + 80));
    }
}
