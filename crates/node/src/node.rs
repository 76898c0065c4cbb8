//! A node from outside: started, running, stopped.

use std::{future::Future, net::SocketAddr, path::PathBuf};

use synod_net::{Credentials, Mesh, MeshConfig};
use synod_paxos::{Decree, Durable, Slot};
use synod_replica::{Replica, Restored};
use synod_store::{Shelf, Store, StoreError};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tracing::{info, warn};

use crate::{
    Config, NodeError,
    calls::Calls,
    clock::Clock,
    disk::Disk,
    driver::{Driver, Ears, QUESTIONS_MAX, Question, State},
    metrics::{DoorMetrics, Metrics},
    page,
    pages::Pages,
    reign::ReignWatch,
    roster::Roster,
    shelf::{self, Shelves},
};

/// Makes the empty store of a new node. Refuses when there is one: a store is never formatted by a
/// start, because an empty directory where there was a store means that votes were lost.
pub fn format(config: &Config) -> Result<(), NodeError> {
    Store::format(&config.data(), &config.store_identity())?;
    Ok(())
}

/// A running node.
///
/// Dropping it ends it without a goodbye, as a crash would; [`Node::stop`] ends it in order.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    http_address: SocketAddr,
    questions: mpsc::Sender<Question>,
    door_metrics: DoorMetrics,
    driver: JoinHandle<Result<(), NodeError>>,
    pages: JoinHandle<()>,
    /// Resolves when the store is closed and its directory can be opened again.
    store_closed: oneshot::Receiver<()>,
}

impl Node {
    /// Opens the store, listens, and runs from here on, on the runtime of the caller.
    pub async fn start(config: Config) -> Result<Node, NodeError> {
        let credentials = config.credentials()?;
        let opened = Store::open(&config.data(), &config.store_identity())?;
        Node::start_on(config, credentials, opened, Clock::new()).await
    }

    async fn start_on(
        config: Config,
        credentials: Credentials,
        opened: (Store, Durable),
        clock: Clock,
    ) -> Result<Node, NodeError> {
        let certificate_ends_at = credentials.ends_at();
        let shelf = Shelf::new(&config.data(), config.cluster_id());
        let (store, replica) = recover(&config, opened, &shelf)?;
        // Before the mesh: a node whose page has no place is not heard by its peers at all.
        let listener = listen(config.http_listen()).await?;
        let http_address = listener
            .local_addr()
            .map_err(|source| NodeError::Http { address: config.http_listen(), source })?;
        let (mesh, events) = Mesh::open(MeshConfig {
            credentials,
            cluster_id: config.cluster_id(),
            listen: config.listen(),
            peers: config.peer_addresses(),
            congestion: config.congestion(),
        })
        .await?;
        let address = mesh.address();
        let (disk, done, store_closed) = Disk::start(store).map_err(NodeError::Thread)?;
        let (shelves, shelved) =
            Shelves::start(shelf, config.snapshot_bytes_per_s()).map_err(NodeError::Thread)?;
        let metrics = Metrics::new(certificate_ends_at);
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        // At most one message a call, and calls are bounded.
        let (gone, gone_callers) = mpsc::unbounded_channel();
        let driver = Driver {
            clock,
            roster: Roster::new(&config),
            replica,
            mesh,
            disk,
            shelves,
            calls: Calls::new(config.requests_max(), config.requests_per_client_max()),
            gone,
            metrics: metrics.clone(),
            reign: ReignWatch::default(),
            certificate_ends_at,
            stop_within: config.stop_within(),
            state: State::default(),
        };
        let ears = Ears {
            mesh: events,
            disk: done,
            shelves: shelved,
            questions: asked,
            gone: gone_callers,
        };
        let limits = page::Limits::new(config.http_connections_max());
        let door_metrics = metrics.door();
        let pages = Pages { questions: questions.clone(), metrics, data: config.data() };
        info!(node = config.name(), %address, %http_address, "started");
        Ok(Node {
            address,
            http_address,
            questions,
            door_metrics,
            driver: tokio::spawn(run(driver, ears, config.data())),
            pages: tokio::spawn(page::serve(listener, pages, limits)),
            store_closed,
        })
    }

    /// Where peers and clients are heard.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics are served.
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Where the door for programs without a client of ours counts.
    pub fn door_metrics(&self) -> DoorMetrics {
        self.door_metrics.clone()
    }

    /// Runs until `shutdown` resolves, then stops in order; or until the node has to end by itself,
    /// which is the error.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
        tokio::select! {
            ended = &mut self.driver => flat(ended),
            () = shutdown => self.stop().await,
        }
    }

    /// Refuses what is new, finishes what is under way, lets another node lead, closes the store.
    /// Returns within `timing.stop_within_ms` and a second more.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        // A driver that has ended already says why below.
        let _ended = self.questions.send(Question::Stop).await;
        let ended = flat((&mut self.driver).await);
        let _stuck = tokio::time::timeout(STORE_CLOSES_WITHIN, &mut self.store_closed).await;
        ended
    }

    /// Ends without a goodbye, as a crash would, and returns when the store's directory can be
    /// opened again: for tests and benches that bring the node back.
    pub async fn crash(mut self) {
        self.driver.abort();
        let _cancelled = (&mut self.driver).await;
        let _closed = (&mut self.store_closed).await;
    }
}

/// How long a stop waits for a disk that is stuck. The process ends then, and the system closes it.
const STORE_CLOSES_WITHIN: std::time::Duration = std::time::Duration::from_millis(500);

impl Drop for Node {
    fn drop(&mut self) {
        self.driver.abort();
        self.pages.abort();
    }
}

/// Runs the driver. Of a store that is older than its node no later process shall make use.
async fn run(driver: Driver, ears: Ears, data: PathBuf) -> Result<(), NodeError> {
    let ended = driver.run(ears).await;
    if let Err(NodeError::OlderDisk { .. }) = &ended
        && let Err(error) = Store::refuse_as_older(&data)
    {
        warn!(%error, "the next start will have to find out again that the store is older");
    }
    ended
}

fn flat(ended: Result<Result<(), NodeError>, tokio::task::JoinError>) -> Result<(), NodeError> {
    ended.unwrap_or(Err(NodeError::Panicked))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(address).await.map_err(|source| NodeError::Http { address, source })
}

/// Makes the replica that store and shelf remember: the newest snapshot, and what was chosen since.
///
/// Where snapshots were lost and the log begins later, the state comes from a peer. That is safe:
/// the votes and the promise are in the log, and what was trimmed is chosen for ever. A node
/// without peers has nobody to ask. A start that is refused has removed nothing.
fn recover(
    config: &Config,
    (store, durable): (Store, Durable),
    shelf: &Shelf,
) -> Result<(Store, Replica), NodeError> {
    let restored = shelf::restored(shelf)?;
    let (applied, trimmed) = (restored.applied, durable.trimmed);
    if applied < trimmed {
        if config.voters().len() == 1 {
            return Err(NodeError::StateLost { path: config.data(), trimmed: trimmed.get() });
        }
        warn!(%applied, %trimmed, "no snapshot reaches the log; a peer will be asked for one");
    }
    let (seed, lost) = (fastrand::u64(..), restored.lost.clone());
    let mut log = Log::new(&store, &restored, &durable);
    let replica = Replica::recover(config.replica(), durable, restored, &mut log, seed);
    match log.failed {
        // The replica has swallowed slots that could not be read: it must not live.
        Some(error) => Err(error.into()),
        None => {
            shelf::clear(shelf, &lost)?;
            Ok((store, replica))
        }
    }
}

/// Bytes of the log in memory at once while it is applied at the start.
const RECOVER_BYTES_MAX: usize = 8 << 20;

/// The chosen decrees of a store in order, read a page at a time. A replica takes a log without a
/// gap; when a page cannot be read, the rest is made up and `failed` says that it was.
struct Log<'a> {
    store: &'a Store,
    next: Slot,
    upto: Slot,
    page: std::vec::IntoIter<(Slot, Decree)>,
    failed: Option<StoreError>,
}

impl<'a> Log<'a> {
    fn new(store: &'a Store, restored: &Restored, durable: &Durable) -> Log<'a> {
        let begins_later = restored.applied < durable.trimmed;
        let upto = if begins_later { Slot::ZERO } else { durable.chosen_upto };
        let next = restored.applied.next();
        Log { store, next, upto, page: Vec::new().into_iter(), failed: None }
    }

    fn turn_page(&mut self) {
        if self.page.len() > 0 || self.failed.is_some() {
            return;
        }
        match self.store.chosen(self.next, self.upto, RECOVER_BYTES_MAX) {
            Ok(page) => self.page = page.into_iter(),
            Err(error) => self.failed = Some(error),
        }
    }
}

impl Iterator for Log<'_> {
    type Item = (Slot, Decree);

    fn next(&mut self) -> Option<(Slot, Decree)> {
        if self.next > self.upto {
            return None;
        }
        self.turn_page();
        let slot = self.next;
        self.next = slot.next();
        if self.failed.is_some() {
            return Some((slot, Decree::Noop));
        }
        let (read, decree) = self.page.next()?;
        assert!(read == slot, "the store gave slot {read} where {slot} was due");
        Some((slot, decree))
    }
}

#[cfg(test)]
mod tests;
