use std::time::Duration;

use crate::{Ballot, Held, Life, Slot, Tick};

/// What an acceptor has vowed so that a leader may read without asking: to promise nobody else for
/// a while. It is not on disk: an acceptor that has just started keeps the vow that it may have
/// given before, to whomever.
#[derive(Clone, Debug)]
pub(crate) struct Vow {
    me: Life,
    lasts: Duration,
    /// To whom, and until when.
    given: Option<(Ballot, Tick)>,
    silence: Silence,
    /// The highest reign that is known to be over by its leader's own word.
    over: Ballot,
    kept_waiting: Option<Waiting>,
}

/// What comes before the first vow of a process.
#[derive(Clone, Copy, Debug)]
enum Silence {
    /// It has taken no step.
    Ahead,
    Until(Tick),
    Over,
}

/// A `Prepare` that has to wait: the one at the highest ballot, for the others could not win.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Waiting {
    pub(crate) ballot: Ballot,
    pub(crate) first: Slot,
    pub(crate) holds: Vec<Held>,
}

/// See [`Vow::ages`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ages {
    given: Option<(Ballot, Duration)>,
    silent: Option<Duration>,
    over: Ballot,
    waiting: Option<Waiting>,
}

impl Vow {
    /// An acceptor that starts, whose vows last so long.
    pub(crate) fn new(me: Life, lasts: Duration) -> Vow {
        let silence = Silence::Ahead;
        Vow { me, lasts, given: None, silence, over: Ballot::ZERO, kept_waiting: None }
    }

    /// A step begins: with the first one the silence does. What has run out is forgotten.
    pub(crate) fn tick(&mut self, now: Tick) {
        self.silence = match self.silence {
            Silence::Ahead => Silence::Until(now.after(self.lasts)),
            Silence::Until(until) if until <= now => Silence::Over,
            silence => silence,
        };
        self.given = self.given.filter(|(_, until)| now < *until);
    }

    /// Vows to promise nobody but the owner of `ballot`. False when another has the vow, at a
    /// higher ballot, as it may have while this node is silent; or when the reign is over: by its
    /// leader's own word, or since a reign above it has been.
    pub(crate) fn give(&mut self, ballot: Ballot, now: Tick) -> bool {
        let higher = self.given.is_some_and(|(given, until)| now < until && ballot < given);
        if higher || self.is_silent(now) || ballot <= self.over {
            return false;
        }
        self.given = Some((ballot, now.after(self.lasts)));
        true
    }

    /// The leader of this reign has ended it: by its word alone a vow is over before its time.
    pub(crate) fn release(&mut self, ballot: Ballot) {
        self.over = self.over.max(ballot);
        self.given = self.given.filter(|(given, _)| *given != ballot);
    }

    /// Whether a promise to `life` breaks no vow.
    pub(crate) fn allows(&self, life: Life, now: Tick) -> bool {
        self.binds_until(life).is_none_or(|until| until <= now)
    }

    /// Whether a vow that an earlier process gave may still bind.
    pub(crate) fn is_silent(&self, now: Tick) -> bool {
        self.silent_until().is_some_and(|until| now < until)
    }

    fn silent_until(&self) -> Option<Tick> {
        match self.silence {
            Silence::Until(until) => Some(until),
            Silence::Ahead | Silence::Over => None,
        }
    }

    /// Until when no promise may be given to `life`.
    fn binds_until(&self, life: Life) -> Option<Tick> {
        let given = self.given.filter(|(ballot, _)| ballot.owner() != life);
        given.map(|(_, until)| until).max(self.silent_until())
    }

    /// Somebody has to wait for a promise.
    pub(crate) fn keep_waiting(&mut self, waiting: Waiting) {
        if self.kept_waiting.as_ref().is_none_or(|other| other.ballot < waiting.ballot) {
            self.kept_waiting = Some(waiting);
        }
    }

    /// Whoever waits need not wait any longer.
    pub(crate) fn let_go(&mut self, now: Tick) -> Option<Waiting> {
        let owner = self.kept_waiting.as_ref()?.ballot.owner();
        self.allows(owner, now).then(|| self.kept_waiting.take()).flatten()
    }

    /// What moments make of it, as seen from `now`: to whom it is bound and for how much longer,
    /// how much longer it is silent, and who waits.
    pub(crate) fn ages(&self, now: Tick) -> Ages {
        let given = self.given.filter(|(_, until)| now < *until);
        let silent = match self.silence {
            Silence::Ahead => Some(self.lasts),
            Silence::Until(until) if now < until => Some(until.since(now)),
            Silence::Until(_) | Silence::Over => None,
        };
        Ages {
            given: given.map(|(ballot, until)| (ballot, until.since(now))),
            silent,
            over: self.over,
            waiting: self.kept_waiting.clone(),
        }
    }

    /// When somebody who waits, or this node where it `wants` to campaign, need not any longer.
    pub(crate) fn ends_at(&self, wants: bool) -> Option<Tick> {
        let waiting = self.kept_waiting.as_ref().map(|waiting| waiting.ballot.owner());
        let heard_at = waiting.map(|life| self.binds_until(life).unwrap_or(Tick::ZERO));
        let free_at = wants.then(|| self.binds_until(self.me)).flatten();
        [heard_at, free_at].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;

    const LASTS: Duration = Duration::from_millis(90);

    fn life(node: u16) -> Life {
        Life::first(NodeId::new(node))
    }

    fn ballot(round: u64, node: u16) -> Ballot {
        Ballot::of(round, life(node))
    }

    fn ms(ms: u64) -> Tick {
        Tick::from_micros(ms * 1_000)
    }

    /// An acceptor whose silence is over.
    fn awake() -> Vow {
        let mut vow = Vow::new(life(3), LASTS);
        vow.tick(ms(0));
        assert!(vow.allows(life(1), ms(90)));
        vow
    }

    fn waiting(ballot: Ballot) -> Waiting {
        Waiting { ballot, first: Slot::new(1), holds: Vec::new() }
    }

    /// A promise to anybody but the leader, itself included, waits; one to the leader does not.
    #[test]
    fn nobody_else_is_promised_while_a_vow_lasts() {
        let mut vow = awake();
        assert!(vow.give(ballot(1, 1), ms(100)));
        assert!(!vow.allows(life(2), ms(189)) && !vow.allows(life(3), ms(189)));
        assert!(vow.allows(life(1), ms(101)));
        assert!(vow.allows(life(2), ms(190)));
    }

    /// The vow is not on disk: whoever starts keeps one that it may have given.
    #[test]
    fn whoever_starts_promises_nobody_for_as_long_as_a_vow_lasts() {
        let mut vow = Vow::new(life(3), LASTS);
        vow.tick(ms(5));
        vow.tick(ms(50));
        assert!(!vow.allows(life(1), ms(94)) && !vow.allows(life(3), ms(94)));
        assert!(vow.allows(life(1), ms(95)));
        assert_eq!(vow.ends_at(true), Some(ms(95)));
    }

    /// A word of an earlier reign that comes late takes no vow from a later one.
    #[test]
    fn a_vow_goes_to_the_highest_reign() {
        let mut vow = awake();
        assert!(vow.give(ballot(2, 2), ms(100)));
        assert!(!vow.give(ballot(1, 1), ms(110)));
        assert!(!vow.allows(life(1), ms(189)));
        assert!(vow.give(ballot(1, 1), ms(190)), "it has run out");
    }

    /// The leader's word that its reign is over frees at once, and a round of it that comes after
    /// that binds nobody; the word of another reign frees nobody.
    #[test]
    fn the_leaders_own_word_ends_a_vow() {
        let mut vow = awake();
        vow.give(ballot(2, 1), ms(100));
        vow.release(ballot(1, 1));
        assert!(!vow.allows(life(2), ms(101)));
        vow.release(ballot(2, 1));
        assert!(vow.allows(life(2), ms(101)));
        assert!(!vow.give(ballot(2, 1), ms(102)));
        assert!(vow.give(ballot(4, 1), ms(103)), "another reign of the same node");
    }

    /// A reign above which another has come and gone is over, and stays so: no word of it binds.
    #[test]
    fn what_lies_below_a_reign_that_is_over_is_over() {
        let mut vow = awake();
        vow.release(ballot(4, 2));
        assert!(!vow.give(ballot(3, 1), ms(100)));
        vow.release(ballot(3, 1));
        assert!(!vow.give(ballot(3, 1), ms(101)) && vow.allows(life(2), ms(101)));
    }

    /// A vow to a higher reign may still bind, of which the disk knows nothing: its promise was on
    /// the way there. (A node that lost its power had vowed to 3.n1, started again within that vow,
    /// and vowed to 2.n3, whose round had been long on its way.)
    #[test]
    fn whoever_starts_vows_to_nobody_for_as_long_as_a_vow_lasts() {
        let mut vow = Vow::new(life(3), LASTS);
        vow.tick(ms(0));
        assert!(!vow.give(ballot(2, 1), ms(89)));
        vow.tick(ms(90));
        assert!(vow.give(ballot(2, 1), ms(90)));
    }

    /// The silence after a start is for no leader's word to end.
    #[test]
    fn nobody_ends_the_silence_after_a_start() {
        let mut vow = Vow::new(life(3), LASTS);
        vow.tick(ms(0));
        vow.release(ballot(2, 1));
        assert!(!vow.allows(life(2), ms(89)));
    }

    /// Whoever waits is heard the moment the vow ends; of two, the one that can win.
    #[test]
    fn whoever_waits_is_heard_when_the_vow_ends() {
        let mut vow = awake();
        vow.give(ballot(1, 1), ms(100));
        vow.keep_waiting(waiting(ballot(3, 2)));
        vow.keep_waiting(waiting(ballot(2, 2)));
        assert_eq!(vow.ends_at(false), Some(ms(190)));
        assert!(vow.let_go(ms(189)).is_none());
        assert_eq!(vow.let_go(ms(190)).map(|it| it.ballot), Some(ballot(3, 2)));
        assert!(vow.let_go(ms(200)).is_none());
        assert_eq!(vow.ends_at(false), None);
    }
}
