//! The demo as a newcomer runs it: real processes, four kinds of kill, every satellite accounted
//! for, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use synod_integration::synod;

/// Starts a demo whose temporary files go below `place`.
fn start(place: &Path, args: &[&str]) -> Child {
    Command::new(synod())
        .arg("demo")
        .args(args)
        .env("TMPDIR", place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
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

fn nothing_is_left(place: &Path) {
    let begun = Instant::now();
    while !alive(place).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "left running: {:?}", alive(place));
        std::thread::sleep(Duration::from_millis(20));
    }
    let left: Vec<_> = fs::read_dir(place).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn every_satellite_is_accounted_for_after_all_four_kinds_of_kill() {
    let place = tempfile::tempdir().unwrap();
    let reports = tempfile::tempdir().unwrap();
    let report = reports.path().join("report.json");
    let args = ["--for", "12s", "--seed", "3", "--report", report.to_str().unwrap()];
    let output = start(place.path(), &args).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("979 of 979 accounted for"), "{said}");
    let text = fs::read_to_string(&report).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
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
    let place = tempfile::tempdir().unwrap();
    let args = ["--nodes", "1", "--for", "6s", "--seed", "5"];
    let output = start(place.path(), &args).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("lone coordinator"), "{said}");
    nothing_is_left(place.path());
}

/// Interrupted, or killed so that no line of it runs any more: its processes end all the same.
#[test]
fn whatever_ends_the_demo_ends_its_processes() {
    for (signal, cleans_up) in [("INT", true), ("KILL", false)] {
        let place = tempfile::tempdir().unwrap();
        let mut demo = start(place.path(), &["--for", "60s"]);
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        // It says so when every process is up.
        let up = lines.by_ref().map_while(Result::ok).any(|line| line.contains("joined"));
        assert!(up, "the demo ended early");
        let id = demo.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        drop(lines);
        assert!(!demo.wait().unwrap().success());
        if cleans_up {
            nothing_is_left(place.path());
        } else {
            let begun = Instant::now();
            while !alive(place.path()).is_empty() {
                assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", alive(place.path()));
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

#[test]
fn a_script_plays_its_own_kills_and_a_wrong_one_plays_nothing() {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("kills.txt");
    fs::write(&script, "1s leader\n2s king\n").unwrap();
    let args = ["--script", script.to_str().unwrap()];
    let output = start(place.path(), &args).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    fs::remove_file(script).unwrap();
    nothing_is_left(place.path());
}
