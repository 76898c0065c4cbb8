//! The pair that is supervised, in one of its two forms.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::{
    super::scene::Scene,
    book,
    postgres::{Installed, Servers},
    rows::{Row, Rows, Stored, lost},
    seat::Seats,
};
use crate::{
    cli::DemoChild,
    exit::{Code, Failure},
};

/// What is elected.
pub(super) const ELECTION: &str = "demo/primary";
/// Who stands.
pub(super) const NAMES: [&str; 2] = ["db-1", "db-2"];
/// So long after a machine died another may be granted.
const TTL: &str = "3s";
/// A standby may have rows on its disk that it does not show yet.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) enum Pair {
    /// Two programs that write into one file.
    File(PathBuf),
    Postgres(Servers),
}

impl Pair {
    /// The form that was asked for, and why it is not PostgreSQL where that was hoped for.
    pub(super) fn choose(asked: DemoChild, dir: &Path) -> Result<(Pair, Option<String>), Failure> {
        let file = || Pair::File(dir.join("rows"));
        if asked == DemoChild::File {
            return Ok((file(), None));
        }
        match Installed::find() {
            Ok(installed) => Ok((Pair::Postgres(Servers::at(dir, installed)?), None)),
            Err(lacking) if asked == DemoChild::Auto => Ok((file(), Some(lacking))),
            Err(lacking) => {
                let failure = Failure::new(Code::Usage, "SYN-DEMO-007", lacking);
                Err(failure.hint("`--child file` needs no PostgreSQL"))
            }
        }
    }

    /// As the report spells it.
    pub(super) fn form(&self) -> &'static str {
        match self {
            Pair::File(_) => "file",
            Pair::Postgres(_) => "postgres",
        }
    }

    /// As people read it.
    pub(super) fn described(&self) -> String {
        match self {
            Pair::File(_) => "programs that write rows into one file".to_owned(),
            Pair::Postgres(servers) => {
                format!("PostgreSQL {} with synchronous replication", servers.version())
            }
        }
    }

    /// Gives both their supervisors, who do not run yet.
    pub(super) fn cast(&self, scene: &mut Scene) -> Result<(), Failure> {
        for (place, name) in NAMES.into_iter().enumerate() {
            let config = scene.config("client");
            let mut args = vec!["election", "run", ELECTION, "--id", name, "-c", &config];
            args.extend(["--ttl", TTL, "--until-stdin-closes"]);
            match self {
                Pair::File(path) => {
                    let program = std::env::current_exe().map_err(|error| {
                        Failure::new(Code::Machine, "SYN-DEMO-003", format!("this file: {error}"))
                    })?;
                    let (program, path) =
                        (program.display().to_string(), path.display().to_string());
                    args.extend(["--proclaim", &path, "--", &program, book::WRITER, &path]);
                    scene.cast(name, &args);
                }
                Pair::Postgres(servers) => {
                    let (script, address) = (servers.script(), servers.address(place));
                    let script = script.display().to_string();
                    let hook = |what| format!("'{script}' {what}");
                    let [promote, follow, report] = ["promote", "follow", "report"].map(hook);
                    args.extend(["--proclaim", &address, "--promote", &promote]);
                    args.extend(["--follow", &follow, "--report", &report]);
                    args.extend(["--report-every", "500ms", "--", &script, "run"]);
                    scene.cast_in(name, &args, &servers.environment(place));
                }
            }
        }
        Ok(())
    }

    /// Makes what the first needs before it starts.
    pub(super) async fn found(&self) -> Result<(), Failure> {
        match self {
            Pair::File(_) => Ok(()),
            Pair::Postgres(servers) => servers.found().await,
        }
    }

    /// Makes what the second needs, from the first, which is primary.
    pub(super) async fn copy(&self) -> Result<(), Failure> {
        match self {
            Pair::File(_) => Ok(()),
            Pair::Postgres(servers) => servers.copy().await,
        }
    }

    /// Takes down what a supervised program says, if it is that which writes.
    pub(super) fn attend(&self, lines: mpsc::UnboundedReceiver<String>, rows: &Rows) {
        match self {
            Pair::File(_) => book::attend(lines, rows.clone()),
            // A server says nothing here.
            Pair::Postgres(_) => drop(lines),
        }
    }

    /// Has rows written, for as long as what is returned is held.
    pub(super) async fn written(
        &self,
        seats: &Seats,
        rows: &Rows,
        patience: Duration,
    ) -> Option<JoinSet<()>> {
        match self {
            Pair::File(_) => Some(JoinSet::new()),
            Pair::Postgres(servers) => {
                servers.prepare(patience).await?;
                Some(servers.written(seats, rows))
            }
        }
    }

    /// Whether a row is acknowledged only when both have it.
    pub(super) fn waits_for_both(&self) -> bool {
        matches!(self, Pair::Postgres(_))
    }

    /// Those of these rows that one of the pair does not have, although it was given its time.
    pub(super) async fn lost(
        &self,
        acknowledged: &[Row],
        place: usize,
        patience: Duration,
    ) -> Result<Vec<u64>, Failure> {
        let begun = Instant::now();
        loop {
            let lost = self.read(place).await?.map(|stored| lost(acknowledged, &stored));
            match lost {
                Some(lost) if lost.is_empty() || begun.elapsed() > patience => return Ok(lost),
                None if begun.elapsed() > patience => {
                    let what = format!("{} does not show what it has", NAMES[place]);
                    return Err(Failure::new(Code::Machine, "SYN-DEMO-005", what));
                }
                Some(_) | None => sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn read(&self, place: usize) -> Result<Option<Vec<Stored>>, Failure> {
        match self {
            Pair::File(path) => book::read(path).map(Some),
            Pair::Postgres(servers) => Ok(servers.read(place).await),
        }
    }

    /// What cannot be if one wrote at a time, as far as that can be seen in what is stored.
    pub(super) fn disorder(&self) -> Result<Vec<String>, Failure> {
        match self {
            Pair::File(path) => Ok(book::disorder(&book::read(path)?)),
            Pair::Postgres(_) => Ok(Vec::new()),
        }
    }
}
