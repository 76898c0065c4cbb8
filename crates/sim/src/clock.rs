use synod_paxos::Tick;

/// Parts in a million.
const MILLION: i128 = 1_000_000;

/// A process's own monotonic clock: it begins with the process, runs a little fast or slow, and
/// stands still while its machine is suspended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// From this moment of the universe on it has run at its present rate, from this tick on.
    since_us: u64,
    tick_us: u64,
    /// How much faster than the universe it runs, in parts of a million; above minus a million.
    fast_ppm: i64,
}

impl Clock {
    /// The clock of a process that begins now.
    pub(crate) fn new(now_us: u64, fast_ppm: i64) -> Clock {
        Clock { since_us: now_us, tick_us: 0, fast_ppm }
    }

    /// What it shows.
    pub(crate) fn tick(&self, now_us: u64) -> Tick {
        let passed = i128::from(now_us.saturating_sub(self.since_us));
        let shown = passed * (MILLION + i128::from(self.fast_ppm)) / MILLION;
        Tick::from_micros(self.tick_us.saturating_add(u64::try_from(shown).unwrap_or(u64::MAX)))
    }

    /// The moment of the universe from which on it shows at least `tick`.
    pub(crate) fn moment_us(&self, tick: Tick) -> u64 {
        let ahead = i128::from(tick.micros().saturating_sub(self.tick_us));
        let rate = MILLION + i128::from(self.fast_ppm);
        let passes = (ahead * MILLION + rate - 1) / rate;
        self.since_us.saturating_add(u64::try_from(passes).unwrap_or(u64::MAX))
    }

    /// It stands still no longer, if it did.
    pub(crate) fn go_on(&mut self, now_us: u64) {
        self.since_us = self.since_us.min(now_us);
    }

    /// It stands still from now until then.
    pub(crate) fn stand_still(&mut self, now_us: u64, until_us: u64) {
        self.tick_us = self.tick(now_us).micros();
        self.since_us = self.since_us.max(until_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever its rate: at the moment from which on it shows a tick it does, and a microsecond
    /// earlier it does not.
    #[test]
    fn the_moment_of_a_tick_is_the_first_at_which_it_is_shown() {
        for fast_ppm in [-60_000, -1, 0, 1, 50_000] {
            let clock = Clock::new(1_000_003, fast_ppm);
            for tick in [1, 2, 999, 20_000, 123_457] {
                let moment = clock.moment_us(Tick::from_micros(tick));
                assert!(clock.tick(moment).micros() >= tick, "{fast_ppm} {tick}");
                assert!(clock.tick(moment - 1).micros() < tick, "{fast_ppm} {tick}");
            }
        }
    }

    /// A suspended machine's clock goes on from where it stood.
    #[test]
    fn a_suspended_clock_stands_still() {
        let mut clock = Clock::new(100, 0);
        clock.stand_still(150, 1_000);
        assert_eq!(clock.tick(600), Tick::from_micros(50));
        assert_eq!(clock.tick(1_010), Tick::from_micros(60));
    }
}
