//! A cluster in the process of a test, for whoever links this library: real nodes, real logs on
//! disk, mutual TLS, and no containers.
//!
//! ```
//! use synod_client::{Error, testing::Cluster};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! let mut cluster = Cluster::start(3).await?;
//! let client = cluster.client().await?;
//! client.kv().put("epoch", "7").await?;
//! cluster.crash(&client.leader().await?).await?;
//! assert!(client.kv().get("epoch").await?.is_some(), "no loss of one node is seen");
//! # Ok(())
//! # })
//! # }
//! ```

use std::{
    fmt::Write as _,
    fs, io,
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    time::Duration,
};

use synod_net::{
    Authority, AuthorityError, Identity, IdentityError, Name, Role, Who, settings::TlsFiles,
};
use synod_node::{Node, NodeError};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{Client, Config, Endpoint, Error};

/// Days that certificates are good for.
const DAYS: u32 = 30;
/// How long the port of a node that ended may be in use still.
const PORT_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at it.
const PORT_EVERY: Duration = Duration::from_millis(5);
const TIMEOUT: Duration = Duration::from_secs(5);
const SESSION_TTL: Duration = Duration::from_secs(10);

/// Nodes `n1`, `n2` and so on, on loopback, with their files in a directory that is gone when this
/// is. Dropped, they end as in a crash.
#[derive(Debug)]
pub struct Cluster {
    dir: TempDir,
    name: Name,
    authority: Authority,
    nodes: Vec<Place>,
}

/// Why there is no such cluster, or why it does not do so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// There is no place for files, or no port.
    #[error("no place for a cluster: {0}")]
    Io(#[from] io::Error),
    /// A certificate cannot be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// It is no name for a client.
    #[error(transparent)]
    Name(#[from] IdentityError),
    /// There are no clusters of so many nodes, or its file is none.
    #[error(transparent)]
    Config(#[from] synod_node::ConfigError),
    /// A node cannot run.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The cluster has no node of that name, or it runs, or does not run, already.
    #[error("there is no {node} to be {what}")]
    NoSuchNode {
        /// As asked.
        node: String,
        /// What was to be done with it.
        what: &'static str,
    },
}

/// A node's place. While nobody runs there its port is held, so that nobody else is given it.
#[derive(Debug)]
struct Place {
    address: SocketAddr,
    running: Option<Node>,
    port: Option<UdpSocket>,
}

impl Cluster {
    /// Starts a cluster of 1, 3, 5 or 7 nodes, on the runtime of the caller.
    pub async fn start(nodes: u16) -> Result<Cluster, ClusterError> {
        if nodes == 0 {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        }
        let (dir, name) = (tempfile::tempdir()?, Name::new("testing")?);
        let authority = Authority::create(&name)?;
        authority.save(&dir.path().join("ca.crt"), &dir.path().join("ca.key"))?;
        let places = (0..nodes).map(|_| Place::held());
        let places = places.collect::<Result<Vec<_>, io::Error>>()?;
        let mut cluster = Cluster { dir, name, authority, nodes: places };
        for place in 0..usize::from(nodes) {
            let own = node_name(place);
            cluster.issue(&own, Who::Node(Name::new(own.as_str())?))?;
            synod_node::format(&cluster.node_config(place)?)?;
        }
        for place in 0..usize::from(nodes) {
            cluster.run(place).await?;
        }
        Ok(cluster)
    }

    /// A client of it, which may do everything.
    pub async fn client(&self) -> Result<Client, ClusterClientError> {
        self.client_as("tester", Role::Admin).await
    }

    /// A client of another name and role.
    pub async fn client_as(&self, name: &str, role: Role) -> Result<Client, ClusterClientError> {
        Ok(Client::connect(self.config(name, role)?).await?)
    }

    /// The configuration of such a client, for one that connects by itself.
    pub fn config(&self, name: &str, role: Role) -> Result<Config, ClusterError> {
        let leaf = format!("client-{name}-{role:?}");
        if !self.file(&leaf, "crt").exists() {
            self.issue(&leaf, Who::Client { name: Name::new(name)?, role })?;
        }
        let endpoint = |(place, node): (usize, &Place)| {
            Ok(Endpoint {
                name: Name::new(node_name(place).as_str())?,
                address: node.address.to_string(),
            })
        };
        let endpoints = self.nodes.iter().enumerate().map(endpoint);
        Ok(Config {
            cluster: self.name.clone(),
            cluster_id: self.id(),
            endpoints: endpoints.collect::<Result<_, IdentityError>>()?,
            tls: TlsFiles {
                ca: self.file("ca", "crt"),
                cert: self.file(&leaf, "crt"),
                key: self.file(&leaf, "key"),
            },
            timeout: TIMEOUT,
            session_ttl: SESSION_TTL,
        })
    }

    /// The names of its nodes.
    pub fn nodes(&self) -> Vec<String> {
        (0..self.nodes.len()).map(node_name).collect()
    }

    /// Ends a node without a goodbye, as a crash would.
    pub async fn crash(&mut self, node: &str) -> Result<(), ClusterError> {
        let place = self.place(node, "ended", |place| place.running.is_some())?;
        if let Some(running) = self.nodes[place].running.take() {
            running.crash().await;
        }
        self.hold_port(place).await
    }

    /// Starts a node again that had ended, with what is on its disk.
    pub async fn restart(&mut self, node: &str) -> Result<(), ClusterError> {
        let place = self.place(node, "started", |place| place.running.is_none())?;
        self.run(place).await
    }

    /// Ends all of it in order.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        for node in self.nodes.iter_mut().filter_map(|place| place.running.take()) {
            node.stop().await?;
        }
        Ok(())
    }

    fn place(
        &self,
        node: &str,
        what: &'static str,
        fits: impl Fn(&Place) -> bool,
    ) -> Result<usize, ClusterError> {
        let mut places = self.nodes.iter().enumerate();
        let found = places.find(|(place, one)| node_name(*place) == node && fits(one));
        let none = || ClusterError::NoSuchNode { node: node.to_owned(), what };
        found.map(|(place, _)| place).ok_or_else(none)
    }

    async fn run(&mut self, place: usize) -> Result<(), ClusterError> {
        let config = self.node_config(place)?;
        self.nodes[place].port = None;
        self.nodes[place].running = Some(Node::start(config).await?);
        Ok(())
    }

    /// Of a process that ended the system would take the port at once; here its last connections
    /// let go of it a little later.
    async fn hold_port(&mut self, place: usize) -> Result<(), ClusterError> {
        let until = Instant::now() + PORT_WITHIN;
        loop {
            match UdpSocket::bind(self.nodes[place].address) {
                Ok(port) => break self.nodes[place].port = Some(port),
                Err(error) if Instant::now() >= until => return Err(error.into()),
                Err(_) => sleep(PORT_EVERY).await,
            }
        }
        Ok(())
    }

    fn issue(&self, leaf: &str, who: Who) -> Result<(), ClusterError> {
        let identity = Identity { cluster: self.name.clone(), who };
        let (cert, key) = (self.file(leaf, "crt"), self.file(leaf, "key"));
        Ok(self.authority.issue(&identity, DAYS, &cert, &key)?)
    }

    fn file(&self, leaf: &str, kind: &str) -> PathBuf {
        self.dir.path().join(format!("{leaf}.{kind}"))
    }

    /// Its first node's port tells it apart from others of its time.
    fn id(&self) -> u64 {
        self.nodes.first().map_or(1, |node| u64::from(node.address.port()))
    }

    fn node_config(&self, place: usize) -> Result<synod_node::Config, ClusterError> {
        let (own, id) = (node_name(place), place + 1);
        let mut text = format!(
            "cluster = \"{}\"\ncluster_id = \"{:x}\"\n[node]\nname = \"{own}\"\nid = {id}\n\
             data = \"{own}\"\nlisten = \"{}\"\n[tls]\nca = \"ca.crt\"\ncert = \"{own}.crt\"\n\
             key = \"{own}.key\"\n[http]\nlisten = \"127.0.0.1:0\"\n",
            self.name,
            self.id(),
            self.nodes[place].address
        );
        for (place, node) in self.nodes.iter().enumerate() {
            let (id, name, address) = (place + 1, node_name(place), node.address);
            let _never_fails =
                write!(text, "[[peer]]\nid = {id}\nname = \"{name}\"\naddress = \"{address}\"\n");
        }
        let path = self.file(&own, "toml");
        fs::write(&path, &text)?;
        Ok(synod_node::Config::parse(&text, &path)?)
    }
}

/// Why there is no client of a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterClientError {
    /// It has no certificate.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// It does not reach the cluster.
    #[error(transparent)]
    Client(#[from] Error),
}

impl Place {
    fn held() -> io::Result<Place> {
        let port = UdpSocket::bind("127.0.0.1:0")?;
        Ok(Place { address: port.local_addr()?, running: None, port: Some(port) })
    }
}

fn node_name(place: usize) -> String {
    format!("n{}", place + 1)
}
