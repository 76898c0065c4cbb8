//! `synod demo`: a cluster, two catalogs and several murders, all on this machine. The exit code is
//! 0 only when every satellite is accounted for.

mod audit;
mod catalog;
mod director;
mod failover;
mod ledger;
pub(crate) mod owner;
mod place;
mod play;
mod report;
mod says;
mod scene;
mod script;
mod signals;
mod stage;
mod states;
mod teller;

use std::{fs, path::Path};

pub(crate) use self::failover::{WRITER, write_rows};
use self::{
    place::Place, play::Play, scene::Scene, script::Planned, signals::Signals, teller::Teller,
};
use crate::{
    cli::{Common, DemoArgs},
    exit::{Code, Failure},
    verbs::ask,
};

/// Runs the verb. Its processes are ended before it returns, however it does.
pub(crate) fn run(common: &Common, args: &DemoArgs) -> Result<(), Failure> {
    let script = script(args)?;
    on_stage(args, async |dir, mut signals| {
        if args.failover {
            return failover::run(common, args, dir, signals).await;
        }
        let seed = args.seed.unwrap_or_else(|| fastrand::u64(1..));
        let mut scene = Scene::build(dir, args.nodes, args.rtt, seed).await?;
        let teller = Teller::new(common.output);
        let play = Play { args, script: &script, seed, teller: &teller };
        let ended = tokio::select! {
            ended = play.perform(&mut scene) => ended,
            () = signals.heard() => Err(interrupted()),
        };
        scene.close().await;
        ended
    })
}

/// Has a play performed at a place of its own, which vanishes unless it was asked for.
fn on_stage(
    args: &DemoArgs,
    play: impl AsyncFnOnce(&Path, Signals) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = ask::runtime()?;
    let ended = runtime.block_on(async {
        // Before anything is made: what is asked of us from here on is heard, and cleaned up after.
        let signals = Signals::listen()?;
        // Dropped last: it vanishes when nobody writes to it any more.
        let place = match &args.dir {
            Some(dir) => Place::at(dir)?,
            None => Place::vanishing(&std::env::temp_dir())?,
        };
        let ended = play(place.path(), signals).await;
        if let Place::Stays(dir) = &place {
            anstream::eprintln!("files are kept in {}", dir.display());
        }
        ended
    });
    runtime.shutdown_background();
    ended
}

fn interrupted() -> Failure {
    let what = "interrupted; every process was ended";
    Failure::new(Code::Interrupted, "SYN-DEMO-006", what)
}

fn script(args: &DemoArgs) -> Result<Vec<Planned>, Failure> {
    if !matches!(args.nodes, 1 | 3 | 5 | 7) {
        let what = format!("a cluster has 1, 3, 5 or 7 nodes, not {}", args.nodes);
        return Err(Failure::new(Code::Usage, "SYN-DEMO-001", what));
    }
    let Some(path) = &args.script else { return Ok(script::usual(args.span, args.nodes)) };
    let text = fs::read_to_string(path).map_err(|error| {
        let what = format!("{}: {error}", path.display());
        Failure::new(Code::Usage, "SYN-DEMO-001", what)
    })?;
    script::parse(&text, args.nodes)
}
