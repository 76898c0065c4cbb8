//! `synod cert check`: every certificate and key of a directory, one line each.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use synod_client::net::Credentials;

use crate::{
    cli::{CertVerb, Common, Output},
    exit::{Code, Failure},
    print,
};

/// Certificates that end sooner than this are reported.
const WARN_DAYS: i64 = 14;
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
    who: Option<String>,
    days_left: Option<i64>,
    problem: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &CertVerb) -> Result<(), Failure> {
    let CertVerb::Check { dir } = verb;
    let ca = dir.join("ca.crt");
    let leaves = leaves(dir)?;
    let certificates: Vec<_> = leaves.iter().map(|leaf| check(&ca, leaf)).collect();
    let problems = certificates.iter().filter(|checked| !checked.ok).count();
    let report = Report { schema: "synod.cert/1", problems, certificates };
    match common.output {
        Output::Json => print::json(&report)?,
        Output::Text => print::lines(&text(&report))?,
    }
    if problems == 0 { Ok(()) } else { Err(Failure::silent_no()) }
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

fn check(ca: &Path, cert: &Path) -> Checked {
    let file = cert.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match Credentials::load(ca, cert, &cert.with_extension("key")) {
        Ok(credentials) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let left = credentials.ends_at().saturating_sub_unsigned(now) / DAY_S;
            let soon = left < WARN_DAYS;
            Checked {
                file,
                ok: !soon,
                who: Some(credentials.identity().to_string()),
                days_left: Some(left),
                problem: soon.then(|| format!("ends in {left} days; issue a new one")),
            }
        }
        Err(error) => Checked {
            file,
            ok: false,
            who: None,
            days_left: None,
            problem: Some(error.to_string()),
        },
    }
}

fn text(report: &Report) -> String {
    let mut lines: Vec<String> = report
        .certificates
        .iter()
        .map(|checked| match (&checked.problem, &checked.who, checked.days_left) {
            (Some(problem), _, _) => format!("bad  {:<16} {problem}", checked.file),
            (None, who, days) => format!(
                "ok   {:<16} {:<48} {} d",
                checked.file,
                who.as_deref().unwrap_or_default(),
                days.unwrap_or_default()
            ),
        })
        .collect();
    if report.problems > 0 {
        lines.push(format!("{} problems, exit 1", report.problems));
    }
    lines.join("\n")
}
