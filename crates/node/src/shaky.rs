//! A disk for tests: in memory, and in whatever trouble it is told to be in.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use redb::StorageBackend;
use synod_paxos::{
    Ballot, Config, Decree, Durable, Durably, Envelope, Input, Life, Members, Message, NodeId,
    Output, Peer, Slot, Tick,
};
use synod_store::{Identity, Store};

/// What a file holds before its first page.
const HEADER_BYTES: u64 = 4_096;

/// How the disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trouble {
    #[default]
    None,
    /// Syncs wait.
    Stuck,
    /// There is no room.
    Full,
    /// Syncs fail.
    Broken,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    trouble: Trouble,
    syncs: u64,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shaky(Arc<(Mutex<State>, Condvar)>);

impl Shaky {
    /// A disk with the empty store of `identity` on it.
    pub(crate) fn formatted(identity: &Identity) -> Shaky {
        let disk = Shaky::default();
        Store::format_on(disk.clone(), identity).unwrap();
        disk
    }

    pub(crate) fn open(&self, identity: &Identity) -> (Store, Durable) {
        Store::open_on(self.clone(), identity).unwrap()
    }

    pub(crate) fn set(&self, trouble: Trouble) {
        self.state().trouble = trouble;
        self.0.1.notify_all();
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// For a write that may need room. The header's block is there already and needs none.
    fn with_room(&self, offset: u64) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.trouble == Trouble::Full && offset >= HEADER_BYTES {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(state)
    }
}

impl StorageBackend for Shaky {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let state = self.state();
        let bytes = state.bytes.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with_room(len)?.bytes.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let state = self.state();
        let stuck = |state: &mut State| state.trouble == Trouble::Stuck;
        let mut state = self.0.1.wait_while(state, stuck).unwrap();
        if state.trouble == Trouble::Broken {
            return Err(io::Error::other("the medium is gone"));
        }
        state.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.with_room(offset)?;
        let offset = usize::try_from(offset).unwrap();
        state.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// A batch with a fact and a word that relies on it: what a lone voter wants before it may lead.
pub(crate) fn a_batch() -> Durably {
    batch_of(1)
}

/// The same of the voter with this number: batches of two voters differ.
pub(crate) fn batch_of(node: u16) -> Durably {
    let life = Life::first(NodeId::new(node));
    let config = Config::new(life, Members::new(vec![life]).unwrap()).unwrap();
    let mut peer = Peer::recover(config, Durable::default(), 7);
    let mut out = Output::default();
    let mut now = Tick::ZERO;
    while out.durably.writes().is_empty() {
        now = peer.wake_at().unwrap().max(now);
        peer.step(now, Input::Wake, &mut out);
    }
    out.durably
}

/// A follower's vote for a decree of so many bytes.
pub(crate) fn votes_of(bytes: usize) -> Durably {
    let [leader, follower] = [1, 2].map(|node| Life::first(NodeId::new(node)));
    let members = Members::new(vec![leader, follower, Life::first(NodeId::new(3))]).unwrap();
    let mut config = Config::new(follower, members).unwrap();
    // It listens to nobody first.
    config.leasing.vow = Duration::ZERO;
    let mut peer = Peer::recover(config, Durable::default(), 7);
    let message = Message::Accept {
        ballot: Ballot::first(leader),
        slot: Slot::ZERO.next(),
        decree: Decree::Value(vec![7; bytes].into()),
        chosen_upto: Slot::ZERO,
    };
    let to = follower.node;
    let envelope = Envelope::of(leader, to, message);
    let mut out = Output::default();
    peer.step(Tick::ZERO, Input::Deliver(envelope), &mut out);
    assert!(!out.durably.writes().is_empty(), "it votes");
    out.durably
}
