//! `synod lock`: one holder at a time.

mod run;

use std::io::{BufRead, IsTerminal};

use serde::Serialize;
use synod_client::machine::{Holder, LockView};

use super::ask::{ask, failure};
use crate::{
    cli::{Common, LockVerb, Output},
    exit::{Code, Failure},
    print,
};

#[derive(Serialize)]
struct Shown {
    name: String,
    holder: Option<ShownHolder>,
    /// How many wait.
    waiting: u64,
    /// The first of them.
    waiters: Vec<Waiter>,
}

#[derive(Serialize)]
struct ShownHolder {
    owner: String,
    lease: u64,
    token: u64,
    /// In milliseconds since 1970, as stamped in the log.
    since_ms: u64,
}

#[derive(Serialize)]
struct Waiter {
    owner: String,
    lease: u64,
}

#[derive(Serialize)]
struct One {
    schema: &'static str,
    #[serde(flatten)]
    lock: Shown,
}

const ONE: &str = "synod.lock/1";

impl Shown {
    fn new(view: LockView) -> Shown {
        let Holder { lease, owner, token, since_ms } = view.holder;
        let holder = ShownHolder { owner, lease: lease.get(), token: token.get(), since_ms };
        let waiters = view.waiters.into_iter();
        let waiters = waiters.map(|(lease, owner)| Waiter { owner, lease: lease.get() });
        Shown {
            name: view.name.to_string(),
            holder: Some(holder),
            waiting: view.waiting,
            waiters: waiters.collect(),
        }
    }

    fn line(&self) -> String {
        let held = self.holder.as_ref().map_or_else(String::new, |holder| {
            let ShownHolder { owner, lease, token, since_ms } = holder;
            let since = print::moment(*since_ms);
            format!("held by {owner} on lease {lease}, token {token}, since {since}")
        });
        let waiting = match self.waiting {
            0 => String::new(),
            1 => ", 1 waits".to_owned(),
            count => format!(", {count} wait"),
        };
        format!("{}  {held}{waiting}", self.name)
    }
}

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &LockVerb) -> Result<(), Failure> {
    match verb {
        LockVerb::Run(args) => run::run(common, args),
        LockVerb::Show { name } => show(common, name),
        LockVerb::Ls { prefix, limit } => list(common, prefix, *limit),
        LockVerb::Break { name, reason, yes } => break_it(common, name, reason, *yes),
    }
}

fn show(common: &Common, name: &str) -> Result<(), Failure> {
    let view = ask(common, |client| async move { client.lock_view(name).await.map_err(failure) })?;
    match view.map(Shown::new) {
        Some(lock) if common.output.is_json() => print::json(&One { schema: ONE, lock }),
        Some(lock) => print::lines(&lock.line()),
        None if common.output.is_json() => {
            let (name, waiters) = (name.to_owned(), Vec::new());
            let lock = Shown { name, holder: None, waiting: 0, waiters };
            print::json(&One { schema: ONE, lock })?;
            Err(Failure::silent(Code::No))
        }
        None => Err(free(name)),
    }
}

fn list(common: &Common, prefix: &str, limit: u32) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        locks: Vec<Shown>,
        more: bool,
    }
    let (views, more) =
        ask(
            common,
            |client| async move { client.locks(prefix, None, limit).await.map_err(failure) },
        )?;
    let locks: Vec<_> = views.into_iter().map(Shown::new).collect();
    match common.output {
        Output::Json => {
            return print::json(&Listed { schema: "synod.lock.list/1", locks, more });
        }
        Output::Jsonl => {
            for lock in locks {
                print::json(&One { schema: ONE, lock })?;
            }
        }
        Output::Text => {
            print::lines(&locks.iter().map(Shown::line).collect::<Vec<_>>().join("\n"))?;
        }
    }
    if more {
        anstream::eprintln!("there are more than {limit}: --limit shows more of them");
    }
    Ok(())
}

fn break_it(common: &Common, name: &str, reason: &str, yes: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Broken<'a> {
        schema: &'static str,
        name: &'a str,
        token: Option<u64>,
    }
    if !yes {
        confirm(name)?;
    }
    let token =
        ask(
            common,
            |client| async move { client.break_lock(name, reason).await.map_err(failure) },
        )?;
    if common.output.is_json() {
        let token = token.map(|token| token.get());
        print::json(&Broken { schema: "synod.lock.broken/1", name, token })?;
        return if token.is_some() { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    match token {
        Some(token) => print::lines(&format!("taken away; it was held with token {token}")),
        None => Err(free(name)),
    }
}

/// Asks for the name once more: what is taken away may be in use.
fn confirm(name: &str) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    let mut typed = String::new();
    if stdin.is_terminal() {
        anstream::eprint!("its holder may be at work. Type the lock's name to take it away: ");
        let read = stdin.lock().read_line(&mut typed);
        read.map_err(|error| Failure::new(Code::Machine, "SYN-IO-001", error))?;
    }
    if typed.trim_end_matches('\n') == name {
        return Ok(());
    }
    let what = "nothing was done: it was not confirmed";
    Err(Failure::new(Code::Usage, "SYN-LOCK-003", what).hint("--yes asks no question"))
}

fn free(name: &str) -> Failure {
    Failure::no(format!("nobody holds {name}"))
}
