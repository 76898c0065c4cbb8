use std::time::Duration;

use crate::{Run, Summary};

/// Without a terminal there is a line for each so many seeds.
const LINE_EVERY_SEEDS: u64 = 1_000;

/// How wide the bar on a terminal is.
const BAR_CHARS: usize = 40;

/// What is said about a run while it goes on: a bar on a terminal, else a line for each thousand
/// seeds.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    seeds: u64,
    within: Option<Duration>,
    terminal: bool,
}

impl Progress {
    /// For this run.
    pub fn new(run: &Run, terminal: bool) -> Progress {
        Progress { seeds: run.seeds, within: run.within, terminal }
    }

    /// What is said after a seed; mostly nothing when nobody watches.
    pub fn after(&self, so_far: &Summary) -> String {
        if self.terminal {
            let filled = (BAR_CHARS as f64 * self.share(so_far)) as usize;
            let (filled, empty) = ("#".repeat(filled), ".".repeat(BAR_CHARS - filled));
            let of = match self.seeds {
                Run::ENDLESS => String::new(),
                seeds => format!(" of {seeds}"),
            };
            return format!("\r[{filled}{empty}] {}{of} seeds", so_far.seeds);
        }
        match so_far.seeds.is_multiple_of(LINE_EVERY_SEEDS) {
            true => format!("{so_far}\n"),
            false => String::new(),
        }
    }

    /// How much of it is done: of the seeds or of the time, whichever comes to an end first.
    fn share(&self, so_far: &Summary) -> f64 {
        let seeds = so_far.seeds as f64 / self.seeds.max(1) as f64;
        let took = so_far.took.as_secs_f64();
        let time = self.within.map_or(0.0, |within| took / within.as_secs_f64().max(f64::EPSILON));
        seeds.max(time).clamp(0.0, 1.0)
    }

    /// What is said when it is over: the bar is wiped off.
    pub fn end(&self) -> &'static str {
        if self.terminal { "\r\x1b[K" } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bar on a terminal; elsewhere a line for each thousand seeds and nothing between.
    #[test]
    fn a_log_has_a_line_for_each_thousand_seeds() {
        let run = Run { seeds: 4_000, ..Run::default() };
        let after = |terminal, seeds| {
            Progress::new(&run, terminal).after(&Summary { seeds, ..Summary::default() })
        };
        assert_eq!(after(false, 999), "");
        assert!(after(false, 2_000).starts_with("2000 seeds, "));
        assert!(after(false, 2_000).ends_with('\n'));
        assert!(after(true, 1_000).starts_with("\r[##########......"));
    }

    /// Where a time alone ends a run, the bar is of the time.
    #[test]
    fn a_run_for_a_time_has_a_bar_of_the_time() {
        let run = Run::default().bounded(None, Some(10));
        let took = Duration::from_secs(150);
        let so_far = Summary { seeds: 900, took, ..Summary::default() };
        let bar = Progress::new(&run, true).after(&so_far);
        assert_eq!(bar, format!("\r[{}{}] 900 seeds", "#".repeat(10), ".".repeat(30)));
        assert_eq!(Run::default().bounded(None, None).seeds, 200);
        assert_eq!(Run::default().bounded(Some(7), Some(1)).seeds, 7);
    }
}
