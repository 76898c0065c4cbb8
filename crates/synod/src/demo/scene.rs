//! The demo's stage: a cluster's directory on free ports, its processes, and the links between
//! them.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use synod_client::net::{Conditions, Relay};
use tokio::{sync::mpsc, time::timeout};

use super::stage::Actor;
use crate::{
    cli::DemoOwner,
    exit::{Code, Failure},
    verbs::init::{self, Plan, Voter},
};

/// The two catalogs.
pub(crate) const SHARDS: [&str; 2] = ["east", "west"];
/// The process that moves satellites.
pub(crate) const OWNER: &str = "owner";
/// The demo's owners live this long in silence: short, so that a run shows what happens then.
const OWNER_TTL_MS: u64 = 2_000;
/// A process that does not listen by then will not.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// The processes of one run.
pub(crate) struct Scene {
    dir: PathBuf,
    actors: BTreeMap<String, Actor>,
    // Held: a relay that is dropped stops carrying.
    _relays: Vec<Relay>,
}

impl Scene {
    /// Makes a cluster of `nodes` in `dir`, with both shards and an owner; nothing runs yet.
    pub(crate) async fn build(
        dir: &Path,
        nodes: u16,
        rtt: Option<Duration>,
        seed: u64,
    ) -> Result<Scene, Failure> {
        let (mut scene, plan) = Scene::of_nodes(dir, nodes, &SHARDS, rtt, seed).await?;
        for name in SHARDS {
            let (config, data) = (scene.config(name), scene.path(&format!("{name}-shard")));
            let data = data.display().to_string();
            let args = ["shard", "--name", name, "--data", &data, "-c", &config];
            scene.cast(name, &[&args[..], &["--until-stdin-closes"]].concat());
        }
        let (config, seed) = (scene.config(OWNER), seed.to_string());
        let ttl = format!("session_ttl_ms = {OWNER_TTL_MS}\n");
        write(Path::new(&config), &(ttl + &init::client_toml(&plan, "client")))?;
        scene.cast(OWNER, &[DemoOwner::WORD, "-c", &config, "--seed", &seed]);
        Ok(scene)
    }

    /// The nodes alone, of a cluster that has these participants.
    pub(crate) async fn of_nodes(
        dir: &Path,
        nodes: u16,
        participants: &[&str],
        rtt: Option<Duration>,
        seed: u64,
    ) -> Result<(Scene, Plan), Failure> {
        let (plan, relays) = build(dir, nodes, participants, rtt, seed).await?;
        let mut scene = Scene { dir: dir.to_path_buf(), actors: BTreeMap::new(), _relays: relays };
        for Voter { name, .. } in &plan.voters {
            let config = scene.config(name);
            scene.cast(name, &["start", "-c", &config, "--until-stdin-closes"]);
        }
        Ok((scene, plan))
    }

    /// Starts every node and shard, and waits until each listens.
    pub(crate) async fn open(&mut self) -> Result<(), Failure> {
        let everybody: Vec<_> = self.actors.keys().filter(|name| *name != OWNER).cloned().collect();
        // Nodes before shards: a shard listens when the cluster knows it.
        let (shards, nodes): (Vec<_>, Vec<_>) =
            everybody.into_iter().partition(|name| SHARDS.contains(&name.as_str()));
        for name in nodes.iter().chain(&shards) {
            self.enter(name).await?;
        }
        Ok(())
    }

    /// Where everything is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Gives a part to somebody new, who is not on stage yet.
    pub(crate) fn cast(&mut self, name: &str, args: &[&str]) {
        self.cast_in(name, args, &[]);
    }

    /// The same, with this in its environment.
    pub(crate) fn cast_in(&mut self, name: &str, args: &[&str], environment: &[(&str, String)]) {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let log = self.path(&format!("{name}.log"));
        let actor = Actor::new(name, args, &log).with(environment);
        self.actors.insert(name.to_owned(), actor);
    }

    /// Starts a node or shard and waits until it listens.
    pub(crate) async fn enter(&mut self, name: &str) -> Result<(), Failure> {
        let mut lines = self.start(name)?;
        match timeout(START_PATIENCE, lines.recv()).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) | Err(_) => {
                let mut failure =
                    Failure::new(Code::Bug, "SYN-DEMO-003", format!("{name} did not start"));
                for line in self.actor(name)?.last_words() {
                    failure = failure.detail(line);
                }
                Err(failure)
            }
        }
    }

    /// Starts a process; its lines come out of the receiver.
    pub(crate) fn start(&mut self, name: &str) -> Result<mpsc::UnboundedReceiver<String>, Failure> {
        self.actor(name)?.start()
    }

    /// The process of this name.
    pub(crate) fn actor(&mut self, name: &str) -> Result<&mut Actor, Failure> {
        self.actors.get_mut(name).ok_or_else(|| {
            Failure::new(Code::Bug, "SYN-BUG-003", format!("there is no {name} in this play"))
        })
    }

    /// The configuration file of `name`.
    pub(crate) fn config(&self, name: &str) -> String {
        self.path(&format!("c/{name}.toml")).display().to_string()
    }

    /// A file or directory of this play.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Has some end in order, all at once; who takes too long is killed.
    pub(crate) async fn dismiss(&mut self, names: &[&str], patience: Duration) {
        let named = self.actors.iter_mut().filter(|(name, _)| names.contains(&name.as_str()));
        let leaving: Vec<_> = named.map(|(_, actor)| actor.dismiss(patience)).collect();
        for gone in leaving {
            gone.await;
        }
    }

    /// Ends every process.
    pub(crate) async fn close(&mut self) {
        for actor in self.actors.values_mut() {
            actor.murder().await;
        }
    }
}

/// Writes the cluster's files. Ports are held until all are drawn, so that none is drawn twice.
async fn build(
    dir: &Path,
    nodes: u16,
    participants: &[&str],
    rtt: Option<Duration>,
    seed: u64,
) -> Result<(Plan, Vec<Relay>), Failure> {
    let held: Vec<UdpSocket> = (0..nodes).map(|_| free_port()).collect::<Result<_, _>>()?;
    let mut voters = Vec::new();
    for (i, socket) in (1..=nodes).zip(&held) {
        let listen = socket.local_addr().map_err(port_failure)?.to_string();
        let (name, http) = (format!("n{i}"), "127.0.0.1:0".to_owned());
        voters.push(Voter { id: i, name, listen, http, door: None });
    }
    let plan = Plan {
        cluster: "demo".to_owned(),
        cluster_id: seed | 1,
        voters,
        participants: participants.iter().map(|name| (*name).to_owned()).collect(),
    };
    let cluster = dir.join("c");
    init::build(&cluster, &plan)?;
    let relays = match rtt {
        Some(rtt) => delay_links(&cluster, &plan, rtt, seed).await?,
        None => Vec::new(),
    };
    Ok((plan, relays))
}

/// Puts a relay in front of every node for every other node, each way delayed by half of `rtt`.
async fn delay_links(
    cluster: &Path,
    plan: &Plan,
    rtt: Duration,
    seed: u64,
) -> Result<Vec<Relay>, Failure> {
    let mut relays = Vec::new();
    for from in &plan.voters {
        let mut seen = plan.clone();
        for to in seen.voters.iter_mut().filter(|to| to.name != from.name) {
            let target: SocketAddr = to.listen.parse().map_err(|_| {
                Failure::new(Code::Bug, "SYN-BUG-003", format!("{} is no address", to.listen))
            })?;
            let relay = Relay::start(target, seed).await.map_err(port_failure)?;
            relay.set(Conditions { delay: rtt / 2, ..Conditions::default() });
            to.listen = relay.address().to_string();
            relays.push(relay);
        }
        write(&cluster.join(format!("{}.toml", from.name)), &init::node_toml(&seen, from))?;
    }
    Ok(relays)
}

/// A port that the system gives to nobody of its own accord, so that it is still free when the node
/// comes back that was killed: what it gives away lies above, on every system.
fn free_port() -> Result<UdpSocket, Failure> {
    const ATTEMPTS_MAX: usize = 100;
    let draw = || UdpSocket::bind(("127.0.0.1", fastrand::u16(10_000..30_000)));
    let drawn = (0..ATTEMPTS_MAX).find_map(|_| draw().ok());
    drawn.map_or_else(|| UdpSocket::bind("127.0.0.1:0").map_err(port_failure), Ok)
}

fn port_failure(error: std::io::Error) -> Failure {
    Failure::new(Code::Bug, "SYN-DEMO-004", format!("no free port on loopback: {error}"))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| {
        Failure::new(Code::Usage, "SYN-DEMO-002", format!("{}: {error}", path.display()))
    })
}
