use std::fmt;

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the list of invariants: `A1`, `F2`, …
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

/// What a check comes to.
pub(crate) type Checked = Result<(), Violation>;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// Demands that a property holds; else returns its violation.
macro_rules! demand {
    ($holds:expr, $invariant:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::violation::Violation {
                invariant: $invariant,
                what: format!($($what)+),
            });
        }
    };
}

pub(crate) use demand;
