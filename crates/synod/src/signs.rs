//! The signs beside words, for terminals and logs that show more than ASCII and for those that do
//! not. They are of the program's own text only: what users keep in keys is never changed.

use std::sync::OnceLock;

/// One of each, as wide as the others'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Beside the node that leads.
    pub(crate) leads: char,
    /// Before a warning.
    pub(crate) warns: char,
    /// Before what is well again.
    pub(crate) well: char,
    /// Before a murder.
    pub(crate) killed: char,
    /// Between parts of a line.
    pub(crate) apart: char,
    /// Where there is nothing to show.
    pub(crate) nothing: char,
}

pub(crate) const RICH: Signs =
    Signs { leads: '★', warns: '▲', well: '✓', killed: '✂', apart: '·', nothing: '–' };
pub(crate) const ASCII: Signs =
    Signs { leads: '*', warns: '!', well: '+', killed: 'x', apart: '|', nothing: '-' };

static CHOSEN: OnceLock<Signs> = OnceLock::new();

/// Takes the decision for this process, once.
pub(crate) fn decide(ascii: bool) {
    // A second decision in one process would be the first again.
    let _taken = CHOSEN.set(if ascii { ASCII } else { RICH });
}

/// What was decided.
pub(crate) fn signs() -> Signs {
    CHOSEN.get().copied().unwrap_or(RICH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_ascii_and_no_two_signs_of_one_line_are_one() {
        let all = |signs: Signs| {
            let Signs { leads, warns, well, killed, apart, nothing } = signs;
            [leads, warns, well, killed, apart, nothing]
        };
        assert!(all(ASCII).iter().all(char::is_ascii));
        for signs in [RICH, ASCII] {
            let mut told = all(signs);
            told.sort_unstable();
            assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
        }
    }
}
