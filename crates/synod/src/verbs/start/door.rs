//! The door beside a node: a thread of its own with a runtime of its own, so that neither what
//! strangers send nor a bug there can hold up or end the node.

use std::{net::SocketAddr, thread};

use synod_client::{Endpoint, net::Role};
use synod_door::{Cut, Door, Limits, Tally, Trust};
use synod_node::{Config, DoorKeys, DoorMetrics, DoorRole};
use tokio::sync::oneshot;

use crate::verbs::ask;

/// How long a call of the door may take, if its caller does not say otherwise, and the silence that
/// ends a caller's session.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
const SESSION_TTL: std::time::Duration = std::time::Duration::from_secs(10);

/// Opens the door that the node's file asks for, and where it listens. A door that cannot be opened
/// is told of in the log, and the node runs without.
pub(crate) async fn open(config: &Config, metrics: DoorMetrics) -> Option<SocketAddr> {
    let door = of(config)?;
    let (tell, told) = oneshot::channel();
    let run = move || {
        // It ends with the process, or by a bug of its own, which the gauge then tells.
        let _shut = Shut(metrics.clone());
        let Ok(runtime) = ask::runtime() else { return };
        runtime.block_on(async {
            match Door::open(door, Shown(metrics)).await {
                Ok(door) => {
                    // Nobody waits any more when the node has ended meanwhile.
                    let _gone = tell.send(door.address());
                    door.serve().await;
                }
                Err(error) => tracing::error!(%error, "the door stays shut; the node runs without"),
            }
        });
    };
    let spawned = thread::Builder::new().name("door".to_owned()).spawn(run);
    if let Err(error) = spawned {
        tracing::error!(%error, "the door has no thread; the node runs without");
    }
    told.await.ok()
}

fn of(config: &Config) -> Option<synod_door::Config> {
    let keys = config.door()?;
    let endpoints = config
        .voters()
        .iter()
        .map(|voter| Endpoint { name: voter.name.clone(), address: voter.address.clone() });
    Some(synod_door::Config {
        listen: keys.listen,
        trust: trust(keys),
        limits: Limits::new(keys.connections_max),
        token_file: config.door_token_file(),
        cluster: synod_client::Config {
            cluster: config.cluster().clone(),
            cluster_id: config.cluster_id(),
            endpoints: endpoints.collect(),
            tls: config.door_files()?,
            timeout: TIMEOUT,
            session_ttl: SESSION_TTL,
        },
    })
}

fn trust(keys: &DoorKeys) -> Trust {
    match keys.plain_role {
        None => Trust::Certificates,
        Some(DoorRole::Read) => Trust::Loopback(Role::Read),
        Some(DoorRole::Write) => Trust::Loopback(Role::Write),
        Some(DoorRole::Admin) => Trust::Loopback(Role::Admin),
    }
}

/// Says so when nobody listens any more.
struct Shut(DoorMetrics);

impl Drop for Shut {
    fn drop(&mut self) {
        self.0.open(false);
    }
}

/// The door's numbers, on the node's page.
struct Shown(DoorMetrics);

impl Tally for Shown {
    fn open(&self, open: bool) {
        self.0.open(open);
    }

    fn connections(&self, count: usize) {
        self.0.connections(count);
    }

    fn answered(&self, status: u16) {
        self.0.answered(status);
    }

    fn refused(&self, why: Cut) {
        self.0.refused(why.as_str());
    }
}
