use std::{collections::VecDeque, fmt};

use xxhash_rust::xxh3::Xxh3;

/// How many of the last events a story tells.
const LINES_MAX: usize = 60;

/// What happened, as a digest always and as lines when somebody wants to read them.
pub(crate) struct Story {
    digest: Xxh3,
    lines: Option<VecDeque<String>>,
}

impl Story {
    /// A story of which lines are kept only if `told`.
    pub(crate) fn new(told: bool) -> Story {
        Story { digest: Xxh3::new(), lines: told.then(VecDeque::new) }
    }

    /// Takes numbers into the digest.
    pub(crate) fn mark(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.digest.update(&number.to_le_bytes());
        }
    }

    /// Tells a line, which is made only if somebody wants to read it.
    pub(crate) fn tell(&mut self, at_us: u64, line: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(format!("{:>6}.{:03} ms  {}", at_us / 1_000, at_us % 1_000, line()));
    }

    /// The digest of everything so far.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.digest()
    }

    /// The last lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().flatten().cloned().collect()
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Story").field("digest", &self.digest()).finish_non_exhaustive()
    }
}
