//! `synod shard`: a catalog shard, a native participant of atomic commit as a process of its own.
//!
//! The rules are the machine's ([`Branches`](synod_client::machine::branch::Branches)); this is
//! their world: a redb file, a thread that syncs once for all that waits, a door for owners, and a
//! session at the cluster that learns what owners leave behind.

mod attendant;
mod books;
mod door;
mod engine;
mod error;
mod readers;
mod store;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use synod_client::{
    Config as ClientConfig, ConfigError,
    machine::{ParticipantName, branch::Moment},
    net::{
        Credentials, Role, Server, Who,
        settings::{self, Row},
    },
};

pub(crate) use self::error::ShardError;
use self::{attendant::Attendant, books::Books, engine::Engine, store::Store};

/// Everything a shard is told once.
pub(crate) struct Config {
    client: ClientConfig,
    credentials: Credentials,
    name: ParticipantName,
    data: PathBuf,
    listen: SocketAddr,
    in_doubt_grace: Duration,
    /// The store that the cluster knows is lost for good, and this one takes its place.
    replaces: bool,
}

/// What the file says beside what every client's says.
#[derive(Deserialize, Serialize)]
struct Keys {
    #[serde(default)]
    shard: ShardKeys,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ShardKeys {
    replaces_lost_store: bool,
}

/// Every key of the file at `path` that is a shard's own; none when it has no table for them.
pub(crate) fn describe(path: &Path) -> Result<Vec<Row>, ConfigError> {
    let (keys, written): (Keys, toml::Table) = (settings::read(path)?, settings::read(path)?);
    let spoken_of = written.contains_key("shard");
    Ok(if spoken_of { settings::describe(&keys, &written) } else { Vec::new() })
}

impl Config {
    /// Reads the client configuration at `path`, whose certificate must be that of the participant
    /// `name`. It may say `replaces_lost_store = true` under `[shard]`.
    pub(crate) fn load(
        path: &Path,
        name: &str,
        data: &Path,
        listen: SocketAddr,
        in_doubt_grace: Duration,
    ) -> Result<Config, ShardError> {
        let client = ClientConfig::load(path)?;
        let Keys { shard } = settings::read(path).map_err(ConfigError::from)?;
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
            replaces: shard.replaces_lost_store,
        })
    }
}

/// Runs a shard until `shutdown` resolves or its disk fails. `ready` is told the address once the
/// cluster knows it; owners are served from before that on, and whether there is a quorum or not.
pub(crate) async fn run(
    config: Config,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ShardError> {
    let cluster_id = config.client.cluster_id;
    let (store, durable) = Store::open(&config.data, config.name.as_str(), cluster_id)?;
    let (incarnation, path) = (store.incarnation(), store.path().to_path_buf());
    let grace_ms = u64::try_from(config.in_doubt_grace.as_millis()).unwrap_or(u64::MAX);
    let books = Books::open(store, &durable, config.name.clone(), grace_ms, Moment(0));
    let started = Engine::start(books);
    let (engine, news, mut running) =
        started.map_err(|source| ShardError::Io { path: path.clone(), source })?;
    let (server, asked) = Server::open(config.listen, config.credentials, cluster_id).await?;
    let address = server.address();
    tracing::info!(participant = %config.name, %address, "listening");
    let serving = tokio::spawn(door::serve(asked, engine.clone()));
    let attending = async {
        let client = attendant::connect(&config.client).await?;
        let participant = client.participant(config.name.as_str());
        let own = attendant::Own { incarnation, address, path, replaces: config.replaces };
        own.introduce(&client, &participant).await?;
        ready(address);
        Attendant { engine, participant }.keep(news).await
    };
    let ended = tokio::select! {
        () = shutdown => Ok(()),
        failed = &mut running.failed => Err(failed.unwrap_or(ShardError::EngineGone)),
        failed = attending => failed,
    };
    serving.abort();
    server.close().await;
    // The last way to the thread went with the two above; it ends with what it has in hand.
    let _panicked = tokio::task::spawn_blocking(|| running.thread.join()).await;
    ended
}

#[cfg(test)]
mod tests {
    use synod_client::net::settings::Origin;

    use super::*;

    /// The example of a client's file shows a shard's keys too, each with its default.
    #[test]
    fn the_commented_example_names_every_key_of_a_shard() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/client.toml");
        let rows = describe(&path).unwrap();
        let defaults = Keys { shard: ShardKeys::default() };
        let defaults = settings::describe(&defaults, &toml::Table::new());
        assert_eq!(rows.len(), defaults.len());
        for (shown, default) in rows.iter().zip(&defaults) {
            assert_eq!((&shown.key, &shown.value), (&default.key, &default.value));
            assert_eq!(shown.origin, Origin::File, "the example does not show {}", shown.key);
        }
    }
}
