//! Commands under keys: what a client asks again after it has lost its session, or by way of
//! another process, takes effect once.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Age;
use crate::limits::{Misuse, check_name};
use crate::table::{self, Digesting, Table};
use crate::{
    Command, CounterCommand, JournalCommand, LeaseCommand, Multi, Name, RegisterCommand, Rejection,
    Reply, RestoreError,
    coding::{Decoder, Encoder},
};

/// Replies under keys are known for a day: whoever asks again later has lost interest.
pub(crate) const ONCE_MS: u64 = 24 * 60 * 60 * 1_000;
/// And of so many keys, the latest.
pub(crate) const ONCE_MAX: u64 = 100_000;
/// And so many bytes of values in them.
pub(crate) const ONCE_BYTES_MAX: u64 = 64 << 20;

/// A command that takes effect once under its key, whichever process of a client asks for it and in
/// whichever session. Whoever asks again is told what the first was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Once {
    /// Of all keys of the client whose session asks.
    pub key: Name,
    /// What to do.
    pub what: Keyed,
}

/// What can be done under a key: what would do harm if it were done twice, and is over when it is
/// done. What is held (a lock, a claim, a candidacy) has no key: asked for again on the same lease,
/// how it stands by now is the answer, and an old one would be a lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Keyed {
    /// [`Command::Put`].
    Put {
        /// Which.
        key: Bytes,
        /// To what.
        value: Bytes,
    },
    /// [`Command::Delete`].
    Delete {
        /// Which.
        key: Bytes,
    },
    /// [`Command::Multi`].
    Multi(Multi),
    /// [`LeaseCommand::Grant`]. The lease is told again while it lives, which renews it; afterwards
    /// that it has ended.
    Grant {
        /// Milliseconds without a renewal that end it.
        ttl_ms: u64,
    },
    /// [`Command::Register`].
    Register(RegisterCommand),
    /// [`Command::Counter`].
    Counter(CounterCommand),
    /// [`Command::Journal`].
    Journal(JournalCommand),
}

impl Once {
    /// The command under a key, if it can be; else the command as it was.
    pub fn new(key: Name, command: Command) -> Result<Once, Box<Command>> {
        let what = match command {
            Command::Put { key, value } => Keyed::Put { key, value },
            Command::Delete { key } => Keyed::Delete { key },
            Command::Multi(multi) => Keyed::Multi(multi),
            Command::Lease(LeaseCommand::Grant { ttl_ms }) => Keyed::Grant { ttl_ms },
            Command::Register(command) => Keyed::Register(command),
            Command::Counter(command) => Keyed::Counter(command),
            // The others come to the same however often they are asked for.
            Command::Journal(append @ JournalCommand::Append { .. }) => Keyed::Journal(append),
            other => return Err(Box::new(other)),
        };
        Ok(Once { key, what })
    }

    pub(crate) fn check(&self) -> Result<(), Misuse> {
        check_name(&self.key)?;
        Command::from(self.what.clone()).check()
    }

    /// Bytes of the keys, values and texts in it.
    pub(crate) fn weight(&self) -> usize {
        self.key.as_str().len().saturating_add(Command::from(self.what.clone()).weight())
    }
}

impl From<Keyed> for Command {
    fn from(what: Keyed) -> Command {
        match what {
            Keyed::Put { key, value } => Command::Put { key, value },
            Keyed::Delete { key } => Command::Delete { key },
            Keyed::Multi(multi) => Command::Multi(multi),
            Keyed::Grant { ttl_ms } => Command::Lease(LeaseCommand::Grant { ttl_ms }),
            Keyed::Register(command) => Command::Register(command),
            Keyed::Counter(command) => Command::Counter(command),
            Keyed::Journal(command) => Command::Journal(command),
        }
    }
}

/// What was told under which key, for as long as that is known.
#[derive(Clone, Debug)]
pub(crate) struct Onces {
    /// By client and key.
    rows: Table<(String, Name), Told>,
    /// The first to be forgotten first. Follows from `rows`.
    queue: BTreeSet<(Age, (String, Name))>,
    /// Follows from `rows`.
    bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    at: Age,
    /// Of the command: a key is for one.
    digest: u64,
    reply: Reply,
}

impl Onces {
    pub(crate) fn new(seed: u64) -> Onces {
        Onces { rows: Table::new(seed), queue: BTreeSet::new(), bytes: 0 }
    }

    /// What was told before, under this key, if anything was.
    pub(crate) fn told(&self, client: &str, once: &Once) -> Option<Result<Reply, Rejection>> {
        let told = self.rows.get(&(client.to_owned(), once.key.clone()))?;
        let same = told.digest == digest(&once.what);
        Some(if same { Ok(told.reply.clone()) } else { Err(Rejection::KeyReused) })
    }

    pub(crate) fn keep(&mut self, client: &str, once: (Name, u64), reply: Reply, at: Age) {
        let ((key, digest), by) = (once, client.to_owned());
        self.insert((by, key), Told { at, digest, reply });
    }

    /// Forgets what was told long ago, or the oldest when there is much.
    pub(crate) fn sweep(&mut self, now: Age) {
        while let Some((at, _)) = self.queue.first() {
            let many = self.rows.len() > ONCE_MAX || self.bytes > ONCE_BYTES_MAX;
            if now.since(*at) < ONCE_MS && !many {
                return;
            }
            let Some((_, key)) = self.queue.pop_first() else { return };
            if let Some(told) = self.rows.remove(&key) {
                self.bytes = self.bytes.saturating_sub(weight(&key.1, &told));
            }
        }
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        self.rows.digest(how)
    }

    /// The same without what follows from the rest.
    pub(crate) fn rows(&self) -> Onces {
        Onces { rows: self.rows.clone(), queue: BTreeSet::new(), bytes: 0 }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Onces, RestoreError> {
        let mut onces = Onces::new(seed);
        let rows: Table<(String, Name), Told> = Table::restore(seed, from)?;
        for (key, told) in rows.iter() {
            onces.insert(key.clone(), told.clone());
        }
        Ok(onces)
    }

    fn insert(&mut self, key: (String, Name), told: Told) {
        self.bytes = self.bytes.saturating_add(weight(&key.1, &told));
        self.queue.insert((told.at, key.clone()));
        self.rows.insert(key, told);
    }
}

fn weight(key: &Name, told: &Told) -> u64 {
    told.reply.weight().saturating_add(key.as_str().len() as u64)
}

/// What tells one command from another, to whoever does not mean to confuse itself.
pub(crate) fn digest(what: &Keyed) -> u64 {
    table::digest(0, what)
}
