//! A command and all that it starts: one process group, led by its warden.

use std::{
    ffi::OsString,
    io,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    time::sleep,
};

use super::warden;
use crate::exit::{Code, Failure};

/// What was killed is gone in no time, unless the system is stuck.
const GONE_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Nothing is held for it that could end.
pub(crate) const FOR_EVER: Duration = Duration::from_nanos(u64::MAX);

/// Where whatever belongs to the command is started, to end with it.
#[derive(Clone, Copy)]
pub(crate) struct Inside(Pid);

impl Inside {
    /// Lets a command be started in the same process group.
    pub(crate) fn place(self, command: &mut Command) {
        command.process_group(self.0.as_raw_nonzero().get());
    }
}

/// A running command.
pub(crate) struct Group {
    warden: Child,
    orders: ChildStdin,
    command: Child,
    id: Pid,
}

impl Group {
    /// Starts the warden, who has its orders before there is anything to guard, and then the
    /// command in the warden's group.
    pub(crate) async fn start(
        command: &[OsString],
        environment: &[(&str, String)],
        until: Duration,
    ) -> Result<Group, Failure> {
        adopt_orphans();
        let (mut warden, mut orders, id) = warden().await.map_err(unstarted)?;
        order(&mut orders, until).await.map_err(unstarted)?;
        let (program, args) = command
            .split_first()
            .ok_or_else(|| Failure::new(Code::Usage, "SYN-LOCK-002", "no command was given"))?;
        let started = Command::new(program)
            .args(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .process_group(id.as_raw_nonzero().get())
            .kill_on_drop(true)
            .spawn();
        match started {
            Ok(command) => Ok(Group { warden, orders, command, id }),
            Err(error) => {
                let _gone = warden.kill().await;
                let what = format!("{} cannot be started: {error}", program.to_string_lossy());
                Err(Failure::new(Code::RunFailed, "SYN-LOCK-002", what))
            }
        }
    }

    pub(crate) fn inside(&self) -> Inside {
        Inside(self.id)
    }

    /// It may live until then. A warden that is gone hears nothing, and its end ends nobody.
    pub(crate) async fn may_live(&mut self, until: Duration) {
        if let Err(error) = order(&mut self.orders, until).await {
            tracing::debug!(%error, "the warden is gone");
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Err(error) = kill_process_group(self.id, signal) {
            tracing::debug!(%error, ?signal, "nobody is there to hear it");
        }
    }

    /// Waits until the command has ended; others of its group may not have.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.command.wait().await
    }

    /// Ends what is left of the group; whether nothing is.
    pub(crate) async fn clear(mut self) -> bool {
        self.signal(Signal::KILL);
        // Each is gone already, or was killed just now.
        let _ended = (self.command.wait().await, self.warden.wait().await);
        let began = Instant::now();
        while test_kill_process_group(self.id).is_ok() {
            // What the command left behind was handed to us.
            let _reaped = waitpgid(self.id, WaitOptions::NOHANG);
            if began.elapsed() > GONE_PATIENCE {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
        true
    }
}

async fn warden() -> io::Result<(Child, ChildStdin, Pid)> {
    let lost = || io::Error::other("it ended at once");
    let mut warden = Command::new(std::env::current_exe()?)
        .arg(warden::WORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let id = warden.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(lost)?;
    let (orders, says) = (warden.stdin.take().ok_or_else(lost)?, warden.stdout.take());
    let mut says = BufReader::new(says.ok_or_else(lost)?).lines();
    match says.next_line().await? {
        Some(line) if line == warden::READY => Ok((warden, orders, id)),
        Some(_) | None => Err(lost()),
    }
}

async fn order(orders: &mut ChildStdin, until: Duration) -> io::Result<()> {
    orders.write_all(format!("{}\n", until.as_nanos()).as_bytes()).await?;
    orders.flush().await
}

/// Whoever loses its parent is this process's to reap: else nobody might, and a group of the dead
/// would look alive.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::debug!(%error, "orphans are left to the system");
    }
}

fn unstarted(error: io::Error) -> Failure {
    let what = format!("the command's warden cannot be started: {error}");
    Failure::new(Code::RunFailed, "SYN-LOCK-004", what)
}
