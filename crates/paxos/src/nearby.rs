use std::time::Duration;

use crate::{NodeId, Tick};

/// Linearizable reads at any node: all that wait share one question to whoever leads, "how far must
/// a state have come?", which asks a quorum on their behalf. An answer counts only for reads that
/// came before the question was first asked; who answers it, and how often it was said again, is
/// all the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nearby {
    rounds: u64,
    /// Whether somebody waits for the next question.
    wanted: bool,
    asked: Option<Question>,
    /// When one was last asked for the first time.
    asked_at: Tick,
}

/// The question under way.
#[derive(Clone, Copy, Debug)]
struct Question {
    of: NodeId,
    said_at: Tick,
}

impl Nearby {
    /// A read arrived: the round that will serve it.
    pub(crate) fn join(&mut self) -> u64 {
        self.wanted = true;
        self.rounds + 1
    }

    /// Finds out again how current this node is, when it has not for so long.
    pub(crate) fn look(&mut self, now: Tick, every: Duration) {
        self.wanted |= self.asked.is_none() && now.since(self.asked_at) >= every;
    }

    /// The round to ask now, or to ask again: `leader` is another one by now, or owes an answer for
    /// longer than `patience`.
    pub(crate) fn ask(&mut self, leader: NodeId, now: Tick, patience: Duration) -> Option<u64> {
        match self.asked {
            None if self.wanted => {
                self.wanted = false;
                self.rounds += 1;
                self.asked_at = now;
            }
            Some(asked) if asked.of != leader || now.since(asked.said_at) >= patience => {}
            None | Some(_) => return None,
        }
        self.asked = Some(Question { of: leader, said_at: now });
        Some(self.rounds)
    }

    /// An answer; when its question was first asked, if it is the one under way.
    pub(crate) fn answer(&mut self, round: u64) -> Option<Tick> {
        self.asked.take_if(|_| round == self.rounds)?;
        Some(self.asked_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: NodeId = NodeId::new(1);
    const PATIENCE: Duration = Duration::from_millis(10);

    fn ms(ms: u64) -> Tick {
        Tick::from_micros(ms * 1_000)
    }

    /// An answer speaks for the reads that came before its question, and for no later one.
    #[test]
    fn a_read_waits_for_a_question_that_is_asked_after_it_came() {
        let mut nearby = Nearby::default();
        assert_eq!((nearby.join(), nearby.join()), (1, 1), "one question for all that wait");
        assert_eq!(nearby.ask(LEADER, ms(5), PATIENCE), Some(1));
        assert_eq!(nearby.join(), 2);
        assert_eq!(nearby.ask(LEADER, ms(6), PATIENCE), None, "one question at a time");
        assert_eq!(nearby.answer(1), Some(ms(5)));
        assert_eq!(nearby.ask(LEADER, ms(7), PATIENCE), Some(2));
        assert_eq!(nearby.answer(1), None, "a late answer to the first question");
        assert_eq!(nearby.answer(2), Some(ms(7)));
        assert_eq!(nearby.answer(2), None, "answered once");
        assert_eq!(nearby.ask(LEADER, ms(8), PATIENCE), None, "nobody waits");
    }

    /// A question that is said again, or to another leader, is as old as when it was first asked.
    #[test]
    fn a_question_is_asked_again_under_its_own_round() {
        let mut nearby = Nearby::default();
        nearby.join();
        assert_eq!(nearby.ask(LEADER, ms(0), PATIENCE), Some(1));
        assert_eq!(nearby.ask(LEADER, ms(9), PATIENCE), None);
        assert_eq!(nearby.ask(LEADER, ms(10), PATIENCE), Some(1));
        assert_eq!(nearby.ask(NodeId::new(2), ms(11), PATIENCE), Some(1), "another leads by now");
        assert_eq!(nearby.answer(1), Some(ms(0)));
    }

    /// A node that nobody reads at finds out now and then all the same.
    #[test]
    fn a_node_looks_how_current_it_is_when_it_has_not_for_long() {
        let mut nearby = Nearby::default();
        nearby.look(ms(99), ms(100).since(ms(0)));
        assert_eq!(nearby.ask(LEADER, ms(99), PATIENCE), None);
        nearby.look(ms(100), ms(100).since(ms(0)));
        assert_eq!(nearby.ask(LEADER, ms(100), PATIENCE), Some(1));
    }
}
