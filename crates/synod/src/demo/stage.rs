//! The demo's actors: real processes of this very binary, started, killed and never left behind.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::timeout,
};

use crate::exit::{Code, Failure};

/// One process. Its standard input is held open: when this process ends, however it ends, the input
/// closes and the child ends by itself.
pub(crate) struct Actor {
    pub(crate) name: String,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    stdin: ChildStdin,
}

impl Actor {
    /// An actor that is not on stage yet; what it says on standard error goes to `log`.
    pub(crate) fn new(name: &str, args: Vec<String>, log: &Path) -> Actor {
        let (name, log) = (name.to_owned(), log.to_path_buf());
        Actor { name, args, environment: Vec::new(), log, running: None }
    }

    /// With this in its environment.
    pub(crate) fn with(mut self, environment: &[(&str, String)]) -> Actor {
        let own = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        self.environment.extend(environment.iter().map(own));
        self
    }

    /// Starts the process; the lines of its standard output come out of the receiver.
    pub(crate) fn start(&mut self) -> Result<mpsc::UnboundedReceiver<String>, Failure> {
        let failed = |what: std::io::Error| {
            Failure::new(Code::Bug, "SYN-DEMO-003", format!("cannot start {}: {what}", self.name))
        };
        let program = std::env::current_exe().map_err(failed)?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let mut child = Command::new(program)
            .args(&self.args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.map_err(failed)?)
            // A Ctrl-C at the terminal is for the director, who then ends the actors in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            let lost = std::io::Error::other("its pipes were not made");
            return Err(failed(lost));
        };
        self.running = Some(Running { child, stdin });
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(receiver)
    }

    /// Tells the actor a line; an actor that is gone hears nothing.
    pub(crate) async fn tell(&mut self, line: &str) {
        if let Some(running) = &mut self.running {
            // A closed pipe means that it died; whoever waits for its answer will notice.
            let _ = running.stdin.write_all(format!("{line}\n").as_bytes()).await;
            let _ = running.stdin.flush().await;
        }
    }

    /// SIGKILL: nothing is flushed, nothing is said, no destructor runs. Waits until it is gone.
    pub(crate) async fn murder(&mut self) {
        if let Some(mut running) = self.running.take() {
            // `kill` fails only when the process has ended already, which is what it is for.
            let _ = running.child.kill().await;
        }
    }

    /// Closes its input, by which it knows that it is to end; what is returned waits until it has.
    /// Who takes too long is killed.
    pub(crate) fn dismiss(&mut self, patience: Duration) -> impl Future<Output = ()> + use<> {
        let child = self.running.take().map(|Running { child, stdin }| {
            drop(stdin);
            child
        });
        async move {
            let Some(mut child) = child else { return };
            if timeout(patience, child.wait()).await.is_err() {
                // As above.
                let _ = child.kill().await;
            }
        }
    }

    /// The last lines that it said on standard error, for a report of what went wrong.
    pub(crate) fn last_words(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines.iter().rev().take(5).rev().map(|line| (*line).to_owned()).collect()
    }
}
