use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Finished, Process, run};

/// What kind of cluster a test wants.
#[derive(Clone, Debug)]
pub struct Options {
    /// Voters.
    pub nodes: u16,
    /// Participants to make certificates for; start them with [`Cluster::start_shard`].
    pub participants: Vec<&'static str>,
}

impl Default for Options {
    fn default() -> Options {
        Options { nodes: 3, participants: Vec::new() }
    }
}

/// A cluster in a directory of its own, gone when the test is.
#[derive(Debug)]
pub struct Cluster {
    dir: TempDir,
    nodes: u16,
    running: BTreeMap<String, Process>,
    /// Where the door of each node is that was started.
    doors: BTreeMap<String, String>,
}

impl Cluster {
    /// Makes a cluster on free ports; nothing runs yet.
    pub fn init(options: &Options) -> Cluster {
        let dir = TempDir::new().expect("the system has a place for temporary files");
        let cluster =
            Cluster { dir, nodes: options.nodes, running: BTreeMap::new(), doors: BTreeMap::new() };
        let place = cluster.path("c");
        let nodes = options.nodes.to_string();
        let mut args = vec!["init", place.to_str().expect("temporary paths are text")];
        args.extend(["--nodes", &nodes, "--name", "test"]);
        for participant in &options.participants {
            args.extend(["--participant", participant]);
        }
        let _ = run(&args).expect(0);
        cluster.move_to_free_ports();
        cluster
    }

    /// Makes a cluster and starts every node; waits until one leads.
    pub fn start(options: &Options) -> Cluster {
        let mut cluster = Cluster::init(options);
        for i in 1..=cluster.nodes {
            cluster.start_node(&format!("n{i}"));
        }
        cluster.await_leader();
        cluster
    }

    /// `init` takes a base port, so it always writes the same ones; tests run beside each other,
    /// so each cluster is moved to addresses of its own.
    fn move_to_free_ports(&self) {
        let host = own_loopback();
        let sockets: Vec<UdpSocket> = (0..self.nodes).map(|_| free_port(host)).collect();
        let addresses: Vec<String> = sockets
            .iter()
            .map(|socket| socket.local_addr().expect("a bound socket has an address").to_string())
            .collect();
        for entry in std::fs::read_dir(self.path("c")).expect("init made it") {
            let path = entry.expect("a directory can be listed").path();
            if path.extension().is_some_and(|end| end == "toml") {
                let mut text = std::fs::read_to_string(&path).expect("init wrote it");
                for i in 0..addresses.len() {
                    let door = format!("[door]\nlisten = \"127.0.0.1:{}\"", 7410 + i);
                    text = text.replace(&door, &format!("[door]\nlisten = \"{host}:0\""));
                }
                for (i, address) in addresses.iter().enumerate() {
                    let written = format!("\"127.0.0.1:{}\"", 7411 + i);
                    text = text.replace(&written, &format!("{address:?}"));
                    text = text.replace(&format!("\"127.0.0.1:{}\"", 7511 + i), "\"127.0.0.1:0\"");
                }
                std::fs::write(&path, text).expect("a test's file can be written");
            }
        }
    }

    /// A path in the test's directory; the cluster's own files are below `c`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration of `name` (`n1`, `client`, a participant) as an argument.
    pub fn config(&self, name: &str) -> String {
        self.path(&format!("c/{name}.toml")).display().to_string()
    }

    /// Starts a node and returns the line that it says when it listens.
    pub fn start_node(&mut self, name: &str) -> String {
        let config = self.config(name);
        let args = ["start", "-c", &config, "--until-stdin-closes"];
        self.launch(name, Process::start(&args, &self.log(name)))
    }

    /// As [`Cluster::start_node`], by way of a command that becomes the node.
    pub fn start_node_in(&mut self, wrapper: &[&str], name: &str) -> String {
        let config = self.config(name);
        let args = ["start", "-c", &config, "--until-stdin-closes"];
        self.launch(name, Process::start_in(wrapper, &args, &self.log(name)))
    }

    /// Starts a shard and returns the line that it says when it listens.
    pub fn start_shard(&mut self, name: &str) -> String {
        let (config, place) = (self.config(name), self.path(&format!("c/{name}-shard")));
        let place = place.display().to_string();
        let args =
            ["shard", "--name", name, "--data", &place, "-c", &config, "--until-stdin-closes"];
        self.launch(name, Process::start(&args, &self.log(name)))
    }

    fn launch(&mut self, name: &str, process: Process) -> String {
        let line = process.line();
        let line = line.unwrap_or_else(|| panic!("{name} did not start:\n{}", self.said(name)));
        self.running.insert(name.to_owned(), process);
        let door = line.split_once("door on ").and_then(|(_, rest)| rest.split(',').next());
        if let Some(door) = door {
            self.doors.insert(name.to_owned(), door.to_owned());
        }
        line
    }

    fn log(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.log"))
    }

    /// What `name` has said on standard error so far.
    pub fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.log(name)).unwrap_or_default()
    }

    /// Where the door of a node is that was started: its address, `host:port`.
    pub fn door(&self, name: &str) -> &str {
        self.doors.get(name).unwrap_or_else(|| panic!("{name} has no door:\n{}", self.said(name)))
    }

    /// A running process.
    pub fn process(&mut self, name: &str) -> &mut Process {
        self.running.get_mut(name).unwrap_or_else(|| panic!("{name} is not running"))
    }

    /// SIGKILL.
    pub fn kill(&mut self, name: &str) {
        self.running.remove(name).unwrap_or_else(|| panic!("{name} is not running")).kill();
    }

    /// Runs a tool against the cluster as the client that `init` made.
    pub fn tool(&self, args: &[&str]) -> Finished {
        let config = self.config("client");
        let mut all = args.to_vec();
        all.extend(["-c", &config]);
        run(&all)
    }

    /// The name of the node that leads, once one does.
    pub fn await_leader(&self) -> String {
        let mut leader = None;
        self.eventually("a leader", || {
            let finished = self.tool(&["status", "-o", "json", "--timeout", "2s"]);
            leader = (finished.code == 0)
                .then(|| finished.json())
                .and_then(|status| Some(status.get("leader")?.get("node")?.as_str()?.to_owned()));
            leader.is_some()
        });
        leader.expect("eventually returns only when there is one")
    }

    /// Asks again until `holds`; fails the test when it never does.
    pub fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn logs(&self) -> String {
        let names = self.running.keys();
        names.map(|name| format!("--- {name}\n{}\n", self.said(name))).collect()
    }

    /// The directory of the cluster.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// An address of loopback that no other test has, where the system has more than one of them: the
/// port of a node that was killed is free when it comes back.
fn own_loopback() -> Ipv4Addr {
    let own = Ipv4Addr::new(127, fastrand::u8(1..255), fastrand::u8(..), fastrand::u8(1..255));
    if UdpSocket::bind((own, 0)).is_ok() { own } else { Ipv4Addr::LOCALHOST }
}

/// A port below those that the system gives away of its own accord.
fn free_port(host: Ipv4Addr) -> UdpSocket {
    loop {
        if let Ok(socket) = UdpSocket::bind((host, fastrand::u16(10_000..30_000))) {
            return socket;
        }
    }
}
