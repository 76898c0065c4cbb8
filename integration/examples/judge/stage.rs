//! A cluster whose every link goes through a relay, and two shards.

use std::{fs, net::SocketAddr, path::PathBuf};

use synod_client::net::{Conditions, Relay};
use synod_integration::{Cluster, Options};

use crate::money::SHARDS;

/// The stage and everything on it.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    nodes: u16,
    /// One for each pair of nodes.
    links: Vec<Relay>,
}

impl Stage {
    /// Starts everything.
    pub(crate) async fn new(nodes: u16, seed: u64) -> Stage {
        let cluster = Cluster::init(&Options { nodes, participants: SHARDS.to_vec() });
        let mut stage = Stage { cluster, nodes, links: Vec::new() };
        stage.lay_links(seed).await;
        tokio::task::block_in_place(|| {
            for node in stage.names() {
                stage.cluster.start_node(&node);
            }
            stage.cluster.await_leader();
            for shard in SHARDS {
                stage.cluster.start_shard(shard);
            }
        });
        stage
    }

    pub(crate) fn names(&self) -> Vec<String> {
        (1..=self.nodes).map(|node| format!("n{node}")).collect()
    }

    pub(crate) fn client_config(&self) -> PathBuf {
        self.cluster.config("client").into()
    }

    pub(crate) fn links(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn set_link(&self, place: usize, conditions: Conditions) {
        self.links[place].set(conditions);
    }

    /// Of two nodes the one whose name sorts lower dials: in its file, the other is behind a relay.
    async fn lay_links(&mut self, seed: u64) {
        let names = self.names();
        let addresses: Vec<_> = names.iter().map(|name| self.listens(name)).collect();
        for (place, name) in names.iter().enumerate() {
            let path = self.cluster.config(name);
            let mut text = fs::read_to_string(&path).unwrap();
            for address in &addresses[place + 1..] {
                let relay = Relay::start(*address, seed + self.links.len() as u64).await.unwrap();
                text = text.replace(&format!("\"{address}\""), &format!("\"{}\"", relay.address()));
                self.links.push(relay);
            }
            fs::write(&path, text).unwrap();
        }
    }

    fn listens(&self, name: &str) -> SocketAddr {
        let text = fs::read_to_string(self.cluster.config(name)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("listen = \"")).unwrap();
        line.split('"').next().unwrap().parse().unwrap()
    }

    /// Whether the nodes have found no difference between their states.
    pub(crate) fn states_agree(&self) -> Result<(), String> {
        let status = self.cluster.tool(&["status", "-o", "json", "--timeout", "20s"]);
        let status = status.json();
        match &status["states_agree"] {
            serde_json::Value::Bool(true) => Ok(()),
            _ => Err(format!("{status}")),
        }
    }
}
