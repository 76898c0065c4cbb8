//! `synod check-config`: parse configuration, hold several files against each other, touch nothing.

use std::path::Path;

use serde::Serialize;
use synod_client::net::settings::{self, Row};

use crate::{
    cli::{CheckConfigArgs, Common, Output},
    exit::{Code, Failure},
    log, print, shard,
};

/// One file that is right by itself.
enum Checked {
    Node(Box<synod_node::Config>),
    /// A client's, or a participant's, which is one too.
    Client(synod_client::Config),
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct File<'a> {
    file: &'a Path,
    kind: &'static str,
    /// A node's.
    name: Option<&'a str>,
    cluster: &'a str,
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    key: String,
    /// As TOML.
    value: String,
    origin: String,
}

/// Runs the verb. Exit 2 when a file is wrong, 1 when files contradict each other.
pub(crate) fn run(common: &Common, args: &CheckConfigArgs) -> Result<(), Failure> {
    let read: Vec<_> = args.files.iter().map(|path| check(path)).collect();
    let (checked, wrong): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
    let wrong: Vec<String> = wrong.into_iter().filter_map(Result::err).collect();
    match &wrong[..] {
        [] => {}
        [one] => return Err(Failure::new(Code::Usage, "SYN-CONFIG-002", one)),
        several => {
            let what = format!("{} of {} files are wrong", several.len(), args.files.len());
            let failure = Failure::new(Code::Usage, "SYN-CONFIG-002", what);
            return Err(several.iter().fold(failure, Failure::detail));
        }
    }
    let checked: Vec<Checked> = checked.into_iter().filter_map(Result::ok).collect();
    agree(&checked, &args.files)?;
    let mut files = Vec::new();
    for (config, path) in checked.iter().zip(&args.files) {
        files.push(config.shown(path, common)?);
    }
    match common.output {
        Output::Json | Output::Jsonl => print::json(&Report { schema: "synod.config/1", files }),
        Output::Text => print::lines(&text(&files, args.print)),
    }
}

/// A node's file is not a client's; which of the two it means to be, its tables tell.
fn check(path: &Path) -> Result<Checked, String> {
    let table = settings::read::<toml::Table>(path).map_err(|error| error.to_string())?;
    if !table.contains_key("endpoint") {
        let node = synod_node::Config::load(path).map_err(|error| error.to_string())?;
        return Ok(Checked::Node(Box::new(node)));
    }
    let client = synod_client::Config::load(path).map_err(|error| error.to_string())?;
    shard::describe(path).map_err(|error| error.to_string())?;
    Ok(Checked::Client(client))
}

/// Files of one cluster say the same of it.
fn agree(checked: &[Checked], paths: &[impl AsRef<Path>]) -> Result<(), Failure> {
    let apart = |what: String| {
        Failure::new(Code::No, "SYN-CONFIG-003", what)
            .hint("every file of a cluster must tell the same cluster and the same members")
    };
    let nodes: Vec<synod_node::Config> =
        checked.iter().filter_map(Checked::node).cloned().collect();
    synod_node::check_many(&nodes).map_err(|error| apart(error.to_string()))?;
    let Some(node) = nodes.first() else { return Ok(()) };
    for (config, path) in checked.iter().zip(paths) {
        let Checked::Client(client) = config else { continue };
        let (path, other) = (path.as_ref().display(), node.path().display());
        if (&client.cluster, client.cluster_id) != (node.cluster(), node.cluster_id()) {
            return Err(apart(format!("{path} and {other} are of different clusters")));
        }
        let strangers = client.endpoints.iter().map(|endpoint| &endpoint.name);
        let mut strangers = strangers.filter(|name| node.voters().iter().all(|v| v.name != **name));
        if let Some(name) = strangers.next() {
            return Err(apart(format!("{path} names {name}, which is no [[peer]] of {other}")));
        }
    }
    Ok(())
}

impl Checked {
    fn node(&self) -> Option<&synod_node::Config> {
        match self {
            Checked::Node(config) => Some(config),
            Checked::Client(_) => None,
        }
    }

    fn shown<'a>(&'a self, file: &'a Path, common: &Common) -> Result<File<'a>, Failure> {
        let gone =
            |error: &dyn std::fmt::Display| Failure::new(Code::Usage, "SYN-CONFIG-002", error);
        Ok(match self {
            Checked::Node(config) => File {
                file,
                kind: "node",
                name: Some(config.name()),
                cluster: config.cluster().as_str(),
                keys: keys(config.describe(), common),
            },
            Checked::Client(config) => {
                let mut rows =
                    synod_client::Config::describe(file).map_err(|error| gone(&error))?;
                rows.extend(shard::describe(file).map_err(|error| gone(&error))?);
                let (kind, cluster) = ("client", config.cluster.as_str());
                File { file, kind, name: None, cluster, keys: keys(rows, common) }
            }
        })
    }
}

/// The file's layer with the ones above it: the environment, and the command line.
fn keys(rows: Vec<Row>, common: &Common) -> Vec<Key> {
    let above = |key: &str| match key {
        "timeout_ms" => {
            common.timeout.map(|span| (span.as_millis().to_string(), "--timeout or SYNOD_TIMEOUT"))
        }
        "log.level" => std::env::var(log::VARIABLE).ok().map(|level| (level, log::VARIABLE)),
        _ => None,
    };
    rows.into_iter()
        .map(|row| match above(&row.key) {
            Some((value, origin)) => Key { key: row.key, value, origin: origin.to_owned() },
            None => Key { key: row.key, value: row.value, origin: row.origin.to_string() },
        })
        .collect()
}

fn text(files: &[File<'_>], print: bool) -> String {
    let mut lines = Vec::new();
    for file in files {
        let name = file.name.map(|name| format!(" {name}")).unwrap_or_default();
        let shown = file.file.display();
        lines.push(format!("ok   {shown}   {}{name} of {}", file.kind, file.cluster));
        if print {
            let width = file.keys.iter().map(|row| row.key.len()).max().unwrap_or_default();
            for Key { key, value, origin } in &file.keys {
                lines.push(format!("     {key:<width$} = {value}  ({origin})"));
            }
        }
    }
    lines.join("\n")
}
