use crate::{Run, Summary};

/// Without a terminal there is a line for each so many seeds.
const LINE_EVERY_SEEDS: u64 = 1_000;

/// How wide the bar on a terminal is.
const BAR_CHARS: u64 = 40;

/// What is said about a run while it goes on: a bar on a terminal, else a line for each thousand
/// seeds.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    seeds: u64,
    terminal: bool,
}

impl Progress {
    /// For this run.
    pub fn new(run: &Run, terminal: bool) -> Progress {
        Progress { seeds: run.seeds, terminal }
    }

    /// What is said after a seed; mostly nothing when nobody watches.
    pub fn after(&self, so_far: &Summary) -> String {
        if self.terminal {
            let filled = BAR_CHARS * so_far.seeds / self.seeds.max(1);
            let (filled, empty) = ("#".repeat(filled as usize), BAR_CHARS - filled);
            let empty = ".".repeat(empty as usize);
            return format!("\r[{filled}{empty}] {} of {} seeds", so_far.seeds, self.seeds);
        }
        match so_far.seeds.is_multiple_of(LINE_EVERY_SEEDS) {
            true => format!("{so_far}\n"),
            false => String::new(),
        }
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
}
