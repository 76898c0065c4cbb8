//! Atomic commit in a universe: owners that move money between participants, over the real halves
//! of `synod_machine`, each with devices and deaths of its own; and auditors that read the books.

mod auditor;
mod owner;
mod participant;
mod transfer;
mod work;

use synod_machine::{TxnId, door::Ask, participant_door as door};

use crate::event::Caller;

pub(crate) use auditor::Auditor;
pub(crate) use owner::Owner;
pub(crate) use participant::{Ill, Participant, Sealed};
pub(crate) use work::participant_name;

/// What an owner or a participant wants of the world.
#[derive(Debug, Default)]
pub(crate) struct Acts {
    /// Calls of nodes: which, the number of the try, and what.
    pub(crate) calls: Vec<(u16, u64, Ask)>,
    /// When to be woken.
    pub(crate) wake_us: Option<u64>,
    /// Words of an owner to participants.
    pub(crate) errands: Vec<(usize, door::Call)>,
    /// What an auditor asks of a participant.
    pub(crate) questions: Vec<(usize, Question, door::Call)>,
    /// What a participant says to owners and auditors.
    pub(crate) reports: Vec<Report>,
    /// A participant's disk has something to sync.
    pub(crate) sync: bool,
}

/// A participant's word to whoever spoke to it.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) to: Speaker,
    pub(crate) said: door::Said,
}

/// Whoever speaks to a participant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speaker {
    /// An owner, about a transaction.
    Owner(Teller),
    /// An auditor.
    Auditor(Question),
}

/// Which life of which owner asked, and about what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Teller {
    pub(crate) owner: usize,
    pub(crate) life: u64,
    pub(crate) txn: TxnId,
}

/// Which question of which auditor, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) auditor: usize,
    pub(crate) number: u64,
    pub(crate) until_us: u64,
}

impl Speaker {
    pub(crate) fn caller(self) -> Caller {
        match self {
            Speaker::Owner(teller) => Caller::Owner(teller.owner),
            Speaker::Auditor(question) => Caller::Auditor(question.auditor),
        }
    }
}

impl Acts {
    /// Wake at this moment, or earlier if that was wanted already.
    pub(crate) fn wake_at(&mut self, at_us: u64) {
        self.wake_us = Some(self.wake_us.map_or(at_us, |earlier| earlier.min(at_us)));
    }
}
