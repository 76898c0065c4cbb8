//! `synod lock run`: a command that runs only while a lock is held.

use std::{
    future::IntoFuture, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration,
};

use rustix::process::Signal;
use synod_client::{Client, LockGuard, Locked, Lost};
use tokio::{
    signal::unix::{self, SignalKind},
    time::{Instant, sleep_until},
};

use super::{
    super::ask::{config, failure, runtime},
    group::Group,
    warden::uptime,
};
use crate::{
    cli::{Common, LockRunArgs},
    exit::{Code, Failure},
};

/// Without `--wait`. Nobody waits for longer than a year.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// When only this part of the time to live is left, the command is asked to end (SIGTERM): so long
/// after a renewal should have been acknowledged.
const TERM_PART: u32 = 3;
/// When only this part is left it is killed. What is left is for the system to get it done.
const KILL_PART: u32 = 8;
/// When only this part is left, its warden kills it.
const WARDEN_PART: u32 = 16;
/// So often in a time to live the warden is told of renewals.
const TELL_PART: u32 = 12;

/// The signals that are passed on to the command.
struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

impl Signals {
    fn listen() -> Result<Signals, Failure> {
        let hear = |kind| {
            unix::signal(kind).map_err(|error| Failure::new(Code::Machine, "SYN-IO-001", error))
        };
        Ok(Signals {
            interrupt: hear(SignalKind::interrupt())?,
            terminate: hear(SignalKind::terminate())?,
            hang_up: hear(SignalKind::hangup())?,
        })
    }

    async fn heard(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
        }
    }
}

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
    let until = end_of(&guard, args.ttl / WARDEN_PART);
    let mut group = Group::start(&args.command, environment, until).await?;
    let ended = Watch { guard: &guard, ttl: args.ttl, lost: None }.over(&mut group, signals).await;
    if !group.clear().await {
        let what = "what the command started does not end; the lock is left to its lease";
        std::mem::forget(guard);
        return Err(Failure::new(Code::RunFailed, "SYN-LOCK-005", what));
    }
    let status = match ended {
        // In the background: there may be nobody to tell.
        Ended::Lost(why) => return Err(lost(&args.name, why)),
        Ended::Command(status) => status,
    };
    if let Err(error) = guard.release().await {
        tracing::warn!(%error, "the lock is left to its lease");
    }
    match code(status) {
        0 => Ok(()),
        code => Err(Failure::silent(Code::Child(code))),
    }
}

/// How it ended.
enum Ended {
    Command(ExitStatus),
    Lost(Lost),
}

/// One command under one lock.
struct Watch<'a> {
    guard: &'a LockGuard,
    ttl: Duration,
    /// Why the command is being ended, and when it is killed.
    lost: Option<(Lost, Instant)>,
}

impl Watch<'_> {
    /// Until the command has ended, by itself or because it had to.
    async fn over(mut self, group: &mut Group, signals: &mut Signals) -> Ended {
        loop {
            let wake = Instant::now() + self.ttl / TELL_PART;
            tokio::select! {
                ended = group.ended() => return self.ended(ended),
                signal = signals.heard() => group.signal(signal),
                why = self.guard.lost(), if self.lost.is_none() => self.begin_end(why, group),
                () = sleep_until(self.next(wake)) => {}
            }
            match self.lost {
                None if self.left() <= self.ttl / TERM_PART => {
                    self.begin_end(Lost::NotRenewed, group);
                }
                None => group.may_live(end_of(self.guard, self.ttl / WARDEN_PART)).await,
                Some((_, kill_at)) if kill_at <= Instant::now() => group.signal(Signal::KILL),
                Some(_) => {}
            }
        }
    }

    fn left(&self) -> Duration {
        self.guard.until().saturating_duration_since(Instant::now())
    }

    fn next(&self, wake: Instant) -> Instant {
        let at = match self.lost {
            None => self.guard.until().checked_sub(self.ttl / TERM_PART),
            Some((_, kill_at)) => Some(kill_at),
        };
        // Once it was killed only its end is waited for.
        at.filter(|at| *at > Instant::now()).map_or(wake, |at| at.min(wake))
    }

    /// Asks it to end. It may do so in peace for no longer than the lease is certain to stand; and
    /// not for long where the lock may be another's already.
    fn begin_end(&mut self, why: Lost, group: &Group) {
        let grace = self.ttl / TERM_PART - self.ttl / KILL_PART;
        let left = self.left().saturating_sub(self.ttl / KILL_PART);
        let kill_at = Instant::now() + grace.min(left);
        self.lost = Some((why, kill_at));
        anstream::eprintln!("lock {}: {why}; the command is ended", self.guard.name());
        group.signal(Signal::TERM);
        if self.guard.is_lost() == Some(Lost::NotRenewed) {
            group.signal(Signal::KILL);
        }
    }

    fn ended(&self, ended: std::io::Result<ExitStatus>) -> Ended {
        // The warden may have been faster than a process that was stopped.
        let late = self.left() <= self.ttl / KILL_PART;
        let why = self.lost.map(|(why, _)| why).or_else(|| self.guard.is_lost());
        match (why, ended) {
            (Some(why), _) => Ended::Lost(why),
            (None, Ok(status)) if !late => Ended::Command(status),
            (None, _) => Ended::Lost(Lost::NotRenewed),
        }
    }
}

/// The moment so long before the guard may be lost, as a warden reads it.
fn end_of(guard: &LockGuard, before: Duration) -> Duration {
    // In this order: what passes in between makes it earlier.
    let now = uptime();
    let left = guard.until().saturating_duration_since(Instant::now());
    now + left.saturating_sub(before)
}

fn lost(name: &str, why: Lost) -> Failure {
    let what = format!("lock {name} was lost while the command ran: {why}");
    Failure::new(Code::LockLost, "SYN-LOCK-001", what)
        .hint("the command was ended before another could hold the lock, unless it was broken")
}

/// As a shell says it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
