//! F3: a session ends for its silence only, or because somebody ends it.

use std::collections::BTreeMap;

use synod_machine::{Command, FenceCause, FenceGuard, Reign, Rejection, Reply, Request, SessionId};

use crate::{
    plan::MS,
    violation::{Checked, demand},
};

/// Sessions, and when each last gave a sign of life that it may rely on.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    live: BTreeMap<SessionId, Life>,
    /// The reign that last started in the log.
    reign: Reign,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    ttl_us: u64,
    heard_us: u64,
    /// Its requests in the log since it was opened.
    renewals: u64,
}

impl Lives {
    /// Its client was told that the session lives, in answer to a call of this moment.
    pub(crate) fn kept(&mut self, session: SessionId, sent_us: u64) {
        if let Some(life) = self.live.get_mut(&session) {
            life.heard_us = life.heard_us.max(sent_us);
        }
    }

    /// A request is applied.
    pub(crate) fn applied(&mut self, request: &Request, reply: &Reply, now: u64) -> Checked {
        match (&request.command, reply) {
            (Command::OpenSession { ttl_ms, .. }, Reply::Session(session)) => {
                let ttl_us = ttl_ms * MS;
                self.live.insert(*session, Life { ttl_us, heard_us: now, renewals: 0 });
            }
            (Command::LeaderStart { reign }, Reply::Done(_)) => {
                self.reign = self.reign.max(*reign);
            }
            (Command::Fence { session, cause, guard }, Reply::Done(_)) => {
                let Some(life) = self.live.remove(session) else { return Ok(()) };
                let stands = FenceGuard { reign: self.reign, renewals: life.renewals };
                demand!(
                    guard.is_none_or(|guard| guard == stands),
                    "F3",
                    "{session} ends by {guard:?}, which is overruled: {stands:?}"
                );
                // The leader's clock may be fast, by much less than this.
                let lived = now - life.heard_us + life.ttl_us / 10;
                demand!(
                    *cause != FenceCause::Expired || lived >= life.ttl_us,
                    "F3",
                    "{session} ends for its silence; it was heard {} us ago and lives for {}",
                    now - life.heard_us,
                    life.ttl_us
                );
            }
            _ => {}
        }
        let Some(id) = request.id else { return Ok(()) };
        let ended = matches!(reply, Reply::Rejected(Rejection::SessionEnded))
            || matches!(request.command, Command::CloseSession);
        if ended {
            self.live.remove(&id.session);
        } else if let Some(life) = self.live.get_mut(&id.session) {
            life.heard_us = now;
            life.renewals += 1;
        }
        Ok(())
    }
}
