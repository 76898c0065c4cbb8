//! `synod shard`: a catalog shard, a native participant of atomic commit as a process of its own.
//!
//! The rules are the machine's ([`Branches`](synod_client::machine::branch::Branches)); this is their
//! world: a redb file, a thread that syncs once for all that waits, a door for owners, and a session
//! at the cluster that learns what owners leave behind.

mod attendant;
mod door;
mod engine;
mod error;
mod store;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use synod_client::{
    Client, Config as ClientConfig,
    machine::ParticipantName,
    net::{Credentials, Role, Server, Who},
};

pub(crate) use self::error::ShardError;
use self::{attendant::Attendant, engine::Engine, store::Store};

/// Everything a shard is told once.
pub(crate) struct Config {
    client: ClientConfig,
    credentials: Credentials,
    name: ParticipantName,
    data: PathBuf,
    listen: SocketAddr,
    in_doubt_grace: Duration,
}

impl Config {
    /// Reads the client configuration at `path`, whose certificate must be that of the participant
    /// `name`.
    pub(crate) fn load(
        path: &Path,
        name: &str,
        data: &Path,
        listen: SocketAddr,
        in_doubt_grace: Duration,
    ) -> Result<Config, ShardError> {
        let client = ClientConfig::load(path)?;
        let files = &client.tls;
        let credentials = Credentials::load(&files.ca, &files.cert, &files.key)?;
        match &credentials.identity().who {
            Who::Client { name: found, role: Role::Participant } if found.as_str() == name => {}
            other => {
                return Err(ShardError::NotThisParticipant {
                    name: name.to_owned(),
                    found: other.to_string(),
                });
            }
        }
        Ok(Config {
            client,
            credentials,
            name: ParticipantName::new(name),
            data: data.to_path_buf(),
            listen,
            in_doubt_grace,
        })
    }
}

/// Runs a shard until `shutdown` resolves or its disk fails. `ready` is told the address once the
/// cluster knows it; owners are served from before that on.
pub(crate) async fn run(
    config: Config,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ShardError> {
    let cluster_id = config.client.cluster_id;
    let (store, durable) = Store::open(&config.data, config.name.as_str(), cluster_id)?;
    let incarnation = store.incarnation();
    let (engine, news, mut gone) =
        Engine::start(store, &durable, config.name.clone(), config.in_doubt_grace)?;
    let (server, asked) = Server::open(config.listen, config.credentials, cluster_id).await?;
    let address = server.address();
    let serving = tokio::spawn(door::serve(asked, engine.clone()));
    let attending = async {
        let client = Client::connect(config.client).await?;
        let participant = client.participant(config.name.as_str());
        Attendant { engine, participant, incarnation, address }.keep(news, ready).await
    };
    let ended = tokio::select! {
        () = shutdown => Ok(()),
        failed = &mut gone => Err(failed.unwrap_or(ShardError::EngineGone)),
        failed = attending => failed,
    };
    serving.abort();
    server.close().await;
    ended
}
