use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

#[cfg(target_os = "linux")]
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

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
        Process::of(Command::new(synod()).args(args), log)
    }

    /// Starts `WRAPPER... synod ARGS`, where the wrapper becomes what is behind it.
    pub fn start_in(wrapper: &[&str], args: &[&str], log: &Path) -> Process {
        let (first, rest) = wrapper.split_first().expect("a wrapper has a name");
        Process::of(Command::new(first).args(rest).arg(synod()).args(args), log)
    }

    fn of(command: &mut Command, log: &Path) -> Process {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let mut child = command
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

/// From now on no file of this child may grow beyond so many bytes; `None` lifts that again.
#[cfg(target_os = "linux")]
pub fn limit_files(id: u32, bytes: Option<u64>) {
    let own = getrlimit(Resource::Fsize);
    let limit = Rlimit { current: bytes.or(own.current), maximum: own.maximum };
    let child = Pid::from_raw(id.cast_signed());
    prlimit(child, Resource::Fsize, limit).expect("a child's limits are its parent's to change");
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
    Run::of(args).finish()
}

/// By what an environment wishes for colours or against them.
const COLOURS: [&str; 5] = ["CI", "CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR", "TERM"];

/// A command to be run to its end, in surroundings of its own.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: Vec<u8>,
}

impl Run {
    /// `synod ARGS`, with nothing of what this process's own environment would tell it: no
    /// `SYNOD_*`, nothing about colours.
    pub fn of(args: &[&str]) -> Run {
        let mut command = Command::new(synod());
        command.args(args);
        for (name, _) in std::env::vars_os() {
            let told = name.to_string_lossy();
            if told.starts_with("SYNOD_") || COLOURS.contains(&&*told) {
                command.env_remove(name);
            }
        }
        Run { command, input: Vec::new() }
    }

    /// With this in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Run {
        self.command.env(name, value);
        self
    }

    /// In this directory.
    #[must_use]
    pub fn in_dir(mut self, dir: &Path) -> Run {
        self.command.current_dir(dir);
        self
    }

    /// With this on its standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Run {
        self.input = input.into();
        self
    }

    /// Runs it.
    pub fn finish(mut self) -> Finished {
        let command = self.command.stdin(Stdio::piped());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary that was just built can be started");
        let mut stdin = child.stdin.take().expect("standard input was piped");
        // It may end without reading what it does not want.
        let _unread = stdin.write_all(&self.input);
        drop(stdin);
        let output = child.wait_with_output().expect("it was started by us");
        Finished {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it with its standard output on a terminal; what the terminal was sent.
    pub fn on_a_terminal(mut self) -> String {
        let (ours, theirs) = terminal();
        let command = self.command.stdin(Stdio::null()).stdout(theirs).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary that was just built can be started");
        // The command holds the other end too; then only the child does.
        drop(self);
        let mut sent = Vec::new();
        // Linux ends a terminal whose last user has left with an error instead of an end.
        let _ended = File::from(ours).read_to_end(&mut sent);
        let _code = child.wait();
        String::from_utf8_lossy(&sent).into_owned()
    }
}

/// Both ends of a new pseudo terminal.
fn terminal() -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("this system has terminals");
    grantpt(&ours).expect("it is ours");
    unlockpt(&ours).expect("it is ours");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let theirs = File::options().read(true).write(true).open(OsStr::from_bytes(name.to_bytes()));
    (ours, theirs.expect("it was unlocked").into())
}
