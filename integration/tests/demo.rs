//! The demo as a newcomer runs it: real processes, four kinds of kill, every satellite accounted
//! for, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use synod_integration::synod;

/// A demo is six processes with six disks: two at once on a small machine would measure each other.
fn alone() -> MutexGuard<'static, ()> {
    static STAGE: Mutex<()> = Mutex::new(());
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a demo whose temporary files go below `place`.
fn start(place: &Path, args: &[&str]) -> Child {
    Command::new(synod())
        .arg("demo")
        .args(args)
        .env("TMPDIR", place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Processes whose command line names something below `place`.
fn alive(place: &Path) -> Vec<String> {
    let place = place.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // A process may end between the listing and the reading.
        let bytes = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        if line.contains(&place) {
            found.push(line);
        }
    }
    found
}

fn nobody_is_left(place: &Path) {
    let begun = Instant::now();
    while !alive(place).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "left running: {:?}", alive(place));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn nothing_is_left(place: &Path) {
    nobody_is_left(place);
    let left: Vec<_> = fs::read_dir(place).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn every_satellite_is_accounted_for_after_all_four_kinds_of_kill() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let reports = tempfile::tempdir().unwrap();
    let report = reports.path().join("report.json");
    let args = ["--for", "12s", "--seed", "3", "--report", report.to_str().unwrap()];
    let output = start(place.path(), &args).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("979 of 979 accounted for"), "{said}");
    let text = fs::read_to_string(&report).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["schema"], "synod.demo/1");
    assert_eq!(report["satellites"], 979);
    assert_eq!(report["accounted"], 979);
    assert_eq!(report["in_doubt_at_end"], 0);
    assert_eq!(report["state_hashes_equal"], true);
    assert_eq!(report["ok"], true);
    assert!(report["committed"].as_u64().unwrap() > 0);
    assert!(report["commit_us"]["p50"].as_u64().unwrap() > 0);
    assert!(report["floor_us"].as_u64().unwrap() > 0);
    let kills = report["kills"].as_array().unwrap();
    for what in ["leader", "owner", "shard", "follower"] {
        let kill = kills.iter().find(|kill| kill["what"] == what).unwrap();
        assert!(kill["resolved_after_ms"].is_u64(), "{kill}");
        assert!(kill["first_commit_after_ms"].is_u64(), "{kill}");
    }
    let leader = kills.iter().find(|kill| kill["what"] == "leader").unwrap();
    assert!(leader["in_doubt"].as_u64().unwrap() > 0, "killed with branches in doubt: {leader}");
    nothing_is_left(place.path());
}

#[test]
fn a_lone_coordinator_makes_everybody_wait_until_it_is_back() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let args = ["--nodes", "1", "--for", "6s", "--seed", "5", "-o", "json"];
    let output = start(place.path(), &args).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("a lone coordinator blocks").count(), 1, "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kills = report["kills"].as_array().unwrap();
    let of = |what: &str| kills.iter().find(|kill| kill["what"] == what).unwrap();
    // It is back only after three seconds, and nothing is decided before.
    assert!(of("leader")["first_commit_after_ms"].as_u64().unwrap() >= 3_000, "{report}");
    assert!(of("leader")["in_doubt"].as_u64().unwrap() > 0, "{report}");
    assert!(kills.iter().all(|kill| kill["what"] != "follower"), "{report}");
    nothing_is_left(place.path());
}

/// Waits until a demo has said that every process is up; what it says from there on.
fn until_up(demo: &mut Child) -> impl Iterator<Item = String> + use<> {
    until_said(demo, "joined")
}

fn until_said(demo: &mut Child, what: &str) -> impl Iterator<Item = String> + use<> {
    let stdout = demo.stdout.take().unwrap();
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains(what)), "the demo ended early");
    lines
}

/// Asked to end in any way, it ends its processes and takes its files along.
#[test]
fn whoever_ends_the_demo_finds_nothing_left_behind() {
    let _alone = alone();
    for signal in ["INT", "TERM", "HUP"] {
        let place = tempfile::tempdir().unwrap();
        let mut demo = start(place.path(), &["--for", "60s"]);
        let lines = until_up(&mut demo);
        let id = demo.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        drop(lines);
        assert_eq!(demo.wait().unwrap().code(), Some(130), "{signal}");
        nothing_is_left(place.path());
    }
}

/// What stands in `/proc/ID/stat` behind the name, which may hold anything: state, parent, ...
fn stat(id: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn children(of: u32) -> Vec<u32> {
    let ids = fs::read_dir("/proc").unwrap().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| stat(*id).is_some_and(|stat| stat[1] == of.to_string())).collect()
}

/// An orphan that has ended is a zombie where nobody buries it.
fn lives(id: u32) -> bool {
    stat(id).is_some_and(|stat| stat[0] != "Z" && stat[0] != "X")
}

/// Killed so that no line of it runs any more: its processes end all the same, the next demo takes
/// the files away that it left, and one beside that leaves those of the living alone.
#[test]
fn a_demo_that_is_killed_does_not_outlive_itself() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let mut demo = start(place.path(), &["--for", "60s"]);
    let mut lines = until_up(&mut demo);
    assert!(lines.any(|line| line.contains("moves begin")), "the demo ended early");
    let family = children(demo.id());
    assert_eq!(family.len(), 6, "three nodes, two shards and an owner");
    demo.kill().unwrap();
    drop(lines);
    assert!(!demo.wait().unwrap().success());
    let begun = Instant::now();
    while family.iter().any(|id| lives(*id)) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "left running: {:?}",
            alive(place.path())
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    nobody_is_left(place.path());
    let dirs = || fs::read_dir(place.path()).unwrap().count();
    assert_eq!(dirs(), 1, "its files are left");
    let mut next = start(place.path(), &["--for", "60s", "--nodes", "1"]);
    let lines = until_up(&mut next);
    assert_eq!(dirs(), 1, "only those of the living");
    let mut other = start(place.path(), &["--for", "60s", "--nodes", "1"]);
    let lines_of_other = until_up(&mut other);
    assert_eq!(dirs(), 2, "the one beside it lives");
    for demo in [&mut next, &mut other] {
        let id = demo.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
        assert_eq!(demo.wait().unwrap().code(), Some(130));
    }
    drop((lines, lines_of_other));
    nothing_is_left(place.path());
}

/// `synod demo | head`: whoever has read enough does not wait for the rest.
#[test]
fn a_demo_that_nobody_reads_ends_and_leaves_nothing() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let mut demo = start(place.path(), &["--for", "60s"]);
    drop(until_up(&mut demo));
    assert_eq!(demo.wait().unwrap().code(), Some(141));
    nothing_is_left(place.path());
}

#[test]
fn a_script_plays_its_own_kills_and_dir_keeps_what_they_left() {
    let _alone = alone();
    let (place, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let script = kept.path().join("kills.txt");
    fs::write(&script, "1s follower # first\n\n1500ms leader\n").unwrap();
    let dir = kept.path().join("files");
    let (script, dir_text) = (script.to_str().unwrap(), dir.to_str().unwrap());
    let args = ["--script", script, "--dir", dir_text, "--for", "3s", "--rtt", "2ms", "-o", "json"];
    let output = start(place.path(), &args).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kills: Vec<_> = report["kills"].as_array().unwrap().iter().map(|k| &k["what"]).collect();
    assert_eq!(kills, ["follower", "leader"]);
    assert!(said.contains("files are kept in"), "{said}");
    for left in ["n1.log", "east.log", "c/n1.toml", "east-shard"] {
        assert!(dir.join(left).exists(), "{left} is not kept");
    }
    nobody_is_left(&dir);
    nothing_is_left(place.path());
}

#[test]
fn a_wrong_script_plays_nothing() {
    let _alone = alone();
    let (place, scripts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let script = scripts.path().join("kills.txt");
    fs::write(&script, "1s leader\n2s king\n").unwrap();
    let args = ["--script", script.to_str().unwrap()];
    let output = start(place.path(), &args).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    nothing_is_left(place.path());
}

/// What a failover came to that ended well.
fn failed_over(report: &Value) {
    assert_eq!(report["schema"], "synod.demo.failover/1");
    assert_eq!((&report["ok"], &report["lost"]), (&Value::from(true), &Value::from(0)), "{report}");
    assert!(report["rows"].as_u64().unwrap() > 0, "{report}");
    let changes = report["changes"].as_array().unwrap();
    let [killed, back] = changes.as_slice() else { panic!("{report}") };
    let of = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
    assert_eq!((of(killed, "what"), of(back, "what")), ("killed".into(), "switchover".into()));
    assert_eq!((of(killed, "from"), of(back, "from")), ("db-1".into(), "db-2".into()));
    assert_eq!((of(killed, "to"), of(back, "to")), ("db-2".into(), "db-1".into()));
    let tokens: Vec<_> = report["tokens"].as_array().unwrap().iter().map(Value::as_u64).collect();
    assert!(tokens.len() == 3 && tokens.is_sorted_by(|before, after| before < after), "{report}");
}

#[test]
fn a_primary_that_is_killed_is_followed_by_the_other_and_no_row_is_lost() {
    let _alone = alone();
    let (place, reports) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let report = reports.path().join("report.json");
    let args = ["--failover", "--child", "file", "--report", report.to_str().unwrap()];
    let output = start(place.path(), &args).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    for told in ["KILLED db-1, the primary", "db-2 has all of them", "one primary at a time"] {
        assert!(said.contains(told), "{told:?} in {said}");
    }
    failed_over(&serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap());
    nothing_is_left(place.path());
}

/// Two real servers, where PostgreSQL is installed.
#[test]
fn a_postgresql_server_that_is_killed_is_followed_by_its_standby() {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    if !versions.into_iter().any(|version| version.path().join("bin/pg_rewind").exists()) {
        assert!(std::env::var_os("CI").is_none(), "this test lacks PostgreSQL's server");
        eprintln!("not run: this test lacks PostgreSQL's server (Debian: postgresql)");
        return;
    }
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    passable(place.path());
    let args = ["--failover", "--child", "postgres", "-o", "json"];
    let output = start(place.path(), &args).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    failed_over(&serde_json::from_slice(&output.stdout).unwrap());
    nothing_is_left(place.path());
}

/// The servers do not run as root, and find their data.
fn passable(place: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(place, fs::Permissions::from_mode(0o711)).unwrap();
}

/// The demo can fail: as if whoever was killed had written on.
#[test]
fn a_row_under_an_earlier_token_after_a_later_one_ends_the_demo_with_one() {
    let _alone = alone();
    let (place, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = kept.path().join("files");
    let args = ["--failover", "--child", "file", "--dir", dir.to_str().unwrap()];
    let mut demo = start(place.path(), &args);
    let mut lines = until_said(&mut demo, "db-2 is the primary");
    let rows = dir.join("rows");
    let first = fs::read_to_string(&rows).unwrap().lines().next().unwrap().to_owned();
    let (_, token) = first.split_once(' ').unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&rows).unwrap();
    writeln!(file, "1000000 {token}").unwrap();
    assert!(lines.any(|line| line.contains("SIGNS OF TWO PRIMARIES")));
    assert_eq!(demo.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains(&format!("row 1000000 was written under token {token}")), "{said}");
    nobody_is_left(&dir);
}

/// Neither a signal nor SIGKILL leaves a supervisor behind, or what it runs.
#[test]
fn whoever_ends_a_failover_leaves_nobody_behind() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let mut demo = start(place.path(), &["--failover", "--child", "file"]);
    let lines = until_said(&mut demo, "db-2 stands by");
    let id = demo.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    assert_eq!(demo.wait().unwrap().code(), Some(130));
    drop(lines);
    nothing_is_left(place.path());
    let mut demo = start(place.path(), &["--failover", "--child", "file"]);
    let lines = until_said(&mut demo, "db-2 stands by");
    demo.kill().unwrap();
    let _killed = demo.wait().unwrap();
    drop(lines);
    nobody_is_left(place.path());
}
