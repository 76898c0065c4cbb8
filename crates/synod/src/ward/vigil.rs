use std::{
    future::Future, io, os::unix::process::ExitStatusExt, pin::pin, process::ExitStatus,
    time::Duration,
};

use rustix::process::Signal;
use synod_client::{Incumbency, LockGuard, Lost};
use tokio::time::{Instant, sleep_until};

use super::{Group, Signals, warden::uptime};

/// When only this part of the time to live is left, the command is asked to end (SIGTERM): so long
/// after a renewal should have been acknowledged.
const TERM_PART: u32 = 3;
/// When only this part is left it is killed. What is left is for the system to get it done.
const KILL_PART: u32 = 8;
/// When only this part is left, its warden kills it.
const WARDEN_PART: u32 = 16;
/// So often in a time to live the warden is told of renewals.
const TELL_PART: u32 = 12;

/// What is held while a command runs.
pub(crate) trait Tenure {
    /// Until when it is held for certain.
    fn until(&self) -> Instant;
    /// Why it is not held any more.
    fn is_lost(&self) -> Option<Lost>;
    /// Resolves when it is not.
    fn lost(&self) -> impl Future<Output = Lost> + Send;
    /// The moment at which the warden must have ended everything, as it reads it.
    fn end(&self, ttl: Duration) -> Duration {
        // In this order: what passes in between makes it earlier.
        let now = uptime();
        let left = self.until().saturating_duration_since(Instant::now());
        now + left.saturating_sub(ttl / WARDEN_PART)
    }
}

impl Tenure for LockGuard {
    fn until(&self) -> Instant {
        LockGuard::until(self)
    }

    fn is_lost(&self) -> Option<Lost> {
        LockGuard::is_lost(self)
    }

    fn lost(&self) -> impl Future<Output = Lost> + Send {
        LockGuard::lost(self)
    }
}

impl Tenure for Incumbency {
    fn until(&self) -> Instant {
        Incumbency::until(self)
    }

    fn is_lost(&self) -> Option<Lost> {
        Incumbency::is_lost(self)
    }

    fn lost(&self) -> impl Future<Output = Lost> + Send {
        Incumbency::lost(self)
    }
}

/// One command while something is held for it.
pub(crate) struct Vigil<'a, T, A> {
    /// What, for people to read.
    what: &'a str,
    tenure: &'a T,
    ttl: Duration,
    ending: Option<Ending<A>>,
}

/// Why the command is being ended, and when it is killed.
struct Ending<A> {
    why: Why<A>,
    kill_at: Instant,
}

enum Why<A> {
    Lost(Lost),
    Asked(A),
}

/// How it ended.
pub(crate) enum Ended<A> {
    /// By itself.
    Command(ExitStatus),
    /// What was held for it was lost.
    Lost(Lost),
    /// It was asked to, though that is held still.
    Asked(A),
}

impl<'a, T: Tenure, A> Vigil<'a, T, A> {
    pub(crate) fn new(what: &'a str, tenure: &'a T, ttl: Duration) -> Vigil<'a, T, A> {
        Vigil { what, tenure, ttl, ending: None }
    }

    /// Until the command has ended, by itself or because it had to. `aside` is what else is to be
    /// done meanwhile; once that is over the command is to end. Others of its group may be left.
    pub(crate) async fn over(
        mut self,
        group: &mut Group,
        signals: &mut Signals,
        aside: impl Future<Output = A>,
    ) -> Ended<A> {
        let mut aside = pin!(aside);
        loop {
            let wake = Instant::now() + self.ttl / TELL_PART;
            tokio::select! {
                ended = group.ended() => return self.ended(ended),
                signal = signals.heard() => group.signal(signal),
                why = self.tenure.lost(), if !self.is_lost() => self.lose(why, group),
                asked = &mut aside, if self.ending.is_none() => self.ask(asked, group),
                () = sleep_until(self.next(wake)) => {}
            }
            if !self.is_lost() && self.left() <= self.ttl / TERM_PART {
                self.lose(Lost::NotRenewed, group);
            }
            if self.ending.as_ref().is_some_and(|ending| ending.kill_at <= Instant::now()) {
                group.signal(Signal::KILL);
            } else if !self.is_lost() {
                group.may_live(self.tenure.end(self.ttl)).await;
            }
        }
    }

    fn is_lost(&self) -> bool {
        matches!(self.ending, Some(Ending { why: Why::Lost(_), .. }))
    }

    fn left(&self) -> Duration {
        self.tenure.until().saturating_duration_since(Instant::now())
    }

    fn next(&self, wake: Instant) -> Instant {
        let at = match &self.ending {
            None => self.tenure.until().checked_sub(self.ttl / TERM_PART),
            Some(ending) => Some(ending.kill_at),
        };
        // Once it was killed only its end is waited for.
        at.filter(|at| *at > Instant::now()).map_or(wake, |at| at.min(wake))
    }

    /// Asks it to end while what it needs is held still, and likely to be for as long as it takes.
    fn ask(&mut self, why: A, group: &Group) {
        self.ending = Some(Ending { why: Why::Asked(why), kill_at: Instant::now() + self.ttl });
        group.signal(Signal::TERM);
    }

    /// Asks it to end. It may do so in peace for no longer than the lease is certain to stand; and
    /// not for long where what it needs may be another's already.
    fn lose(&mut self, why: Lost, group: &Group) {
        let grace = self.ttl / TERM_PART - self.ttl / KILL_PART;
        let left = self.left().saturating_sub(self.ttl / KILL_PART);
        let kill_at = Instant::now() + grace.min(left);
        self.ending = Some(Ending { why: Why::Lost(why), kill_at });
        anstream::eprintln!("{}: {why}; the command is ended", self.what);
        group.signal(Signal::TERM);
        if self.tenure.is_lost() == Some(Lost::NotRenewed) {
            group.signal(Signal::KILL);
        }
    }

    fn ended(self, ended: io::Result<ExitStatus>) -> Ended<A> {
        // The warden may have been faster than a process that was stopped.
        let late = self.left() <= self.ttl / KILL_PART;
        let lost = self.tenure.is_lost().or(late.then_some(Lost::NotRenewed));
        match (self.ending.map(|ending| ending.why), ended) {
            (Some(Why::Lost(why)), _) => Ended::Lost(why),
            (Some(Why::Asked(why)), _) => lost.map_or(Ended::Asked(why), Ended::Lost),
            (None, Ok(status)) => lost.map_or(Ended::Command(status), Ended::Lost),
            (None, Err(_)) => Ended::Lost(lost.unwrap_or(Lost::NotRenewed)),
        }
    }
}

/// As a shell says it.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
