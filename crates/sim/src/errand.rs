use fastrand::Rng;
use synod_machine::door::{Ask, Call, Said};
use synod_replica::Response;

/// How long a caller waits before it turns to another node after a "not me" or a "not now".
const PAUSE_US: (u64, u64) = (2_000, 30_000);

/// One call carried from node to node until one of them does it: what a client's library does.
#[derive(Debug)]
pub(crate) struct Errand {
    what: Call,
    voters: u16,
    patience_us: u64,
    /// How long a node may take over it.
    within_us: u64,
    target: u16,
    /// The number of the try under way; answers to others are not for us.
    under_way: Option<u64>,
    tries: u64,
    /// When the last try was sent.
    sent_us: u64,
    /// Whether every try so far was answered with "not applied".
    untouched: bool,
    wake_us: u64,
}

/// What an answer means for an errand.
#[derive(Debug)]
pub(crate) enum Heard<'r> {
    /// It is not the answer that is waited for.
    Nothing,
    /// Not done here; again at [`Errand::wake_us`].
    Later,
    /// This.
    Said(&'r Said),
}

impl Errand {
    /// The errand to have `what` done. Tries are numbered from `name`'s own range.
    pub(crate) fn new(
        name: u64,
        what: Call,
        voters: u16,
        patience_us: u64,
        rng: &mut Rng,
    ) -> Errand {
        let target = rng.u16(1..=voters);
        // A fresh range for every errand: an answer to an earlier one must not pass for this one's.
        let tries = name << 48 | rng.u64(..) >> 16;
        Errand {
            what,
            voters,
            patience_us,
            within_us: patience_us,
            target,
            under_way: None,
            tries,
            sent_us: 0,
            untouched: true,
            wake_us: 0,
        }
    }

    /// What is to be done.
    pub(crate) fn call(&self) -> &Call {
        &self.what
    }

    /// Begins at this node and not at any.
    #[must_use]
    pub(crate) fn beginning_at(self, target: u16) -> Errand {
        Errand { target, ..self }
    }

    /// Has it answered in less time than it waits for an answer, so that also the word that nothing
    /// came of it arrives in time.
    #[must_use]
    pub(crate) fn answered_within(self, within_us: u64) -> Errand {
        Errand { within_us, ..self }
    }

    /// When the last try was sent.
    pub(crate) fn sent_us(&self) -> u64 {
        self.sent_us
    }

    /// Whether no try of it can have taken effect: each was answered, and with "not applied".
    pub(crate) fn is_untouched(&self) -> bool {
        self.untouched && self.under_way.is_none()
    }

    /// When to try again unless an answer comes.
    pub(crate) fn wake_us(&self) -> u64 {
        self.wake_us
    }

    /// Tries: the node to ask, the number of the try, and what to ask.
    pub(crate) fn again(&mut self, now: u64, rng: &mut Rng) -> (u16, u64, Ask) {
        if self.under_way.is_some() {
            // The last try was not answered: perhaps another node does better.
            self.untouched = false;
            self.target = rng.u16(1..=self.voters);
        }
        self.tries += 1;
        self.under_way = Some(self.tries);
        self.sent_us = now;
        self.wake_us = now + self.patience_us;
        let within_ms = u32::try_from(self.within_us / 1_000).unwrap_or(u32::MAX);
        (self.target, self.tries, Ask { within_ms, call: self.what.clone() })
    }

    /// Takes in an answer to try `call`.
    pub(crate) fn hear<'r>(
        &mut self,
        now: u64,
        call: u64,
        response: &'r Response,
        rng: &mut Rng,
    ) -> Heard<'r> {
        if self.under_way != Some(call) {
            return Heard::Nothing;
        }
        let said = match response {
            Response::NotLeader(Some(leader)) => {
                self.target = leader.get();
                return self.later(now, rng);
            }
            Response::NotLeader(None) => None,
            Response::Said(said) => Some(said),
        };
        self.untouched &= said != Some(&Said::Unknown);
        match said {
            None | Some(Said::NotLeader { .. } | Said::NotApplied(_) | Said::Unknown) => {
                self.target = rng.u16(1..=self.voters);
                self.later(now, rng)
            }
            Some(said) => Heard::Said(said),
        }
    }

    fn later<'r>(&mut self, now: u64, rng: &mut Rng) -> Heard<'r> {
        self.under_way = None;
        self.wake_us = now + rng.u64(PAUSE_US.0..=PAUSE_US.1);
        Heard::Later
    }
}
