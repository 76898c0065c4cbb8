//! `synod start`: a node, until it is told to stop; and beside it the door for programs without a
//! client of ours, where its file asks for one.

mod door;

use std::{net::SocketAddr, path::Path};

use rustix::process::Signal;
use serde::Serialize;
use synod_node::{Config, ConfigError, Fault, LogFormat, Node, NodeError};
use tokio::{
    io::AsyncReadExt,
    signal::unix::{SignalKind, signal},
};

use super::ask;
use crate::{
    cli::{Common, Output, StartArgs},
    exit::{Code, Failure},
    log, print,
};

/// Runs the verb on a runtime of its own: one thread, for a node has one owner.
pub(crate) fn run(common: &Common, args: &StartArgs) -> Result<(), Failure> {
    let path = ask::config_path(common, "which node? -c FILE names its configuration")?;
    let config = Config::load(path).map_err(|error| unusable(path, error))?;
    log::listen(config.log_level().as_str(), config.log_format() == LogFormat::Json);
    let runtime = ask::runtime()?;
    outlive_long_files(&runtime);
    let serving = serve(config, common.output, args.until_stdin_closes);
    let ended = runtime.block_on(serving).map_err(node_failure);
    // A read of standard input may still be waiting; the process ends without it.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, output: Output, until_stdin_closes: bool) -> Result<(), NodeError> {
    let name = config.name().to_owned();
    let node = Node::start(config.clone()).await?;
    let door_address = door::open(&config, node.door_metrics()).await;
    let started = Started {
        name: &name,
        address: node.address(),
        http_address: node.http_address(),
        door_address,
    };
    started.tell(output);
    node.run(stopped(until_stdin_closes)).await
}

/// The one line of data that a node or a shard prints: where it listens.
#[derive(Serialize)]
pub(crate) struct Started<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: SocketAddr,
    /// Where its health and metrics are.
    pub(crate) http_address: SocketAddr,
    /// Where its door is, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) door_address: Option<SocketAddr>,
}

impl Started<'_> {
    /// Prints it. A parent waits for this line; if it does not read it, so be it.
    pub(crate) fn tell(&self, output: Output) {
        #[derive(Serialize)]
        struct Document<'a> {
            schema: &'static str,
            #[serde(flatten)]
            started: &'a Started<'a>,
        }
        let Started { name, address, http_address, door_address } = self;
        let door = door_address.map(|address| format!(", door on {address}")).unwrap_or_default();
        let _ = match output {
            Output::Json | Output::Jsonl => {
                print::json(&Document { schema: "synod.started/1", started: self })
            }
            Output::Text => print::lines(&format!(
                "{name} listens on {address}{door}, health on http://{http_address}"
            )),
        };
    }
}

/// A write past the length that this process's files may have (`ulimit -f`) is answered with
/// SIGXFSZ, which ends a process that does not listen. One that does is told by the write, as of a
/// full disk.
pub(crate) fn outlive_long_files(runtime: &tokio::runtime::Runtime) {
    let _registers_there = runtime.enter();
    // Once there is a listener the system's own way is never taken again, nor need anybody listen.
    if let Err(error) = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())) {
        tracing::warn!(%error, "a limit on the length of files would end this process");
    }
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
pub(crate) async fn stdin_closed() {
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
