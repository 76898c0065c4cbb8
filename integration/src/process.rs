use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::synod;

/// How long a process may take to say what a test waits for. Far more than it ever needs: a test
/// never asserts speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `synod` process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    // Held, never written to by most: see the crate's documentation.
    _stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Starts `synod ARGS`; what it says on standard error goes to `log`.
    pub fn start(args: &[&str], log: &Path) -> Process {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let mut child = Command::new(synod())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.expect("the test's directory takes a log file"))
            .spawn()
            .expect("the binary that was just built can be started");
        let stdout = child.stdout.take().expect("standard output was piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        Process { child, _stdin: stdin, lines }
    }

    /// The next line of its standard output; `None` when it has ended instead.
    pub fn line(&self) -> Option<String> {
        self.lines.recv_timeout(PATIENCE).ok()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // It fails only when the process has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by name, such as `TERM`, `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .expect("kill is a command of every POSIX system");
        assert!(status.success(), "kill -{name} failed");
    }

    /// Waits for it to end by itself; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the process does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a command that ran to its end came to.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Finished {
    /// Its output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Checks the exit code, showing everything when it is another.
    #[must_use]
    pub fn expect(self, code: i32) -> Finished {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

/// Runs `synod ARGS` to its end.
pub fn run(args: &[&str]) -> Finished {
    let Output { status, stdout, stderr } = Command::new(synod())
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the binary that was just built can be started");
    Finished {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}
