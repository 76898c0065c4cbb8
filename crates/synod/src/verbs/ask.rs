//! What every asking verb shares: a client made from the configuration, one deadline, and errors in
//! the words of the command line.

use std::{future::Future, time::Duration};

use synod_client::{Client, Config, Error};

use crate::{
    cli::Common,
    exit::{Code, Failure},
};

/// A deadline when none is given.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs one question against the cluster of `common`'s configuration.
pub(crate) fn ask<T, F>(common: &Common, question: impl FnOnce(Client) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let config = config(common)?;
    let runtime = runtime()?;
    let answer = runtime.block_on(async {
        let client = Client::connect(config).await.map_err(failure)?;
        let client = client.within(common.timeout.unwrap_or(TIMEOUT));
        let answer = question(client.clone()).await;
        client.close().await;
        answer
    });
    runtime.shutdown_background();
    answer
}

/// A runtime for a tool: one thread is plenty.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-003", error))
}

/// The client's configuration that `-c` names.
pub(crate) fn config(common: &Common) -> Result<Config, Failure> {
    let path = common.config.as_deref().ok_or_else(|| {
        Failure::new(Code::Usage, "SYN-CONFIG-003", "which cluster? -c FILE names a client.toml")
            .hint("`synod init` writes one beside the nodes' configuration")
    })?;
    Config::load(path).map_err(|error| Failure::new(Code::Usage, "SYN-CONFIG-004", error))
}

/// A client's error in the words of the command line.
pub(crate) fn failure(error: Error) -> Failure {
    match error {
        Error::NotApplied { .. } | Error::SessionEnded { .. } => {
            Failure::new(Code::NotApplied, "SYN-ASK-001", error)
                .hint("nothing was changed; it is safe to repeat")
        }
        Error::NoAnswer { .. } => {
            Failure::new(Code::Unknown, "SYN-ASK-006", error).hint("ask the same again")
        }
        Error::Unknown { request } => Failure::new(Code::Unknown, "SYN-ASK-002", error)
            .hint(format!("synod request settle {request}")),
        Error::TxnUnknown { txn } => {
            Failure::new(Code::Unknown, "SYN-ASK-005", error).hint(format!("synod txn show {txn}"))
        }
        Error::Misuse(_) => Failure::new(Code::Usage, "SYN-ASK-004", error),
        Error::Connect(ref why) => {
            let code = if why.is_identity() { Code::Refused } else { Code::NotApplied };
            let mut failure = Failure::new(code, "SYN-TLS-003", &error);
            for node in why.nodes() {
                failure = failure.detail(node);
            }
            failure.hint("synod cert check certs/")
        }
        other => Failure::new(Code::Refused, "SYN-ASK-003", other),
    }
}
