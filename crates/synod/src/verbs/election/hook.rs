//! Small commands that a supervisor runs beside the one that it supervises.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use synod_client::machine::{Incumbent, Report};
use tokio::{process::Child, time::timeout};

use crate::ward::Inside;

/// What a command is told.
pub(super) type Environment = Vec<(&'static str, String)>;

/// A command line for `sh -c`, with what it is told.
pub(super) struct Hook<'a> {
    pub(super) line: &'a str,
    pub(super) environment: Environment,
    /// Where it is started, if there is such a place.
    pub(super) inside: Option<Inside>,
}

impl Hook<'_> {
    pub(super) fn start(self) -> io::Result<Child> {
        self.command().spawn()
    }

    /// Until it has ended.
    pub(super) async fn run(self) -> io::Result<ExitStatus> {
        self.command().status().await
    }

    /// What it reports: a position, or that this candidate must not be granted. So it must not when
    /// nothing can be found out.
    pub(super) async fn report(self, patience: Duration) -> Report {
        let line = self.line.to_owned();
        let output = self.command().stdout(Stdio::piped()).output();
        let wrong = match timeout(patience, output).await {
            Ok(Ok(output)) if output.status.success() => {
                let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                match (said.as_str(), said.parse()) {
                    (_, Ok(position)) => return Report::At(position),
                    ("no", _) => return Report::NotNow,
                    _ => format!("{said:?} is neither a number nor `no`"),
                }
            }
            Ok(Ok(output)) => output.status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("nothing in {patience:?}"),
        };
        tracing::warn!(command = line, %wrong, "no position is known");
        Report::NotNow
    }

    fn command(self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("sh");
        command.arg("-c").arg(self.line).envs(self.environment).stdin(Stdio::null());
        command.kill_on_drop(true);
        if let Some(inside) = self.inside {
            inside.place(&mut command);
        }
        command
    }
}

/// Whom to follow.
pub(super) fn of_incumbent(incumbent: Option<&Incumbent>) -> Environment {
    let text = |of: fn(&Incumbent) -> String| incumbent.map(of).unwrap_or_default();
    let address = |one: &Incumbent| one.proclaimed.clone().unwrap_or_default();
    vec![
        ("SYNOD_INCUMBENT", text(|one| one.candidate.to_string())),
        ("SYNOD_INCUMBENT_ADDRESS", text(address)),
        ("SYNOD_INCUMBENT_TOKEN", text(|one| one.token.to_string())),
    ]
}
