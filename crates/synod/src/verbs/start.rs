//! `synod start`: a node, until it is told to stop.

use std::path::Path;

use synod_node::{Config, ConfigError, Fault, LogFormat, Node, NodeError};
use tokio::{
    io::AsyncReadExt,
    signal::unix::{SignalKind, signal},
};

use super::ask;
use crate::{
    cli::{Common, StartArgs},
    exit::{Code, Failure},
    log, print,
};

/// Runs the verb on a runtime of its own: one thread, for a node has one owner.
pub(crate) fn run(common: &Common, args: &StartArgs) -> Result<(), Failure> {
    let path = ask::config_path(common, "which node? -c FILE names its configuration")?;
    let config = Config::load(path).map_err(|error| unusable(path, error))?;
    log::listen(config.log_level().as_str(), config.log_format() == LogFormat::Json);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Machine, "SYN-IO-001", error))?;
    let ended = runtime.block_on(serve(config, args.until_stdin_closes)).map_err(node_failure);
    // A read of standard input may still be waiting; the process ends without it.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, until_stdin_closes: bool) -> Result<(), NodeError> {
    let name = config.name().to_owned();
    let node = Node::start(config).await?;
    // The one line of data. A parent waits for it; if it does not read it, so be it.
    let _ = print::lines(&format!(
        "{name} listens on {}, health on http://{}",
        node.address(),
        node.http_address()
    ));
    node.run(stopped(until_stdin_closes)).await
}

/// Resolves when the process is asked to end; asked twice, it ends at once.
pub(crate) async fn stopped(until_stdin_closes: bool) {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be heard; only SIGKILL will end this process");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        () = stdin_closed(), if until_stdin_closes => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        std::process::exit(130);
    });
}

/// Resolves when whoever held the other end of standard input is gone.
async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 256];
    while matches!(stdin.read(&mut ignored).await, Ok(read) if read > 0) {}
}

/// Why a node's file cannot be used. A client's is taken for it easily: they lie side by side.
fn unusable(path: &Path, error: ConfigError) -> Failure {
    let failure = Failure::new(Code::Usage, "SYN-CONFIG-002", error);
    match synod_client::Config::load(path) {
        Ok(_) => failure.hint("this file is a client's; a node has one of its own beside it"),
        Err(_) => failure,
    }
}

fn node_failure(error: NodeError) -> Failure {
    let code = match error.fault() {
        Fault::Usage => Code::Usage,
        Fault::Identity => Code::Refused,
        Fault::Machine => Code::Machine,
        Fault::Bug => Code::Bug,
    };
    let failure = Failure::new(code, "SYN-NODE-001", &error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
