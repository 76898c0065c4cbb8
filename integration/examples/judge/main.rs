//! Real processes, real QUIC, real disks, and clients who remember: a cluster is killed, stopped
//! and cut while keys are written and money is moved, and what the clients saw is judged by the
//! lines that judge the simulator's histories.
//!
//! ```text
//! cargo run --release -p synod-integration --example judge -- [--nodes 3] [--for 90s] [--seed 1] \
//!     [--history FILE]
//! ```
//!
//! It exits with 1 when no order of events explains what the clients saw. The file, if there is to
//! be one, holds what they saw, a line for each operation and each transfer.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that tests")]

mod keys;
mod money;
mod stage;
mod troubles;

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use stage::Stage;
use synod_client::{Client, Config};
use synod_sim::history::{Operation, bank, linearizable};
use tokio::{task::JoinSet, time::sleep};

/// Clients that read and write keys.
const CLIENTS: u64 = 6;

/// The deadline of every call while there is trouble: shorter than some takeovers, so that some
/// calls end unknown.
const CALL_WITHIN: Duration = Duration::from_millis(250);

/// The deadline of calls once all is well again.
const LAST_WITHIN: Duration = Duration::from_secs(60);

/// What was asked for on the command line.
#[derive(Clone, Debug)]
struct Wish {
    nodes: u16,
    span: Duration,
    seed: u64,
    history: Option<PathBuf>,
}

/// What all clients share.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) client: Client,
    pub(crate) began: Instant,
    over: Arc<AtomicBool>,
}

impl Common {
    /// Microseconds on the clock that all clients share.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

fn main() -> ExitCode {
    let wish = wish();
    println!("{} nodes, {} s, seed {}", wish.nodes, wish.span.as_secs(), wish.seed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if runtime.block_on(play(wish)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wish() -> Wish {
    let mut wish = Wish { nodes: 3, span: Duration::from_secs(90), seed: 1, history: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--nodes" => wish.nodes = value.parse().unwrap(),
            "--for" => wish.span = span(&value),
            "--seed" => wish.seed = value.parse().unwrap(),
            "--history" => wish.history = Some(value.into()),
            _ => panic!("{word}? There are --nodes N, --for 90s, --seed S and --history FILE"),
        }
    }
    wish
}

/// So many seconds, minutes or hours: `90s`, `30m`, `8h`.
fn span(text: &str) -> Duration {
    let (number, unit) = match text.char_indices().last() {
        Some((end, 'm')) => (&text[..end], 60),
        Some((end, 'h')) => (&text[..end], 3_600),
        Some((end, 's')) => (&text[..end], 1),
        _ => (text, 1),
    };
    let number: u64 =
        number.parse().unwrap_or_else(|_| panic!("{text}? 90s, 30m and 8h are spans"));
    Duration::from_secs(unit * number)
}

/// Plays, heals, reads once more and judges; whether everything is explained.
async fn play(wish: Wish) -> bool {
    let stage = Stage::new(wish.nodes, wish.seed).await;
    let config = Config::load(&stage.client_config()).unwrap();
    let client = Client::connect(config).await.unwrap().within(LAST_WITHIN);
    let opening = money::open_accounts(&client).await;
    let over = Arc::new(AtomicBool::new(false));
    let common = Common { client: client.within(CALL_WITHIN), began: Instant::now(), over };
    let (mut writers, mut movers) = (JoinSet::new(), JoinSet::new());
    for number in 0..CLIENTS {
        writers.spawn(keys::run(common.clone(), number, wish.seed));
    }
    for number in 0..money::MOVERS {
        movers.spawn(money::run(common.clone(), number, wish.seed));
    }
    let trouble = tokio::task::spawn_blocking({
        let over = Arc::clone(&common.over);
        move || troubles::make(stage, wish.seed, &over)
    });
    sleep(wish.span).await;
    common.over.store(true, Ordering::Relaxed);
    let (stage, told) = trouble.await.unwrap();
    println!("{told}");
    let operations: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    let transfers: Vec<_> = movers.join_all().await.into_iter().flatten().collect();
    let patient = Common { client, ..common };
    let last = keys::read_all(&patient).await;
    let transfers = money::settle(&patient, transfers).await;
    let closing = money::balances(&patient).await;
    let unknown = operations.iter().filter(|operation| operation.answered.is_none()).count();
    println!("{} operations, {unknown} of them unknown", operations.len() + last.len());
    println!("{}", money::summary(&transfers));
    let all: Vec<_> = operations.into_iter().chain(last).collect();
    if let Some(path) = &wish.history {
        fs::write(path, history(&all, &transfers)).unwrap();
    }
    let keys = report("keys: one order explains what was seen", linearizable(&all));
    let money = report("money: it adds up", bank::adds_up(&opening, &transfers, &closing));
    let states = report("states: all nodes agree", stage.states_agree());
    keys && money && states
}

/// What was seen, in the order in which it was asked for.
fn history(operations: &[Operation], transfers: &[bank::Transfer]) -> String {
    let mut in_order: Vec<_> = operations.iter().collect();
    in_order.sort_by_key(|operation| operation.asked);
    let mut text = String::new();
    for operation in in_order {
        writeln!(text, "{operation:?}").unwrap();
    }
    for transfer in transfers {
        writeln!(text, "{transfer:?}").unwrap();
    }
    text
}

fn report<E: std::fmt::Display>(what: &str, judged: Result<(), E>) -> bool {
    match &judged {
        Ok(()) => println!("ok   {what}"),
        Err(why) => println!("BAD  {what}: {why}"),
    }
    judged.is_ok()
}
