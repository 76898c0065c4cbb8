use std::collections::BTreeMap;

use bytes::Bytes;
use fastrand::Rng;
use synod_machine::{
    Entry, Expect, Guard, Multi, Mutation, ParticipantName, RequestId, Revision, TxnId, Verdict,
    branch::Work,
    owner::{GivenUp, Owner as Transaction},
    participant_door::{self as door, Vote},
};

use super::{
    Acts,
    work::{self, participant_name},
};
use crate::{checks::books::Intent, errand::Errand, trade};

/// The most that is moved at once.
const AMOUNT_MAX: i64 = 10;

/// Names that transfers claim in the log, in the same decision.
const CLAIMS: u8 = 2;

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) transaction: Transaction,
    works: BTreeMap<ParticipantName, (usize, Work)>,
    /// When to speak to the participants again.
    pub(super) again_us: u64,
    /// When to give up, or to stop telling.
    pub(super) until_us: u64,
    /// The decision on its way to the log, with its request's number if it has one.
    pub(super) deciding: Option<(Errand, Option<RequestId>)>,
    /// What had been seen of the log when the decision was first proposed.
    pub(super) floor: Revision,
    /// Whether its session is known to have ended.
    pub(super) fenced: bool,
    /// What it is to do.
    pub(super) intent: Intent,
}

impl Transfer {
    /// A transfer that nobody has been asked about yet.
    pub(super) fn new(
        txn: TxnId,
        looks: &[Option<&BTreeMap<Bytes, Entry>>],
        now: u64,
        until_us: u64,
        patrons: Option<usize>,
        rng: &mut Rng,
    ) -> Transfer {
        let (works, intent) = works(txn, looks, rng);
        let mut transaction = Transaction::begin(txn, works.keys().cloned());
        if rng.u8(0..3) == 0 {
            transaction = transaction.with_multi(claim(txn, rng));
        } else if let Some(first) = patrons {
            transaction = transaction.with_multi(on_condition(txn, first, rng));
        }
        Transfer {
            transaction,
            works,
            again_us: now,
            until_us,
            deciding: None,
            floor: Revision::ZERO,
            fenced: false,
            intent,
        }
    }

    /// Who takes part.
    pub(super) fn names(&self) -> impl Iterator<Item = &ParticipantName> {
        self.works.keys()
    }

    /// The deadline has passed and some have not voted: nobody asks them again, or nobody wants it
    /// any more. Either way it is over.
    pub(super) fn give_up_voting(&mut self, rng: &mut Rng) {
        if rng.bool() {
            let silent: Vec<ParticipantName> = self.transaction.to_ask().cloned().collect();
            silent.iter().for_each(|name| self.transaction.vote(name, &Vote::Unknown));
        } else {
            let given_up = self.transaction.give_up();
            assert!(given_up == GivenUp::Over, "nothing was proposed");
        }
    }

    /// Asks those for their votes who have not voted.
    pub(super) fn ask(&self, acts: &mut Acts) {
        let txn = self.transaction.txn();
        for name in self.transaction.to_ask() {
            let Some((place, work)) = self.works.get(name) else { continue };
            acts.errands.push((*place, door::Call::Prepare { txn, work: work.clone() }));
        }
    }

    /// Tells the verdict.
    pub(super) fn tell(&self, to_tell: &[(ParticipantName, Verdict)], acts: &mut Acts) {
        let txn = self.transaction.txn();
        for (name, verdict) in to_tell {
            let Some((place, _)) = self.works.get(name) else { continue };
            acts.errands.push((*place, door::Call::Finish { txn, verdict: *verdict }));
        }
    }
}

type Works = BTreeMap<ParticipantName, (usize, Work)>;

/// Moves an amount from one participant to another, often appends its number to a list at each of
/// them, and sometimes leaves a note with a third, for which nothing needs to hold.
fn works(txn: TxnId, looks: &[Option<&BTreeMap<Bytes, Entry>>], rng: &mut Rng) -> (Works, Intent) {
    let from = rng.usize(0..looks.len());
    let to = (from + rng.usize(1..looks.len())) % looks.len();
    let amount = rng.i64(1..=AMOUNT_MAX);
    let (mut works, mut intent) = (BTreeMap::new(), Intent::default());
    let (moves, appends) = (rng.u8(0..4) > 0, rng.bool());
    for (place, amount) in [(from, -amount), (to, amount)] {
        let mut work = Work::default();
        // Who cannot look at both does nothing.
        if let (Some(_), Some(_), Some(keys)) = (looks[from], looks[to], looks[place]) {
            if moves {
                work::share(place, keys, amount, rng, &mut work, &mut intent);
            }
            if appends || !moves {
                work::append(place, keys, txn, rng, &mut work, &mut intent);
            }
        }
        works.insert(participant_name(place), (place, work));
    }
    let third = rng.usize(0..looks.len());
    if third != from && third != to {
        works.insert(participant_name(third), (third, work::note(txn)));
    }
    (works, intent)
}

/// Takes a name that nobody has, or lets go of one that somebody has.
fn claim(txn: TxnId, rng: &mut Rng) -> Multi {
    let key = Bytes::from(format!("claim {}", rng.u8(0..CLAIMS)));
    let (expect, mutation) = match rng.bool() {
        true => {
            let value = Bytes::from(format!("{txn}"));
            (Expect::Absent, Mutation::Put { key: key.clone(), value })
        }
        false => (Expect::Present, Mutation::Delete { key: key.clone() }),
    };
    let guards = vec![Guard { key, expect }];
    Multi { guards, mutations: vec![mutation], ..Multi::default() }
}

/// Leaves a note in the log, on condition that a name is claimed for a patron of services.
fn on_condition(txn: TxnId, first: usize, rng: &mut Rng) -> Multi {
    let (key, value) = (Bytes::from_static(b"noted"), Bytes::from(format!("{txn}")));
    let holds = vec![trade::some_claim(first, rng)];
    Multi { holds, mutations: vec![Mutation::Put { key, value }], ..Multi::default() }
}
