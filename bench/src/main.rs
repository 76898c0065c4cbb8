//! `cargo run --release -p synod-bench`: the first measurement, on a cluster of three real
//! processes; with the argument `takeover`, the deaths of leaders alone, with `reads` what a read
//! takes, both with and without the leader's lease; with `snapshots` what snapshots and a peer that
//! catches up do to the puts of others, with `services` what leases, locks and watches take, with
//! `door` what the HTTP door takes beside the library.
//!
//! It needs the release binary of `synod` beside it: `cargo build --release` makes both.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use synod_bench::{BenchError, door, load, reads, services, snapshots, stage::Stage, takeover};

/// Nodes of the cluster that is measured.
const NODES: u16 = 3;
/// How long each load runs.
const SPAN: Duration = Duration::from_secs(10);
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
        Some(other) => {
            let parts = "`takeover`, `reads`, `snapshots`, `services` and `door`";
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
