//! Talk goes to standard error; how much, `SYNOD_LOG` says in the manner of `RUST_LOG`.

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::EnvFilter;

/// What is stronger than any configuration.
pub(crate) const VARIABLE: &str = "SYNOD_LOG";

/// Begins to listen to what the libraries trace, at `level` unless the environment says otherwise.
pub(crate) fn listen(level: &str, json: bool) {
    let wanted = std::env::var(VARIABLE).ok();
    let filter = wanted.as_deref().and_then(|wanted| match EnvFilter::try_new(wanted) {
        Ok(filter) => Some(filter),
        Err(error) => {
            anstream::eprintln!("{VARIABLE}={wanted:?} is not understood ({error}); using {level}");
            None
        }
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(level)))
        .with_writer(std::io::stderr)
        .with_ansi(AutoStream::choice(&std::io::stderr()) != ColorChoice::Never);
    if json { subscriber.json().init() } else { subscriber.init() }
}
