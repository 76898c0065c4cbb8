use std::{fmt, time::Duration};

/// A moment of this node's monotonic clock, in microseconds since the process began.
///
/// Ticks of two nodes are never compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// The moment the process began.
    pub const ZERO: Tick = Tick(0);

    /// The moment `micros` microseconds after the process began.
    pub const fn from_micros(micros: u64) -> Tick {
        Tick(micros)
    }

    /// Microseconds since the process began.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The moment `span` later; stays at the end of time rather than wrapping.
    #[must_use]
    pub fn after(self, span: Duration) -> Tick {
        Tick(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The time since `earlier`; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
