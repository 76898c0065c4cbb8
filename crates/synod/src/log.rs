//! Talk goes to standard error; how much, `SYNOD_LOG` says in the manner of `RUST_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Begins to listen to what the libraries trace, at `level` unless the environment says otherwise.
pub(crate) fn listen(level: &str, json: bool) {
    let filter = EnvFilter::try_from_env("SYNOD_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if json { subscriber.json().init() } else { subscriber.init() }
}
