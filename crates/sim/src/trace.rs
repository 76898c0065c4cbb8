use std::fmt;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use synod_machine::{branch, door, participant_door};
use synod_paxos::{Envelope, Write};
use synod_replica::{Carried, Checkpoint, Response};
use xxhash_rust::xxh3::Xxh3;

/// How many bytes gather before the digest takes them in.
const GATHER_BYTES: usize = 4 << 10;

/// All that happened in a universe, as one number: when and to whom, every word and answer as it
/// was said, and every fact as a disk was given it. It is made of values alone, encoded as products
/// of this code are on the wire, so that it is the same in every build and on every machine.
pub(crate) struct Trace {
    digest: Xxh3,
    /// What the digest has not taken in yet.
    gathered: Vec<u8>,
}

/// What comes next, so that one kind of thing never passes for another.
#[derive(Clone, Copy)]
enum Kind {
    Event,
    Word,
    Checkpoint,
    Carried,
    Ask,
    Said,
    NotLeader,
    Errand,
    Report,
    Fact,
    BranchFact,
    End,
}

impl Trace {
    /// A trace of nothing.
    pub(crate) fn new() -> Trace {
        Trace { digest: Xxh3::new(), gathered: Vec::with_capacity(2 * GATHER_BYTES) }
    }

    /// Something happens now, of this kind, to these.
    pub(crate) fn happens(&mut self, at_us: u64, (kind, whose): (u8, u64)) {
        self.take(Kind::Event, &(at_us, kind, whose));
    }

    /// A node says a word.
    pub(crate) fn word(&mut self, word: &Envelope) {
        self.take(Kind::Word, word);
    }

    /// A node tells its digest.
    pub(crate) fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        self.take(Kind::Checkpoint, checkpoint);
    }

    /// A node speaks of snapshots.
    pub(crate) fn carried(&mut self, carried: &Carried) {
        self.take(Kind::Carried, carried);
    }

    /// Somebody asks a node.
    pub(crate) fn ask(&mut self, ask: &door::Ask) {
        self.take(Kind::Ask, ask);
    }

    /// A node answers.
    pub(crate) fn response(&mut self, response: &Response) {
        match response {
            Response::Said(said) => self.take(Kind::Said, said),
            Response::NotLeader(leader) => self.take(Kind::NotLeader, leader),
        }
    }

    /// Somebody asks a participant.
    pub(crate) fn errand(&mut self, call: &participant_door::Call) {
        self.take(Kind::Errand, call);
    }

    /// A participant answers.
    pub(crate) fn report(&mut self, said: &participant_door::Said) {
        self.take(Kind::Report, said);
    }

    /// A node's disk is given these facts.
    pub(crate) fn facts(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Promised { ballot } => self.take(Kind::Fact, &(0_u8, ballot)),
                Write::Accepted { slot, ballot, decree } => {
                    self.take(Kind::Fact, &(1_u8, slot, ballot, decree));
                }
                Write::Chosen { slot, decree } => self.take(Kind::Fact, &(2_u8, slot, decree)),
                Write::ChosenUpto { slot } => self.take(Kind::Fact, &(3_u8, slot)),
                Write::Trimmed { upto } => self.take(Kind::Fact, &(4_u8, upto)),
                Write::Marked { mark } => self.take(Kind::Fact, &(5_u8, mark)),
            }
        }
    }

    /// A participant's disk is given these facts.
    pub(crate) fn branch_facts(&mut self, writes: &[branch::Write]) {
        for write in writes {
            match write {
                branch::Write::Prepared { txn, work } => {
                    self.take(Kind::BranchFact, &(0_u8, txn, work));
                }
                branch::Write::Ended { txn } => self.take(Kind::BranchFact, &(1_u8, txn)),
                branch::Write::Key { key, entry } => {
                    self.take(Kind::BranchFact, &(2_u8, &key[..], entry));
                }
                branch::Write::Revision(revision) => {
                    self.take(Kind::BranchFact, &(3_u8, revision));
                }
                branch::Write::Run { session, first, last } => {
                    self.take(Kind::BranchFact, &(4_u8, session, first, last));
                }
                branch::Write::Floor { session, below } => {
                    self.take(Kind::BranchFact, &(5_u8, session, below));
                }
                branch::Write::SessionsBelow(session) => {
                    self.take(Kind::BranchFact, &(6_u8, session));
                }
            }
        }
    }

    /// What it came to: so many slots are chosen, and the state after them has this digest.
    pub(crate) fn ends(&mut self, upto: u64, state: u64) {
        self.take(Kind::End, &(upto, state));
    }

    /// The digest of everything so far.
    pub(crate) fn digest(&self) -> u64 {
        let mut digest = self.digest.clone();
        digest.update(&self.gathered);
        digest.digest()
    }

    fn take(&mut self, kind: Kind, what: &impl Serialize) {
        self.gathered.push(kind as u8);
        postcard::serialize_with_flavor(what, Bytes(&mut self.gathered))
            .expect("what is said over the wire can be encoded, and memory takes it");
        if self.gathered.len() >= GATHER_BYTES {
            self.digest.update(&self.gathered);
            self.gathered.clear();
        }
    }
}

/// Bytes that grow with what is encoded.
struct Bytes<'a>(&'a mut Vec<u8>);

impl Flavor for Bytes<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_machine::{Answer, Entry, Expect, Guard, Revision, SessionId, TxnId, branch::Work};
    use synod_paxos::{Ballot, Decree, Life, Mark, Message, NodeId, Slot};

    use super::*;

    fn of(tell: impl FnOnce(&mut Trace)) -> u64 {
        let mut trace = Trace::new();
        tell(&mut trace);
        trace.digest()
    }

    fn all_differ(digests: &[u64]) {
        for (place, digest) in digests.iter().enumerate() {
            assert!(!digests[..place].contains(digest), "{place} of {digests:?}");
        }
    }

    fn decree(text: &'static str) -> Decree {
        Decree::Value(Bytes::from_static(text.as_bytes()))
    }

    fn accept(to: u16, slot: u64, text: &'static str) -> Envelope {
        let life = Life::first(NodeId::new(1));
        let ballot = Ballot::of(1, life);
        let (slot, chosen_upto) = (Slot::new(slot), Slot::ZERO);
        let message = Message::Accept { slot, ballot, decree: decree(text), chosen_upto };
        Envelope::of(life, NodeId::new(to), message)
    }

    /// Words, answers and facts that differ in content alone have other digests.
    #[test]
    fn contents_tell_traces_apart() {
        let word = |to, slot, text| of(|trace| trace.word(&accept(to, slot, text)));
        all_differ(&[word(2, 1, "a"), word(3, 1, "a"), word(2, 2, "a"), word(2, 1, "b")]);
        let fact = |write| of(|trace| trace.facts(&[write]));
        let chosen = |text| Write::Chosen { slot: Slot::new(1), decree: decree(text) };
        let (slot, upto) = (Slot::new(1), Slot::new(1));
        all_differ(&[
            fact(chosen("a")),
            fact(chosen("b")),
            fact(Write::ChosenUpto { slot }),
            fact(Write::Trimmed { upto }),
            fact(Write::Marked { mark: Mark::new(1) }),
        ]);
        let said = |revision| {
            let answer = Answer::Key { revision: Revision::new(revision), entry: None };
            of(|trace| trace.response(&Response::Said(door::Said::Answer(answer))))
        };
        let leader = |leader| of(|trace| trace.response(&Response::NotLeader(leader)));
        all_differ(&[said(1), said(2), leader(None), leader(Some(NodeId::new(1)))]);
    }

    /// The same of participants.
    #[test]
    fn contents_of_branches_tell_traces_apart() {
        let fact = |write| of(|trace| trace.branch_facts(&[write]));
        let key = Bytes::from_static(b"key");
        let stands = |version| {
            let (create, modified) = (Revision::new(1), Revision::new(2));
            let value = Bytes::from_static(b"value");
            let entry = Some(Entry { value, create, modified, version, lease: None });
            fact(branch::Write::Key { key: key.clone(), entry })
        };
        let txn = TxnId { session: SessionId::new(1), n: 1 };
        let prepared = |expect| {
            let guards = vec![Guard { key: key.clone(), expect }];
            let work = Work { guards, mutations: Vec::new() };
            fact(branch::Write::Prepared { txn, work })
        };
        all_differ(&[
            stands(1),
            stands(2),
            fact(branch::Write::Key { key: key.clone(), entry: None }),
            prepared(Expect::Absent),
            prepared(Expect::Present),
            fact(branch::Write::Ended { txn }),
        ]);
    }

    /// Nothing is left out, however much there is, and the order counts.
    #[test]
    fn everything_counts_in_its_order() {
        let many = |odd: usize| {
            of(|trace| {
                for place in 0..1_000 {
                    trace.word(&accept(2, 1, if place == odd { "odd" } else { "even" }));
                }
            })
        };
        all_differ(&[many(0), many(1), many(500), many(999), many(1_000)]);
        assert_eq!(many(7), many(7));
    }
}
