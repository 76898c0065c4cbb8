//! A session with a server, by way of psql.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// What psql says when it is through with what it was told.
const THROUGH: &str = "-- through --";

/// One session. It ends at the first error, as a transaction would.
pub(crate) struct Session {
    psql: Child,
    told: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Session {
    /// A session with whoever listens at `address`; what goes wrong is written to `log`.
    pub(crate) fn open(programs: &Path, address: &str, log: &Path) -> Session {
        let (host, port) = address.rsplit_once(':').unwrap();
        let whom =
            format!("host={host} port={port} user=postgres dbname=postgres connect_timeout=2");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut psql = Command::new(programs.join("psql"))
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &whom])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (told, says) = (psql.stdin.take().unwrap(), psql.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(says).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Session { psql, told, lines }
    }

    /// What these statements return, if all of them were done in time. Else nobody knows, and the
    /// session is of no more use.
    pub(crate) fn ask(&mut self, sql: &str, within: Duration) -> Option<Vec<String>> {
        writeln!(self.told, "{sql}\n\\echo {THROUGH}").ok()?;
        let mut rows = Vec::new();
        loop {
            match self.lines.recv_timeout(within).ok()? {
                line if line == THROUGH => return Some(rows),
                line => rows.push(line),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It fails only when it has ended by itself.
        let _ended = (self.psql.kill(), self.psql.wait());
    }
}
