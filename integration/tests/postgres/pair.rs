//! A cluster of Synod, and two PostgreSQL servers that it makes primary and standby.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use synod_client::net::{Conditions, Relay};
use synod_integration::{Cluster, Options, Process};
use tokio::runtime::Runtime;

use crate::programs::{Programs, script};

/// What the servers stand for.
pub(crate) const ELECTION: &str = "catalog/primary";
const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// The names of the servers.
pub(crate) const SERVERS: [&str; 2] = ["pg-1", "pg-2"];

/// Who may come in, over TCP: a test's servers listen on loopback only.
const LETS_IN: &str = "host all all 127.0.0.0/8 trust\nhost replication all 127.0.0.0/8 trust\n";

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// One of them.
struct Server {
    address: String,
    /// Every way from it to the cluster leads through one of these.
    links: Vec<Relay>,
    run: Option<Process>,
    /// The latest token under which it was primary.
    reigned: Arc<AtomicU64>,
}

/// All of them.
pub(crate) struct Pair {
    pub(crate) cluster: Cluster,
    pub(crate) programs: Programs,
    runtime: Runtime,
    servers: [Server; 2],
}

impl Pair {
    /// A pair that runs, one of which is a copy of the other.
    pub(crate) fn start(programs: Programs) -> Pair {
        let mut cluster = Cluster::init(&Options::default());
        for node in NODES {
            settle_door(&cluster, node);
            cluster.start_node(node);
        }
        cluster.await_leader();
        // The servers do not run as root, and find their data.
        open(cluster.dir());
        let runtime = Runtime::new().unwrap();
        let servers = SERVERS.map(|_| Server {
            address: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string(),
            links: Vec::new(),
            run: None,
            reigned: Arc::default(),
        });
        let mut pair = Pair { cluster, programs, runtime, servers };
        for place in 0..SERVERS.len() {
            pair.lay_links(place);
        }
        pair.make(0, "init", &[]);
        let rules = pair.data(0).join("pg_hba.conf");
        let written = fs::read_to_string(&rules).unwrap();
        fs::write(&rules, format!("{LETS_IN}{written}")).unwrap();
        pair.run(0);
        let first = pair.address(0).to_owned();
        pair.eventually("the first is promoted", || {
            let shown = pair.cluster.tool(&["election", "show", ELECTION, "-o", "json"]);
            shown.code == 0 && shown.json()["incumbent"]["proclaimed"] == first
        });
        pair.make(1, "clone", &[&first]);
        pair.run(1);
        pair
    }

    fn data(&self, place: usize) -> std::path::PathBuf {
        self.cluster.path(SERVERS[place])
    }

    pub(crate) fn address(&self, place: usize) -> &str {
        &self.servers[place].address
    }

    pub(crate) fn reigned(&self, place: usize) -> Arc<AtomicU64> {
        Arc::clone(&self.servers[place].reigned)
    }

    /// Where the cluster's nodes answer over HTTP.
    pub(crate) fn doors(&self) -> Vec<String> {
        NODES.map(|node| self.cluster.door(node).to_owned()).to_vec()
    }

    /// The configuration of a server's own client of the cluster.
    fn lay_links(&mut self, place: usize) {
        let mut text = fs::read_to_string(self.cluster.config("client")).unwrap();
        let nodes: Vec<_> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("address = \""))
            .map(|rest| rest.trim_end_matches('"').to_owned())
            .collect();
        for (node, address) in nodes.iter().enumerate() {
            let relay = Relay::start(address.parse().unwrap(), (place * 10 + node) as u64);
            let relay = self.runtime.block_on(relay).unwrap();
            text = text.replace(&format!("\"{address}\""), &format!("\"{}\"", relay.address()));
            self.servers[place].links.push(relay);
        }
        fs::write(self.cluster.config(SERVERS[place]), text).unwrap();
    }

    pub(crate) fn cut(&self, place: usize, cut: bool) {
        for link in &self.servers[place].links {
            link.set(Conditions { cut, ..Conditions::default() });
        }
    }

    fn environment(&self, place: usize) -> Vec<String> {
        let (host, port) = self.address(place).rsplit_once(':').unwrap();
        vec![
            format!("SYNOD_PG_DATA={}", self.data(place).display()),
            format!("SYNOD_PG_BIN={}", self.programs.postgres.display()),
            format!("SYNOD_PG_HOST={host}"),
            format!("SYNOD_PG_PORT={port}"),
        ]
    }

    fn make(&self, place: usize, what: &str, args: &[&str]) {
        let made = std::process::Command::new("env")
            .args(self.environment(place))
            .arg(format!("SYNOD_CANDIDATE={}", SERVERS[place]))
            .arg(script())
            .arg(what)
            .args(args)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Starts the supervision of a server, as a system's own supervisor would.
    pub(crate) fn run(&mut self, place: usize) {
        let environment = self.environment(place);
        let script = script().display().to_string();
        let [promote, follow, report] =
            ["promote", "follow", "report"].map(|what| format!("{script} {what}"));
        let config = self.cluster.config(SERVERS[place]);
        let mut wrapper = vec!["env"];
        wrapper.extend(environment.iter().map(String::as_str));
        let mut args = vec!["election", "run", ELECTION, "--id", SERVERS[place], "-c", &config];
        args.extend(["--ttl", "3s", "--proclaim", &self.servers[place].address]);
        args.extend(["--promote", &promote, "--follow", &follow]);
        args.extend(["--report", &report, "--report-every", "500ms", "--", &script, "run"]);
        let log = self.log(place);
        self.servers[place].run = Some(Process::start_in(&wrapper, &args, &log));
    }

    pub(crate) fn log(&self, place: usize) -> std::path::PathBuf {
        self.cluster.path(&format!("{}.log", SERVERS[place]))
    }

    /// The supervisor of a server.
    pub(crate) fn supervisor(&self, place: usize) -> u32 {
        self.servers[place].run.as_ref().unwrap().id()
    }

    /// The machine of a server is gone: nothing of it has time to say anything.
    pub(crate) fn kill(&mut self, place: usize) {
        self.servers[place].run.take().unwrap().kill();
    }

    /// The process of the server itself.
    pub(crate) fn postmaster(&self, place: usize) -> u32 {
        let said = fs::read_to_string(self.data(place).join("postmaster.pid")).unwrap();
        said.lines().next().unwrap().parse().unwrap()
    }

    /// Who is primary, and its token.
    pub(crate) fn incumbent(&self) -> Option<(usize, u64)> {
        let shown = self.cluster.tool(&["election", "show", ELECTION, "-o", "json"]);
        let shown = (shown.code == 0).then(|| shown.json())?;
        let incumbent = shown.get("incumbent")?;
        let place = SERVERS.iter().position(|id| incumbent["candidate"] == *id)?;
        Some((place, incumbent["token"].as_u64()?))
    }

    /// As [`Cluster::eventually`], and shows what the servers said when it never does.
    pub(crate) fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "never: {what}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn said(&self) -> String {
        let logs = (0..SERVERS.len()).map(|place| {
            let said = fs::read_to_string(self.log(place)).unwrap_or_default();
            format!("--- {}\n{said}\n", SERVERS[place])
        });
        logs.collect()
    }
}

/// A port that the door of a node keeps when the node is killed and comes back.
fn settle_door(cluster: &Cluster, node: &str) {
    let config = cluster.config(node);
    let text = fs::read_to_string(&config).unwrap();
    let (head, door) = text.split_once("[door]").unwrap();
    let line = door.lines().find(|line| line.starts_with("listen = ")).unwrap();
    let host = line.trim_start_matches("listen = \"").split(':').next().unwrap();
    let free = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap();
    let door = door.replacen(line, &format!("listen = \"{free}\""), 1);
    fs::write(&config, format!("{head}[door]{door}")).unwrap();
}

#[cfg(unix)]
fn open(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).unwrap();
}
