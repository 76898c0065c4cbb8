//! `synod lock run`: a command that runs only while a lock is held.

use std::{
    convert::Infallible,
    future::{IntoFuture, pending},
    time::Duration,
};

use synod_client::{Client, Locked, Lost};

use super::super::ask::{config, failure, runtime};
use crate::{
    cli::{Common, LockRunArgs},
    exit::{Code, Failure},
    ward::{Ended, Group, Signals, Tenure, Vigil, code},
};

/// Without `--wait`. Nobody waits for longer than a year.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Runs the verb.
pub(super) fn run(common: &Common, args: &LockRunArgs) -> Result<(), Failure> {
    let config = config(common).map_err(Failure::of_run)?;
    let runtime = runtime().map_err(Failure::of_run)?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let client = Client::connect(config).await.map_err(failure)?;
        let ended = hold(&client, args, &mut signals).await;
        // What was left in the background is waited for: a lock that is free already.
        client.close().await;
        ended
    });
    runtime.shutdown_background();
    ended.map_err(Failure::of_run)
}

async fn hold(client: &Client, args: &LockRunArgs, signals: &mut Signals) -> Result<(), Failure> {
    let lock = client.lock(args.name.clone()).ttl(args.ttl).wait(args.wait.unwrap_or(FOR_EVER));
    let locked = tokio::select! {
        locked = lock.into_future() => locked.map_err(failure)?,
        _ = signals.heard() => return Err(Failure::silent(Code::Interrupted)),
    };
    let guard = match locked {
        Locked::Held(guard) => guard,
        Locked::Taken(by) => {
            let what = format!("{} is held by {}, token {}", args.name, by.owner, by.token);
            return Err(Failure::new(Code::WaitTimedOut, "", what));
        }
    };
    let environment = [
        ("SYNOD_LOCK", args.name.clone()),
        ("SYNOD_LEASE", guard.lease().to_string()),
        ("SYNOD_FENCING_TOKEN", guard.token().to_string()),
    ];
    let mut group = Group::start(&args.command, &environment, guard.end(args.ttl)).await?;
    let what = format!("lock {}", args.name);
    let vigil = Vigil::new(&what, &guard, args.ttl);
    let ended = vigil.over(&mut group, signals, pending::<Infallible>()).await;
    if !group.clear().await {
        let what = "what the command started does not end; the lock is left to its lease";
        std::mem::forget(guard);
        return Err(Failure::new(Code::RunFailed, "SYN-LOCK-005", what));
    }
    let status = match ended {
        // In the background: there may be nobody to tell.
        Ended::Lost(why) => return Err(lost(&args.name, why)),
        Ended::Command(status) => status,
        Ended::Asked(never) => match never {},
    };
    if let Err(error) = guard.release().await {
        tracing::warn!(%error, "the lock is left to its lease");
    }
    match code(status) {
        0 => Ok(()),
        code => Err(Failure::silent(Code::Child(code))),
    }
}

fn lost(name: &str, why: Lost) -> Failure {
    let what = format!("lock {name} was lost while the command ran: {why}");
    Failure::new(Code::LockLost, "SYN-LOCK-001", what)
        .hint("the command was ended before another could hold the lock, unless it was broken")
}
