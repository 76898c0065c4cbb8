//! Whoever sends nonsense waits, longer each time; honest ones never notice.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{Identity, limits::Limits};

/// Good behaviour for this long wipes the slate.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Identities that are remembered; each needs a certificate of our authority, so there are few.
const REMEMBERED_MAX: usize = 1_024;

/// Who has to wait.
#[derive(Debug)]
pub(crate) struct Penalties {
    limits: Limits,
    records: Mutex<BTreeMap<Identity, Record>>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    times: u32,
    until: Instant,
}

impl Penalties {
    pub(crate) fn new(limits: Limits) -> Penalties {
        Penalties { limits, records: Mutex::default() }
    }

    /// Sends `identity` away; for how long.
    pub(crate) fn impose(&self, identity: &Identity, now: Instant) -> Duration {
        let mut records = self.lock();
        records.retain(|_, record| now < record.until + FORGOTTEN_AFTER);
        if records.len() >= REMEMBERED_MAX && !records.contains_key(identity) {
            // The one whose time comes first has the least left to wait.
            let first = records.iter().min_by_key(|(_, record)| record.until);
            let first = first.map(|(identity, _)| identity.clone());
            first.and_then(|identity| records.remove(&identity));
        }
        let times = records.get(identity).map_or(0, |record| record.times);
        let Limits { penalty_min, penalty_max, .. } = self.limits;
        let wait = penalty_min.saturating_mul(1 << times.min(16)).min(penalty_max);
        records.insert(identity.clone(), Record { times: times + 1, until: now + wait });
        wait
    }

    /// How long `identity` still has to wait.
    pub(crate) fn left(&self, identity: &Identity, now: Instant) -> Option<Duration> {
        let until = self.lock().get(identity)?.until;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Identity, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: usize) -> Identity {
        format!("synod://eu/client/c{name}?role=write").parse().unwrap()
    }

    #[test]
    fn each_repetition_doubles_the_wait_up_to_the_last_and_harms_no_other() {
        let penalties = Penalties::new(Limits::DEFAULT);
        let now = Instant::now();
        let waits: Vec<_> = (0..8).map(|_| penalties.impose(&client(1), now).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(penalties.left(&client(1), now), Some(Duration::from_secs(60)));
        assert_eq!(penalties.left(&client(2), now), None);
    }

    #[test]
    fn a_wait_ends_and_good_behaviour_is_not_forgotten_at_once_but_in_the_end() {
        let penalties = Penalties::new(Limits::DEFAULT);
        let start = Instant::now();
        penalties.impose(&client(1), start);
        let served = start + Duration::from_secs(1);
        assert_eq!(penalties.left(&client(1), served), None);
        assert_eq!(penalties.impose(&client(1), served), Duration::from_secs(2));
        let long_after = served + 2 * FORGOTTEN_AFTER;
        assert_eq!(penalties.impose(&client(1), long_after), Duration::from_secs(1));
    }

    #[test]
    fn the_memory_of_penalties_is_bounded() {
        let penalties = Penalties::new(Limits::DEFAULT);
        for name in 0..2 * REMEMBERED_MAX {
            penalties.impose(&client(name), Instant::now());
        }
        assert!(penalties.lock().len() <= REMEMBERED_MAX);
    }
}
