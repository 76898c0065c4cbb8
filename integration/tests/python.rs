//! A client in Python's standard library plays against a real cluster whose leader is killed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use synod_integration::{Cluster, Options, lacking};

/// Every write takes effect once, one holder at a time holds a lock, and one candidate an office,
/// whichever door each call comes through, and while the leader dies with its door.
#[test]
fn a_python_client_loses_and_doubles_nothing_while_the_leader_is_killed() {
    if lacking("python3", "--version") {
        return;
    }
    let mut cluster = Cluster::start(&Options::default());
    let doors: Vec<String> = ["n1", "n2", "n3"].map(|node| cluster.door(node).to_owned()).to_vec();
    let play = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/play.py");
    let mut player = Command::new("python3")
        .arg("-B")
        .arg(play)
        .args(doors)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(player.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "half\n");
    let leader = cluster.await_leader();
    cluster.kill(&leader);
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let ended = player.wait().unwrap();
    assert!(ended.success() && rest == "done\n", "{rest}");
}
