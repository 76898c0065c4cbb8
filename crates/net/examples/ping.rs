//! What a frame and a question cost: round trips one at a time, and how many fit side by side; and
//! how soon a node that was killed hears its peer again, once it is back.
//!
//! `cargo run --release -p synod-net --example ping [-- SECONDS]`
//!
//! Two nodes and a client in one process, each on a runtime of its own with one thread, over
//! loopback with mutual TLS.

use std::{
    error::Error,
    io::Write,
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use synod_net::{
    Authority, Channel, Congestion, Credentials, Dialer, Event, Identity, Lane, Mesh, MeshConfig,
    Name, PeerAddress, Role, Who,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

const CLUSTER_ID: u64 = 1;
/// What is sent, and sent back.
const BODY: &[u8] = &[7; 128];

type Res<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The two nodes and the client, as proved by one authority.
struct Cast {
    near: MeshConfig,
    far: MeshConfig,
    client: Credentials,
}

fn cast(dir: &Path) -> Res<Cast> {
    let cluster = Name::new("ping")?;
    let authority = Authority::create(&cluster)?;
    authority.save(&dir.join("ca.crt"), &dir.join("ca.key"))?;
    let credentials = |file: &str, who| -> Res<Credentials> {
        let (cert, key) = (dir.join(format!("{file}.crt")), dir.join(format!("{file}.key")));
        authority.issue(&Identity { cluster: cluster.clone(), who }, 1, &cert, &key)?;
        Ok(Credentials::load(&dir.join("ca.crt"), &cert, &key)?)
    };
    let (n1, n2) = (Name::new("n1")?, Name::new("n2")?);
    let (here, there) = (free()?, free()?);
    let config = |own: &Name, listen, peer: &Name, at: SocketAddr| -> Res<MeshConfig> {
        let credentials = credentials(own.as_str(), Who::Node(own.clone()))?;
        let peers = vec![PeerAddress { name: peer.clone(), address: at.to_string() }];
        let congestion = Congestion::default();
        Ok(MeshConfig { credentials, cluster_id: CLUSTER_ID, listen, peers, congestion })
    };
    let (near, far) = (config(&n1, here, &n2, there)?, config(&n2, there, &n1, here)?);
    let app = Who::Client { name: Name::new("app")?, role: Role::Read };
    Ok(Cast { near, far, client: credentials("app", app)? })
}

fn free() -> Res<SocketAddr> {
    Ok(std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

/// A node on a thread of its own that sends back whatever it hears.
fn echo(config: MeshConfig, stop: oneshot::Receiver<()>) -> thread::JoinHandle<Res<()>> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mesh, mut events) = Mesh::open(config).await?;
            let echo = async {
                while let Some(event) = events.recv().await {
                    match event {
                        Event::Frame { from, lane, body } => mesh.send(&from, lane, body),
                        Event::Asked(asked) => asked.reply.send(asked.body),
                        Event::Up(_) | Event::Down(_) => {}
                    }
                }
            };
            // As a kill does it: nobody says goodbye.
            tokio::select! {
                () = echo => {}
                _ = stop => {}
            }
            Ok(())
        })
    })
}

/// Frames to the other node and back: `in_flight` of them on their way at any time.
async fn frames(
    mesh: &Mesh,
    events: &mut mpsc::Receiver<Event>,
    in_flight: usize,
    span: Duration,
) -> Res<Vec<Duration>> {
    let to = Name::new("n2")?;
    let mut sent = std::collections::VecDeque::new();
    let mut took = Vec::new();
    let begun = Instant::now();
    for _ in 0..in_flight {
        sent.push_back(Instant::now());
        mesh.send(&to, Lane::Log, Bytes::from_static(BODY));
    }
    while begun.elapsed() < span {
        if let Some(Event::Frame { .. }) = events.recv().await {
            took.extend(sent.pop_front().map(|at: Instant| at.elapsed()));
            sent.push_back(Instant::now());
            mesh.send(&to, Lane::Log, Bytes::from_static(BODY));
        }
    }
    while sent.pop_front().is_some() {
        events.recv().await;
    }
    Ok(took)
}

/// Questions to the other node, from so many askers on one connection.
async fn asks(channel: &Channel, askers: usize, span: Duration) -> Res<Vec<Duration>> {
    let mut tasks = JoinSet::new();
    let until = Instant::now() + span;
    for _ in 0..askers {
        let channel = channel.clone();
        tasks.spawn(async move {
            let mut took = Vec::new();
            while Instant::now() < until {
                let at = Instant::now();
                channel.ask(Bytes::from_static(BODY)).await?;
                took.push(at.elapsed());
            }
            Ok::<_, synod_net::AskError>(took)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}

/// Kills the other node, waits for `away`, starts it again: how long until its peer has it back.
/// The peer sends a frame every ten milliseconds, as a node does.
async fn restart(
    other: Other,
    config: &MeshConfig,
    away: Duration,
    mesh: &Mesh,
    events: &mut mpsc::Receiver<Event>,
) -> Res<(Other, Duration)> {
    let to = Name::new("n2")?;
    let mut beat = tokio::time::interval(Duration::from_millis(10));
    let mut other = Some(other);
    for span in [Duration::from_millis(200), away] {
        let until = Instant::now() + span;
        while Instant::now() < until {
            tokio::select! {
                _ = events.recv() => {}
                _ = beat.tick() => mesh.send(&to, Lane::Control, Bytes::from_static(BODY)),
            }
        }
        other.take().map_or(Ok(()), Other::end)?;
    }
    let (other, started) = (Other::start(config.clone()), Instant::now());
    loop {
        tokio::select! {
            event = events.recv() => if matches!(event, Some(Event::Up(_))) {
                return Ok((other, started.elapsed()));
            },
            _ = beat.tick() => mesh.send(&to, Lane::Control, Bytes::from_static(BODY)),
        }
    }
}

/// The other node, until it is killed.
struct Other {
    stop: oneshot::Sender<()>,
    life: thread::JoinHandle<Res<()>>,
}

impl Other {
    fn start(config: MeshConfig) -> Other {
        let (stop, stopped) = oneshot::channel();
        Other { stop, life: echo(config, stopped) }
    }

    fn end(self) -> Res<()> {
        // It waits for nothing else.
        let _gone = self.stop.send(());
        self.life.join().map_err(|_| "the other node panicked")?
    }
}

fn show(what: &str, in_flight: usize, span: Duration, mut took: Vec<Duration>) -> Res<()> {
    took.sort();
    let at = |part: f64| {
        let place = ((took.len() as f64 * part) as usize).min(took.len().saturating_sub(1));
        took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e6)
    };
    let rate = took.len() as f64 / span.as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{what:<8} {in_flight:>9} in flight {:>9.0} us p50 {:>9.0} us p99 {rate:>11.0} a second",
        at(0.5),
        at(0.99),
    )?;
    Ok(())
}

fn main() -> Res<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(2.0), |text| text.parse())?;
    let span = Duration::from_secs_f64(seconds);
    let dir = tempfile::tempdir()?;
    let Cast { near, far, client } = cast(dir.path())?;
    let at = far.listen.to_string();
    let mut other = Other::start(far.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mesh, mut events) = Mesh::open(near).await?;
        while !matches!(events.recv().await, Some(Event::Up(_))) {}
        for in_flight in [1, 64, 1_024] {
            show("frames", in_flight, span, frames(&mesh, &mut events, in_flight, span).await?)?;
        }
        let dialer = Dialer::new(client, CLUSTER_ID)?;
        let channel = dialer.connect(&at, &Who::Node(Name::new("n2")?)).await?;
        for askers in [1, 64, 256] {
            show("asks", askers, span, asks(&channel, askers, span).await?)?;
        }
        for away_ms in [50, 500, 1_500] {
            let mut took = Vec::new();
            for _ in 0..10 {
                let away = Duration::from_millis(away_ms);
                let back = restart(other, &far, away, &mesh, &mut events).await?;
                other = back.0;
                took.push(back.1);
            }
            took.sort();
            let (median, last) = (took[took.len() / 2], took[took.len() - 1]);
            writeln!(
                std::io::stdout(),
                "killed, {away_ms} ms away: connected {median:.1?} after its start, \
                 at most {last:.1?}"
            )?;
        }
        mesh.close().await;
        other.end()
    })
}
