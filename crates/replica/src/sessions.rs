//! Which sessions are silent, as the leader hears it. Only the log ends one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use synod_machine::SessionId;
use synod_paxos::Tick;

use crate::ClientId;

/// Sessions ended in one go at most: when a whole site is lost, other requests have their turn too.
pub(crate) const FENCES_MAX: usize = 256;

/// What one reign has heard of each session. It begins with every session at its full time to live:
/// what the leader before has heard is not known, and a session must never live shorter than its
/// owner was told.
#[derive(Debug)]
pub(crate) struct Sessions {
    grace: Duration,
    known: BTreeMap<SessionId, Known>,
    /// For each session a moment not later than the one at which it is overdue.
    due: BTreeSet<(Tick, SessionId)>,
    /// Nobody is overdue before this moment.
    spared_until: Tick,
}

#[derive(Debug)]
struct Known {
    heard: Tick,
    ttl: Duration,
    /// Set while a fence for this session is in the log and not applied. Who asks meanwhile whether
    /// the session lives waits here: the answer is not known.
    fenced: Option<Vec<ClientId>>,
}

impl Sessions {
    pub(crate) fn new(grace: Duration) -> Sessions {
        Sessions { grace, known: BTreeMap::new(), due: BTreeSet::new(), spared_until: Tick::ZERO }
    }

    /// A session lives, and is heard now for the first time.
    pub(crate) fn opened(&mut self, session: SessionId, ttl: Duration, now: Tick) {
        self.due.insert((now.after(ttl + self.grace), session));
        self.known.insert(session, Known { heard: now, ttl, fenced: None });
    }

    /// A sign of life.
    pub(crate) fn heard(&mut self, session: SessionId, now: Tick) {
        if let Some(known) = self.known.get_mut(&session) {
            known.heard = now;
        }
    }

    /// This node did not run for a while: what its clients said lies unread, and the silence was
    /// ours. They are given as long as the grace to be heard.
    pub(crate) fn spare(&mut self, now: Tick) {
        self.spared_until = now.after(self.grace);
    }

    /// Sessions that were silent for too long and are not being fenced, some of them.
    pub(crate) fn overdue(&mut self, now: Tick) -> Vec<SessionId> {
        let mut overdue = Vec::new();
        while overdue.len() < FENCES_MAX
            && let Some(&(at, session)) = self.due.first()
            && at <= now
        {
            self.due.remove(&(at, session));
            let Some(known) = self.known.get(&session) else { continue };
            let at = known.heard.after(known.ttl + self.grace).max(self.spared_until);
            match at <= now {
                true if known.fenced.is_some() => {}
                true => overdue.push(session),
                false => {
                    self.due.insert((at, session));
                }
            }
        }
        overdue
    }

    /// Whether [`Sessions::overdue`] would have something to look at.
    pub(crate) fn is_due(&self, now: Tick) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// A fence for it goes into the log.
    pub(crate) fn fencing(&mut self, session: SessionId) {
        if let Some(known) = self.known.get_mut(&session) {
            known.fenced = Some(Vec::new());
        }
    }

    /// Whether a fence for it is in the log; then `client` will hear of its fate.
    pub(crate) fn waits_for_fence(&mut self, session: SessionId, client: ClientId) -> bool {
        match self.known.get_mut(&session).and_then(|known| known.fenced.as_mut()) {
            Some(waiting) => {
                waiting.push(client);
                true
            }
            None => false,
        }
    }

    /// A fence was applied. When the session `lives` all the same it has been heard of; who waited
    /// for that is handed back.
    pub(crate) fn fate(&mut self, session: SessionId, lives: bool, now: Tick) -> Vec<ClientId> {
        let Some(known) = self.known.remove(&session) else { return Vec::new() };
        if lives {
            self.opened(session, known.ttl, now);
        }
        known.fenced.unwrap_or_default()
    }

    /// It has ended in another way.
    pub(crate) fn ended(&mut self, session: SessionId) {
        self.known.remove(&session);
    }

    /// The reign is over: hands back who waits for the fate of a fence.
    pub(crate) fn drain(&mut self) -> Vec<ClientId> {
        self.due.clear();
        let known = std::mem::take(&mut self.known).into_values();
        known.filter_map(|known| known.fenced).flatten().collect()
    }

    /// When the next session may be overdue, if that is after `now`.
    pub(crate) fn wake_at(&self, now: Tick) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at).filter(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_millis(1_000);
    const GRACE: Duration = Duration::from_millis(500);

    fn ms(ms: u64) -> Tick {
        Tick::from_micros(ms * 1_000)
    }

    fn one() -> (Sessions, SessionId) {
        let mut sessions = Sessions::new(GRACE);
        sessions.opened(SessionId::new(1), TTL, ms(0));
        (sessions, SessionId::new(1))
    }

    /// A session is overdue after its time to live and the grace, not a moment before.
    #[test]
    fn silence_is_measured_from_the_last_sign_of_life() {
        let (mut sessions, session) = one();
        sessions.heard(session, ms(200));
        assert_eq!(sessions.overdue(ms(1_699)), []);
        assert_eq!(sessions.overdue(ms(1_700)), [session]);
    }

    /// A keep-alive during a fence waits for its fate, and a second fence is not proposed.
    #[test]
    fn a_session_that_is_being_fenced_is_not_confirmed() {
        let (mut sessions, session) = one();
        assert!(!sessions.waits_for_fence(session, ClientId(1)));
        assert_eq!(sessions.overdue(ms(1_500)), [session]);
        sessions.fencing(session);
        sessions.heard(session, ms(1_600));
        assert!(sessions.waits_for_fence(session, ClientId(2)));
        assert_eq!(sessions.overdue(ms(9_000)), []);
        assert_eq!(sessions.fate(session, true, ms(9_000)), [ClientId(2)]);
        assert_eq!(sessions.overdue(ms(10_499)), []);
        assert_eq!(sessions.overdue(ms(10_500)), [session]);
    }

    /// When our own clock ran late, silence up to then is ours.
    #[test]
    fn a_node_that_slept_gives_its_clients_time_to_be_heard() {
        let (mut sessions, session) = one();
        sessions.spare(ms(5_000));
        assert_eq!(sessions.overdue(ms(5_499)), []);
        assert_eq!(sessions.wake_at(ms(5_499)), Some(ms(5_500)));
        assert_eq!(sessions.overdue(ms(5_500)), [session]);
    }
}
