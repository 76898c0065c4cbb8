use std::collections::{BTreeSet, VecDeque};

use super::Alarm;
use crate::transactions::COMMITS_MAX;

/// What a person was told in this life of the participant, so that nothing is told twice.
///
/// The log names a commit that it waits for again and again, and has at most so many of them; who
/// tells of more has made them up. Beyond them the oldest is forgotten and may be told again.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarmed {
    told: BTreeSet<Alarm>,
    oldest: VecDeque<Alarm>,
}

impl Alarmed {
    /// Whether it is the first time.
    pub(super) fn is_new(&mut self, alarm: Alarm) -> bool {
        let new = self.told.insert(alarm);
        if new {
            self.oldest.push_back(alarm);
        }
        if self.oldest.len() as u64 > COMMITS_MAX
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.told.remove(&oldest);
        }
        new
    }
}
