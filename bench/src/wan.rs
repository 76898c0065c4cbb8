//! A cluster whose nodes lie far apart: a relay in front of every way, in this process.

use std::{collections::BTreeMap, net::SocketAddr};

use synod_client::net::{Conditions, Relay};
use tokio::runtime::{Builder, Runtime};

use crate::BenchError;

/// Whoever asks the nodes, as one end of a way.
pub(crate) const CLIENT: &str = "client";

/// How the ways are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ways {
    /// From each node to each other.
    pub between_nodes: Conditions,
    /// From a client to each node.
    pub to_clients: Conditions,
}

/// Relays that run until this is dropped, on a thread of their own, so that a load does not wait
/// for them nor they for it.
#[derive(Debug)]
pub(crate) struct Wan {
    relays: BTreeMap<(String, String), Relay>,
    runtime: Option<Runtime>,
}

impl Wan {
    /// Relays for every way to these nodes, from each other and from a client.
    pub(crate) fn open(ways: Ways, nodes: &[(String, SocketAddr)]) -> Result<Wan, BenchError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(BenchError::io("a thread for relays"))?;
        let mut relays = BTreeMap::new();
        let from = nodes.iter().map(|(name, _)| name.as_str()).chain([CLIENT]);
        for (from, (to, address)) in from.flat_map(|from| nodes.iter().map(move |to| (from, to))) {
            if from == to {
                continue;
            }
            let seed = relays.len() as u64;
            let relay = runtime.block_on(Relay::start(*address, seed));
            let relay = relay.map_err(BenchError::io(format!("a relay to {to}")))?;
            relay.set(if from == CLIENT { ways.to_clients } else { ways.between_nodes });
            relays.insert((from.to_owned(), to.clone()), relay);
        }
        Ok(Wan { relays, runtime: Some(runtime) })
    }

    /// Where `from` reaches `to`.
    pub(crate) fn address(&self, from: &str, to: &str) -> Option<SocketAddr> {
        self.relays.get(&(from.to_owned(), to.to_owned())).map(Relay::address)
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        self.relays.clear();
        // Waiting for its thread is not allowed everywhere, and nothing of it is needed any more.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
