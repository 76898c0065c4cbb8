//! The machine at one moment, and back out of bytes.

use super::{AUDIT, HISTORY, KEYS, Machine, ONCES, PARTICIPANTS, SESSIONS, TRANSACTIONS};
use crate::{
    RestoreError, StateHash,
    audit::Audit,
    coding::{Decoder, Encoder},
    history::History,
    keys::Keys,
    once::Onces,
    participants::Participants,
    services::Services,
    sessions::Sessions,
    transactions::Transactions,
};

/// The first byte of an encoded state. It goes up when the meaning of the rest changes.
const VERSION: u8 = 10;

/// Everything that a machine holds at one moment.
///
/// Taking one is cheap, for it shares the machine's rows, each leaf of them until the machine
/// changes it; so it can be encoded at leisure, on another thread, while the machine goes on.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Without what follows from the rows.
    machine: Machine,
}

impl Machine {
    /// The state as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let machine = Machine {
            clock: self.clock,
            revision: self.revision,
            reign: self.reign,
            keys: self.keys.rows(),
            sessions: self.sessions.rows(),
            participants: self.participants.clone(),
            transactions: self.transactions.rows(),
            audit: self.audit.clone(),
            services: self.services.rows(),
            onces: self.onces.rows(),
            history: self.history.clone(),
        };
        Snapshot { machine }
    }

    /// The machine whose state these bytes are. The digest that was written with it must be the
    /// digest of what was read.
    pub fn restore(bytes: &[u8]) -> Result<Machine, RestoreError> {
        let mut from = Decoder::new(bytes);
        match from.take()? {
            VERSION => {}
            found => return Err(RestoreError::Version { found, known: VERSION }),
        }
        let (clock, revision, reign) = from.take()?;
        let machine = Machine {
            clock,
            revision,
            reign,
            keys: Keys::restore(KEYS, &mut from)?,
            sessions: Sessions::restore(SESSIONS, &mut from)?,
            participants: Participants::restore(PARTICIPANTS, &mut from)?,
            transactions: Transactions::restore(TRANSACTIONS, &mut from)?,
            audit: Audit::restore(AUDIT, &mut from)?,
            services: Services::restore(&mut from)?,
            onces: Onces::restore(ONCES, &mut from)?,
            history: History::restore(HISTORY, &mut from)?,
        };
        let (found, written) = (machine.hash(), from.take()?);
        match from.left() {
            0 if found == written => Ok(machine),
            0 => Err(RestoreError::OtherState { found, written }),
            left => Err(RestoreError::Malformed { left }),
        }
    }
}

impl Snapshot {
    /// The digest of the state.
    pub fn hash(&self) -> StateHash {
        self.machine.hash()
    }

    /// Hands the state's bytes to `sink`, in pieces. Equal states have equal bytes on every node.
    pub fn encode<E>(&self, mut sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut to = Encoder::new(&mut sink);
        let machine = &self.machine;
        to.put(&VERSION)?;
        to.put(&(machine.clock, machine.revision, machine.reign))?;
        machine.keys.encode(&mut to)?;
        machine.sessions.encode(&mut to)?;
        machine.participants.encode(&mut to)?;
        machine.transactions.encode(&mut to)?;
        machine.audit.encode(&mut to)?;
        machine.services.encode(&mut to)?;
        machine.onces.encode(&mut to)?;
        machine.history.encode(&mut to)?;
        to.put(&machine.hash())?;
        to.flush()
    }

    /// All of them at once.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let gathered = self.encode(|piece| {
            bytes.extend_from_slice(piece);
            Ok::<(), std::convert::Infallible>(())
        });
        match gathered {
            Ok(()) => bytes,
            Err(never) => match never {},
        }
    }
}
