//! What a crowd that connects all at once does to a node's timers: its heartbeats are due on the
//! thread that shakes hands.
//!
//! `cargo run --release -p synod-net --example crowd [-- CLIENTS]`
//!
//! A node and its crowd in one process, each on a runtime of its own with one thread. The node's
//! clock is due every ten milliseconds; what is told is how long its thread worked between two
//! ticks while the crowd connected, by the kernel's account of that thread: on a machine that
//! others use too, the time that passed would tell of them.

use std::{
    error::Error,
    io::Write,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use synod_net::{
    Authority, Congestion, Credentials, Dialer, Event, Identity, Mesh, MeshConfig, Name, Role, Who,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

const CLUSTER_ID: u64 = 1;
const TICK: Duration = Duration::from_millis(10);
/// How often a crowd comes.
const CROWDS: usize = 5;

type Res<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn runtime() -> Res<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn credentials(authority: &Authority, dir: &Path, file: &str, who: Who) -> Res<Credentials> {
    let (cert, key) = (dir.join(format!("{file}.crt")), dir.join(format!("{file}.key")));
    authority.issue(&Identity { cluster: Name::new("crowd")?, who }, 1, &cert, &key)?;
    Ok(Credentials::load(&dir.join("ca.crt"), &cert, &key)?)
}

/// How long this thread has been on a processor.
fn worked() -> Res<Duration> {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = account.split_whitespace().next().ok_or("an empty account")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// A node that tells where it listens, and then how long it worked from each of its ticks to the
/// next, until `stop`.
fn node(
    config: MeshConfig,
    listens: oneshot::Sender<SocketAddr>,
    spans: mpsc::UnboundedSender<Duration>,
    stop: oneshot::Receiver<()>,
) -> Res<()> {
    runtime()?.block_on(async {
        let (mesh, events) = Mesh::open(config).await?;
        // Nobody waits for it when the main thread has failed.
        let _gone = listens.send(mesh.address());
        // A task among tasks, as a node's driver is.
        let ticking = tokio::spawn(tick(events, spans));
        // Dropped or sent, it says the same.
        let _stop = stop.await;
        ticking.abort();
        Ok(())
    })
}

async fn tick(
    mut events: mpsc::Receiver<Event>,
    spans: mpsc::UnboundedSender<Duration>,
) -> Res<()> {
    let mut clock = interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = worked()?;
    loop {
        tokio::select! {
            _ = clock.tick() => {
                let now = worked()?;
                let _told = spans.send(now.saturating_sub(before));
                before = now;
            }
            _ = events.recv() => {}
        }
    }
}

/// So many new connections at once; how many stand in the end, and after how long.
async fn connect(dialer: &Dialer, at: SocketAddr, clients: usize) -> Res<(usize, Duration)> {
    let node = Who::Node(Name::new("n1")?);
    let began = Instant::now();
    let mut dialling = JoinSet::new();
    for _ in 0..clients {
        let (dialer, node) = (dialer.clone(), node.clone());
        dialling.spawn(async move { dialer.connect(&at.to_string(), &node).await });
    }
    let mut standing = Vec::new();
    while let Some(done) = dialling.join_next().await {
        // Who has waited for two seconds gives up.
        standing.extend(done?);
    }
    Ok((standing.len(), began.elapsed()))
}

fn main() -> Res<()> {
    let clients = std::env::args().nth(1).map_or(Ok(64), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let authority = Authority::create(&Name::new("crowd")?)?;
    authority.save(&dir.path().join("ca.crt"), &dir.path().join("ca.key"))?;
    let own = credentials(&authority, dir.path(), "n1", Who::Node(Name::new("n1")?))?;
    let app = Who::Client { name: Name::new("app")?, role: Role::Read };
    let app = credentials(&authority, dir.path(), "app", app)?;
    let listen = "127.0.0.1:0".parse()?;
    let (peers, congestion) = (Vec::new(), Congestion::default());
    let config = MeshConfig { credentials: own, cluster_id: CLUSTER_ID, listen, peers, congestion };
    let (listens, address) = oneshot::channel();
    let (spans, mut spent) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel();
    let node = thread::spawn(move || node(config, listens, spans, stopped));
    runtime()?.block_on(async {
        let at = address.await?;
        let dialer = Dialer::new(app, CLUSTER_ID)?;
        for _ in 0..CROWDS {
            tokio::time::sleep(Duration::from_millis(300)).await;
            while spent.try_recv().is_ok() {}
            let (standing, took) = connect(&dialer, at, clients).await?;
            let spans: Vec<Duration> = std::iter::from_fn(|| spent.try_recv().ok()).collect();
            let (all, worst) = (spans.iter().sum::<Duration>(), spans.iter().max());
            let worst = worst.copied().unwrap_or_default();
            writeln!(
                std::io::stdout(),
                "{standing} of {clients} connected after {took:.1?}: the node worked {all:.1?}, \
                 at most {worst:.1?} from one tick to the next"
            )?;
        }
        // It waits for nothing else.
        let _gone = stop.send(());
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    })?;
    node.join().map_err(|_| "the node panicked")?
}
