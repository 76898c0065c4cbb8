use fastrand::Rng;

use crate::{checks::Watch, plan::MS};

/// How long a child takes to end that is told to.
const ENDS_US: u64 = 60 * MS;

/// What a holder does under a lock or an office, in a process of its own: it ends a while after it
/// is told to, or at once when it is killed.
#[derive(Debug, Default)]
pub(crate) struct Child {
    runs: bool,
    ends_us: Option<u64>,
}

impl Child {
    /// It begins.
    pub(crate) fn begin(&mut self) {
        *self = Child { runs: true, ends_us: None };
    }

    /// Whether it has been reaped; if not, it is told to end: when it will have.
    pub(crate) fn reap(&mut self, now: u64, rng: &mut Rng) -> Result<(), u64> {
        if !self.runs {
            return Ok(());
        }
        let ends_us = *self.ends_us.get_or_insert_with(|| now + rng.u64(0..ENDS_US));
        if ends_us <= now { Ok(()) } else { Err(ends_us) }
    }

    /// It has ended by now if it was told to.
    pub(crate) fn look(&mut self, now: u64, holder: usize, watch: &mut Watch) {
        if self.ends_us.is_some_and(|ends_us| ends_us <= now) {
            self.kill(holder, watch);
        }
    }

    /// It is killed, and reaped.
    pub(crate) fn kill(&mut self, holder: usize, watch: &mut Watch) {
        if std::mem::take(&mut self.runs) {
            watch.children.ends(holder);
        }
        self.ends_us = None;
    }

    /// Whether it has not been reaped.
    pub(crate) fn runs(&self) -> bool {
        self.runs
    }
}
