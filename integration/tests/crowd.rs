//! Ten thousand that watch and ten thousand locks that are held, on one node.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what it measured is of interest")]
#![cfg(target_os = "linux")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use synod_client::{
    Client, Config, KvWatch, Lease, LockGuard, Watched,
    machine::{Change, Revision},
};
use synod_integration::{Cluster, Options};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

const CROWD: usize = 10_000;
/// Locks on one lease.
const ON_ONE_LEASE: usize = 100;
const TTL: Duration = Duration::from_secs(30);
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// As many are asked for at once.
const AT_ONCE: usize = 128;

/// What one of the crowd was told of.
type Told = (usize, String);

#[test]
fn ten_thousand_watch_and_ten_thousand_locks_are_held_on_one_node() {
    let mut cluster = Cluster::start(&Options { nodes: 1, ..Options::default() });
    let node = cluster.process("n1").id();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = Client::connect(Config::load(Path::new(&cluster.config("client"))).unwrap());
        let client = client.await.unwrap().within(PATIENCE);
        let leases = leases(&client).await;
        let began = resident_kib(node);
        let guards = locks(&client, &leases).await;
        let locked = resident_kib(node);
        let (told, mut tells) = mpsc::unbounded_channel();
        let watching = watches(&client, &told).await;
        let watched = resident_kib(node);
        let each = |kib: u64| kib.saturating_mul(1_024) / CROWD as u64;
        println!("a lock that is held and watched: {} bytes", each(locked.saturating_sub(began)));
        println!("one that watches: {} bytes", each(watched.saturating_sub(locked)));
        everybody_is_told(&client, &mut tells).await;
        renewed(&leases, &guards).await;
        drop(watching);
        released(&client, guards).await;
        nobody_waits(&client).await;
        client.close().await;
    });
}

/// What a process has in memory.
fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn leases(client: &Client) -> Vec<Lease> {
    let mut leases = Vec::new();
    for _ in 0..CROWD / ON_ONE_LEASE {
        leases.push(client.lease(TTL).await.unwrap());
    }
    leases
}

async fn locks(client: &Client, leases: &[Lease]) -> Vec<LockGuard> {
    let (mut taking, mut guards) = (JoinSet::new(), Vec::new());
    for place in 0..CROWD {
        if taking.len() == AT_ONCE {
            guards.extend(taking.join_next().await.map(Result::unwrap));
        }
        let lock = client.lock(format!("crowd/{place}")).on(&leases[place / ON_ONE_LEASE]);
        taking.spawn(async move { lock.await.unwrap().guard().expect("nobody else has it") });
    }
    guards.extend(taking.join_all().await);
    assert_eq!(guards.len(), CROWD);
    guards
}

/// Half of them watch one prefix, half each its own; all are told up to where they began.
async fn watches(client: &Client, told: &mpsc::UnboundedSender<Told>) -> JoinSet<()> {
    let mut beginning = JoinSet::<(usize, KvWatch)>::new();
    let mut watching = JoinSet::new();
    let mut follow = |(place, watch): (usize, KvWatch)| -> AbortHandle {
        watching.spawn(follow(place, watch, told.clone()))
    };
    for place in 0..CROWD {
        if beginning.len() == AT_ONCE {
            follow(beginning.join_next().await.unwrap().unwrap());
        }
        let prefix = if place % 2 == 0 { "all/".to_owned() } else { format!("own/{place}/") };
        let mut watch = client.kv().watch(prefix);
        beginning.spawn(async move {
            assert!(matches!(watch.next().await, Some(Ok(Watched::CaughtUp(_)))));
            (place, watch)
        });
    }
    for begun in beginning.join_all().await {
        follow(begun);
    }
    watching
}

async fn follow(place: usize, mut watch: KvWatch, told: mpsc::UnboundedSender<Told>) {
    while let Some(item) = watch.next().await {
        match item.unwrap() {
            Watched::Changed { changes, .. } => {
                for change in changes {
                    let Change::Put { key, .. } = change else { panic!("{change:?}") };
                    let _over = told.send((place, String::from_utf8_lossy(&key).into_owned()));
                }
            }
            Watched::CaughtUp(_) | Watched::Stale { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// One change is told to all five thousand that watch it, once, and one that nobody else watches to
/// the one that does.
async fn everybody_is_told(client: &Client, tells: &mut mpsc::UnboundedReceiver<Told>) {
    let put = async |key: &str| -> Revision { client.kv().put(key.to_owned(), "").await.unwrap() };
    for round in 0..3 {
        let key = format!("all/{round}");
        put(&key).await;
        let mut seen = vec![0; CROWD];
        for _ in 0..CROWD / 2 {
            let (place, told) = heard(tells).await;
            assert_eq!(told, key);
            seen[place] += 1;
        }
        assert!((0..CROWD).all(|place| seen[place] == usize::from(place % 2 == 0)));
    }
    for place in [1, 4_711, CROWD - 1] {
        let key = format!("own/{place}/k");
        put(&key).await;
        assert_eq!(heard(tells).await, (place, key));
    }
}

async fn heard(tells: &mut mpsc::UnboundedReceiver<Told>) -> Told {
    timeout(PATIENCE, tells.recv()).await.expect("it is told").unwrap()
}

/// Each lease is renewed, and every lock is held still.
async fn renewed(leases: &[Lease], guards: &[LockGuard]) {
    let before: Vec<_> = leases.iter().map(Lease::until).collect();
    let began = Instant::now();
    while !leases.iter().zip(&before).all(|(lease, before)| lease.until() > *before) {
        assert!(began.elapsed() < PATIENCE, "a lease is not renewed");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(guards.iter().all(|guard| guard.is_lost().is_none()));
}

async fn released(client: &Client, guards: Vec<LockGuard>) {
    let mut releasing = JoinSet::<bool>::new();
    for guard in guards {
        if releasing.len() == AT_ONCE {
            assert!(releasing.join_next().await.unwrap().unwrap());
        }
        releasing.spawn(async move { guard.release().await.unwrap() });
    }
    assert!(releasing.join_all().await.into_iter().all(|held| held));
    assert_eq!(client.locks("crowd/", None, 1).await.unwrap(), (Vec::new(), false));
}

/// No call is left at the node but what every client keeps open.
async fn nobody_waits(client: &Client) {
    let began = Instant::now();
    loop {
        let heard = client.status_all().await;
        let waiting = heard[0].1.as_ref().map_or(u64::MAX, |status| status.requests_in_flight);
        if waiting <= 2 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{waiting} wait still");
        sleep(Duration::from_millis(20)).await;
    }
}
