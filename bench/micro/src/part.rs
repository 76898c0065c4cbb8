use bytes::Bytes;
use synod_machine::{
    Applied, Batch, Command, Machine, Reply, Request, RequestId, Seq, SessionId, Timestamp,
};
use synod_paxos::{Ballot, Decree, Envelope, Life, Message, NodeId, Slot, Write};
use synod_replica::{BATCH_VERSION, Word};
use synod_store::{Identity, Store};
use tempfile::TempDir;

use crate::{MicroError, Trio};

/// Bytes of a value.
const VALUE_BYTES: usize = 128;
/// Different keys, put in turn.
const KEYS: u64 = 1_000;
/// The first session of a machine.
const SESSION: SessionId = SessionId::new(1);

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A put from the leader's taking it in to its answer, over three replicas, one put a slot.
    Core1,
    /// The same with a hundred puts that share a slot.
    Core100,
    /// The same as `Core1`, and whatever is said is encoded by its sender and decoded by its
    /// receiver, the client's question and answer as well: all that a put costs but the devices.
    Round,
    /// The machine applies a batch of one put.
    Apply1,
    /// Of a hundred.
    Apply100,
    /// The word that carries a hundred puts to an acceptor is encoded.
    Encode,
    /// It is decoded.
    Decode,
    /// The store makes one vote durable.
    Store1,
    /// It makes 64 durable in one sync.
    Store64,
}

/// A part, made and warm.
#[derive(Debug)]
pub struct Part {
    kind: Kind,
    work: Work,
    count: u64,
}

#[derive(Debug)]
enum Work {
    Trio(Box<Trio>),
    Machine(Box<Machine>),
    Word(Word),
    Bytes(Vec<u8>),
    Store { store: Box<Store>, _dir: TempDir },
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 9] = [
        Kind::Core1,
        Kind::Core100,
        Kind::Round,
        Kind::Apply1,
        Kind::Apply100,
        Kind::Encode,
        Kind::Decode,
        Kind::Store1,
        Kind::Store64,
    ];

    /// Its word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Core1 => "core-1",
            Kind::Core100 => "core-100",
            Kind::Round => "round",
            Kind::Apply1 => "apply-1",
            Kind::Apply100 => "apply-100",
            Kind::Encode => "encode",
            Kind::Decode => "decode",
            Kind::Store1 => "store-1",
            Kind::Store64 => "store-64",
        }
    }

    /// Commands that are done at once.
    pub const fn commands(self) -> u64 {
        match self {
            Kind::Core1 | Kind::Round | Kind::Apply1 | Kind::Store1 => 1,
            Kind::Core100 | Kind::Apply100 | Kind::Encode | Kind::Decode => 100,
            Kind::Store64 => 64,
        }
    }
}

impl Part {
    /// Ready to be done again and again.
    pub fn new(kind: Kind) -> Result<Part, MicroError> {
        let work = match kind {
            Kind::Core1 | Kind::Core100 => Work::Trio(Box::new(Trio::serving()?)),
            Kind::Round => Work::Trio(Box::new(Trio::serving()?.encoding())),
            Kind::Apply1 | Kind::Apply100 => Work::Machine(Box::new(machine())),
            Kind::Encode => Work::Word(word(kind.commands())?),
            Kind::Decode => Work::Bytes(encoded(&word(kind.commands())?)?),
            Kind::Store1 | Kind::Store64 => store()?,
        };
        Ok(Part { kind, work, count: 0 })
    }

    /// Does it once.
    pub fn act(&mut self) -> Result<(), MicroError> {
        let (first, commands) = (self.count, self.kind.commands());
        self.count += commands;
        match &mut self.work {
            Work::Trio(trio) => {
                let done = trio.round((first..self.count).map(put))?;
                if done as u64 == commands { Ok(()) } else { Err(MicroError::Refused) }
            }
            Work::Machine(machine) => {
                let applied = machine.apply(batch(first + 1, commands));
                let written = |one: &Applied| matches!(one.reply, Reply::Written(_));
                if applied.iter().all(written) { Ok(()) } else { Err(MicroError::Refused) }
            }
            Work::Word(word) => encoded(word).map(|_| ()),
            Work::Bytes(bytes) => decoded::<Word>(bytes).map(|_| ()),
            Work::Store { store, .. } => Ok(store.write(&votes(first, commands))?),
        }
    }
}

pub(crate) fn encoded(said: &impl serde::Serialize) -> Result<Vec<u8>, MicroError> {
    postcard::to_allocvec(said).map_err(|_| MicroError::Garbled)
}

pub(crate) fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, MicroError> {
    postcard::from_bytes(bytes).map_err(|_| MicroError::Garbled)
}

/// The put of this number.
pub(crate) fn put(number: u64) -> Command {
    let key = Bytes::from(format!("bench/{:08}", number % KEYS));
    Command::Put { key, value: Bytes::from_static(&[b'v'; VALUE_BYTES]) }
}

/// So many puts of the session that [`machine`] opens, from this number on.
fn batch(first: u64, commands: u64) -> Batch {
    let request = |number: u64| Request {
        id: Some(RequestId { session: SESSION, seq: Seq::new(number) }),
        acked: Seq::new(first - 1),
        command: put(number),
    };
    let requests = (first..first + commands).map(request).collect();
    Batch { stamp: Timestamp(1_000), requests }
}

/// One that has a session.
fn machine() -> Machine {
    let mut machine = Machine::new();
    let command = Command::OpenSession { owner: "micro".to_owned(), ttl_ms: 86_400_000 };
    let requests = vec![Request { id: None, acked: Seq::ZERO, command }];
    // The first session of a machine is the first by number.
    let _opened = machine.apply(Batch { stamp: Timestamp(1), requests });
    machine
}

fn word(commands: u64) -> Result<Word, MicroError> {
    let leader = Life::first(NodeId::new(1));
    let ballot = Ballot::first(leader);
    let bytes = encoded(&batch(1, commands))?;
    let decree = Decree::Value([vec![BATCH_VERSION], bytes].concat().into());
    let slot = Slot::new(1_000_000);
    let message = Message::Accept { ballot, slot, decree, chosen_upto: slot };
    Ok(Word::Paxos(Envelope::of(leader, NodeId::new(2), message)))
}

fn store() -> Result<Work, MicroError> {
    let dir = tempfile::tempdir()?;
    let life = Life::first(NodeId::new(1));
    let identity = Identity { cluster: "micro".into(), cluster_id: 1, life };
    Store::format(dir.path(), &identity)?;
    let (store, _durable) = Store::open(dir.path(), &identity)?;
    Ok(Work::Store { store: Box::new(store), _dir: dir })
}

/// Votes in so many slots after this one, all of which are chosen.
fn votes(after: u64, count: u64) -> Vec<Write> {
    let ballot = Ballot::first(Life::first(NodeId::new(1)));
    let decree = Decree::Value(Bytes::from_static(&[b'v'; VALUE_BYTES]));
    let slots = (after + 1..=after + count).map(Slot::new);
    let accepted = slots.map(|slot| Write::Accepted { slot, ballot, decree: decree.clone() });
    accepted.chain([Write::ChosenUpto { slot: Slot::new(after) }]).collect()
}
