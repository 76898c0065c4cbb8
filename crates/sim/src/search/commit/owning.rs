//! An owner's process: the real owner of each of its transactions.

use std::collections::BTreeMap;

use synod_machine::{
    Command, Rejection, Reply, Request, RequestId, Seq, TxnId,
    owner::{GivenUp, Owner, Phase},
};

use super::{Bounds, Deed, Ending, Event, Fact, LOG, Word};

type Effects = crate::search::stage::Effects<Word, Fact>;

/// The requests of an owner that are no decision have numbers from here on.
const RETIRE_SEQ: u64 = 100;

/// One owner.
#[derive(Clone, Debug)]
pub(in crate::search) struct Owning {
    bounds: Bounds,
    place: usize,
    /// Nothing when the process has died.
    txns: BTreeMap<TxnId, Owner>,
}

impl Owning {
    /// It has asked everybody to prepare everything.
    pub(super) fn new(bounds: Bounds, place: usize) -> Owning {
        let all = bounds.all_txns().into_iter();
        let own = all.filter(|txn| txn.session == bounds.session(place));
        let names = || bounds.parties().map(|party| bounds.name(party));
        let txns = own.map(|txn| (txn, Owner::begin(txn, names()))).collect();
        Owning { bounds, place, txns }
    }

    /// Whether the process lives.
    pub(super) fn lives(&self) -> bool {
        !self.txns.is_empty()
    }

    /// What it may do of its own accord.
    pub(super) fn deeds(&self) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for (txn, owner) in &self.txns {
            if owner.phase() == Phase::Voting && owner.clone().proposal().is_some() {
                deeds.push(Deed::Propose(txn.n));
            }
            if matches!(owner.phase(), Phase::Voting | Phase::Proposed) {
                deeds.push(Deed::GiveUp(txn.n));
            }
        }
        deeds
    }

    /// What it may retire; an owner that lives would wait until all below has ended, but safety
    /// does not rest on that.
    pub(super) fn retires(&self) -> Vec<Deed> {
        self.txns.keys().map(|txn| Deed::Retire(txn.n + 1)).collect()
    }

    /// How far each transaction is.
    pub(super) fn phases(&self) -> impl Iterator<Item = (TxnId, Phase)> {
        self.txns.iter().map(|(txn, owner)| (*txn, owner.phase()))
    }

    pub(super) fn step(&mut self, event: Event<&Word, Deed>) -> Effects {
        let mut effects = Effects::default();
        match event {
            Event::Hear(word) => self.hear(word, &mut effects),
            Event::Do(Deed::Propose(n)) => self.propose(n, &mut effects),
            Event::Do(Deed::GiveUp(n)) => {
                let txn = TxnId { session: self.bounds.session(self.place), n };
                self.give_up(txn, &mut effects);
            }
            Event::Do(Deed::Retire(below)) => {
                let seq = Seq::new(RETIRE_SEQ + below);
                self.submit(Some(seq), Command::Retire { below }, &mut effects);
            }
            Event::Do(Deed::Die) => self.txns.clear(),
            Event::Do(_) => {}
        }
        self.tell(&mut effects);
        effects
    }

    fn hear(&mut self, word: &Word, effects: &mut Effects) {
        let of = match word {
            Word::Vote { txn, .. } | Word::Finished { txn, .. } | Word::Answer { txn, .. } => *txn,
            _ => return,
        };
        let Some(owner) = self.txns.get_mut(&of) else { return };
        match word {
            Word::Vote { party, vote, .. } => {
                let voting = owner.phase() == Phase::Voting;
                owner.vote(&self.bounds.name(*party), vote);
                if voting && owner.phase() == Phase::Aborted {
                    effects.facts.push(Fact::GaveUp(of));
                }
            }
            Word::Finished { party, .. } => owner.finished(&self.bounds.name(*party)),
            Word::Answer { reply: Reply::Verdict(verdict), .. } => {
                owner.learn(*verdict);
                let ending = Ending::of(*verdict);
                effects.facts.extend(ending.map(|ending| Fact::Heard(of, ending)));
            }
            // The session is fenced: only the log knows what became of the commit.
            Word::Answer { reply: Reply::Rejected(Rejection::SessionEnded), .. } => {
                self.give_up(of, effects);
            }
            _ => {}
        }
    }

    fn propose(&mut self, n: u64, effects: &mut Effects) {
        let txn = TxnId { session: self.bounds.session(self.place), n };
        let command = self.txns.get_mut(&txn).and_then(Owner::proposal);
        if let Some(command) = command {
            effects.facts.push(Fact::Proposed(txn));
            self.submit(Some(Seq::new(n)), command, effects);
        }
    }

    fn give_up(&mut self, txn: TxnId, effects: &mut Effects) {
        let Some(owner) = self.txns.get_mut(&txn) else { return };
        let voting = owner.phase() == Phase::Voting;
        match owner.give_up() {
            GivenUp::Over if voting => effects.facts.push(Fact::GaveUp(txn)),
            GivenUp::Over => {}
            GivenUp::AskTheLog(command) => self.submit(None, command, effects),
        }
    }

    fn submit(&self, seq: Option<Seq>, command: Command, effects: &mut Effects) {
        let session = self.bounds.session(self.place);
        let id = seq.map(|seq| RequestId { session, seq });
        let request = Request { id, acked: Seq::ZERO, command };
        effects.words.push((LOG, Word::Submit { from: self.place, request }));
    }

    /// Everyone that may hold a branch is told as soon as it can be.
    fn tell(&self, effects: &mut Effects) {
        for (txn, owner) in &self.txns {
            for (name, verdict) in owner.to_tell() {
                let party = self.bounds.parties().find(|party| self.bounds.name(*party) == name);
                let word = Word::Finish { owner: self.place, txn: *txn, verdict };
                effects.words.extend(party.map(|party| (party, word)));
            }
        }
    }
}

impl std::hash::Hash for Owning {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let Owning { bounds: _, place, txns } = self;
        (place, txns).hash(state);
    }
}
