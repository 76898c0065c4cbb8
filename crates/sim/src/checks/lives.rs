use std::collections::BTreeMap;

use synod_machine::{Command, FenceCause, Rejection, Reply, Request, SessionId};

use crate::{
    plan::MS,
    violation::{Checked, demand},
};

/// Sessions, and when each last gave a sign of life that it may rely on.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    live: BTreeMap<SessionId, Life>,
}

#[derive(Clone, Copy, Debug)]
struct Life {
    ttl_us: u64,
    heard_us: u64,
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
                self.live.insert(*session, Life { ttl_us: ttl_ms * MS, heard_us: now });
            }
            (Command::Fence { session, cause, .. }, Reply::Done(_)) => {
                let Some(life) = self.live.remove(session) else { return Ok(()) };
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
        }
        Ok(())
    }
}
