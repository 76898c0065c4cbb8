//! Atomic commit: the real owner, participants and machine, and every order of what is said,
//! decided, synced, lost, doubled and crashed.
//!
//! The log is one actor that applies what is submitted in any order, which is what a log of many
//! nodes comes to; a node that lags is one whose answer is still on its way.

mod book;
mod laws;
mod owning;
mod party;
mod record;
mod tell;

use synod_machine::{
    BranchIncarnation, ParticipantName, Reply, Request, SessionId, TxnId, Verdict, branch::Room,
    participant_door::Vote,
};

use self::{owning::Owning, party::Party, record::Record};
use super::stage::{Effects, Event, Play, Scene, Stepped};
use crate::violation::Checked;

/// How much may happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Transactions of each owner; at most two owners.
    pub(super) txns: &'static [u64],
    /// Participants; each takes part in every transaction.
    pub(super) parties: usize,
    /// What a participant remembers of what it has applied, if not as much as every participant.
    pub(super) room: Option<Room>,
    /// Whether the log forgets at once what it has committed and everybody has finished.
    pub(super) forgetful_log: bool,
    /// Whether all transactions write the same key.
    pub(super) conflict: bool,
    /// Crashes of participants together.
    pub(super) crashes: u8,
    /// Deaths of owners together.
    pub(super) deaths: u8,
    /// Syncs that may wait at a participant; none means that every write is durable at once.
    pub(super) syncs_waiting_max: usize,
    /// Fences that leaders propose, each for a session as it stands.
    pub(super) fences: u8,
    /// Reigns after the first.
    pub(super) reigns: u8,
    /// Retires that owners propose, at whatever moment.
    pub(super) retires: u8,
    /// Copies of a named request that reach the log beside the first.
    pub(super) repeats: u8,
    /// Months that pass.
    pub(super) months: u8,
    /// Whether somebody proposes to abort what nobody has begun.
    pub(super) strangers: bool,
    /// Whether a word may be heard at any time after it was said, any number of times. If not, it
    /// is lost once it would change nothing in the hearer, nor be answered.
    pub(super) late: bool,
}

/// Where the log is.
const LOG: usize = 0;

/// Somebody in the play.
#[derive(Clone, Debug, Hash)]
pub(in crate::search) enum Core {
    Log(Box<Record>),
    Owner(Owning),
    Party(Box<Party>),
}

/// What actors say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Word {
    /// An owner asks a participant to prepare its share.
    Prepare {
        owner: usize,
        txn: TxnId,
    },
    Vote {
        party: usize,
        txn: TxnId,
        vote: Vote,
    },
    /// An owner tells a participant how it ended.
    Finish {
        owner: usize,
        txn: TxnId,
        verdict: Verdict,
    },
    Finished {
        party: usize,
        txn: TxnId,
    },
    /// Somebody puts something into the log.
    Submit {
        from: usize,
        request: Request,
    },
    /// What an owner's decision came to.
    Answer {
        txn: TxnId,
        reply: Reply,
    },
    /// A participant asks how these ended, and what else is to be finished.
    Attend {
        party: usize,
        in_doubt: Vec<TxnId>,
        finished: Vec<TxnId>,
    },
    /// A node tells a participant a verdict.
    News {
        txn: TxnId,
        verdict: Verdict,
    },
    /// The log has an acknowledgement.
    Noted {
        txns: Vec<TxnId>,
    },
}

/// What befalls an actor besides words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Deed {
    /// A participant's disk completes the oldest sync.
    Sync,
    /// A participant's branches have waited for their grace.
    Grace,
    /// A participant loses its power and starts again.
    Crash,
    /// An owner's process dies for good.
    Die,
    /// An owner proposes to commit.
    Propose(u64),
    /// An owner gives up.
    GiveUp(u64),
    /// An owner proposes that nothing of its session below this number commits any more.
    Retire(u64),
    /// A leader proposes to end a session that seems silent.
    Fence(SessionId),
    /// Another leader begins.
    Reign,
    /// A month passes.
    Month,
    /// Somebody proposes to abort a transaction of a session that was never opened.
    Stranger,
}

/// What an actor has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fact {
    /// A participant's prepare is or was durable.
    Promised(TxnId),
    /// A participant has ended its branch on a verdict, durably or not.
    Ended(TxnId, Ending),
    /// An owner has proposed to commit.
    Proposed(TxnId),
    /// An owner has given up and will never propose to commit.
    GaveUp(TxnId),
    /// An owner has heard the verdict, and tells its caller.
    Heard(TxnId, Ending),
    /// The log has decided.
    Decided(TxnId, Ending),
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ending {
    Commit,
    Abort,
}

/// How much has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Spent {
    crashes: u8,
    deaths: u8,
    fences: u8,
    reigns: u8,
    retires: u8,
    months: u8,
    strangers: u8,
}

/// The play within its bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commit(pub(super) Bounds);

impl Bounds {
    /// Where the participants begin.
    fn first_party(&self) -> usize {
        LOG + 1 + self.txns.len()
    }

    fn parties(&self) -> std::ops::Range<usize> {
        self.first_party()..self.first_party() + self.parties
    }

    /// The session of the owner at `place`; its session was opened in the order of owners.
    fn session(&self, owner: usize) -> SessionId {
        SessionId::new((owner - LOG) as u64)
    }

    fn all_txns(&self) -> Vec<TxnId> {
        let of = |(owner, count): (usize, &u64)| {
            let session = self.session(LOG + 1 + owner);
            (1..=*count).map(move |n| TxnId { session, n })
        };
        self.txns.iter().enumerate().flat_map(of).collect()
    }

    fn name(&self, party: usize) -> ParticipantName {
        ParticipantName::new(["east", "west"][party - self.first_party()])
    }

    fn incarnation(&self, party: usize) -> BranchIncarnation {
        BranchIncarnation(party as u64)
    }
}

impl Play for Commit {
    type Core = Core;
    type Word = Word;
    type Deed = Deed;
    type Fact = Fact;
    type Spent = Spent;

    fn cast(&self) -> Vec<(Core, Vec<Word>)> {
        let bounds = self.0;
        let mut cast = vec![(Core::Log(Box::new(Record::new(bounds))), Vec::new())];
        for owner in LOG + 1..bounds.first_party() {
            cast.push((Core::Owner(Owning::new(bounds, owner)), Vec::new()));
        }
        for place in bounds.parties() {
            let owner = |txn: &TxnId| LOG + txn.session.get() as usize;
            let ask = |txn: &TxnId| Word::Prepare { owner: owner(txn), txn: *txn };
            let asked = bounds.all_txns().iter().map(ask).collect();
            cast.push((Core::Party(Box::new(Party::new(bounds, place))), asked));
        }
        cast
    }

    fn deeds(&self, _place: usize, core: &Core, spent: Spent) -> Vec<Deed> {
        match core {
            Core::Log(_) => self.log_deeds(spent),
            Core::Owner(owning) => {
                let mut deeds = owning.deeds();
                if spent.retires < self.0.retires {
                    deeds.extend(owning.retires());
                }
                if owning.lives() && spent.deaths < self.0.deaths {
                    deeds.push(Deed::Die);
                }
                deeds
            }
            Core::Party(party) => {
                let mut deeds = party.deeds();
                if spent.crashes < self.0.crashes {
                    deeds.push(Deed::Crash);
                }
                deeds
            }
        }
    }

    fn hears(&self, core: &Core) -> bool {
        match core {
            Core::Party(party) => party.waiting() < self.0.syncs_waiting_max.max(1),
            Core::Log(_) | Core::Owner(_) => true,
        }
    }

    fn step(&self, core: &mut Core, event: Event<&Word, Deed>) -> Stepped<Commit> {
        match core {
            Core::Log(record) => record.step(event),
            Core::Owner(owning) => Ok(owning.step(event)),
            Core::Party(party) => party.step(event),
        }
    }

    fn worth_hearing(&self, effects: &Effects<Word, Fact>) -> Option<bool> {
        let told = |(_, word): &(usize, Word)| {
            matches!(word, Word::Answer { .. } | Word::News { .. } | Word::Noted { .. })
        };
        (!self.0.late).then(|| effects.words.iter().any(told))
    }

    fn spend(&self, spent: &mut Spent, deed: Deed) {
        match deed {
            Deed::Sync | Deed::Grace | Deed::Propose(_) | Deed::GiveUp(_) => {}
            Deed::Crash => spent.crashes += 1,
            Deed::Die => spent.deaths += 1,
            Deed::Retire(_) => spent.retires += 1,
            Deed::Fence(_) => spent.fences += 1,
            Deed::Reign => spent.reigns += 1,
            Deed::Month => spent.months += 1,
            Deed::Stranger => spent.strangers += 1,
        }
    }

    fn obeys_the_laws(&self, scene: &Scene<'_, Commit>) -> Checked {
        laws::hold(self.0, scene)
    }

    const RESTS: bool = true;

    fn comes_by_itself(&self, deed: Deed) -> bool {
        matches!(deed, Deed::Sync | Deed::Grace)
    }

    fn rests_well(&self, scene: &Scene<'_, Commit>) -> Checked {
        laws::rests_well(self.0, scene)
    }

    fn tell_event(&self, place: usize, event: Event<&Word, Deed>) -> String {
        tell::event(self.0, place, event)
    }

    fn tell_effects(&self, core: &Core, effects: &Effects<Word, Fact>) -> Vec<String> {
        tell::effects(self.0, core, effects)
    }
}

impl Commit {
    fn log_deeds(&self, spent: Spent) -> Vec<Deed> {
        let bounds = self.0;
        let mut deeds = Vec::new();
        if spent.fences < bounds.fences {
            let owners = LOG + 1..bounds.first_party();
            deeds.extend(owners.map(|owner| Deed::Fence(bounds.session(owner))));
        }
        let some = [
            (Deed::Reign, spent.reigns < bounds.reigns),
            (Deed::Month, spent.months < bounds.months),
            (Deed::Stranger, bounds.strangers && spent.strangers == 0),
        ];
        deeds.extend(some.into_iter().filter(|(_, may)| *may).map(|(deed, _)| deed));
        deeds
    }
}

impl Ending {
    /// Of a verdict that one may act on.
    fn of(verdict: Verdict) -> Option<Ending> {
        match verdict {
            Verdict::Committed => Some(Ending::Commit),
            Verdict::Aborted => Some(Ending::Abort),
            Verdict::InProgress | Verdict::Retired => None,
        }
    }
}
