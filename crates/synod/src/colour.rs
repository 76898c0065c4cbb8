//! Whether text is coloured: one decision, taken before anything is printed.

use anstream::ColorChoice;

use crate::cli::Colour;

/// Takes the decision for every stream of this process.
pub(crate) fn decide(wanted: Colour) {
    match choice(wanted, std::env::var("TERM").ok().as_deref()) {
        // The library asks each stream, and `NO_COLOR` first.
        ColorChoice::Auto => {}
        choice => choice.write_global(),
    }
}

/// A dumb terminal shows escapes as rubbish whoever runs the command; the library itself would
/// colour it for any program that runs under `CI`.
fn choice(wanted: Colour, term: Option<&str>) -> ColorChoice {
    match wanted {
        Colour::Always => ColorChoice::Always,
        Colour::Never => ColorChoice::Never,
        Colour::Auto if term == Some("dumb") => ColorChoice::Never,
        Colour::Auto => ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumb_terminal_is_plain_unless_a_flag_says_otherwise() {
        assert_eq!(choice(Colour::Auto, Some("xterm")), ColorChoice::Auto);
        assert_eq!(choice(Colour::Auto, None), ColorChoice::Auto);
        assert_eq!(choice(Colour::Auto, Some("dumb")), ColorChoice::Never);
        assert_eq!(choice(Colour::Always, Some("dumb")), ColorChoice::Always);
        assert_eq!(choice(Colour::Never, Some("xterm")), ColorChoice::Never);
    }
}
