//! A participant: the real branches, a disk, and what is on its way to the disk.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{Hash, Hasher},
};

use bytes::Bytes;
use synod_machine::{
    Command, Entry, Mutation, ParticipantName, Request, Seq, TxnId, Verdict,
    branch::{
        Asker, Branches, Config, Durable, Input, Moment, Output, Word as Sealed, Work, Write,
    },
    door::Call,
    participant_door::{Said, Vote},
};

use super::{Bounds, Deed, Ending, Event, Fact, LOG, Word};
use crate::violation::{Checked, Violation, demand};

type Effects = crate::search::stage::Effects<Word, Fact>;

/// How long a branch waits before it asks the log to abort; clocks stand still but for that.
const GRACE_MS: u64 = 1_000;

/// One participant.
#[derive(Clone, Debug)]
pub(in crate::search) struct Party {
    bounds: Bounds,
    place: usize,
    now: Moment,
    branches: Branches,
    /// What a crash cannot take.
    disk: Facts,
    /// The same with all that waits for the disk. Follows from the other two.
    asked: Facts,
    waiting: VecDeque<Batch>,
    /// Whatever it has ever applied durably, of which the disk may have forgotten some.
    applied: BTreeSet<TxnId>,
}

/// What stands on a participant's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    pub(super) branches: Durable,
    pub(super) keys: BTreeMap<Bytes, Entry>,
}

/// What one step asked of the disk, and the words that it holds back until then.
#[derive(Clone, Debug, Hash)]
struct Batch {
    writes: Vec<Write>,
    words: Vec<Sealed>,
}

impl Facts {
    fn write(&mut self, write: &Write) {
        self.branches.write(write);
        if let Write::Key { key, entry } = write {
            match entry {
                Some(entry) => drop(self.keys.insert(key.clone(), entry.clone())),
                None => drop(self.keys.remove(key)),
            }
        }
    }

    /// Whether a commit stands in the rows of what was applied, or in those of what is forgotten.
    fn applied(&self, txn: TxnId) -> bool {
        let floor = self.branches.floors.get(&txn.session);
        if txn.session < self.branches.sessions_below || floor.is_some_and(|below| txn.n < *below) {
            return true;
        }
        let rows = self.branches.runs.range(..=(txn.session, txn.n));
        rows.last().is_some_and(|((of, _), last)| *of == txn.session && txn.n <= *last)
    }
}

impl Party {
    /// A participant with an empty disk.
    pub(super) fn new(bounds: Bounds, place: usize) -> Party {
        let disk = Facts::default();
        Party {
            bounds,
            place,
            now: Moment(0),
            branches: recover(bounds, place, &disk, Moment(0)),
            asked: disk.clone(),
            disk,
            waiting: VecDeque::new(),
            applied: BTreeSet::new(),
        }
    }

    /// How many syncs wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What time alone may bring.
    pub(super) fn deeds(&self) -> Vec<Deed> {
        let mut deeds = Vec::new();
        if !self.waiting.is_empty() {
            deeds.push(Deed::Sync);
        }
        if self.branches.wake_at().is_some() {
            deeds.push(Deed::Grace);
        }
        deeds
    }

    /// What a crash cannot take; nothing while more is on its way to it.
    pub(super) fn at_rest(&self) -> Option<&Facts> {
        (self.waiting.is_empty() && self.disk.branches.prepared.is_empty()).then_some(&self.disk)
    }

    /// Branches that wait for a verdict.
    pub(super) fn in_doubt(&self) -> Vec<TxnId> {
        self.branches.in_doubt(self.now).iter().map(|branch| branch.txn).collect()
    }

    pub(super) fn step(&mut self, event: Event<&Word, Deed>) -> Result<Effects, Violation> {
        let mut effects = Effects::default();
        let before = self.attends();
        match event {
            Event::Hear(Word::Prepare { owner, txn }) => {
                let work = self.work(*txn);
                let asker = asker(*owner, *txn);
                self.feed(Input::Prepare { asker, txn: *txn, work }, &mut effects)?;
            }
            Event::Hear(Word::Finish { owner, txn, verdict }) => {
                let asker = Some(asker(*owner, *txn));
                self.feed(Input::Finish { asker, txn: *txn, verdict: *verdict }, &mut effects)?;
            }
            Event::Hear(Word::News { txn, verdict }) => {
                let input = Input::Finish { asker: None, txn: *txn, verdict: *verdict };
                self.feed(input, &mut effects)?;
            }
            Event::Hear(Word::Noted { txns }) => {
                self.feed(Input::Acknowledged(txns.clone()), &mut effects)?;
            }
            Event::Do(Deed::Sync) => self.sync(&mut effects)?,
            Event::Do(Deed::Grace) => {
                self.now = self.branches.wake_at().unwrap_or(self.now).max(self.now);
                self.feed(Input::Wake, &mut effects)?;
            }
            Event::Do(Deed::Crash) => self.crash()?,
            Event::Hear(_) | Event::Do(_) => {}
        }
        while self.bounds.syncs_waiting_max == 0 && !self.waiting.is_empty() {
            self.sync(&mut effects)?;
        }
        let now = self.attends();
        if now != before || matches!(event, Event::Do(Deed::Crash)) {
            effects.words.push((LOG, now));
        }
        self.acts_on_no_hint()?;
        self.locks_what_it_promised()?;
        Ok(effects)
    }

    fn feed(&mut self, input: Input, effects: &mut Effects) -> Checked {
        let told = match &input {
            Input::Finish { txn, verdict, .. } => Some((*txn, *verdict)),
            _ => None,
        };
        let keys = &self.asked.keys;
        let out = self.branches.step(self.now, input, |key| keys.get(key).cloned());
        let Output { durably, at_once, propose, alarms } = out;
        let who = self.bounds.name(self.place);
        // A commit of what it never promised, or an abort of what it has applied. That the log has
        // retired a branch is a matter for a person, and rightly so, once the log says it.
        let alarm = alarms.iter().find(|_| !told.is_some_and(|(_, is)| is == Verdict::Retired));
        demand!(alarm.is_none(), "C2", "{who} calls for a person: {alarm:?}");
        for (asker, said) in at_once {
            self.speak(Sealed::Said { to: asker, said }, effects)?;
        }
        for command in propose {
            self.submit(command, effects);
        }
        let writes = durably.writes().to_vec();
        for write in &writes {
            if let Write::Ended { txn } = write {
                let ending = told.filter(|(of, _)| of == txn).and_then(|(_, is)| Ending::of(is));
                demand!(ending.is_some(), "C4", "{who} ends {txn} on {told:?}");
                effects.facts.extend(ending.map(|ending| Fact::Ended(*txn, ending)));
            }
            self.asked.write(write);
        }
        let words = durably.synced();
        if !(writes.is_empty() && words.is_empty()) {
            self.waiting.push_back(Batch { writes, words });
        }
        Ok(())
    }

    fn sync(&mut self, effects: &mut Effects) -> Checked {
        let Some(Batch { writes, words }) = self.waiting.pop_front() else { return Ok(()) };
        for write in &writes {
            let who = self.bounds.name(self.place);
            match write {
                Write::Prepared { txn, .. } => {
                    let again = self.applied.contains(txn);
                    demand!(!again, "C10", "{who} promises {txn}, which it has applied");
                    effects.facts.push(Fact::Promised(*txn));
                }
                Write::Ended { txn } => {
                    let open = self.disk.branches.prepared.contains_key(txn);
                    demand!(open, "C4", "{who} ends {txn}, which is not prepared");
                }
                _ => {}
            }
            self.disk.write(write);
        }
        let ended = writes.iter().filter_map(|write| match write {
            Write::Ended { txn } => Some(*txn),
            _ => None,
        });
        self.applied.extend(ended.filter(|txn| self.disk.applied(*txn)));
        words.into_iter().try_for_each(|word| self.speak(word, effects))
    }

    /// A word leaves; what it promises is durable.
    fn speak(&self, word: Sealed, effects: &mut Effects) -> Checked {
        let who = self.bounds.name(self.place);
        match word {
            Sealed::Said { to, said } => {
                let (owner, txn) = asked_by(to);
                let promised = self.disk.branches.prepared.contains_key(&txn);
                let yes = matches!(said, Said::Vote(Vote::Yes { .. }));
                demand!(!yes || promised, "H2", "{who} votes yes to {txn}; nothing is durable");
                let word = match said {
                    Said::Vote(vote) => Word::Vote { party: self.place, txn, vote },
                    Said::Finished => Word::Finished { party: self.place, txn },
                    _ => return Ok(()),
                };
                effects.words.push((owner, word));
            }
            Sealed::Acknowledge(txn) => {
                let applied = self.disk.applied(txn);
                demand!(applied, "H6", "{who} acknowledges {txn}, which is not durably applied");
                let participant = who;
                self.submit(Command::Ack { participant, txns: vec![txn] }, effects);
            }
        }
        Ok(())
    }

    fn submit(&self, command: Command, effects: &mut Effects) {
        let request = Request { id: None, acked: Seq::ZERO, command };
        effects.words.push((LOG, Word::Submit { from: self.place, request }));
    }

    fn crash(&mut self) -> Checked {
        self.waiting.clear();
        self.asked = self.disk.clone();
        self.branches = recover(self.bounds, self.place, &self.disk, self.now);
        let promised: Vec<TxnId> = self.disk.branches.prepared.keys().copied().collect();
        let (who, found) = (self.bounds.name(self.place), self.in_doubt());
        demand!(found == promised, "C4", "{who} starts with {found:?}; it promised {promised:?}");
        Ok(())
    }

    fn attends(&self) -> Word {
        match self.branches.attend() {
            Call::Attend { in_doubt, finished, .. } => {
                Word::Attend { party: self.place, in_doubt, finished }
            }
            other => unreachable!("to attend is {other:?}"),
        }
    }

    /// C7: told that a transaction is in progress, it does nothing.
    fn acts_on_no_hint(&self) -> Checked {
        for txn in self.bounds.all_txns() {
            let mut branches = self.branches.clone();
            let (asker, verdict) = (None, Verdict::InProgress);
            let input = Input::Finish { asker, txn, verdict };
            let out = branches.step(self.now, input, |key| self.asked.keys.get(key).cloned());
            let still = out.durably.is_empty() && out.propose.is_empty();
            let same = branches.in_doubt(self.now) == self.branches.in_doubt(self.now);
            let who = self.bounds.name(self.place);
            demand!(still && same, "C7", "{who} acts on a hint that {txn} is in progress");
        }
        Ok(())
    }

    /// Work that writes the same key is never promised to two.
    fn locks_what_it_promised(&self) -> Checked {
        let in_doubt = self.in_doubt();
        let who = self.bounds.name(self.place);
        let alone = !self.bounds.conflict || in_doubt.len() <= 1;
        demand!(alone, "C4", "{who} has promised one key to {in_doubt:?}");
        let locked = self.branches.counts().locked;
        let all = in_doubt.len() as u64;
        demand!(locked == all, "C4", "{who} has locked {locked} keys for {in_doubt:?}");
        Ok(())
    }

    fn work(&self, txn: TxnId) -> Work {
        let key = if self.bounds.conflict { "key".to_owned() } else { format!("key of {txn}") };
        let value = Bytes::from(txn.to_string());
        let mutations = vec![Mutation::Put { key: Bytes::from(key), value }];
        Work { guards: Vec::new(), mutations }
    }
}

fn recover(bounds: Bounds, place: usize, disk: &Facts, now: Moment) -> Branches {
    let (name, incarnation): (ParticipantName, _) = (bounds.name(place), bounds.incarnation(place));
    let config = Config { name, incarnation, in_doubt_grace_ms: GRACE_MS };
    let branches = Branches::recover(config, &disk.branches, now);
    bounds.room.into_iter().fold(branches, Branches::with_room)
}

/// An asker's number tells the owner and the transaction.
fn asker(owner: usize, txn: TxnId) -> Asker {
    Asker(owner as u64 * 1_000 + txn.n)
}

fn asked_by(asker: Asker) -> (usize, TxnId) {
    let (owner, n) = (asker.0 / 1_000, asker.0 % 1_000);
    let session = synod_machine::SessionId::new(owner - LOG as u64);
    (owner as usize, TxnId { session, n })
}

/// Clocks are no part of what a participant is.
impl Hash for Party {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Party { bounds: _, now: _, asked: _, place, branches, disk, waiting, applied } = self;
        (place, branches, disk, waiting, applied).hash(state);
    }
}
