//! Which sessions and leases are silent, as the leader hears it. Only the log ends one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use synod_paxos::Tick;

use crate::ClientId;

/// Ended in one go at most: when a whole site is lost, other requests have their turn too.
pub(crate) const ENDED_MAX: usize = 256;

/// What one reign has heard of each session, or of each lease. It begins with every one at its full
/// time to live: what the leader before has heard is not known, and none must ever live shorter
/// than its owner was told.
#[derive(Debug)]
pub(crate) struct Silences<Id> {
    grace: Duration,
    known: BTreeMap<Id, Known>,
    /// For each a moment not later than the one at which it is overdue.
    due: BTreeSet<(Tick, Id)>,
    /// Nobody is overdue before this moment.
    spared_until: Tick,
}

#[derive(Debug)]
struct Known {
    heard: Tick,
    ttl: Duration,
    /// Set while its end is in the log and not applied. Who asks meanwhile whether it lives waits
    /// here: the answer is not known.
    ending: Option<Vec<ClientId>>,
}

impl<Id: Copy + Ord> Silences<Id> {
    pub(crate) fn new(grace: Duration) -> Silences<Id> {
        Silences { grace, known: BTreeMap::new(), due: BTreeSet::new(), spared_until: Tick::ZERO }
    }

    /// One lives, and is heard now for the first time.
    pub(crate) fn opened(&mut self, id: Id, ttl: Duration, now: Tick) {
        self.due.insert((now.after(ttl + self.grace), id));
        self.known.insert(id, Known { heard: now, ttl, ending: None });
    }

    /// A sign of life.
    pub(crate) fn heard(&mut self, id: Id, now: Tick) {
        if let Some(known) = self.known.get_mut(&id) {
            known.heard = now;
        }
    }

    /// This node did not run for a while: what its clients said lies unread, and the silence was
    /// ours. They are given as long as the grace to be heard.
    pub(crate) fn spare(&mut self, now: Tick) {
        self.spared_until = now.after(self.grace);
    }

    /// Those that were silent for too long and are not being ended, some of them.
    pub(crate) fn overdue(&mut self, now: Tick) -> Vec<Id> {
        let mut overdue = Vec::new();
        while overdue.len() < ENDED_MAX
            && let Some(&(at, id)) = self.due.first()
            && at <= now
        {
            self.due.remove(&(at, id));
            let Some(known) = self.known.get(&id) else { continue };
            let at = known.heard.after(known.ttl + self.grace).max(self.spared_until);
            match at <= now {
                true if known.ending.is_some() => {}
                true => overdue.push(id),
                false => {
                    self.due.insert((at, id));
                }
            }
        }
        overdue
    }

    /// Whether [`Silences::overdue`] would have something to look at.
    pub(crate) fn is_due(&self, now: Tick) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Its end goes into the log.
    pub(crate) fn ending(&mut self, id: Id) {
        if let Some(known) = self.known.get_mut(&id) {
            known.ending = Some(Vec::new());
        }
    }

    /// Whether its end is in the log; then `client` will hear of its fate.
    pub(crate) fn waits_for_end(&mut self, id: Id, client: ClientId) -> bool {
        match self.known.get_mut(&id).and_then(|known| known.ending.as_mut()) {
            Some(waiting) => {
                waiting.push(client);
                true
            }
            None => false,
        }
    }

    /// What was to end it was applied. When it `lives` all the same it has been heard of; who
    /// waited for that is handed back.
    pub(crate) fn fate(&mut self, id: Id, lives: bool, now: Tick) -> Vec<ClientId> {
        let Some(known) = self.known.remove(&id) else { return Vec::new() };
        if lives {
            self.opened(id, known.ttl, now);
        }
        known.ending.unwrap_or_default()
    }

    /// It has ended in another way.
    pub(crate) fn ended(&mut self, id: Id) {
        self.known.remove(&id);
    }

    /// The reign is over: hands back who waits for the fate of one.
    pub(crate) fn drain(&mut self) -> Vec<ClientId> {
        self.due.clear();
        let known = std::mem::take(&mut self.known).into_values();
        known.filter_map(|known| known.ending).flatten().collect()
    }

    /// When the next may be overdue, if that is after `now`.
    pub(crate) fn wake_at(&self, now: Tick) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at).filter(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::SessionId;

    use super::*;

    const TTL: Duration = Duration::from_millis(1_000);
    const GRACE: Duration = Duration::from_millis(500);

    fn ms(ms: u64) -> Tick {
        Tick::from_micros(ms * 1_000)
    }

    fn one() -> (Silences<SessionId>, SessionId) {
        let mut sessions = Silences::new(GRACE);
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
        assert!(!sessions.waits_for_end(session, ClientId(1)));
        assert_eq!(sessions.overdue(ms(1_500)), [session]);
        sessions.ending(session);
        sessions.heard(session, ms(1_600));
        assert!(sessions.waits_for_end(session, ClientId(2)));
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
