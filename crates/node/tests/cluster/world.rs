//! A cluster: certificates, files, nodes that can be started, stopped and crashed.

use std::{
    mem::replace,
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    time::Duration,
};

use synod_net::{Authority, Credentials, Identity, Name, Role, Who};
use synod_node::{Config, Node, NodeError};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::asker::Asker;

/// How long anything here may take before it counts as never. Far above what it does take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const CLUSTER_ID: u64 = 0x5e1f_0c0f_fee5_ca1e;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The nodes of one cluster, by number from 1.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    authority: Authority,
    addresses: Vec<SocketAddr>,
    nodes: Vec<Slot>,
}

/// A node's place.
enum Slot {
    /// Nobody runs here; its port is held, so that no other test is given it.
    Empty {
        _port: UdpSocket,
    },
    Running(Node),
}

impl World {
    /// Files, certificates and empty stores for `count` nodes; none runs.
    pub(crate) fn prepared(count: usize) -> World {
        let dir = tempfile::tempdir().unwrap();
        let cluster = name("eu");
        let authority = Authority::create(&cluster).unwrap();
        authority.save(&dir.path().join("ca.crt"), &dir.path().join("ca.key")).unwrap();
        let ports: Vec<UdpSocket> =
            (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let addresses = ports.iter().map(|port| port.local_addr().unwrap()).collect();
        let nodes = ports.into_iter().map(|_port| Slot::Empty { _port }).collect();
        let world = World { dir, authority, addresses, nodes };
        for id in 1..=count {
            let own = format!("n{id}");
            world.issue(&own, Who::Node(name(&own)));
            synod_node::format(&world.config(id)).unwrap();
        }
        world
    }

    /// `count` nodes that run.
    pub(crate) async fn running(count: usize) -> World {
        let mut world = World::prepared(count);
        for id in 1..=count {
            world.start(id).await;
        }
        world
    }

    /// Writes `LEAF.crt` and `LEAF.key`.
    pub(crate) fn issue(&self, leaf: &str, who: Who) {
        let identity = Identity { cluster: name("eu"), who };
        let (cert, key) = (self.file(leaf, "crt"), self.file(leaf, "key"));
        self.authority.issue(&identity, 30, &cert, &key).unwrap();
    }

    fn file(&self, leaf: &str, kind: &str) -> PathBuf {
        self.dir.path().join(format!("{leaf}.{kind}"))
    }

    /// The text of a node's file.
    pub(crate) fn toml(&self, id: usize) -> String {
        let mut text = format!(
            "cluster = \"eu\"\ncluster_id = \"{CLUSTER_ID:016x}\"\n[node]\nname = \"n{id}\"\n\
             id = {id}\ndata = \"n{id}\"\nlisten = \"{}\"\n[tls]\nca = \"ca.crt\"\n\
             cert = \"n{id}.crt\"\nkey = \"n{id}.key\"\n",
            self.addresses[id - 1]
        );
        for (place, address) in self.addresses.iter().enumerate() {
            let peer = place + 1;
            text.push_str(&format!(
                "[[peer]]\nid = {peer}\nname = \"n{peer}\"\naddress = \"{address}\"\n"
            ));
        }
        text
    }

    pub(crate) fn parse(&self, text: &str) -> Config {
        Config::parse(text, &self.dir.path().join("node.toml")).unwrap()
    }

    pub(crate) fn config(&self, id: usize) -> Config {
        self.parse(&self.toml(id))
    }

    pub(crate) async fn start(&mut self, id: usize) {
        self.start_with(id, "").await;
    }

    /// Starts a node with more lines in its file.
    pub(crate) async fn start_with(&mut self, id: usize, more: &str) {
        self.let_go(id);
        let config = self.parse(&format!("{}{more}", self.toml(id)));
        let node = Node::start(config).await.unwrap();
        assert_eq!(node.address(), self.addresses[id - 1]);
        self.nodes[id - 1] = Slot::Running(node);
    }

    /// Frees the port of a node that is about to start.
    pub(crate) fn let_go(&mut self, id: usize) {
        let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
        self.nodes[id - 1] = Slot::Empty { _port: elsewhere };
    }

    pub(crate) fn node(&self, id: usize) -> &Node {
        match &self.nodes[id - 1] {
            Slot::Running(node) => node,
            Slot::Empty { .. } => panic!("n{id} does not run"),
        }
    }

    pub(crate) fn address(&self, id: usize) -> String {
        self.addresses[id - 1].to_string()
    }

    pub(crate) fn count(&self) -> usize {
        self.addresses.len()
    }

    /// Ends a node as a crash would.
    pub(crate) async fn crash(&mut self, id: usize) {
        self.take(id).crash().await;
        self.hold(id).await;
    }

    /// Ends a node in order.
    pub(crate) async fn stop(&mut self, id: usize) -> Result<(), NodeError> {
        let stopped = self.take(id).stop().await;
        self.hold(id).await;
        stopped
    }

    fn take(&mut self, id: usize) -> Node {
        let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
        match replace(&mut self.nodes[id - 1], Slot::Empty { _port: elsewhere }) {
            Slot::Running(node) => node,
            Slot::Empty { .. } => panic!("n{id} does not run"),
        }
    }

    /// Holds the port of a node that has ended, as soon as its last connections let go of it. (Of a
    /// process that ended, the system would take it at once.)
    async fn hold(&mut self, id: usize) {
        let until = Instant::now() + PATIENCE;
        loop {
            match UdpSocket::bind(self.addresses[id - 1]) {
                Ok(_port) => break self.nodes[id - 1] = Slot::Empty { _port },
                Err(error) => assert!(Instant::now() < until, "n{id}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A client with a certificate of its own.
    pub(crate) fn client(&self, own: &str, role: Role) -> Asker {
        self.issue(own, Who::Client { name: name(own), role });
        self.twin(own)
    }

    /// Another client with the certificate of one that was made before.
    pub(crate) fn twin(&self, own: &str) -> Asker {
        let (ca, cert, key) =
            (self.file("ca", "crt"), self.file(own, "crt"), self.file(own, "key"));
        let credentials = Credentials::load(&ca, &cert, &key).unwrap();
        let nodes = (1..=self.count()).map(|id| (format!("n{id}"), self.address(id))).collect();
        Asker::new(credentials, CLUSTER_ID, nodes)
    }
}

impl World {
    /// Waits until `count` calls wait at a node.
    pub(crate) async fn wait_in_flight(&self, id: usize, count: u64) {
        if !self.file("watcher", "crt").exists() {
            self.issue("watcher", Who::Client { name: name("watcher"), role: Role::Read });
        }
        let mut client = self.twin("watcher");
        let until = Instant::now() + PATIENCE;
        while client.status(&format!("n{id}")).await.requests_in_flight != count {
            assert!(Instant::now() < until, "never {count} calls at n{id}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
