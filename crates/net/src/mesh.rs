use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinSet};
use tracing::debug;

use crate::{
    AskError, Asked, Counters, Credentials, Identity, Name, NetError, Who,
    bye::Bye,
    channel,
    counters::Tally,
    link::Link,
    listener::{self, Arrived, Guests, Listener},
    server,
    tls::{self, Pace},
};

/// Events that may wait for the mesh's owner; beyond it, QUIC's flow control holds the senders.
const EVENTS_MAX: usize = 1_024;
/// The first wait after a failed attempt to connect; it doubles, with jitter, up to the last.
const BACKOFF_MIN: Duration = Duration::from_millis(15);
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// An attempt may take this long at first, and more after each failure: quick where a peer is being
/// restarted next door, patient across an ocean.
const ATTEMPT_MIN: Duration = Duration::from_millis(250);
const ATTEMPT_MAX: Duration = Duration::from_secs(5);

/// How urgent a frame is. Lanes never wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Heartbeats, phase 1, read barriers: newest replace older ones when the queue is full.
    Control,
    /// Phase 2.
    Log,
    /// Catch-up.
    Bulk,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its name; its certificate must say the same.
    pub name: Name,
    /// `host:port`, resolved at every attempt to connect.
    pub address: String,
}

/// What a mesh is told once.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// This node's proof of identity.
    pub credentials: Credentials,
    /// Tells two clusters of one name apart; both sides of a connection must have the same.
    pub cluster_id: u64,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Every other node. Of two, the one whose name sorts lower dials.
    pub peers: Vec<PeerAddress>,
}

/// What a mesh hears.
#[derive(Debug)]
pub enum Event {
    /// A frame of a peer.
    Frame {
        /// Whose certificate it came under.
        from: Name,
        /// On which lane.
        lane: Lane,
        /// What it carries.
        body: Bytes,
    },
    /// A client asks something.
    Asked(Asked),
    /// A connection to this peer stands.
    Up(Name),
    /// It is gone; it will be dialled again.
    Down(Name),
}

/// The node's end of all its connections. It ends with its last clone.
#[derive(Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
}

struct Shared {
    links: BTreeMap<Name, Arc<Link>>,
    listener: Arc<Listener>,
    address: SocketAddr,
    tally: Arc<Tally>,
    // Held: dropping it ends them.
    _tasks: JoinSet<()>,
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.listener.endpoint.close(Bye::Stopping.code(), b"stopping");
    }
}

impl Mesh {
    /// Listens, and dials those peers that this node has to dial, for as long as the mesh lives.
    pub async fn open(config: MeshConfig) -> Result<(Mesh, mpsc::Receiver<Event>), NetError> {
        let tally = Arc::new(Tally::default());
        let alpns = [tls::ALPN_PEER, tls::ALPN_CLIENT];
        let listener =
            Listener::open(config.listen, &config.credentials, &alpns, Arc::clone(&tally))?;
        let (listener, address) = (Arc::new(listener), config.listen);
        let address = listener.address().unwrap_or(address);
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let links: BTreeMap<_, _> = config
            .peers
            .iter()
            .map(|peer| (peer.name.clone(), Arc::new(Link::new(peer.name.clone()))))
            .collect();
        let mut tasks = JoinSet::new();
        let port = Port {
            links: links.clone(),
            own: own_name(&config.credentials),
            cluster_id: config.cluster_id,
            guests: Arc::default(),
            events: events.clone(),
            tally: Arc::clone(&tally),
        };
        let accepting = Arc::clone(&listener);
        tasks.spawn(async move {
            accepting.accept(move |arrived| port.clone().receive(arrived)).await;
        });
        for peer in &config.peers {
            let Some(link) = links.get(&peer.name) else { continue };
            if own_name(&config.credentials).is_some_and(|own| own < peer.name) {
                let dialling = Dialling {
                    link: Arc::clone(link),
                    address: peer.address.clone(),
                    endpoint: listener.endpoint.clone(),
                    credentials: config.credentials.clone(),
                    cluster_id: config.cluster_id,
                    events: events.clone(),
                    tally: Arc::clone(&tally),
                };
                tasks.spawn(dialling.forever());
            }
        }
        let shared = Shared { links, listener, address, tally, _tasks: tasks };
        Ok((Mesh { shared: Arc::new(shared) }, receiver))
    }

    /// Queues a frame; never waits. What does not fit the peer's queue, or cannot be sent because no
    /// connection stands, is dropped and counted.
    pub fn send(&self, to: &Name, lane: Lane, body: Bytes) {
        if let Some(link) = self.shared.links.get(to) {
            link.send(lane, body, &self.shared.tally);
        }
    }

    /// The smoothed round trip to a connected peer.
    pub fn rtt(&self, peer: &Name) -> Option<Duration> {
        self.shared.links.get(peer)?.rtt()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        self.shared.tally.read()
    }

    /// Says goodbye to every connection and stops.
    pub async fn close(&self) {
        server::goodbye(&self.shared.listener).await;
    }
}

fn own_name(credentials: &Credentials) -> Option<Name> {
    match &credentials.identity().who {
        Who::Node(name) => Some(name.clone()),
        Who::Client { .. } => None,
    }
}

/// What an incoming connection meets.
#[derive(Clone)]
struct Port {
    links: BTreeMap<Name, Arc<Link>>,
    own: Option<Name>,
    cluster_id: u64,
    guests: Arc<Guests>,
    events: mpsc::Sender<Event>,
    tally: Arc<Tally>,
}

impl Port {
    async fn receive(self, arrived: Arrived) {
        if arrived.alpn == tls::ALPN_PEER {
            return self.receive_peer(arrived).await;
        }
        let events = self.events.clone();
        let hand_over = move |asked| {
            let events = events.clone();
            // A closed channel means that the node stops: the asker sees it end.
            async move { drop(events.send(Event::Asked(asked)).await) }
        };
        server::serve_client(arrived, self.cluster_id, &self.guests, self.tally, hand_over).await;
    }

    async fn receive_peer(self, arrived: Arrived) {
        let Arrived { connection, identity, .. } = arrived;
        let refused = |why: &str| {
            let why = format!("{identity}: {why}");
            listener::refuse(&self.tally, &connection, Bye::WrongIdentity, &why);
        };
        let Who::Node(name) = &identity.who else {
            return refused("a client may not open a connection between nodes");
        };
        let Some(link) = self.links.get(name) else {
            return refused("no node of this cluster");
        };
        if self.own.as_ref().is_none_or(|own| own <= name) {
            return refused("of two nodes the one whose name sorts lower dials");
        }
        link.serve(connection, self.cluster_id, &self.events, &self.tally).await;
    }
}

/// Keeps a connection to one peer.
struct Dialling {
    link: Arc<Link>,
    address: String,
    endpoint: quinn::Endpoint,
    credentials: Credentials,
    cluster_id: u64,
    events: mpsc::Sender<Event>,
    tally: Arc<Tally>,
}

impl Dialling {
    async fn forever(self) {
        let mut failures = 0;
        loop {
            let patience = ATTEMPT_MIN.saturating_mul(1 << failures.min(5)).min(ATTEMPT_MAX);
            match tokio::time::timeout(patience, self.dial()).await {
                Ok(Ok(connection)) => {
                    failures = 0;
                    self.link.serve(connection, self.cluster_id, &self.events, &self.tally).await;
                }
                Ok(Err(error)) => {
                    failures += 1;
                    debug!(peer = %self.link.name, %error, "cannot connect");
                }
                Err(_) => failures += 1,
            }
            tokio::time::sleep(backoff(failures)).await;
        }
    }

    async fn dial(&self) -> Result<quinn::Connection, AskError> {
        let peer = Identity {
            cluster: self.credentials.identity().cluster.clone(),
            who: Who::Node(self.link.name.clone()),
        };
        channel::dial(
            &self.endpoint,
            &self.credentials,
            tls::ALPN_PEER,
            &peer,
            &self.address,
            &Pace::PEER,
        )
        .await
    }
}

/// Exponential, with up to half of it by chance, so that two nodes do not knock in step.
fn backoff(failures: u32) -> Duration {
    let full = BACKOFF_MIN.saturating_mul(1 << failures.min(10)).min(BACKOFF_MAX);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}
