use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::{
    Asked, Congestion, Counters, Credentials, Identity, Name, NetError, Who,
    bye::Bye,
    dialling::Dialling,
    guests::Guests,
    knock::Knock,
    limits::Limits,
    link::Link,
    listener::{Arrived, House, Listener},
    server, tls,
};

/// Events that may wait for the mesh's owner; beyond it, QUIC's flow control holds the senders.
const EVENTS_MAX: usize = 1_024;

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
    /// Every other node. Of two, the one whose name sorts lower dials; the other tells it, when it
    /// starts, that it is there.
    pub peers: Vec<PeerAddress>,
    /// How much is sent at a time, to peers and clients.
    pub congestion: Congestion,
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
    // Held: dropping it ends them.
    tasks: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.listener.close();
    }
}

impl Mesh {
    /// Listens, and dials those peers that this node has to dial, for as long as the mesh lives.
    pub async fn open(config: MeshConfig) -> Result<(Mesh, mpsc::Receiver<Event>), NetError> {
        Mesh::open_with(config, Limits::DEFAULT)
    }

    pub(crate) fn open_with(
        config: MeshConfig,
        limits: Limits,
    ) -> Result<(Mesh, mpsc::Receiver<Event>), NetError> {
        let MeshConfig { credentials, cluster_id, listen, peers, congestion } = config;
        let house = Arc::new(House::new(&credentials, cluster_id, limits, congestion));
        let alpns = [tls::ALPN_PEER, tls::ALPN_KNOCK, tls::ALPN_CLIENT];
        let listener = Listener::open(listen, &credentials, &alpns, Arc::clone(&house))?;
        let listener = Arc::new(listener);
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let cluster = &credentials.identity().cluster;
        let links: BTreeMap<_, _> = peers
            .iter()
            .map(|peer| (peer.name.clone(), Arc::new(link(cluster, &peer.name))))
            .collect();
        let mut tasks = JoinSet::new();
        let port = Port {
            links: links.clone(),
            own: own_name(&credentials),
            guests: Arc::new(Guests::new(limits)),
            turnstile: Arc::default(),
            house: Arc::clone(&house),
            events: events.clone(),
        };
        let accepting = Arc::clone(&listener);
        tasks.spawn(async move {
            accepting.accept(move |arrived| port.clone().receive(arrived)).await;
        });
        for peer in peers {
            let Some(link) = links.get(&peer.name) else { continue };
            if own_name(&credentials).is_some_and(|own| own < peer.name) {
                let dialling = Dialling {
                    link: Arc::clone(link),
                    address: peer.address,
                    endpoint: listener.endpoint.clone(),
                    credentials: credentials.clone(),
                    house: Arc::clone(&house),
                    events: events.clone(),
                };
                tasks.spawn(dialling.forever());
            } else {
                let knock = Knock {
                    at: link.identity.clone(),
                    address: peer.address,
                    endpoint: listener.endpoint.clone(),
                    credentials: credentials.clone(),
                    house: Arc::clone(&house),
                };
                tasks.spawn(knock.once());
            }
        }
        Ok((
            Mesh { shared: Arc::new(Shared { links, listener, tasks: Mutex::new(tasks) }) },
            receiver,
        ))
    }

    /// Queues a frame of at least one byte; never waits. What does not fit the peer's queue, or
    /// cannot be sent because no connection stands, is dropped and counted.
    pub fn send(&self, to: &Name, lane: Lane, body: Bytes) {
        if let Some(link) = self.shared.links.get(to) {
            link.send(lane, body, &self.shared.listener.house);
        }
    }

    /// The smoothed round trip to a connected peer.
    pub fn rtt(&self, peer: &Name) -> Option<Duration> {
        self.shared.links.get(peer)?.rtt()
    }

    /// What decides how much is sent to a connected peer at a time.
    #[cfg(test)]
    pub(crate) fn congestion(&self, peer: &Name) -> Option<Congestion> {
        self.shared.links.get(peer)?.congestion()
    }

    /// Packets to a peer that were lost, as QUIC counts them, since the mesh was opened: however
    /// often the connection was made anew, this never falls.
    pub fn lost_packets(&self, peer: &Name) -> u64 {
        self.shared.links.get(peer).map_or(0, |link| link.lost_packets())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.listener.address()
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        self.shared.listener.house.tally.read()
    }

    /// Says goodbye to every connection and stops; nobody is dialled again.
    pub async fn close(&self) {
        self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.shared.listener.goodbye().await;
    }
}

fn link(cluster: &Name, name: &Name) -> Link {
    let identity = Identity { cluster: cluster.clone(), who: Who::Node(name.clone()) };
    Link::new(identity, name.clone())
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
    guests: Arc<Guests>,
    /// Of all questions only one at a time stands in line with the peers' frames, so that a crowd
    /// of clients cannot hold up a heartbeat.
    turnstile: Arc<tokio::sync::Mutex<()>>,
    house: Arc<House>,
    events: mpsc::Sender<Event>,
}

impl Port {
    async fn receive(self, arrived: Arrived) {
        match &*arrived.alpn {
            tls::ALPN_CLIENT => self.receive_client(arrived).await,
            tls::ALPN_KNOCK => self.receive_knock(arrived).await,
            _ => self.receive_peer(arrived).await,
        }
    }

    async fn receive_client(self, arrived: Arrived) {
        let Port { house, guests, events, turnstile, .. } = self;
        let hand_over = move |asked| {
            let (events, turnstile) = (events.clone(), Arc::clone(&turnstile));
            async move {
                let _turn = turnstile.lock().await;
                // A closed channel means that the node stops: the asker sees it end.
                let _stops = events.send(Event::Asked(asked)).await;
            }
        };
        server::serve_client(arrived, &house, &guests, hand_over).await;
    }

    async fn receive_peer(self, arrived: Arrived) {
        let Some(link) = self.link_of(&arrived) else { return };
        if let Some(connection) = arrived.welcome(&self.house).await {
            link.serve(connection, &self.house, &self.events).await;
        }
    }

    async fn receive_knock(self, arrived: Arrived) {
        let Some(link) = self.link_of(&arrived) else { return };
        link.knocked.notify_one();
        if let Some(connection) = arrived.welcome(&self.house).await {
            // Whoever knocked leaves when it has heard the answer.
            let _left = timeout(self.house.limits.hello, connection.closed()).await;
        }
    }

    /// The tie to one who may open such a connection between nodes. Another is sent away.
    fn link_of(&self, arrived: &Arrived) -> Option<Arc<Link>> {
        let refuse = |why: &str| {
            self.house.refuse(&arrived.connection, Bye::WrongIdentity, why);
            None
        };
        let Who::Node(name) = &arrived.identity.who else {
            return refuse(&format!("{} may not act as a node", arrived.identity.who));
        };
        let Some(link) = self.links.get(name) else {
            return refuse(&format!("{} is no peer of this node", arrived.identity.who));
        };
        // Else both would dial, and take each other's connection away for ever.
        let dials = self.own.as_ref().is_some_and(|own| name < own);
        match (dials, &*arrived.alpn) {
            (false, tls::ALPN_PEER) => refuse("of two nodes the one whose name sorts lower dials"),
            (true, tls::ALPN_KNOCK) => refuse("who is to dial this node need not knock"),
            _ => Some(Arc::clone(link)),
        }
    }
}
