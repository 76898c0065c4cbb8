//! Elections as processes meet them: one incumbent at a time, whoever dies or is stopped, and what
//! it ran is gone before another is granted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use synod_integration::{Cluster, Options, Process};

/// Says who it is and under which token it runs, and goes on until it is ended.
const WORK: &str = "echo $$ $SYNOD_FENCING_TOKEN; exec sleep 1000";

fn lone() -> Cluster {
    Cluster::start(&Options { nodes: 1, ..Options::default() })
}

/// `synod election run e` of that command.
fn stand(cluster: &Cluster, id: &str, options: &[&str], command: &str) -> Process {
    let config = cluster.config("client");
    let head = ["election", "run", "e", "--id", id, "--ttl", "3s", "-c", &config];
    let args = [&head, options, &["--", "sh", "-c", command]].concat();
    Process::start(&args, &cluster.path(id))
}

/// The process that works, and its token.
fn working(run: &Process) -> (u32, u64) {
    let line = run.line().expect("it is elected");
    let (id, token) = line.split_once(' ').unwrap();
    (id.parse().unwrap(), token.parse().unwrap())
}

/// Whether it is there and not dead already.
fn runs(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !['Z', 'X'].contains(&state))
}

/// The election as `-o json` shows it; whether anybody is the incumbent is told by the document.
fn shown(cluster: &Cluster) -> Value {
    cluster.tool(&["election", "show", "e", "-o", "json", "--timeout", "30s"]).json()
}

fn until(cluster: &Cluster, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    cluster.eventually(what, || holds(&shown(cluster)));
    shown(cluster)
}

fn stand_in_line(count: usize) -> impl Fn(&Value) -> bool {
    move |shown| shown["candidates"].as_array().unwrap().len() == count
}

/// A file that refuses a smaller token after a larger; whether it took the word.
fn write(file: &Path, token: u64) -> bool {
    let script = r#"exec 9>"$1.lock"; flock 9; last=$(tail -n 1 "$1" 2>/dev/null || true)
        [ "$2" -ge "${last:-0}" ] && echo "$2" >> "$1""#;
    let args = ["-c", script, "sh", file.to_str().unwrap(), &token.to_string()];
    Command::new("sh").args(args).status().unwrap().success()
}

#[test]
fn the_work_of_a_killed_incumbent_is_dead_and_the_next_has_a_larger_token() {
    let mut cluster = Cluster::start(&Options::default());
    let mut first = stand(&cluster, "one", &[], WORK);
    let (work, token) = working(&first);
    let second = stand(&cluster, "two", &[], WORK);
    until(&cluster, "the second waits", stand_in_line(2));
    // And whoever leads the log with it.
    let leader = cluster.await_leader();
    cluster.kill(&leader);
    first.kill();
    cluster.eventually("the work of the first is dead", || !runs(work));
    let (_, next) = working(&second);
    assert!(next > token, "{next} after {token}");
    assert_eq!(shown(&cluster)["incumbent"]["candidate"], "two");
}

/// Its warden is not stopped with it, and what it writes to refuses its token.
#[test]
fn the_work_of_a_stopped_incumbent_is_dead_before_another_is_granted() {
    let cluster = lone();
    let file = cluster.path("resource");
    let mut first = stand(&cluster, "one", &[], WORK);
    let (work, token) = working(&first);
    assert!(write(&file, token));
    let second = stand(&cluster, "two", &[], WORK);
    until(&cluster, "the second waits", stand_in_line(2));
    first.signal("STOP");
    let (_, next) = working(&second);
    assert!(!runs(work), "two at work at once");
    assert!(next > token, "{next} after {token}");
    assert!(write(&file, next) && !write(&file, token), "a smaller token was taken");
    first.signal("CONT");
    // It stands again, behind the other.
    until(&cluster, "the first waits", stand_in_line(2));
    first.signal("TERM");
    assert_eq!(first.ended(), Some(130), "nothing of it ran");
}

/// A database, as far as an election is concerned: it follows from the start, is promoted by a
/// command of its own, and says where it is reached.
fn database(cluster: &Cluster, id: &str, options: &[&str]) -> Process {
    let told = cluster.path(&format!("{id}.told")).display().to_string();
    let promote = format!("echo promoted $SYNOD_FENCING_TOKEN >> {told}");
    let follow = format!("echo follows $SYNOD_INCUMBENT $SYNOD_INCUMBENT_ADDRESS >> {told}");
    let address = format!("{id}:5432");
    let all = ["--promote", &promote, "--follow", &follow, "--proclaim", &address];
    let work = "echo $$ 0; echo role $SYNOD_ROLE; exec sleep 1000";
    stand(cluster, id, &[&all, options].concat(), work)
}

/// What its commands have been told, in order.
fn told(cluster: &Cluster, id: &str) -> Vec<String> {
    let told = fs::read_to_string(cluster.path(&format!("{id}.told"))).unwrap_or_default();
    told.lines().map(str::to_owned).collect()
}

fn proclaims(address: &'static str) -> impl Fn(&Value) -> bool {
    move |shown| shown["incumbent"]["proclaimed"] == address
}

/// The file that its report command prints.
fn position(cluster: &Cluster, id: &str, position: &str) -> [String; 4] {
    let file = cluster.path(&format!("{id}.position"));
    fs::write(&file, position).unwrap();
    let report = format!("cat {}", file.display());
    ["--report", &report, "--report-every", "200ms"].map(str::to_owned)
}

fn order(cluster: &Cluster, args: &[&str], code: i32) {
    let _ = cluster.tool(&[&["election"], args, &["--reason", "r"]].concat()).expect(code);
}

#[test]
fn nobody_is_promoted_against_a_pause_or_too_far_behind() {
    let cluster = lone();
    order(&cluster, &["rules", "e", "--lag-max", "10", "--fresh", "5s"], 0);
    let report = position(&cluster, "one", "100");
    let mut one = database(&cluster, "one", &report.each_ref().map(String::as_str));
    until(&cluster, "the first is promoted", proclaims("one:5432"));
    let report = position(&cluster, "two", "no");
    let _two = database(&cluster, "two", &report.each_ref().map(String::as_str));
    until(&cluster, "the second waits", stand_in_line(2));
    order(&cluster, &["switchover", "e", "--to", "two"], 1);
    order(&cluster, &["pause", "e"], 0);
    one.kill();
    let vacant = |shown: &Value| shown["incumbent"].is_null() && stand_in_line(1)(shown);
    let bar = |shown: &Value| shown["candidates"][0]["bar"].as_str().unwrap_or("").to_owned();
    let paused = until(&cluster, "the office is vacant", vacant);
    assert_eq!(bar(&paused), "the election is paused");
    order(&cluster, &["resume", "e"], 0);
    let unwilling = shown(&cluster);
    assert_eq!(bar(&unwilling), "it says that it must not be granted as it is");
    let _ = position(&cluster, "two", "89");
    let behind = |shown: &Value| bar(shown).ends_with("more than allowed behind 100");
    until(&cluster, "it is too far behind", behind);
    assert!(vacant(&shown(&cluster)));
    let _ = position(&cluster, "two", "90");
    until(&cluster, "it has caught up", proclaims("two:5432"));
}

/// Who cannot be promoted does not stay the incumbent, and begins again as a follower.
#[test]
fn whoever_cannot_be_promoted_makes_way() {
    let cluster = lone();
    let sick = ["--promote", "echo no; exit 1", "--priority", "9"];
    let work = "echo $$ 0; exec sleep 1000";
    let one = stand(&cluster, "one", &sick, work);
    let (first, _) = working(&one);
    assert_eq!(one.line().as_deref(), Some("no"));
    let _two = database(&cluster, "two", &[]);
    until(&cluster, "the second is promoted", proclaims("two:5432"));
    cluster.eventually("the first was ended", || !runs(first));
    let said = fs::read_to_string(cluster.path("one")).unwrap();
    assert!(said.contains("the promote command failed"), "{said}");
}

/// Whoever is paused with its synod is dead before another is promoted; here the database itself
/// is ended by its warden, promoted or not.
#[test]
fn a_stopped_database_is_dead_before_another_is_promoted() {
    let cluster = lone();
    let one = database(&cluster, "one", &[]);
    let (first, _) = working(&one);
    until(&cluster, "the first is promoted", proclaims("one:5432"));
    let two = database(&cluster, "two", &[]);
    let (second, _) = working(&two);
    until(&cluster, "the second waits", stand_in_line(2));
    one.signal("STOP");
    until(&cluster, "the second is promoted", proclaims("two:5432"));
    assert!(!runs(first) && runs(second), "two primaries at once");
    one.signal("CONT");
}

#[test]
fn how_a_command_ended_is_told_by_the_exit_code() {
    let cluster = lone();
    let mut run = stand(&cluster, "one", &[], "exit 7");
    assert_eq!(run.ended(), Some(7));
    assert!(shown(&cluster)["incumbent"].is_null(), "it has resigned");
    let mut run = stand(&cluster, "one", &["--promote", "true"], "exit 8");
    assert_eq!(run.ended(), Some(8));
    let config = cluster.config("client");
    let args = ["election", "campaign", "e", "--id", "a", "-c", &config];
    let mut campaign = Process::start(&args, &cluster.path("campaign"));
    let token = campaign.line().unwrap();
    let wait = ["election", "campaign", "e", "--id", "b", "--wait", "1s"];
    let taken = cluster.tool(&wait).expect(124);
    assert!(taken.stderr.contains(&token), "{taken:?}");
    campaign.signal("INT");
    assert_eq!(campaign.ended(), Some(0));
    let shown = cluster.tool(&["election", "show", "e"]).expect(1);
    assert_eq!(shown.stderr, "nobody is the incumbent of e\n");
}

/// Each change once, over the death of the leader, and what is to be done about it.
#[test]
fn a_watch_tells_who_is_the_incumbent_and_runs_a_command() {
    let mut cluster = Cluster::start(&Options::default());
    let (config, told) = (cluster.config("client"), cluster.path("exec"));
    let exec = format!("echo $SYNOD_INCUMBENT $SYNOD_INCUMBENT_TOKEN >> {}", told.display());
    let args = ["election", "watch", "e", "--exec", &exec, "-o", "jsonl", "-c", &config];
    let watch = Process::start(&args, &cluster.path("watch"));
    let next = |watch: &Process| loop {
        let line: Value = serde_json::from_str(&watch.line().unwrap()).unwrap();
        if line["stale"] == false {
            return line["incumbent"]["candidate"].clone();
        }
    };
    assert!(next(&watch).is_null());
    let mut one = stand(&cluster, "one", &[], WORK);
    let (_, token) = working(&one);
    assert_eq!(next(&watch), "one");
    let leader = cluster.await_leader();
    cluster.kill(&leader);
    one.signal("TERM");
    assert_eq!(one.ended(), Some(128 + 15), "the command's own end");
    assert!(next(&watch).is_null());
    cluster.eventually("the command was run", || {
        let told = fs::read_to_string(&told).unwrap_or_default();
        told.lines().map(str::trim).eq(["", &format!("one {token}"), ""])
    });
}

#[test]
fn a_database_follows_is_promoted_and_hands_over_when_asked() {
    let cluster = lone();
    let one = database(&cluster, "one", &[]);
    let (first, _) = working(&one);
    assert_eq!(one.line().as_deref(), Some("role follower"));
    let before = until(&cluster, "the first is promoted", proclaims("one:5432"));
    let token = before["incumbent"]["token"].as_u64().unwrap();
    assert!(told(&cluster, "one").contains(&format!("promoted {token}")));
    let two = database(&cluster, "two", &[]);
    let (second, _) = working(&two);
    cluster.eventually("the second follows", || {
        told(&cluster, "two").last().is_some_and(|line| line == "follows one one:5432")
    });
    assert!(runs(first) && runs(second));
    let args = ["election", "switchover", "e", "--to", "two", "--reason", "r", "-o", "json"];
    let switched = cluster.tool(&[&args[..], &["--timeout", "30s"]].concat()).expect(0).json();
    assert!(!runs(first), "the first ran still when the second was granted");
    let next = switched["token"].as_u64().unwrap();
    assert!(next > token, "{next} after {token}");
    until(&cluster, "the second is promoted", proclaims("two:5432"));
    assert!(runs(second), "it is the very process that followed");
    // The first is a follower again, another process.
    let (again, _) = working(&one);
    assert!(runs(again));
    assert_eq!(one.line().as_deref(), Some("role follower"));
    cluster.eventually("the first follows", || {
        told(&cluster, "one").last().is_some_and(|line| line == "follows two two:5432")
    });
}
