//! `cargo run --release -p synod-bench`: the first measurement, on a cluster of three real
//! processes; or one part of it, or what takes longer than a verb should:
//!
//! - `takeover`: the deaths of leaders alone, with and without the leader's lease;
//! - `reads`: what a read takes, with it and without;
//! - `snapshots`: what snapshots and a peer that catches up do to the puts of others;
//! - `services`: what leases, locks and watches take;
//! - `door`: what the HTTP door takes beside the library;
//! - `endurance [MINUTES [RATE [NICE]]]`: an hour under full load (NICE `none`: of others);
//! - `aged [COMMANDS]`: what commits take after ten million commands;
//! - `reopened [MIB]`: how soon a node that was killed has a gibibyte of state again;
//! - `shards [COUNT]`: what each of eight shards commits beside one alone;
//! - `commits`: where a commit over two shards spends its time.
//!
//! It needs the release binary of `synod` beside it: `cargo build --release` makes both.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use synod_bench::{
    BenchError, commits, door,
    endurance::{self, Ordeal},
    growth, load, reads, services, snapshots,
    stage::Stage,
    takeover,
};

/// Nodes of the cluster that is measured.
const NODES: u16 = 3;
/// How long each load runs.
const SPAN: Duration = Duration::from_secs(10);
/// Nobody can be nicer (nice(2)).
const NICEST: u8 = 19;
/// Kills of the leader.
const KILLS: usize = 10;
/// An idle cluster is idle after this.
const SETTLE: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let measured = match std::env::args().nth(1).as_deref() {
        None => measure().await,
        Some("takeover") => takeovers_alone().await,
        Some("reads") => reads_alone().await,
        Some("snapshots") => lengthened().await,
        Some("services") => services_alone().await,
        Some("door") => door_alone().await,
        Some("endurance") => endured().await,
        Some("aged") => aged().await,
        Some("reopened") => reopened().await,
        Some("shards") => shards().await,
        Some("commits") => commits_alone().await,
        Some(other) => {
            let parts = "`takeover`, `reads`, `snapshots`, `services`, `door`, `endurance`, \
                         `aged`, `reopened`, `shards` and `commits`";
            let why = format!("no such part: {other}; {parts} are parts");
            Err(BenchError::Cluster(why))
        }
    };
    match measured {
        Ok(report) => {
            use std::io::Write;
            // A reader that has gone away does not want the rest.
            let _ = writeln!(std::io::stdout(), "{report:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<serde_json::Value, BenchError> {
    let mut stage = Stage::open(&synod()?, NODES, "")?;
    let (config, dir) = (stage.client(), stage.dir().to_path_buf());
    tokio::time::sleep(SETTLE).await;
    let idle = stage.rss_kib();
    let idle_cpu = stage.cpu_s();
    tokio::time::sleep(SETTLE).await;
    let idle_cpu = (stage.cpu_s() - idle_cpu) / SETTLE.as_secs_f64() / f64::from(NODES);
    let lone = load::lone(&config, &dir, SPAN).await?;
    let mut crowds = Vec::new();
    for clients in [16, 64, 256] {
        let before = stage.cpu_s();
        let crowd = load::crowd(&config, clients, SPAN).await?;
        let per_10k = (stage.cpu_s() - before) * 10_000.0 / crowd.put_us.count.max(1) as f64;
        crowds.push(serde_json::json!({ "crowd": crowd, "server_cpu_s_per_10k": per_10k }));
    }
    let loaded = stage.rss_kib();
    let takeovers = takeover::takeovers(&mut stage, KILLS).await?;
    Ok(serde_json::json!({
        "schema": "synod.bench.first/2",
        "nodes": NODES,
        "idle_rss_kib": idle,
        "idle_cpu_per_node": idle_cpu,
        "lone": lone,
        "crowds": crowds,
        "loaded_rss_kib": loaded,
        "takeovers": takeovers,
    }))
}

async fn takeovers_alone() -> Result<serde_json::Value, BenchError> {
    let mut both = Vec::new();
    for lease in [true, false] {
        let mut stage = Stage::open(&synod()?, NODES, &with_lease(lease))?;
        tokio::time::sleep(SETTLE).await;
        both.push(takeover::takeovers(&mut stage, KILLS).await?);
    }
    Ok(serde_json::json!({
        "schema": "synod.bench.takeover/2",
        "nodes": NODES,
        "with_lease": both[0],
        "without_lease": both[1],
    }))
}

async fn reads_alone() -> Result<serde_json::Value, BenchError> {
    let mut both = Vec::new();
    for lease in [true, false] {
        let stage = Stage::open(&synod()?, NODES, &with_lease(lease))?;
        tokio::time::sleep(SETTLE).await;
        both.push(reads::reads(&stage.client(), SPAN).await?);
    }
    Ok(serde_json::json!({
        "schema": "synod.bench.reads/1",
        "nodes": NODES,
        "with_lease": both[0],
        "without_lease": both[1],
    }))
}

/// A node's setting: whether a leader asks for a lease.
fn with_lease(lease: bool) -> String {
    format!("\n[reads]\nlease = {lease}\n")
}

async fn lengthened() -> Result<serde_json::Value, BenchError> {
    let settings = format!("\n[snapshots]\nevery_bytes = {}\n", snapshots::EVERY_BYTES);
    let mut stage = Stage::open(&synod()?, NODES, &settings)?;
    Ok(serde_json::json!({
        "schema": "synod.bench.snapshots/1",
        "nodes": NODES,
        "every_bytes": snapshots::EVERY_BYTES,
        "lengthened": snapshots::lengthened(&mut stage).await?,
    }))
}

async fn services_alone() -> Result<serde_json::Value, BenchError> {
    let stage = Stage::open(&synod()?, NODES, "")?;
    tokio::time::sleep(SETTLE).await;
    let (config, dir) = (stage.client(), stage.dir().to_path_buf());
    Ok(serde_json::json!({
        "schema": "synod.bench.services/1",
        "nodes": NODES,
        "services": services::services(&config, &dir, SPAN).await?,
    }))
}

async fn door_alone() -> Result<serde_json::Value, BenchError> {
    let stage = Stage::open(&synod()?, NODES, "")?;
    tokio::time::sleep(SETTLE).await;
    let (config, dir) = (stage.client(), stage.dir().to_path_buf());
    Ok(serde_json::json!({
        "schema": "synod.bench.door/1",
        "nodes": NODES,
        "door": door::doors(&config, stage.door("n1")?, &dir, SPAN).await?,
    }))
}

async fn endured() -> Result<serde_json::Value, BenchError> {
    let minutes = number(2, "minutes", 60)?;
    let rate_per_s = number(3, "puts a second", 2_000)?;
    let nice = match std::env::args().nth(4).as_deref() {
        Some("none") => None,
        _ => {
            let nice = number(4, "niceness", 0)?;
            Some(u8::try_from(nice).unwrap_or(u8::MAX).min(NICEST))
        }
    };
    let stage = Stage::open(&synod()?, NODES, "")?;
    let ordeal = Ordeal { minutes, rate_per_s, nice };
    Ok(serde_json::json!(endurance::endure(&stage, &ordeal, std::io::stderr()).await?))
}

async fn aged() -> Result<serde_json::Value, BenchError> {
    let commands = number(2, "commands", 10_000_000)?;
    let stage = Stage::open(&synod()?, NODES, "")?;
    tokio::time::sleep(SETTLE).await;
    Ok(serde_json::json!(growth::aged(&stage, commands.into()).await?))
}

async fn reopened() -> Result<serde_json::Value, BenchError> {
    let mib = number(2, "MiB of state", 1_024)?;
    let mut stage = Stage::open(&synod()?, NODES, "")?;
    Ok(serde_json::json!(growth::reopened(&mut stage, mib.into()).await?))
}

async fn shards() -> Result<serde_json::Value, BenchError> {
    let most = u16::try_from(number(2, "shards", 8)?).unwrap_or(u16::MAX);
    let mut all = Vec::new();
    for count in [1, most] {
        let (stage, names) = growth::with_shards(&synod()?, count)?;
        tokio::time::sleep(SETTLE).await;
        all.push(growth::shards(&stage, &names).await?);
    }
    let ratio = all[1].per_shard_per_s / all[0].per_shard_per_s.max(f64::EPSILON);
    Ok(serde_json::json!({ "schema": "synod.bench.shards/1", "ratio": ratio, "shards": all }))
}

async fn commits_alone() -> Result<serde_json::Value, BenchError> {
    let (stage, shards) = growth::with_shards(&synod()?, 2)?;
    let nodes: Vec<String> = (1..=NODES).map(|number| format!("n{number}")).collect();
    tokio::time::sleep(SETTLE).await;
    Ok(serde_json::json!({
        "schema": "synod.bench.commits/1",
        "nodes": NODES,
        "shards": shards.len(),
        "commits": commits::commits(&stage, &shards, &nodes, SPAN).await?,
    }))
}

/// The argument at this place, if there is one.
fn number(place: usize, what: &str, unless_said: u32) -> Result<u32, BenchError> {
    let Some(text) = std::env::args().nth(place) else { return Ok(unless_said) };
    let wrong = |_| BenchError::Cluster(format!("{what}: {text:?} is no number"));
    text.parse().map_err(wrong)
}

/// The `synod` binary beside this one.
fn synod() -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe()
        .map_err(|source| BenchError::Io { what: "the path of this program".to_owned(), source })?;
    let synod = own.with_file_name("synod");
    if synod.is_file() {
        Ok(synod)
    } else {
        Err(BenchError::Cluster(format!(
            "{} is not there; `cargo build --release` makes it",
            synod.display()
        )))
    }
}
