//! F3: no session ends but for its silence, and the clock of one leader ends none.

use synod_machine::{Batch, Timestamp};

use super::Asides;
use crate::violation::{Checked, demand};

impl Asides<'_> {
    /// The clock of one leader is behind.
    pub(super) fn stamps_only_rise(&self) -> Checked {
        let mut later = self.machine.clone();
        self.tell(&mut later, Batch { stamp: Timestamp(0), requests: Vec::new() });
        demand!(
            later.hash() == self.machine.hash(),
            "F3",
            "a stamp from before changes what the log has made of the ones it had"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::transactions::asides::{Hears, stage::seen};

    #[test]
    fn a_clock_that_turns_back_is_seen() {
        let later: Hears = |batch| Batch { stamp: Timestamp(77), ..batch };
        assert_eq!(seen(later, |asides| asides.stamps_only_rise()), Some("F3"));
    }
}
