//! `synod cert`. Of its verbs `check` is here: every certificate and key of a directory, one line
//! each.

mod issue;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use synod_client::net::{Credentials, CredentialsError, Root};

use crate::{
    cli::{CertVerb, Common, Output},
    exit::{Code, Failure},
    print,
};

/// Certificates that end sooner than this are reported: two weeks to find the authority's key.
pub(crate) const WARN_DAYS: i64 = 14;
const DAY_S: i64 = 86_400;

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    problems: usize,
    certificates: Vec<Checked>,
}

#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    /// Whose it is.
    who: Option<String>,
    days_left: Option<i64>,
    problem: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &CertVerb) -> Result<(), Failure> {
    match verb {
        CertVerb::Check { dir } => check(common, dir),
        CertVerb::Issue(args) => issue::issue(common, args),
        CertVerb::Renew(args) => issue::renew(common, args),
    }
}

fn check(common: &Common, dir: &Path) -> Result<(), Failure> {
    let ca = dir.join("ca.crt");
    let leaves = leaves(dir)?;
    let leaves = leaves.iter().map(|leaf| checked(leaf, read_leaf(&ca, leaf)));
    let certificates: Vec<_> =
        std::iter::once(checked(&ca, read_root(&ca))).chain(leaves).collect();
    let problems = certificates.iter().filter(|checked| !checked.ok).count();
    let report = Report { schema: "synod.cert/1", problems, certificates };
    match common.output {
        Output::Json | Output::Jsonl => print::json(&report)?,
        Output::Text => print::lines(&text(&report))?,
    }
    if problems == 0 { Ok(()) } else { Err(Failure::silent(Code::No)) }
}

fn leaves(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |what: String| {
        Failure::new(Code::Usage, "SYN-CERT-001", what)
            .hint("name the directory that holds ca.crt, such as eu/certs")
    };
    let entries =
        fs::read_dir(dir).map_err(|error| unreadable(format!("{}: {error}", dir.display())))?;
    let mut leaves: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "crt"))
        .filter(|path| path.file_name().is_some_and(|name| name != "ca.crt"))
        .collect();
    leaves.sort();
    if leaves.is_empty() {
        return Err(unreadable(format!("{}: no certificates here", dir.display())));
    }
    Ok(leaves)
}

/// Who, and when it ends.
type Read = Result<(String, i64), String>;

fn read_leaf(ca: &Path, cert: &Path) -> Read {
    let credentials = Credentials::load(ca, cert, &cert.with_extension("key")).map_err(said)?;
    Ok((credentials.identity().to_string(), credentials.ends_at()))
}

/// The root's key has no business beside what every node needs.
fn read_root(ca: &Path) -> Read {
    let root = Root::load(ca).map_err(said)?;
    let key = ca.with_extension("key");
    if key.exists() {
        return Err(format!("{}: signs anybody; move it away from the nodes", key.display()));
    }
    Ok((root.name, root.ends_at))
}

fn said(error: CredentialsError) -> String {
    error.to_string()
}

fn checked(cert: &Path, read: Read) -> Checked {
    let file = cert.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (who, days_left, problem) = match read {
        Err(problem) => (None, None, Some(problem)),
        Ok((who, ends_at)) => {
            let left = ends_at.saturating_sub_unsigned(now) / DAY_S;
            let soon = left < WARN_DAYS;
            let (name, dir) = (cert.file_stem(), cert.parent().unwrap_or(Path::new(".")));
            let name = name.unwrap_or_default().to_string_lossy();
            let problem = match &*name {
                // Ten years are over: there is no way but a new one and new certificates for all.
                "ca" => format!("ends in {left} days, and every certificate with it"),
                name => format!("ends in {left} days: synod cert renew {name} {}", dir.display()),
            };
            (Some(who), Some(left), soon.then_some(problem))
        }
    };
    Checked { file, ok: problem.is_none(), who, days_left, problem }
}

fn text(report: &Report) -> String {
    let width = |shown: fn(&Checked) -> usize| {
        report.certificates.iter().map(shown).max().unwrap_or_default()
    };
    let file = width(|checked| checked.file.len());
    let whose = width(|checked| checked.who.as_ref().map_or(0, String::len));
    let mut lines: Vec<String> = report
        .certificates
        .iter()
        .map(|checked| match (&checked.problem, &checked.who, checked.days_left) {
            (Some(problem), _, _) => format!("bad  {:<file$}  {problem}", checked.file),
            (None, who, days) => format!(
                "ok   {:<file$}  {:<whose$}  {:>4} d",
                checked.file,
                who.as_deref().unwrap_or_default(),
                days.unwrap_or_default()
            ),
        })
        .collect();
    match report.problems {
        0 => {}
        1 => lines.push("1 problem".to_owned()),
        many => lines.push(format!("{many} problems")),
    }
    lines.join("\n")
}
