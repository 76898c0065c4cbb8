//! `synod demo`: a cluster, two catalogs and several murders, all on this machine. The exit code is
//! 0 only when every satellite is accounted for.

mod audit;
mod catalog;
mod director;
mod ledger;
pub(crate) mod owner;
mod report;
mod says;
mod scene;
mod script;
mod stage;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use synod_client::{Client, Config, machine::door::NodeStatus};
use tokio::time::{sleep, sleep_until};

use self::{
    director::Director,
    ledger::Ledger,
    report::Report,
    says::OwnerHears,
    scene::{SHARDS, Scene},
    script::{Planned, Victim},
};
use crate::{
    cli::DemoArgs,
    exit::{Code, Failure},
    print,
    verbs::ask,
};

/// How long the play waits at its end for the last doubts to resolve.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the verb.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let script = script(args)?;
    let (dir, kept) = place(args)?;
    let runtime = ask::runtime()?;
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = play(args, &script, dir.path()) => ended,
            () = interrupted() => {
                Err(Failure::new(Code::No, "SYN-DEMO-010", "interrupted; every process was ended"))
            }
        }
    });
    // Dropping the runtime drops the play, and with it every process that it started.
    drop(runtime);
    if kept {
        anstream::eprintln!("files are kept in {}", dir.path().display());
    }
    ended
}

async fn interrupted() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut stream) => drop(stream.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

fn script(args: &DemoArgs) -> Result<Vec<Planned>, Failure> {
    if !matches!(args.nodes, 1 | 3 | 5 | 7) {
        let what = format!("a cluster has 1, 3, 5 or 7 nodes, not {}", args.nodes);
        return Err(Failure::new(Code::Usage, "SYN-DEMO-011", what));
    }
    match &args.script {
        None => Ok(script::usual(args.span, args.nodes)),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                let what = format!("{}: {error}", path.display());
                Failure::new(Code::Usage, "SYN-DEMO-012", what)
            })?;
            script::parse(&text)
        }
    }
}

/// Where the files go: a directory that vanishes, or the one that was asked for.
enum Place {
    Vanishes(tempfile::TempDir),
    Stays(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Place::Vanishes(dir) => dir.path(),
            Place::Stays(dir) => dir,
        }
    }
}

fn place(args: &DemoArgs) -> Result<(Place, bool), Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::new(Code::Usage, "SYN-DEMO-013", format!("{}: {error}", path.display()))
    };
    match &args.dir {
        Some(dir) => {
            fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
            Ok((Place::Stays(dir.clone()), true))
        }
        None => {
            let dir = tempfile::Builder::new().prefix("synod-demo-").tempdir();
            let dir = dir.map_err(|error| failed(&std::env::temp_dir(), error))?;
            Ok((Place::Vanishes(dir), false))
        }
    }
}

async fn play(args: &DemoArgs, script: &[Planned], dir: &Path) -> Result<(), Failure> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(1..));
    let begun = Instant::now();
    let names: Vec<_> = (1..=args.nodes).map(|i| format!("n{i}")).collect();
    anstream::println!(
        "{} nodes, 2 catalogs (east, west), {} satellites moving between them · all on 127.0.0.1 · \
         files in {} · seed {seed}",
        args.nodes,
        catalog::satellites().len(),
        dir.display()
    );
    let mut scene = Scene::open(dir, args.nodes, args.rtt, seed).await?;
    let config = Config::load(Path::new(&scene.config("client")))
        .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-004", error))?;
    let client = Client::connect(config).await.map_err(ask::failure)?;
    let mut director = Director {
        scene: &mut scene,
        client: client.clone(),
        ledger: Ledger::new(),
        nodes: args.nodes,
        begun,
        moving_since: begun,
    };
    let leader = director.leader().await?;
    director.narrate(&format!("{} up · leader {leader} · east and west joined", names.join(" ")));
    director.bring_owner_back().await?;
    let ready = director.ledger.ready(PATIENCE).await;
    let satellites = ready.ok_or_else(|| {
        Failure::new(Code::Bug, "SYN-DEMO-014", "the owner did not fill the catalogs")
    })?;
    director.moving_since = Instant::now();
    director.narrate(&format!("{satellites} satellites stand in the catalogs; moves begin"));
    let kills = director.play(script).await?;
    sleep_until((director.moving_since + args.span).into()).await;
    let report = curtain(&mut director, args, seed, kills).await?;
    scene.close().await;
    publish(args, script, report)
}

/// Ends the moves, waits for the last doubts, and audits.
async fn curtain(
    director: &mut Director<'_>,
    args: &DemoArgs,
    seed: u64,
    kills: Vec<report::Kill>,
) -> Result<Report, Failure> {
    director.tell(OwnerHears::Stop).await?;
    if !director.ledger.stopped(PATIENCE).await {
        director.narrate("(the owner did not end in time)");
    }
    let until = Instant::now() + PATIENCE;
    let mut in_doubt = director.in_doubt().await.len();
    while in_doubt > 0 && Instant::now() < until {
        sleep(Duration::from_millis(50)).await;
        in_doubt = director.in_doubt().await.len();
    }
    let mut catalogs = Vec::new();
    for shard in SHARDS {
        let records =
            director.client.shard(shard).stale().scan_all().await.map_err(ask::failure)?;
        let records = records.into_iter().map(|(key, entry)| (key.to_vec(), entry.value.to_vec()));
        catalogs.push((shard.to_owned(), records.collect()));
    }
    let audit = audit::audit(&catalogs);
    for complaint in audit.complaints.iter().take(20) {
        director.narrate(&format!("AUDIT: {complaint}"));
    }
    let (equal, statuses) = states_agree(&director.client).await;
    let totals = director.ledger.totals();
    let satellites = catalog::satellites().len();
    let mut report = Report {
        schema: "synod.demo/1",
        nodes: args.nodes,
        seed,
        satellites,
        accounted: audit.accounted,
        committed: totals.committed,
        aborted: totals.aborted,
        unknown: totals.unknown,
        kills,
        commit_us: director.ledger.commit_us(),
        floor_us: floor_us(&director.client, &statuses).await,
        state_hashes_equal: equal,
        in_doubt_at_end: in_doubt as u64,
        ok: false,
    };
    report.ok = audit.accounted == satellites
        && audit.complaints.is_empty()
        && in_doubt == 0
        && equal
        && totals.committed > 0;
    Ok(report)
}

/// Whether the nodes' states agree wherever they can be compared, after waiting until all have
/// applied the same.
async fn states_agree(client: &Client) -> (bool, Vec<NodeStatus>) {
    let until = Instant::now() + PATIENCE;
    loop {
        let heard = client.status_all().await;
        let all: Vec<_> = heard.into_iter().map(|(_, said)| said).collect();
        let statuses: Vec<_> = all.iter().filter_map(|said| said.as_ref().ok()).cloned().collect();
        let level = statuses.len() == all.len()
            && statuses.windows(2).all(|pair| pair[0].applied_slot == pair[1].applied_slot);
        if level || Instant::now() > until {
            return (level && same_hashes(&statuses), statuses);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn same_hashes(statuses: &[NodeStatus]) -> bool {
    let mut seen = std::collections::BTreeMap::new();
    let hashes = statuses.iter().flat_map(|status| &status.state_hashes);
    let mut same = statuses.iter().all(|status| status.hashes_differed == 0);
    let mut compared = 0;
    for (slot, hash) in hashes {
        if let Some(other) = seen.insert(*slot, *hash) {
            compared += 1;
            same &= other == *hash;
        }
    }
    same && (compared > 0 || statuses.len() == 1)
}

/// One commit cannot cost less: to a shard and back, a sync there; to the leader and back, a round
/// trip to a quorum beside a sync here. All as measured by those who did it.
async fn floor_us(client: &Client, statuses: &[NodeStatus]) -> u64 {
    let Some(leader) = statuses.iter().find(|status| status.role == "leader") else { return 0 };
    let mut peers: Vec<_> = leader.peers.iter().filter_map(|peer| peer.rtt_us).collect();
    peers.sort_unstable();
    // The leader is one of the quorum; the slowest that it must wait for is this one.
    let quorum_rtt = match leader.peers.len().div_ceil(2) {
        0 => 0,
        others => peers.get(others - 1).copied().unwrap_or_default(),
    };
    let (sync, _) = leader.sync_us;
    let shard_rtt = client.shard(SHARDS[0]).rtt_us().await.unwrap_or_default();
    let client_rtt = client.rtt_us().unwrap_or_default();
    (shard_rtt + sync) + (client_rtt + quorum_rtt + sync)
}

fn publish(args: &DemoArgs, script: &[Planned], mut report: Report) -> Result<(), Failure> {
    let led = script.iter().any(|planned| planned.victim == Victim::Leader);
    let doubted = |kill: &report::Kill| kill.what == Victim::Leader.word() && kill.in_doubt > 0;
    let recovered = report.kills.iter().all(|kill| kill.resolved_after_ms.is_some());
    report.ok = report.ok && recovered && (!led || report.kills.iter().any(doubted));
    if let Some(path) = &args.report {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-005", error))?;
        fs::write(path, text).map_err(|error| {
            let what = format!("{}: {error}", path.display());
            Failure::new(Code::Usage, "SYN-DEMO-015", what)
        })?;
    }
    let states = if report.state_hashes_equal { "states agree" } else { "STATES DIFFER" };
    print::lines(&format!(
        "{} of {} accounted for · {} committed, {} aborted, {} unknown · {} kills · {states} · \
         in doubt {} · commit p50 {} us, p99 {} us, floor {} us",
        report.accounted,
        report.satellites,
        report.committed,
        report.aborted,
        report.unknown,
        report.kills.len(),
        report.in_doubt_at_end,
        report.commit_us.p50,
        report.commit_us.p99,
        report.floor_us,
    ))?;
    if report.ok {
        Ok(())
    } else {
        Err(Failure::new(Code::No, "SYN-DEMO-016", "the run did not end as it must")
            .hint("run it again with --dir DIR to keep every log"))
    }
}
