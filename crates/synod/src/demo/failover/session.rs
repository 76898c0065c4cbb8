//! A session with a PostgreSQL server, by way of psql.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// What psql says when it is through with what it was told.
const THROUGH: &str = "-- through --";

/// One session. It ends at the first error, as a transaction would.
pub(super) struct Session {
    // Held: a psql that is dropped is killed.
    _psql: Child,
    told: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
}

impl Session {
    /// A session by this command, which knows whom to ask.
    pub(super) fn open(mut psql: Command) -> Option<Session> {
        let psql = psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1"]).process_group(0);
        let psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut psql = psql.kill_on_drop(true).spawn().ok()?;
        let (told, says) = (psql.stdin.take()?, psql.stdout.take()?);
        Some(Session { _psql: psql, told, says: BufReader::new(says).lines() })
    }

    /// What these statements return, if all of them were done in time. Else nobody knows, and the
    /// session is of no more use.
    pub(super) async fn ask(&mut self, sql: &str, within: Duration) -> Option<Vec<String>> {
        let asked = async {
            self.told.write_all(format!("{sql}\n\\echo {THROUGH}\n").as_bytes()).await.ok()?;
            let mut rows = Vec::new();
            while let Some(line) = self.says.next_line().await.ok()? {
                if line == THROUGH {
                    return Some(rows);
                }
                rows.push(line);
            }
            None
        };
        timeout(within, asked).await.ok().flatten()
    }
}
