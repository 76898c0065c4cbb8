//! What every asking verb shares: a client made from the configuration, one deadline, and errors in
//! the words of the command line.

use std::{fmt::Display, future::Future, path::Path, time::Instant};

use synod_client::{Client, Config, ConfigError, Error, Unreached, Why, machine::Name};

use crate::{
    cli::Common,
    exit::{Code, Failure},
};

/// Runs one question against the cluster of `common`'s configuration. One deadline is for all of
/// it: finding the cluster, asking, and ending the session.
pub(crate) fn ask<T, F>(common: &Common, question: impl FnOnce(Client) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let config = config(common)?;
    let until = Instant::now() + config.timeout;
    let left = || until.saturating_duration_since(Instant::now());
    let runtime = runtime()?;
    let answer = runtime.block_on(async {
        let client = Client::connect(config).await.map_err(failure)?;
        let answer = question(client.within(left())).await;
        let answer = answer.map_err(|failure| with_nodes(failure, &client));
        // A session that cannot be ended in time ends by itself.
        client.within(left()).close().await;
        answer
    });
    runtime.shutdown_background();
    answer
}

/// Page after page of what has names, until `limit` or the end; whether there is more.
pub(crate) async fn pages<T>(
    limit: u32,
    mut page: impl AsyncFnMut(Option<Name>, u32) -> Result<(Vec<T>, bool), Error>,
    name: impl Fn(&T) -> Name,
) -> Result<(Vec<T>, bool), Failure> {
    let (mut all, mut left): (Vec<T>, _) = (Vec::new(), limit);
    loop {
        let (rows, more) = page(all.last().map(&name), left).await.map_err(failure)?;
        left = left.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let stuck = rows.is_empty();
        all.extend(rows);
        if !more || left == 0 || stuck {
            return Ok((all, more));
        }
    }
}

/// A runtime for a tool: one thread is plenty.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Machine, "SYN-IO-001", error))
}

/// The client's configuration that `-c` names; a deadline on the command line is stronger than the
/// file's.
pub(crate) fn config(common: &Common) -> Result<Config, Failure> {
    let path = config_path(common, "which cluster? -c FILE names a client.toml")?;
    let mut config = Config::load(path).map_err(|error| unusable(path, error))?;
    if let Some(timeout) = common.timeout {
        config.timeout = timeout;
    }
    Ok(config)
}

/// The file that `-c` or `SYNOD_CONFIG` names.
pub(crate) fn config_path<'a>(common: &'a Common, missing: &str) -> Result<&'a Path, Failure> {
    common.config.as_deref().ok_or_else(|| {
        Failure::new(Code::Usage, "SYN-CONFIG-001", missing)
            .hint("`synod init` writes one for every node, client and participant")
    })
}

/// Why a client's file cannot be used. A node's is taken for it easily: they lie side by side.
fn unusable(path: &Path, error: ConfigError) -> Failure {
    let failure = Failure::new(Code::Usage, "SYN-CONFIG-002", error);
    match synod_node::Config::load(path) {
        Ok(_) => failure.hint("this file is a node's; tools use the client.toml beside it"),
        Err(_) => failure,
    }
}

/// How a command ends that met this error.
pub(crate) fn code(error: &Error) -> Code {
    match error {
        Error::NotApplied { .. } | Error::SessionEnded { .. } | Error::LeaseLost { .. } => {
            Code::NotApplied
        }
        Error::Unknown { .. } | Error::TxnUnknown { .. } | Error::NoAnswer { .. } => Code::Unknown,
        Error::Misuse(_) | Error::NotYet { .. } => Code::Usage,
        Error::Connect(why) if !why.is_identity() => Code::NotApplied,
        Error::Credentials(why) if why.is_about_files() => Code::Usage,
        Error::Socket(_) => Code::Machine,
        // Identity, permission, wrong cluster; and whatever a later client adds.
        _ => Code::Refused,
    }
}

/// A client's error in the words of the command line.
pub(crate) fn failure(error: Error) -> Failure {
    let word = match (&error, code(&error)) {
        (Error::Connect(_), Code::NotApplied) => "SYN-ASK-001",
        (Error::NotApplied { why: Why::DiskFull { .. } }, _) => "SYN-ASK-007",
        (_, Code::NotApplied) => "SYN-ASK-002",
        (Error::NotYet { .. }, _) => "SYN-KV-004",
        (Error::NoAnswer { .. }, _) => "SYN-ASK-006",
        (_, Code::Unknown) => "SYN-ASK-003",
        (Error::Misuse(_), _) => "SYN-ASK-004",
        (Error::Refused { .. }, _) => "SYN-ASK-005",
        (Error::Connect(_), _) => "SYN-TLS-001",
        (_, Code::Usage) => "SYN-TLS-002",
        (_, Code::Machine) => "SYN-IO-002",
        _ => "SYN-TLS-003",
    };
    let failure = Failure::new(code(&error), word, &error);
    match &error {
        Error::NotApplied { why: Why::DiskFull { .. } } => {
            failure.hint("nothing was changed; free some space there, and it serves by itself")
        }
        Error::NotApplied { .. } | Error::SessionEnded { .. } => {
            failure.hint("nothing was changed; it is safe to repeat")
        }
        Error::NoAnswer { .. } => failure.hint("ask the same again"),
        Error::Unknown { request } => failure.hint(format!("synod request settle {request}")),
        Error::TxnUnknown { txn } => failure.hint(format!("synod txn show {txn}")),
        Error::Connect(why) if why.is_identity() => listed(failure, why.nodes())
            .hint("synod cert check DIR tells whose certificates are in DIR"),
        Error::Connect(why) => {
            listed(failure, why.nodes()).hint("is any node running? synod start -c FILE runs one")
        }
        _ => failure,
    }
}

/// Who was asked and how that went, when nobody has said so yet: a leader that is not found is
/// looked for at every node.
fn with_nodes(failure: Failure, client: &Client) -> Failure {
    if failure.code() != Code::NotApplied || failure.has_details() {
        return failure;
    }
    listed(failure, client.reached().iter())
}

fn listed(failure: Failure, nodes: impl Iterator<Item = impl Display>) -> Failure {
    nodes.fold(failure, Failure::detail)
}

/// Why one node that was asked said nothing.
pub(crate) fn cause(error: &Error) -> String {
    match error {
        Error::Connect(why) => why.nodes().map(Unreached::cause).collect::<Vec<_>>().join(", "),
        Error::NotApplied { why } | Error::NoAnswer { why } => why.to_string(),
        other => other.to_string(),
    }
}
