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
mod metrics;
mod pages;
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
        settings::{self, Row, SettingsError},
    },
};
use synod_node::page::{self, HttpKeys, Limits};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinSet,
};

pub(crate) use self::error::ShardError;
use self::{
    attendant::Attendant,
    books::Books,
    engine::Engine,
    metrics::Metrics,
    pages::{Pages, Registered},
    store::Store,
};

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
    http: HttpKeys,
}

/// What the file says beside what every client's says.
#[derive(Deserialize, Serialize)]
struct Keys {
    #[serde(default)]
    shard: ShardKeys,
    #[serde(default)]
    http: HttpKeys,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ShardKeys {
    replaces_lost_store: bool,
}

/// Every key of the file at `path` that is a shard's own, checked; none when it has no table for
/// them.
pub(crate) fn describe(path: &Path) -> Result<Vec<Row>, ShardError> {
    let read =
        || Ok::<(Keys, toml::Table), SettingsError>((settings::read(path)?, settings::read(path)?));
    let (keys, written) = read().map_err(ConfigError::from)?;
    keys.http.check(path)?;
    let spoken_of = written.contains_key("shard") || written.contains_key("http");
    Ok(if spoken_of { settings::describe(&keys, &written) } else { Vec::new() })
}

impl Config {
    /// Reads the client configuration at `path`, whose certificate must be that of the participant
    /// `name`. It may have the tables `[shard]` and `[http]`.
    pub(crate) fn load(
        path: &Path,
        name: &str,
        data: &Path,
        listen: SocketAddr,
        in_doubt_grace: Duration,
    ) -> Result<Config, ShardError> {
        let client = ClientConfig::load(path)?;
        let Keys { shard, http } = settings::read(path).map_err(ConfigError::from)?;
        http.check(path)?;
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
            http,
        })
    }
}

/// Runs a shard until `shutdown` resolves or its disk fails. `ready` is told its address and that
/// of its pages once the cluster knows it. A store that the cluster knew before serves owners from
/// before that on, and whether there is a quorum or not; any other serves nobody until then.
pub(crate) async fn run(
    config: Config,
    ready: impl FnOnce(SocketAddr, SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ShardError> {
    let cluster_id = config.client.cluster_id;
    let (store, durable) = Store::open(&config.data, config.name.as_str(), cluster_id)?;
    let (incarnation, path) = (store.incarnation(), store.path().to_path_buf());
    let (open, introduced) = watch::channel(store.introduced());
    let grace_ms = u64::try_from(config.in_doubt_grace.as_millis()).unwrap_or(u64::MAX);
    let books = Books::open(store, &durable, config.name.clone(), grace_ms, Moment(0));
    let ends_at = config.credentials.ends_at();
    let metrics = Metrics::new(config.name.as_str(), ends_at);
    let started = Engine::start(books, metrics.clone());
    let (engine, news, mut running) =
        started.map_err(|source| ShardError::Io { path: path.clone(), source })?;
    // Before the door: a shard whose pages have no place serves nobody.
    let listener = listen(config.http.listen).await?;
    let http_address = listener
        .local_addr()
        .map_err(|source| ShardError::Page { address: config.http.listen, source })?;
    let registered = Registered::default();
    let pages = Pages {
        metrics,
        file: path.clone(),
        certificate_ends_at: ends_at,
        registered: registered.clone(),
    };
    let limits = Limits::new(config.http.connections_max);
    let mut tasks = JoinSet::new();
    tasks.spawn(page::serve(listener, pages, limits));
    let (server, asked) = Server::open(config.listen, config.credentials, cluster_id).await?;
    let address = server.address();
    tracing::info!(participant = %config.name, %address, %http_address, "listening");
    tasks.spawn(door::serve(asked, engine.clone(), introduced));
    let attending = async {
        let client = attendant::connect(&config.client).await?;
        let participant = client.participant(config.name.as_str());
        let own = attendant::Own { incarnation, address, path, replaces: config.replaces };
        let introduced = own.introduce(&client, &participant).await;
        heed(introduced, &open, |known| engine.introduce(known)).await?;
        registered.now();
        ready(address, http_address);
        Attendant { engine, participant }.keep(news).await
    };
    let ended = first_end(shutdown, &mut running.failed, &mut tasks, attending).await;
    tasks.shutdown().await;
    server.close().await;
    // The last way to the thread went with the two above; it ends with what it has in hand.
    let _panicked = tokio::task::spawn_blocking(|| running.thread.join()).await;
    ended
}

/// Does what the cluster's word of the store demands. The door does not wait for the row: whoever
/// sees the shard registered may ask at once, and only the next start reads it.
async fn heed<W: Future<Output = Result<(), ShardError>>>(
    introduced: Result<(), ShardError>,
    open: &watch::Sender<bool>,
    write_down: impl FnOnce(bool) -> W,
) -> Result<(), ShardError> {
    if matches!(introduced, Ok(()) | Err(ShardError::Replaced { .. })) {
        let known = introduced.is_ok();
        open.send_replace(known);
        // So that the next start knows it without a quorum.
        write_down(known).await?;
    }
    introduced
}

/// A shard ends with the first of its parts that does: the others would go on without it, and
/// nobody would know.
async fn first_end(
    shutdown: impl Future<Output = ()>,
    failed: &mut oneshot::Receiver<ShardError>,
    tasks: &mut JoinSet<()>,
    attending: impl Future<Output = Result<(), ShardError>>,
) -> Result<(), ShardError> {
    tokio::select! {
        () = shutdown => Ok(()),
        why = &mut *failed => Err(why.unwrap_or(ShardError::EngineGone)),
        gone = tasks.join_next() => {
            let why = gone.and_then(Result::err).map(|panicked| panicked.to_string());
            Err(ShardError::TaskGone { why: why.unwrap_or_else(|| "it ended".to_owned()) })
        }
        why = attending => match why {
            // It sees the thread's channels close, and the thread says why only then.
            Err(ShardError::EngineGone) => Err(failed.await.unwrap_or(ShardError::EngineGone)),
            other => other,
        },
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ShardError> {
    TcpListener::bind(address).await.map_err(|source| ShardError::Page { address, source })
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use synod_client::net::settings::Origin;
    use tokio::task::yield_now;

    use super::*;

    /// A door or a page that is gone is seen. (The shard went on without it.)
    #[tokio::test]
    async fn a_task_that_panics_ends_the_shard_and_says_why() {
        let (_thread, mut failed) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(pending());
        tasks.spawn(async { panic!("the index is out of bounds") });
        // Long after it has panicked.
        let shutdown = async {
            for _ in 0..100 {
                yield_now().await;
            }
        };
        let ended = first_end(shutdown, &mut failed, &mut tasks, pending()).await;
        let error = ended.unwrap_err();
        assert!(error.to_string().contains("the index is out of bounds"), "{error}");
    }

    /// Who saw in the log that the shard is there was told that there is no quorum, for as long as
    /// the row took. One that another store has replaced lets nobody in meanwhile.
    #[tokio::test]
    async fn the_door_does_not_wait_for_the_row_that_says_that_it_is_open() {
        let replaced = || ShardError::Replaced {
            path: "shard".into(),
            name: "east".to_owned(),
            known: 2,
            found: 1,
            unacknowledged: 0,
        };
        for (introduced, is_open) in [(Ok(()), true), (Err(replaced()), false)] {
            let (open, door) = watch::channel(!is_open);
            let mut told = None;
            let write_down = |known| {
                told = Some((known, *door.borrow()));
                async { Ok(()) }
            };
            assert_eq!(heed(introduced, &open, write_down).await.is_ok(), is_open);
            assert_eq!(told, Some((is_open, is_open)));
        }
        // Nothing was said of the store.
        let (open, door) = watch::channel(true);
        let nothing = Err(ShardError::EngineGone);
        let heeded = heed(nothing, &open, |known| async move { panic!("{known}") }).await;
        assert!(heeded.is_err() && *door.borrow());
    }

    /// The example of a client's file shows a shard's keys too, each with its default.
    #[test]
    fn the_commented_example_names_every_key_of_a_shard() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/client.toml");
        let rows = describe(&path).unwrap();
        let defaults = Keys { shard: ShardKeys::default(), http: HttpKeys::default() };
        let defaults = settings::describe(&defaults, &toml::Table::new());
        assert_eq!(rows.len(), defaults.len());
        for (shown, default) in rows.iter().zip(&defaults) {
            assert_eq!((&shown.key, &shown.value), (&default.key, &default.value));
            assert_eq!(shown.origin, Origin::File, "the example does not show {}", shown.key);
        }
    }
}
