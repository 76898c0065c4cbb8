use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use synod_machine::{
    BranchIncarnation,
    participant_door::{Info, Said},
};
use synod_net::{AskError, Who};
use tokio::time::{Instant, timeout};

use crate::{
    backoff::Backoff,
    error::{Reached, Unreached},
    wire::{Line, Wire, decode},
};

/// A handshake has two seconds in the mesh; a first answer that takes another is not going to come.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// After a failure nobody knocks again for so long, then twice as long, and so on.
const REST: Duration = Duration::from_millis(20);
/// And never longer than this.
const REST_MAX: Duration = Duration::from_millis(500);
/// What somebody says who has no place for another connection. Nothing else tells it from other
/// refusals; of one that says it in other words it is not known, and it is asked as others are.
const NO_ROOM: &str = "too many connections";

/// Somebody who can be asked: a node or a participant. Holds at most one connection, shared by all.
pub(crate) struct Party {
    name: String,
    address: String,
    who: Who,
    /// What it is asked first. In TLS 1.3 the side that dials is done before the other has looked
    /// at its certificate, so only an answer proves that one is welcome.
    greeting: Bytes,
    /// The store that a participant votes from, as the log says.
    store: Option<BranchIncarnation>,
    /// The connection, when there is one.
    line: Mutex<Option<Arc<Line>>>,
    /// Held while connecting, so that many callers make one connection.
    dialling: tokio::sync::Mutex<Dialling>,
    /// The last failure since the last success.
    trouble: Mutex<Option<Unreached>>,
    /// Whether it said, when it last said how it is, that its disk is full.
    disk_full: AtomicBool,
}

/// What came of making a connection ahead of need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoodBy {
    /// There is nothing left to do.
    Done,
    /// It is not there, or lets nobody in.
    Failed,
    /// It is there, and all its places are taken.
    NoRoom,
}

/// When to knock again.
struct Dialling {
    rest: Backoff,
    resting_until: Option<Instant>,
}

impl Dialling {
    /// At once.
    fn fresh() -> Dialling {
        Dialling { rest: Party::rest(), resting_until: None }
    }
}

impl Party {
    pub(crate) fn new(name: &str, address: &str, who: Who, greeting: Bytes) -> Party {
        Party {
            name: name.to_owned(),
            address: address.to_owned(),
            who,
            greeting,
            store: None,
            line: Mutex::new(None),
            dialling: tokio::sync::Mutex::new(Dialling::fresh()),
            trouble: Mutex::new(None),
            disk_full: AtomicBool::new(false),
        }
    }

    /// Another store that answers in its place has promised nothing of what this one has, and is
    /// not asked: a shard may have been started with a wrong directory.
    pub(crate) fn of_store(self, store: BranchIncarnation) -> Party {
        Party { store: Some(store), ..self }
    }

    pub(crate) fn store(&self) -> Option<BranchIncarnation> {
        self.store
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The connection; made when there is none. Fails at once while a failure is fresh.
    pub(crate) async fn line(&self, wire: &Wire) -> Result<Arc<Line>, Unreached> {
        if let Some(line) = self.standing() {
            return Ok(line);
        }
        let mut dialling = self.dialling.lock().await;
        // Somebody else may have made it meanwhile.
        if let Some(line) = self.standing() {
            return Ok(line);
        }
        if let (Some(until), Some(trouble)) = (dialling.resting_until, self.trouble())
            && Instant::now() < until
        {
            return Err(trouble);
        }
        match self.connect_in_time(wire).await {
            Ok(line) => {
                *dialling = Dialling::fresh();
                Ok(self.keep(line))
            }
            Err(error) => {
                dialling.resting_until = Some(Instant::now() + dialling.rest.next());
                Err(self.failed(&error))
            }
        }
    }

    /// Makes the connection ahead of need, when there is none and nobody is about to make one.
    /// Whoever needs one meanwhile does not wait for this one, which may have been begun when the
    /// other was not there yet.
    pub(crate) async fn stand_by(&self, wire: &Wire) -> StoodBy {
        if self.standing().is_some() || self.dialling.try_lock().is_err() {
            return StoodBy::Done;
        }
        match self.connect_in_time(wire).await {
            Ok(line) => {
                self.keep(line);
                // Whoever holds it finds out by itself.
                if let Ok(mut dialling) = self.dialling.try_lock() {
                    *dialling = Dialling::fresh();
                }
                StoodBy::Done
            }
            // It may stand by now, and then nothing is wrong.
            Err(_) if self.standing().is_some() => StoodBy::Done,
            Err(error) if self.failed(&error).why == NO_ROOM => StoodBy::NoRoom,
            Err(_) => StoodBy::Failed,
        }
    }

    /// Lets go of this connection, which does not answer any more, and of no other. Questions on it
    /// go on.
    pub(crate) fn hang_up(&self, line: &Arc<Line>) {
        self.held().take_if(|held| Arc::ptr_eq(held, line));
    }

    /// Why it cannot be reached, as far as is known.
    pub(crate) fn trouble(&self) -> Option<Unreached> {
        self.trouble.lock().expect("nothing panics while it is held").clone()
    }

    /// As [`Party::trouble`]; when nothing went wrong so far, nothing has been heard either.
    pub(crate) fn trouble_or_silence(&self) -> Unreached {
        self.trouble().unwrap_or_else(|| Unreached {
            name: self.name.clone(),
            address: self.address.clone(),
            why: "no answer in time".to_owned(),
            identity: false,
        })
    }

    /// How it could last be reached; whether it leads is known to others.
    pub(crate) fn reached(&self, leads: bool) -> Reached {
        let how = match self.standing() {
            Some(_) if self.is_disk_full() => "connected; its disk is full".to_owned(),
            Some(_) if leads => "connected; says that it leads".to_owned(),
            Some(_) => "connected; does not say that it leads".to_owned(),
            None => self.trouble_or_silence().cause(),
        };
        Reached { name: self.name.clone(), address: self.address.clone(), how }
    }

    /// It has said how its disk is.
    pub(crate) fn note_disk_full(&self, full: bool) {
        self.disk_full.store(full, Ordering::Relaxed);
    }

    /// Whether it is there, and writes nothing because its disk is full.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed) && self.standing().is_some()
    }

    /// The round trip, when connected.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.standing().map(|line| line.rtt())
    }

    /// The pauses between attempts to reach somebody.
    pub(crate) fn rest() -> Backoff {
        Backoff::new(REST, REST_MAX)
    }

    async fn connect_in_time(&self, wire: &Wire) -> Result<Line, AskError> {
        // On the heap: everybody who asks carries this along, and hardly anybody dials.
        let connecting = Box::pin(timeout(CONNECT_PATIENCE, self.connect(wire)));
        connecting.await.unwrap_or_else(|_| {
            let why = format!("no answer in {} s", CONNECT_PATIENCE.as_secs());
            Err(AskError::Connect { address: self.address.clone(), why, identity: false })
        })
    }

    async fn connect(&self, wire: &Wire) -> Result<Line, AskError> {
        let line = wire.connect(&self.address, &self.who).await?;
        let said = line.ask(self.greeting.clone()).await?;
        match (self.store, decode(&said)) {
            (Some(known), Some(Said::Info(Info { incarnation: found, .. }))) if found != known => {
                let why = format!(
                    "it answers from another store ({:016x}) than the cluster knows ({:016x})",
                    found.0, known.0
                );
                Err(AskError::Connect { address: self.address.clone(), why, identity: false })
            }
            // Who may not ask for it is not told, and goes by the address.
            _ => Ok(line),
        }
    }

    /// From now on it is this one, unless another stands.
    fn keep(&self, line: Line) -> Arc<Line> {
        self.set_trouble(None);
        let mut held = self.held();
        if let Some(standing) = held.as_ref().filter(|line| !line.is_closed()) {
            return Arc::clone(standing);
        }
        Arc::clone(held.insert(Arc::new(line)))
    }

    fn failed(&self, error: &AskError) -> Unreached {
        let unreached = Unreached::new(&self.name, &self.address, error);
        tracing::debug!(peer = %self.name, address = %self.address, why = %unreached.why,
            "not connected");
        self.set_trouble(Some(unreached.clone()));
        unreached
    }

    fn standing(&self) -> Option<Arc<Line>> {
        self.held().as_ref().filter(|line| !line.is_closed()).cloned()
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Line>>> {
        self.line.lock().expect("nothing panics while it is held")
    }

    fn set_trouble(&self, trouble: Option<Unreached>) {
        *self.trouble.lock().expect("nothing panics while it is held") = trouble;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use synod_net::{Authority, Credentials, Identity, Name, Role};

    use super::*;

    /// The words are those of a real door.
    #[tokio::test]
    async fn somebody_without_room_is_told_from_somebody_who_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = |file: &str| dir.path().join(file);
        let name = |name: &str| Name::new(name).unwrap();
        let authority = Authority::create(&name("loop")).unwrap();
        authority.save(&path("ca.crt"), &path("ca.key")).unwrap();
        let wire = |leaf: &str, role| {
            let who = Who::Client { name: name(leaf), role };
            let identity = Identity { cluster: name("loop"), who: who.clone() };
            let (cert, key) = (path(&format!("{leaf}.crt")), path(&format!("{leaf}.key")));
            authority.issue(&identity, 30, &cert, &key).unwrap();
            let credentials = Credentials::load(&path("ca.crt"), &cert, &key);
            (who, Wire::quic(credentials.unwrap(), 7).unwrap())
        };
        let (east, listening) = wire("east", Role::Participant);
        let (_, asking) = wire("app", Role::Write);
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let (server, _asked) = listening.listen(loopback).await.unwrap();
        let address = server.address().to_string();
        let mut lines = Vec::new();
        while let Ok(line) = asking.connect(&address, &east).await {
            lines.push(line);
        }
        let party = Party::new("east", &address, east, Bytes::from_static(b"hello"));
        assert_eq!(party.stand_by(&asking).await, StoodBy::NoRoom, "{:?}", party.trouble());
        server.close().await;
        assert_eq!(party.stand_by(&asking).await, StoodBy::Failed);
    }
}
