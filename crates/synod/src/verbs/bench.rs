//! `synod bench`: how fast a cluster is, beside the floor of the same seconds, and beside others.

mod text;

use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use serde::Serialize;
use synod_bench::{
    BenchError,
    assertion::Assertion,
    callers::{Service, Synod, Target},
    disk,
    document::{Comparison, Document, Peer, Ratio, SCHEMA},
    environment::Environment,
    held::Holding,
    page, rtt,
    stage::{Setting, Stage},
    takeover,
    transfer::{self, Told},
    trial::{Mix, Op, Outcome, Pace, Plan, Progress, Work, trial},
};

use super::ask;
use crate::{
    cli::{BenchVerb, Common, KvBenchArgs, LoadArgs, TxnBenchArgs, TxnVariant},
    exit::{Code, Failure},
    print,
};

/// Nodes of a cluster that is made for a measurement.
const NODES: u16 = 3;
/// How many keys a load that has none is said to have.
const NO_KEYS: u64 = 1;

/// Runs the verb. Exit 6 when a claim did not hold.
pub(crate) fn run(common: &Common, verb: &BenchVerb) -> Result<(), Failure> {
    match verb {
        BenchVerb::Kv(args) => kv(common, args),
        BenchVerb::Lock(load) => measure(
            common,
            load,
            &Load { what: "lock", mix: Mix::only(Op::Lock), ..Load::default() },
        ),
        BenchVerb::Journal(load) => {
            let mix = Mix::only(Op::Append);
            measure(common, load, &Load { what: "journal", mix, ..Load::default() })
        }
        BenchVerb::Txn(args) => txn(common, args),
        BenchVerb::Rtt { span } => {
            let stage = Place::of(common, None, &Setting::default())?;
            let told = block_on(async { rtt::rtt(stage.config(), *span).await })?;
            tell(common, &told, || text::rtt(&told))
        }
        BenchVerb::Disk { dir, span } => {
            let told = disk::disk(dir, *span).map_err(failure)?;
            tell(common, &told, || text::disk(&told))
        }
        BenchVerb::Failover { kills, planned, moved } => {
            let told = match (planned, moved) {
                (true, _) => Some(Told::Stop),
                (_, true) => Some(Told::Move),
                (false, false) => None,
            };
            failover(common, usize::from(*kills), told)
        }
        BenchVerb::Compare { a, b } => {
            let told = Comparison::of(&document(a)?, &document(b)?);
            tell(common, &told, || text::comparison(&told))
        }
    }
}

/// What a load asks, beside what every load understands.
struct Load {
    what: &'static str,
    mix: Mix,
    keys: u64,
    targets: Vec<Target>,
    participants: Vec<String>,
    at_once: u16,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            what: "kv",
            mix: Mix::only(Op::Put),
            keys: NO_KEYS,
            targets: Vec::new(),
            participants: Vec::new(),
            at_once: 1,
        }
    }
}

fn kv(common: &Common, args: &KvBenchArgs) -> Result<(), Failure> {
    let (mix, targets) = (args.mix.clone(), args.targets.clone());
    measure(common, &args.load, &Load { mix, keys: args.keys, targets, ..Load::default() })
}

fn txn(common: &Common, args: &TxnBenchArgs) -> Result<(), Failure> {
    match args.variant {
        TxnVariant::TwoPhase => over_shards(common, args),
        TxnVariant::Multi if !args.over.is_empty() => {
            let what = "--variant multi spans no participants: --participants says how many keys";
            Err(Failure::new(Code::Usage, "SYN-BENCH-003", what))
        }
        TxnVariant::Multi => {
            let (mix, keys, at_once) = (Mix::only(Op::Multi), args.keys, args.participants);
            measure(
                common,
                &args.load,
                &Load { what: "txn", mix, keys, at_once, ..Load::default() },
            )
        }
    }
}

fn over_shards(common: &Common, args: &TxnBenchArgs) -> Result<(), Failure> {
    if common.config.is_some() && args.over.is_empty() {
        let what = "which participants does a transaction span? --over NAME, once for each";
        return Err(Failure::new(Code::Usage, "SYN-BENCH-003", what));
    }
    let made = (1..=args.participants).map(|number| format!("p{number}"));
    let participants = if args.over.is_empty() { made.collect() } else { args.over.clone() };
    let (mix, keys) = (Mix::only(Op::Commit), args.keys);
    measure(common, &args.load, &Load { what: "txn", mix, keys, participants, ..Load::default() })
}

fn measure(common: &Common, args: &LoadArgs, load: &Load) -> Result<(), Failure> {
    let participants = load.participants.clone();
    let (ways, congestion) = (args.apart.ways(), args.apart.congestion.unwrap_or_default());
    let setting = Setting { participants, ways, congestion };
    let place = Place::of(common, args.dir.clone(), &setting)?;
    let mut work = Work::of(load.mix.clone(), load.keys, args.value as usize);
    work.participants.clone_from(&load.participants);
    work.at_once = load.at_once;
    let plan = Plan {
        work,
        clients: usize::from(args.clients),
        pace: args.rate.map_or(Pace::Closed, |per_s| Pace::Open { per_s }),
        warmup: args.warmup,
        span: args.span,
    };
    let terminal = std::io::stderr().is_terminal();
    let holding = place.holding(&load.participants)?;
    let outcomes = block_on(async {
        let synod = Synod::open(place.config().clone(), place.dir().map(Path::to_owned)).await?;
        let mut services = vec![Service::Synod(synod)];
        for target in load.targets.clone() {
            services.push(target.open().await?);
        }
        trial(&plan, services, |progress| under_way(terminal, progress)).await
    });
    if terminal {
        anstream::eprint!("\r\x1b[K");
    }
    let mut document = documented(load, &plan, outcomes?, place.dir())?;
    let now = place.holding(&load.participants)?;
    document.locks_held = now.zip(holding).map(|(now, before)| now.since(before));
    if let Some(dir) = &args.report {
        write(dir, &document)?;
    }
    tell(common, &document, || text::load(&document, &args.assertions, args.report.as_deref()))?;
    held(&document.outcome, &args.assertions)
}

fn documented(
    load: &Load,
    plan: &Plan,
    outcomes: Vec<Outcome>,
    dir: Option<&Path>,
) -> Result<Document, Failure> {
    let mut outcomes = outcomes.into_iter();
    let outcome = outcomes
        .next()
        .ok_or_else(|| Failure::new(Code::Bug, "SYN-BUG-001", "a trial without an outcome"))?;
    let peer = |peer| Peer { ratio: Ratio::of(&outcome, &peer), outcome: peer };
    Ok(Document {
        schema: SCHEMA.to_owned(),
        what: load.what.to_owned(),
        mix: load.mix.to_string(),
        value_bytes: plan.work.value.len(),
        keys: load.keys,
        peers: outcomes.map(peer).collect(),
        environment: Environment::here(dir),
        outcome,
        locks_held: None,
    })
}

fn under_way(terminal: bool, progress: &Progress) {
    let Progress { rounds, of, ops_per_s, target } = progress;
    if terminal {
        anstream::eprint!("\r\x1b[K{rounds} of {of} rounds, {target}: {ops_per_s:.0}/s");
    }
}

fn held(outcome: &Outcome, assertions: &[Assertion]) -> Result<(), Failure> {
    let missed = assertions.iter().filter(|assertion| !assertion.holds(outcome));
    let missed: Vec<_> = missed.map(ToString::to_string).collect();
    if missed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::Missed, "", format!("does not hold: {}", missed.join(", "))))
}

fn failover(common: &Common, kills: usize, told: Option<Told>) -> Result<(), Failure> {
    let mut stage = Stage::open(&own_binary()?, NODES, "").map_err(failure)?;
    if let Some(what) = told {
        let told = block_on(async { transfer::transfers(&mut stage, kills, what).await })?;
        return tell(common, &told, || text::transfers(&told));
    }
    let told = block_on(async { takeover::takeovers(&mut stage, kills).await })?;
    tell(common, &told, || text::failover(&told))
}

/// The cluster that is measured: the one that a configuration names, or one that is made for it.
enum Place {
    Named { config: synod_client::Config, dir: Option<PathBuf> },
    Made { config: synod_client::Config, stage: Stage },
}

impl Place {
    fn of(common: &Common, dir: Option<PathBuf>, setting: &Setting) -> Result<Place, Failure> {
        if common.config.is_some() {
            return Ok(Place::Named { config: ask::config(common)?, dir });
        }
        let stage = Stage::open_with(&own_binary()?, NODES, "", setting);
        let stage = stage.map_err(failure)?;
        let config = synod_client::Config::load(&stage.client());
        let config = config.map_err(|error| Failure::new(Code::Bug, "SYN-BUG-001", error))?;
        Ok(Place::Made { config, stage })
    }

    fn config(&self) -> &synod_client::Config {
        match self {
            Place::Named { config, .. } | Place::Made { config, .. } => config,
        }
    }

    /// How long the shards of a cluster that was made have held locks so far.
    fn holding(&self, shards: &[String]) -> Result<Option<Holding>, Failure> {
        match self {
            Place::Made { stage, .. } if !shards.is_empty() => {
                Holding::of(stage, shards).map(Some).map_err(failure)
            }
            Place::Made { .. } | Place::Named { .. } => Ok(None),
        }
    }

    fn dir(&self) -> Option<&Path> {
        match self {
            Place::Named { dir, .. } => dir.as_deref(),
            Place::Made { stage, .. } => Some(stage.dir()),
        }
    }
}

fn own_binary() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::new(Code::Machine, "SYN-IO-001", error))
}

fn block_on<T>(work: impl Future<Output = Result<T, BenchError>>) -> Result<T, Failure> {
    let runtime = ask::runtime()?;
    let done = runtime.block_on(work).map_err(failure);
    runtime.shutdown_background();
    done
}

fn failure(error: BenchError) -> Failure {
    match error {
        BenchError::Client(error) => ask::failure(error),
        error @ BenchError::Io { .. } => Failure::new(Code::Machine, "SYN-IO-001", error),
        error => Failure::new(Code::NotApplied, "SYN-BENCH-001", error),
    }
}

fn tell(
    common: &Common,
    document: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if common.output.is_json() { print::json(document) } else { print::coloured(&text()) }
}

fn document(path: &Path) -> Result<Document, Failure> {
    let wrong = |what: String| Failure::new(Code::Usage, "SYN-BENCH-002", what);
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| wrong(format!("{shown}: {error}")))?;
    let read: Document = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("{shown} is no measurement of `synod bench`: {error}")))?;
    if read.schema != SCHEMA {
        return Err(wrong(format!("{shown} is of schema {}; {SCHEMA} is known", read.schema)));
    }
    Ok(read)
}

/// The measurement as a file and as a page, named for the load.
fn write(dir: &Path, document: &Document) -> Result<(), Failure> {
    let io = |path: &Path| {
        let shown = path.display().to_string();
        move |error| Failure::new(Code::Machine, "SYN-IO-001", format!("{shown}: {error}"))
    };
    fs::create_dir_all(dir).map_err(io(dir))?;
    let json = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-001", error))?;
    let files = [("json", json), ("html", page::of(document))];
    for (ending, content) in files {
        let path = dir.join(format!("{}.{ending}", document.what));
        fs::write(&path, content).map_err(io(&path))?;
    }
    Ok(())
}
