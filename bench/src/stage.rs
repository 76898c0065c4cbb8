//! A cluster of real processes to measure, on loopback, in a directory that vanishes.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use synod_client::net::Congestion;
use tempfile::TempDir;

use crate::{
    BenchError,
    callers::Pids,
    wan::{Wan, Ways},
};

/// Ports that `synod init` writes when it is not told otherwise.
const INIT_PORT: u16 = 7411;
const INIT_HTTP_PORT: u16 = INIT_PORT + 100;
const INIT_DOOR_PORT: u16 = INIT_PORT - 1;
/// As many nodes as `synod init` makes.
const NODES_MAX: u16 = 7;
/// A node that was told to stop ends within this.
const STOP_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The cluster.
#[derive(Debug)]
pub struct Stage {
    synod: PathBuf,
    dir: TempDir,
    running: BTreeMap<String, Running>,
    /// Where the HTTP door of each node is.
    doors: BTreeMap<String, String>,
    /// Where the page of metrics of each node and shard is.
    pages: BTreeMap<String, String>,
    wan: Option<Wan>,
}

/// What a cluster is to have besides its nodes.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Participants, each with a shard.
    pub participants: Vec<String>,
    /// How far its nodes lie apart, if they do.
    pub ways: Option<Ways>,
    /// How much its nodes send at a time.
    pub congestion: Congestion,
}

#[derive(Debug)]
struct Running {
    child: Child,
    // Held: when this process ends, the pipe closes and the node ends by itself.
    _stdin: Option<ChildStdin>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stage {
    /// Makes and starts `nodes` nodes of the binary `synod`, with `settings` besides what `init`
    /// writes.
    pub fn open(synod: &Path, nodes: u16, settings: &str) -> Result<Stage, BenchError> {
        Stage::open_with(synod, nodes, settings, &Setting::default())
    }

    /// The same in a setting.
    pub fn open_with(
        synod: &Path,
        nodes: u16,
        settings: &str,
        setting: &Setting,
    ) -> Result<Stage, BenchError> {
        let dir = TempDir::new().map_err(BenchError::io("a temporary directory"))?;
        let synod = synod.to_path_buf();
        let (running, doors, pages) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut stage = Stage { synod, dir, running, doors, pages, wan: None };
        let made = Command::new(&stage.synod)
            .arg("init")
            .arg(stage.path("c"))
            .args(["--nodes", &nodes.to_string(), "--name", "bench"])
            .args(setting.participants.iter().flat_map(|name| ["--participant", name.as_str()]))
            .output()
            .map_err(BenchError::io(stage.synod.display().to_string()))?;
        if !made.status.success() {
            return Err(BenchError::Cluster(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        stage.move_to_free_ports(nodes, setting.ways)?;
        for i in 1..=nodes {
            stage.settle(&format!("n{i}"), settings)?;
            if setting.congestion == Congestion::Bbr {
                stage.settle(&format!("n{i}"), "\n[network]\ncongestion = \"bbr\"\n")?;
            }
            stage.start(&format!("n{i}"))?;
        }
        setting.participants.iter().try_for_each(|name| stage.start_shard(name))?;
        Ok(stage)
    }

    /// `init` always writes the same ports; clusters that are measured run beside others.
    fn move_to_free_ports(&mut self, nodes: u16, ways: Option<Ways>) -> Result<(), BenchError> {
        let free = || UdpSocket::bind("127.0.0.1:0").map_err(BenchError::io("a free port"));
        let sockets = (0..nodes).map(|_| free()).collect::<Result<Vec<_>, _>>()?;
        let mut addresses = Vec::new();
        for (i, socket) in (1..=nodes).zip(&sockets) {
            let address = socket.local_addr().map_err(BenchError::io("a free port"))?;
            addresses.push((format!("n{i}"), address));
        }
        self.wan = ways.map(|ways| Wan::open(ways, &addresses)).transpose()?;
        for entry in fs::read_dir(self.path("c")).map_err(BenchError::io("the cluster"))? {
            let path = entry.map_err(BenchError::io("the cluster"))?.path();
            if path.extension().is_none_or(|end| end != "toml") {
                continue;
            }
            let what = path.display().to_string();
            let text = fs::read_to_string(&path).map_err(BenchError::io(what.clone()))?;
            let of = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            fs::write(&path, self.moved(of, text, &addresses)).map_err(BenchError::io(what))?;
        }
        Ok(())
    }

    /// The file of `of` with the addresses at which it listens and at which it reaches the others.
    fn moved(&self, of: &str, mut text: String, addresses: &[(String, SocketAddr)]) -> String {
        for i in 0..NODES_MAX {
            // A node's door has the port of its neighbour's mesh.
            let door = |port: u16| format!("[door]\nlisten = \"127.0.0.1:{port}\"");
            text = text.replace(&door(INIT_DOOR_PORT + i), &door(0));
            text = text.replace(&quoted(INIT_HTTP_PORT + i), &quoted(0));
        }
        for (i, (name, address)) in (0..).zip(addresses) {
            let way = self.wan.as_ref().and_then(|wan| wan.address(of, name));
            let seen = format!("\"{}\"", way.unwrap_or(*address));
            text = text.replace(&quoted(INIT_PORT + i), &seen);
        }
        text
    }

    fn settle(&self, node: &str, settings: &str) -> Result<(), BenchError> {
        let path = self.path(&format!("c/{node}.toml"));
        let mut text = fs::read_to_string(&path).map_err(BenchError::io("a node's settings"))?;
        text.push_str(settings);
        fs::write(&path, text).map_err(BenchError::io("a node's settings"))
    }

    /// Starts a node and waits until it listens.
    pub fn start(&mut self, node: &str) -> Result<(), BenchError> {
        let start = Command::new(&self.synod);
        self.start_by(start, node)
    }

    /// The same with the least claim to the processors: it gets what everybody else leaves, as if
    /// it had a machine of its own.
    pub fn start_aside(&mut self, node: &str) -> Result<(), BenchError> {
        let mut start = Command::new("nice");
        start.args(["-n", "19"]).arg(&self.synod);
        self.start_by(start, node)
    }

    fn start_by(&mut self, mut start: Command, node: &str) -> Result<(), BenchError> {
        start.arg("start");
        self.launch(start, node)
    }

    fn start_shard(&mut self, name: &str) -> Result<(), BenchError> {
        let mut start = Command::new(&self.synod);
        let data = self.path(&format!("c/{name}-shard"));
        start.args(["shard", "--name", name, "--data"]).arg(data);
        self.launch(start, name)
    }

    fn launch(&mut self, mut start: Command, node: &str) -> Result<(), BenchError> {
        let log = fs::File::create(self.path(&format!("{node}.log")));
        let mut child = start
            .arg("-c")
            .arg(self.path(&format!("c/{node}.toml")))
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.map_err(BenchError::io("a log file"))?)
            .spawn()
            .map_err(BenchError::io(self.synod.display().to_string()))?;
        let stdin = child.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut line);
            read.map_err(BenchError::io(format!("{node}'s first line")))?;
        }
        self.running.insert(node.to_owned(), Running { child, _stdin: stdin });
        let door = line.split_once("door on ").and_then(|(_, rest)| rest.split(',').next());
        self.doors.extend(door.map(|door| (node.to_owned(), door.to_owned())));
        let page = line.split_once("health on http://").map(|(_, rest)| rest.trim_end());
        self.pages.extend(page.map(|page| (node.to_owned(), page.to_owned())));
        if line.is_empty() {
            let said = fs::read_to_string(self.path(&format!("{node}.log"))).unwrap_or_default();
            return Err(BenchError::Cluster(format!("{node} did not start: {said}")));
        }
        Ok(())
    }

    /// Where the HTTP door of a node that was started is.
    pub fn door(&self, node: &str) -> Result<&str, BenchError> {
        let none = || BenchError::Cluster(format!("{node} has no door"));
        self.doors.get(node).map(String::as_str).ok_or_else(none)
    }

    /// Where the page of metrics of a node or shard that was started is.
    pub fn page(&self, of: &str) -> Result<&str, BenchError> {
        let none = || BenchError::Cluster(format!("{of} has no page of metrics"));
        self.pages.get(of).map(String::as_str).ok_or_else(none)
    }

    /// SIGTERM, as an operator stops a node; when it was sent. It waits until the node has ended.
    pub async fn stop(&mut self, node: &str) -> Result<Instant, BenchError> {
        let what = || format!("{node} is told to stop");
        let Some(mut running) = self.running.remove(node) else { return Ok(Instant::now()) };
        let told = Instant::now();
        kill_process(Pid::from_child(&running.child), Signal::TERM)
            .map_err(|error| BenchError::io(what())(error.into()))?;
        while running.child.try_wait().map_err(BenchError::io(what()))?.is_none() {
            if told.elapsed() > STOP_MAX {
                return Err(BenchError::Cluster(format!("{node} does not stop")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(told)
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: &str) {
        self.running.remove(node);
    }

    /// The client's configuration file.
    pub fn client(&self) -> PathBuf {
        self.path("c/client.toml")
    }

    /// The directory that holds the stores.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Resident memory of every node now, in KiB, as the kernel counts it.
    pub fn rss_kib(&self) -> BTreeMap<String, u64> {
        let used = |running: &Running| Pids(vec![running.child.id()]).used();
        let kib = |(name, running): (&String, &Running)| {
            Some((name.clone(), used(running)?.resident_bytes / 1_024))
        };
        self.running.iter().filter_map(kib).collect()
    }

    /// Seconds of processor time that all nodes have used, by the kernel's clock ticks.
    pub fn cpu_s(&self) -> f64 {
        let pids = Pids(self.running.values().map(|running| running.child.id()).collect());
        pids.used().map_or(0.0, |used| used.cpu_us as f64 / 1e6)
    }
}

fn quoted(port: u16) -> String {
    format!("\"127.0.0.1:{port}\"")
}
