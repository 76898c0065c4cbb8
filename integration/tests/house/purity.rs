//! The pure crates are pure by lint, and each ban says why.

use std::fs;

use crate::{files, top};

const PURE: &[&str] = &["paxos", "machine", "replica"];

/// What must be banned for a step to be a function of its inputs.
const BANNED: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::sync::Mutex",
    "std::fs::File",
    "std::net::UdpSocket",
];

#[test]
fn each_pure_crate_bans_the_world_and_says_why() {
    for name in PURE {
        let text = fs::read_to_string(top().join(format!("crates/{name}/clippy.toml"))).unwrap();
        for banned in BANNED {
            let line = text
                .lines()
                .find(|line| line.contains(&format!("\"{banned}\"")))
                .unwrap_or_else(|| panic!("crates/{name}/clippy.toml does not ban {banned}"));
            assert!(line.contains("reason = \""), "{name}: the ban of {banned} gives no reason");
        }
    }
}

/// Whoever holds something for a while counts on clocks that nobody sets: no client, and nothing
/// that guards a command under a lock, knows the time of day.
#[test]
fn no_holder_reads_the_time_of_day() {
    for folder in ["crates/client/src", "crates/synod/src/ward", "crates/replica/src"] {
        for path in files(folder, "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for clock in ["SystemTime", "UNIX_EPOCH", "ClockId::Realtime"] {
                assert!(!text.contains(clock), "{}: reads {clock}", path.display());
            }
        }
    }
}

/// A ban that the code switches off is no ban.
#[test]
fn no_pure_crate_allows_what_is_banned() {
    for name in PURE {
        for path in files(&format!("crates/{name}/src"), "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for lint in ["disallowed_methods", "disallowed_types"] {
                assert!(!text.contains(lint), "{}: switches {lint} off", path.display());
            }
            assert!(!text.contains("async fn"), "{}: async in a pure crate", path.display());
        }
    }
}

/// `unsafe` is forbidden for every member, by the workspace's lints.
#[test]
fn every_crate_inherits_the_lints_that_forbid_unsafe() {
    let root = fs::read_to_string(top().join("Cargo.toml")).unwrap();
    assert!(root.contains("unsafe_code = \"forbid\""));
    for manifest in files("crates", "toml")
        .into_iter()
        .chain([top().join("integration/Cargo.toml"), top().join("bench/Cargo.toml")])
    {
        if manifest.file_name().unwrap() == "Cargo.toml" {
            let text = fs::read_to_string(&manifest).unwrap();
            assert!(text.contains("[lints]\nworkspace = true"), "{}", manifest.display());
        }
    }
}
