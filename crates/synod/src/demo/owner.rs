//! The demo's transaction owner: a process of its own that moves satellites between the catalogs,
//! many at once, and may be killed at any moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use synod_client::{
    Client, Error, Outcome, Shard,
    machine::{Entry, Expect, Guard, Mutation, branch::Work},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{
    catalog,
    says::{OwnerHears, OwnerSays, line},
    scene::SHARDS,
};
use crate::{
    cli::{Common, DemoOwnerArgs},
    exit::Failure,
    print,
    verbs::ask,
};

/// A move that is not answered by then counts as unknown; longer than any failover.
const MOVE_DEADLINE: Duration = Duration::from_secs(15);
/// A refused move is followed by a short rest, so that a stage without a shard is not hammered.
const REST: Duration = Duration::from_millis(20);
/// Satellites that one transaction brings into an empty catalog.
const LOAD_AT_ONCE: usize = 64;

/// What stands in each catalog: key and record, by the place in [`SHARDS`].
type Catalogs = [BTreeMap<Vec<u8>, Vec<u8>>; 2];

/// What of it is not being moved.
type Idle = Arc<Mutex<Catalogs>>;

/// Runs the hidden verb.
pub(crate) fn run(common: &Common, args: &DemoOwnerArgs) -> Result<(), Failure> {
    let config = ask::config(common)?;
    let runtime = ask::runtime()?;
    let (seed, parallel) = (args.seed, args.parallel);
    let ended = runtime.block_on(async move {
        // Before anything that may wait: the director may be gone by then.
        let (tell, told) = watch::channel(OwnerHears::Go);
        let heard = tokio::spawn(listen(tell));
        let client = Client::connect(config).await.map_err(ask::failure)?;
        play(client.within(MOVE_DEADLINE), seed, parallel, &told, heard).await
    });
    runtime.shutdown_background();
    ended
}

async fn play(
    client: Client,
    seed: u64,
    parallel: usize,
    told: &watch::Receiver<OwnerHears>,
    heard: JoinHandle<watch::Sender<OwnerHears>>,
) -> Result<(), Failure> {
    let idle = Idle::default();
    let satellites = gather(&client, &idle).await?;
    say(OwnerSays::Ready { satellites })?;
    let held = Arc::new(Mutex::new(0_usize));
    let mut movers = JoinSet::new();
    for number in 0..parallel {
        let mover = Mover {
            client: client.clone(),
            idle: Arc::clone(&idle),
            held: Arc::clone(&held),
            parallel,
            told: told.clone(),
            chance: fastrand::Rng::with_seed(seed.wrapping_add(number as u64)),
        };
        movers.spawn(mover.run());
    }
    // Held: movers that hear nothing more would take that for the end.
    let _tell = heard.await;
    while let Some(ended) = movers.join_next().await {
        if let Ok(Err(failure)) = ended {
            return Err(failure);
        }
    }
    client.close().await;
    say(OwnerSays::Stopped)
}

/// Hears the director until it says stop, or is gone.
async fn listen(tell: watch::Sender<OwnerHears>) -> watch::Sender<OwnerHears> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        let Ok(heard) = serde_json::from_str::<OwnerHears>(&text) else { continue };
        tell.send_replace(heard);
        if heard == OwnerHears::Stop {
            return tell;
        }
    }
    // The director is gone: nobody is left to move satellites for.
    std::process::exit(0);
}

/// Learns what stands where; fills empty catalogs first, by atomic commit like everything else.
///
/// What an owner before has left in doubt is taken to be where it was: its guards will tell. What
/// this one has just loaded it wants to see whole.
async fn gather(client: &Client, idle: &Idle) -> Result<usize, Failure> {
    let mut found = read(&SHARDS.map(|shard| client.shard(shard).stale())).await?;
    if found.iter().all(BTreeMap::is_empty) {
        load(client).await?;
        found = read(&SHARDS.map(|shard| client.shard(shard))).await?;
    }
    let count = found.iter().map(BTreeMap::len).sum();
    *lock(idle) = found;
    Ok(count)
}

async fn read(shards: &[Shard; 2]) -> Result<Catalogs, Failure> {
    let mut found = Catalogs::default();
    for (place, shard) in shards.iter().enumerate() {
        let records = shard.scan_all().await.map_err(ask::failure)?;
        let row = |(key, entry): (Bytes, Entry)| (key.to_vec(), entry.value.to_vec());
        found[place] = records.into_iter().map(row).collect();
    }
    Ok(found)
}

async fn load(client: &Client) -> Result<(), Failure> {
    let all: Vec<_> = catalog::satellites().into_iter().collect();
    for (number, some) in all.chunks(LOAD_AT_ONCE).enumerate() {
        let mut work = Work::default();
        for (key, set) in some {
            let (key, value) = (bytes(key.as_bytes()), bytes(set.as_bytes()));
            work.guards.push(Guard { key: key.clone(), expect: Expect::Absent });
            work.mutations.push(Mutation::Put { key, value });
        }
        let txn = client.txn().ask(SHARDS[number % SHARDS.len()], work);
        let _ = txn.commit().await.map_err(ask::failure)?;
    }
    Ok(())
}

/// One of several that move satellites side by side.
struct Mover {
    client: Client,
    idle: Idle,
    held: Arc<Mutex<usize>>,
    parallel: usize,
    told: watch::Receiver<OwnerHears>,
    chance: fastrand::Rng,
}

/// One satellite on its way.
struct Move {
    from: usize,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Mover {
    async fn run(mut self) -> Result<(), Failure> {
        while *self.told.borrow() != OwnerHears::Stop {
            let Some(chosen) = self.choose() else {
                tokio::time::sleep(REST).await;
                continue;
            };
            let said = self.carry(&chosen).await;
            match said {
                Some(OwnerSays::Committed { .. }) => self.put_down(chosen, true),
                Some(OwnerSays::Aborted) => {
                    self.put_down(chosen, false);
                    tokio::time::sleep(REST).await;
                }
                // Where it stands is not known; it is left alone from here on.
                _ => {}
            }
            say(said.unwrap_or(OwnerSays::Unknown))?;
        }
        Ok(())
    }

    fn choose(&mut self) -> Option<Move> {
        let mut idle = lock(&self.idle);
        let first = self.chance.usize(..SHARDS.len());
        let from = [first, 1 - first].into_iter().find(|place| !idle[*place].is_empty())?;
        let nth = self.chance.usize(..idle[from].len());
        let key = idle[from].keys().nth(nth).cloned()?;
        let value = idle[from].remove(&key)?;
        Some(Move { from, key, value })
    }

    fn put_down(&self, moved: Move, arrived: bool) {
        let place = if arrived { 1 - moved.from } else { moved.from };
        lock(&self.idle)[place].insert(moved.key, moved.value);
    }

    /// Moves one satellite; `None` when its fate is not known.
    async fn carry(&mut self, chosen: &Move) -> Option<OwnerSays> {
        let (key, value) = (bytes(&chosen.key), bytes(&chosen.value));
        let take = Work {
            guards: vec![Guard { key: key.clone(), expect: Expect::Value(value.clone()) }],
            mutations: vec![Mutation::Delete { key: key.clone() }],
        };
        let give = Work {
            guards: vec![Guard { key: key.clone(), expect: Expect::Absent }],
            mutations: vec![Mutation::Put { key, value }],
        };
        let begun = Instant::now();
        let txn =
            self.client.txn().ask(SHARDS[chosen.from], take).ask(SHARDS[1 - chosen.from], give);
        let prepared = match txn.prepare().await {
            Ok(prepared) => prepared,
            Err(error) => return told_no(&error),
        };
        let held = self.wait_while_held().await;
        match prepared.decide().await {
            Ok(Outcome::Committed { .. }) => {
                let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                Some(OwnerSays::Committed { us, held })
            }
            Ok(Outcome::Aborted { .. }) => Some(OwnerSays::Aborted),
            Err(error) => told_no(&error),
        }
    }

    /// Waits between votes and decision for as long as the director wants; whether it did.
    async fn wait_while_held(&mut self) -> bool {
        if *self.told.borrow() != OwnerHears::Hold {
            return false;
        }
        let moves = {
            let mut held = lock(&self.held);
            *held += 1;
            *held
        };
        if moves == self.parallel {
            let _ = say(OwnerSays::Held { moves });
        }
        // An error means that the director is gone, and this process with it.
        let _ = self.told.wait_for(|told| *told != OwnerHears::Hold).await;
        *lock(&self.held) -= 1;
        true
    }
}

/// A move that certainly did not happen aborted; of any other the fate is not known.
fn told_no(error: &Error) -> Option<OwnerSays> {
    matches!(error, Error::NotApplied { .. }).then_some(OwnerSays::Aborted)
}

fn say(said: OwnerSays) -> Result<(), Failure> {
    print::lines(&line(&said))
}

fn bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// A mover that panicked has told so; the others' catalog is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
