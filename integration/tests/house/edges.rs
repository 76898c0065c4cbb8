//! The floors of ARCHITECTURE.md: dependencies go down, never up, never sideways.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::top;

/// Who may depend on whom. An edge that is not here is a change of design: it is argued in
/// ARCHITECTURE.md first and written here second.
const EDGES: &[(&str, &[&str])] = &[
    ("synod-paxos", &[]),
    ("synod-machine", &[]),
    ("synod-replica", &["synod-paxos", "synod-machine"]),
    ("synod-store", &["synod-paxos"]),
    ("synod-net", &[]),
    ("synod-node", &["synod-replica", "synod-paxos", "synod-machine", "synod-store", "synod-net"]),
    // The node is for the feature `testing` alone, which no program of ours turns on.
    ("synod-client", &["synod-machine", "synod-net", "synod-node"]),
    ("synod-door", &["synod-client"]),
    ("synod-sim", &["synod-replica", "synod-paxos", "synod-machine", "synod-store"]),
    (
        "synod",
        &["synod-node", "synod-client", "synod-door", "synod-store", "synod-sim", "synod-bench"],
    ),
    ("synod-integration", &["synod-node", "synod-client"]),
    ("synod-bench", &["synod-node", "synod-client"]),
    ("synod-micro", &["synod-replica", "synod-paxos", "synod-machine", "synod-store"]),
];

/// What the pure crates may link. None of these reads a clock, a file, a socket or chance.
const PURE: &[(&str, &[&str])] = &[
    ("synod-paxos", &["bytes", "serde", "xxhash-rust"]),
    ("synod-machine", &["bytes", "postcard", "serde", "thiserror", "xxhash-rust"]),
    ("synod-replica", &["bytes", "postcard", "serde", "synod-machine", "synod-paxos"]),
];

/// What the members declare. Whom *their* dependencies depend on is not asked: cargo would want the
/// sources of every platform for that, and a fresh machine has only its own.
fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(top().join("Cargo.toml")).no_deps();
    command.other_options(["--locked".to_owned(), "--offline".to_owned()]).exec().unwrap()
}

/// Dependencies of each workspace member that are linked into it (tests' own are not).
fn linked(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let normal = |kind| matches!(kind, DependencyKind::Normal | DependencyKind::Build);
            let names = package.dependencies.iter().filter(|d| normal(d.kind));
            (package.name.to_string(), names.map(|d| d.name.clone()).collect())
        })
        .collect()
}

/// The table of edges in ARCHITECTURE.md, no more and no fewer crates than it names.
#[test]
fn dependencies_go_down_the_floors_only() {
    let linked = linked(&metadata());
    let allowed: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let crates: Vec<_> = linked.keys().map(String::as_str).collect();
    let mut known: Vec<_> = allowed.keys().copied().collect();
    known.sort_unstable();
    assert_eq!(crates, known, "a crate came or went: say so in ARCHITECTURE.md and here");
    for (from, names) in &linked {
        for to in names.iter().filter(|name| linked.contains_key(*name)) {
            assert!(
                allowed[from.as_str()].contains(&to.as_str()),
                "{from} must not depend on {to}"
            );
        }
    }
}

/// The pure crates link nothing that could reach the outside world.
#[test]
fn the_pure_crates_link_nothing_impure() {
    let linked = linked(&metadata());
    for (name, allowed) in PURE {
        for dependency in &linked[*name] {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not link {dependency}");
        }
    }
}

/// One TLS provider: with two compiled in, rustls cannot choose and panics at the first handshake.
#[test]
fn exactly_one_tls_provider_is_in_the_graph() {
    let lock = std::fs::read_to_string(top().join("Cargo.lock")).unwrap();
    let named = |line: &'_ str| Some(line.strip_prefix("name = \"")?.strip_suffix('"')?.to_owned());
    let names: BTreeSet<String> = lock.lines().filter_map(named).collect();
    assert!(names.contains("ring"), "ring is the provider; was it replaced?");
    for other in ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls", "boring"] {
        assert!(!names.contains(other), "{other} is a second TLS provider");
    }
}
