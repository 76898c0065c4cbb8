//! E5: a stale read is no older than its age says: what anybody had been shown so long before the
//! node answered is in it.

use synod_machine::Revision;

use crate::{
    plan::CLOCKS_OFF_PPM,
    violation::{Checked, demand},
};

/// When clients were shown what.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    shown: Vec<(u64, Revision)>,
}

impl Ages {
    /// By this moment somebody has been shown this revision.
    pub(crate) fn shows(&mut self, now_us: u64, revision: Revision) {
        if self.shown.last().is_none_or(|(_, last)| *last < revision) {
            self.shown.push((now_us, revision));
        }
    }

    /// A node answers a stale read, and says how old it is by a clock whose rate may be off.
    pub(crate) fn answers(&self, now_us: u64, revision: Revision, age_ms: u32) -> Checked {
        let million = 1_000_000;
        let age_us = u64::from(age_ms) * 1_000;
        let longest_us = age_us * million / (million - CLOCKS_OFF_PPM.unsigned_abs());
        let as_of = now_us.saturating_sub(longest_us + 1);
        let before = self.shown.partition_point(|(at, _)| *at <= as_of);
        let floor = before.checked_sub(1).map_or(Revision::ZERO, |last| self.shown[last].1);
        demand!(
            revision >= floor,
            "E5",
            "a stale read is of {revision}, {age_ms} ms old; {floor} was seen before that"
        );
        Ok(())
    }
}
