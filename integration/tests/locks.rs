//! Locks and watches as processes meet them: whoever dies, or is stopped, holds a lock no longer
//! than its lease, and what ran under it is gone before another has it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::fs;

use synod_integration::{Cluster, Options, Process, Run};

/// Says who it is and under which token it runs, and goes on until it is ended.
const WORK: &str = "echo $$ $SYNOD_FENCING_TOKEN; exec sleep 1000";

fn lone() -> Cluster {
    Cluster::start(&Options { nodes: 1, ..Options::default() })
}

/// `synod lock run a` of that command.
fn hold(cluster: &Cluster, log: &str, ttl: &str, command: &str) -> Process {
    let config = cluster.config("client");
    let head = ["lock", "run", "a", "--ttl", ttl, "-c", &config, "--", "sh", "-c", command];
    Process::start(&head, &cluster.path(log))
}

/// The process that works, and its token.
fn working(run: &Process) -> (u32, u64) {
    let line = run.line().expect("it has the lock");
    let (id, token) = line.split_once(' ').unwrap();
    (id.parse().unwrap(), token.parse().unwrap())
}

/// Whether it is there and not dead already.
fn runs(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !['Z', 'X'].contains(&state))
}

#[test]
fn the_work_of_a_killed_holder_is_dead_and_the_lock_passes_on_with_a_larger_token() {
    let cluster = lone();
    let mut first = hold(&cluster, "first", "3s", WORK);
    let (work, token) = working(&first);
    let second = hold(&cluster, "second", "3s", WORK);
    cluster.eventually("the second waits", || {
        let shown = cluster.tool(&["lock", "show", "a", "-o", "json"]).expect(0).json();
        shown["waiting"] == 1 && shown["holder"]["token"] == token
    });
    first.kill();
    cluster.eventually("the work of the first is dead", || !runs(work));
    let (_, next) = working(&second);
    assert!(next > token, "{next} after {token}");
}

/// Its warden is not stopped with it.
#[test]
fn the_work_of_a_stopped_holder_is_dead_before_another_has_the_lock() {
    let cluster = lone();
    let mut first = hold(&cluster, "first", "3s", WORK);
    let (work, token) = working(&first);
    let second = hold(&cluster, "second", "3s", WORK);
    first.signal("STOP");
    let (_, next) = working(&second);
    assert!(!runs(work), "two at work at once");
    assert!(next > token, "{next} after {token}");
    // Whoever comes with the first token is late, also where nobody asked it to end.
    let config = cluster.config("client");
    let write = |token: u64| {
        let steps = format!("held lock a {token}\nput last-run {token}\n");
        Run::of(&["kv", "multi", "-c", &config]).input(steps).finish()
    };
    assert_eq!(write(token).expect(1).stdout, "refused: requirement 1 did not hold\n");
    let _ = write(next).expect(0);
    first.signal("CONT");
    assert_eq!(first.ended(), Some(123));
    let said = fs::read_to_string(cluster.path("first")).unwrap();
    assert!(said.contains("SYN-LOCK-001, exit 123"), "{said}");
}

#[test]
fn a_lock_outlives_the_leader_and_is_let_go_of_when_its_command_ends() {
    let mut cluster = Cluster::start(&Options::default());
    let mut run = hold(&cluster, "run", "20s", WORK);
    let (work, token) = working(&run);
    let leader = cluster.await_leader();
    cluster.kill(&leader);
    for _ in 0..3 {
        let args = ["lock", "show", "a", "-o", "json", "--timeout", "30s"];
        let shown = cluster.tool(&args).expect(0).json();
        assert_eq!(shown["holder"]["token"], token);
    }
    assert!(runs(work));
    run.signal("TERM");
    assert_eq!(run.ended(), Some(128 + 15), "the command's own end");
    let shown = cluster.tool(&["lock", "show", "a", "--timeout", "30s"]).expect(1);
    assert_eq!(shown.stderr, "nobody holds a\n");
}

/// Nobody renews its lease: it is asked to end while nobody else can have the lock.
#[test]
fn a_command_is_asked_to_end_before_its_lease_can_have_ended() {
    let mut cluster = lone();
    let trap = "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let mut run = hold(&cluster, "run", "3s", trap);
    assert_eq!(run.line().as_deref(), Some("ready"));
    cluster.kill("n1");
    assert_eq!(run.line().as_deref(), Some("asked"));
    assert_eq!(run.ended(), Some(123));
}

#[test]
fn how_a_command_under_a_lock_ended_is_told_by_the_exit_code() {
    let cluster = lone();
    let config = cluster.config("client");
    let run = |wait: &str, command: &[&str]| {
        let head = ["lock", "run", "a", "--ttl", "9s", "--wait", wait, "-c", &config, "--"];
        Run::of(&[&head, command].concat()).finish()
    };
    let env = run("9s", &["sh", "-c", "echo $SYNOD_LOCK $SYNOD_LEASE $SYNOD_FENCING_TOKEN"]);
    assert_eq!(env.expect(0).stdout.split_whitespace().next(), Some("a"));
    let _ = run("9s", &["sh", "-c", "exit 7"]).expect(7);
    let _ = run("9s", &["sh", "-c", "kill -9 $$"]).expect(128 + 9);
    let none = run("9s", &["/no/such/command"]).expect(125);
    assert!(none.stderr.contains("SYN-LOCK-002, exit 125"), "{none:?}");
    // What it leaves behind in its group does not outlive the lock.
    let left = run("9s", &["sh", "-c", "sleep 1000 >&- 2>&- & echo $!"]).expect(0);
    assert!(!runs(left.stdout.trim().parse().unwrap()));
    let mut holder = hold(&cluster, "holder", "9s", WORK);
    let (work, token) = working(&holder);
    let taken = run("0s", &["true"]).expect(124);
    assert!(taken.stderr.contains(&format!("token {token}")), "{taken:?}");
    let asked = cluster.tool(&["lock", "break", "a", "--reason", "stuck"]).expect(2);
    assert!(asked.stderr.contains("SYN-LOCK-003"), "{asked:?}");
    let args = ["lock", "break", "a", "--reason", "stuck", "--yes", "-o", "json"];
    assert_eq!(cluster.tool(&args).expect(0).json()["token"], token);
    assert_eq!(holder.ended(), Some(123));
    assert!(!runs(work));
    let _ = cluster.tool(&args).expect(1);
}

#[test]
fn whoever_is_interrupted_while_it_waits_leaves_the_queue() {
    let cluster = lone();
    let holder = hold(&cluster, "holder", "20s", WORK);
    let (_, token) = working(&holder);
    let mut waiter = hold(&cluster, "waiter", "20s", WORK);
    let waiting = |count: u64| {
        let shown = cluster.tool(&["lock", "show", "a", "-o", "json"]).expect(0).json();
        assert_eq!(shown["holder"]["token"], token);
        shown["waiting"] == count
    };
    cluster.eventually("it waits", || waiting(1));
    waiter.signal("INT");
    assert_eq!(waiter.ended(), Some(130));
    assert!(waiting(0), "it left its place to its lease");
}

#[test]
fn leases_are_granted_renewed_shown_and_ended_by_hand() {
    let cluster = lone();
    let granted = cluster.tool(&["lease", "grant", "--ttl", "1h"]).expect(0);
    let lease = granted.stdout.trim();
    let _ = cluster.tool(&["lease", "renew", lease]).expect(0);
    let shown = cluster.tool(&["lease", "show", lease, "-o", "json"]).expect(0).json();
    assert_eq!((&shown["schema"], &shown["ttl_ms"]), (&"synod.lease/1".into(), &3_600_000.into()));
    let listed = cluster.tool(&["lease", "ls", "-o", "json"]).expect(0).json();
    assert_eq!(listed["leases"].as_array().unwrap().len(), 1);
    let _ = cluster.tool(&["lease", "revoke", lease]).expect(0);
    for verb in ["renew", "show"] {
        let over = cluster.tool(&["lease", verb, lease]).expect(1);
        assert_eq!(over.stderr, format!("lease {lease} has ended, or never was\n"));
    }
    let wrong = cluster.tool(&["lease", "grant", "--ttl", "1ms"]).expect(2);
    assert!(wrong.stderr.contains("SYN-ASK-004"), "{wrong:?}");
}

#[test]
fn a_watch_sees_every_revision_once_over_the_death_of_the_leader() {
    const PUTS: usize = 40;
    let mut cluster = Cluster::start(&Options::default());
    let config = cluster.config("client");
    let args = ["kv", "watch", "k", "--from", "0", "--limit", "40", "-o", "jsonl", "-c", &config];
    let mut watch = Process::start(&args, &cluster.path("watch"));
    for number in 0..PUTS {
        if number == PUTS / 2 {
            let leader = cluster.await_leader();
            cluster.kill(&leader);
        }
        let _ = cluster.tool(&["kv", "put", &format!("k{number}"), "v", "--timeout", "30s"]);
    }
    let told: Vec<serde_json::Value> = std::iter::from_fn(|| watch.line())
        .map(|line| serde_json::from_str(&line).unwrap())
        .filter(|line: &serde_json::Value| line["kind"] != "stale")
        .collect();
    let keys: Vec<_> = told.iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (0..PUTS).map(|number| format!("k{number}")).collect();
    assert_eq!(keys, expected);
    let revisions: Vec<_> = told.iter().map(|line| line["revision"].as_u64().unwrap()).collect();
    assert!(revisions.is_sorted_by(|one, next| one < next), "{revisions:?}");
    assert_eq!(watch.ended(), Some(0));
    let args = ["kv", "watch", "--from", "1000000", "--timeout", "30s"];
    let future = cluster.tool(&args).expect(2);
    assert!(future.stderr.contains("SYN-KV-004"), "{future:?}");
}
