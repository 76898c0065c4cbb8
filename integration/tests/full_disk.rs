//! Disks that are really full: what was acknowledged stays, what was refused was not done, and with
//! room again whoever ran out of it serves by itself.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use synod_client::{
    Client, Config, Error, Outcome,
    machine::{Mutation, branch::Work},
};
use synod_integration::{Cluster, Options, limit_files};
use tokio::runtime::Runtime;

/// $1 is a directory: its files move to a small file system of their own, seen by this process and
/// what it becomes only, and gone with it.
const ON_A_SMALL_DISK: &str = r#"
set -e
mkdir "$1.small"
mount -t tmpfs -o size=40m,mode=700 tmpfs "$1.small"
cp -a "$1/." "$1.small/"
mount --bind "$1.small" "$1"
shift
exec "$@"
"#;

/// What is written over and over until there is no room. Small enough that a put needs little time,
/// large enough that there are not many.
const VALUE: &[u8] = &[b'x'; 256 << 10];

/// Far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a put, as its client heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Done,
    NotApplied,
    Unknown,
}

/// A client, and what it heard of every put.
struct Writer {
    runtime: Runtime,
    client: Client,
    puts: Vec<Heard>,
}

impl Writer {
    fn of(cluster: &Cluster) -> Writer {
        let runtime = Runtime::new().unwrap();
        let config = Config::load(Path::new(&cluster.config("client"))).unwrap();
        let client = runtime.block_on(Client::connect(config)).unwrap();
        Writer { runtime, client, puts: Vec::new() }
    }

    fn put(&mut self, within: Duration) -> Heard {
        let kv = self.client.within(within).kv();
        let heard = match self.runtime.block_on(kv.put(format!("k{}", self.puts.len()), VALUE)) {
            Ok(_) => Heard::Done,
            Err(Error::NotApplied { .. }) => Heard::NotApplied,
            Err(Error::Unknown { .. }) => Heard::Unknown,
            Err(other) => panic!("put {}: {other}", self.puts.len()),
        };
        self.puts.push(heard);
        heard
    }

    /// Everything is there that was said to be, and nothing is that was said not to be.
    fn check(&self) {
        let kv = self.client.within(PATIENCE).kv();
        for (number, heard) in self.puts.iter().enumerate() {
            let found = async { kv.get(format!("k{number}")).await };
            let found = self.runtime.block_on(found).unwrap();
            assert!(found.as_ref().is_none_or(|entry| entry.value == VALUE), "half of {number}");
            match heard {
                Heard::Done => assert!(found.is_some(), "put {number} is lost"),
                Heard::NotApplied => assert!(found.is_none(), "put {number} was done after all"),
                Heard::Unknown => {}
            }
        }
    }
}

/// Writes until the disk of the lone node n1 is full, sees it refuse, makes room, and sees it
/// serve.
fn story(cluster: &Cluster, take_room: impl FnOnce(), make_room: impl FnOnce()) -> Writer {
    let mut writer = Writer::of(cluster);
    assert_eq!(writer.put(PATIENCE), Heard::Done);
    take_room();
    while !cluster.said("n1").contains("the disk is full") {
        let failed = writer.puts.iter().filter(|heard| **heard != Heard::Done).count();
        assert!(failed < 10, "refused, and the disk is not full:\n{}", cluster.said("n1"));
        writer.put(Duration::from_secs(2));
    }
    // Whoever comes now is refused at once, without a doubt about what was done.
    let refused = cluster.tool(&["kv", "put", "late", "1", "--timeout", "2s"]).expect(3);
    for told in ["the disk of n1 is full", "free some space", "SYN-ASK-007"] {
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    let status = cluster.tool(&["status"]).expect(1);
    assert!(status.stdout.contains("its disk is full"), "{}", status.stdout);
    assert_ne!(writer.put(Duration::from_millis(200)), Heard::Done);

    make_room();
    assert_eq!(writer.put(PATIENCE), Heard::Done);
    writer.check();
    assert_eq!(cluster.tool(&["kv", "get", "late"]).code, 1, "it was refused");
    writer
}

fn lone_node() -> Cluster {
    Cluster::init(&Options { nodes: 1, participants: Vec::new() })
}

/// The whole file system is full (`ENOSPC`).
#[test]
fn a_node_on_a_full_file_system_loses_nothing_and_serves_when_there_is_room() {
    if let Err(why) = a_mount_of_ones_own() {
        return not_tested(&why);
    }
    let mut cluster = lone_node();
    let data = cluster.path("c/n1");
    let wrapper = ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", data.to_str().unwrap()];
    cluster.start_node_in(&wrapper, "n1");
    cluster.await_leader();
    let as_it_sees = format!("/proc/{}/root{}", cluster.process("n1").id(), data.display());
    let ballast = PathBuf::from(as_it_sees).join("ballast");
    let _checked = story(&cluster, || fill(&ballast), || std::fs::remove_file(&ballast).unwrap());
}

/// Its files may not grow any more (`EFBIG`, with a signal that ends those who do not expect it).
/// This needs no privilege, so that it is tried everywhere.
#[test]
fn a_node_whose_files_may_not_grow_loses_nothing_and_serves_when_they_may() {
    let mut cluster = lone_node();
    cluster.start_node("n1");
    cluster.await_leader();
    let wal = std::fs::metadata(cluster.path("c/n1/wal")).unwrap().len();
    let node = cluster.process("n1").id();
    let writer = story(&cluster, || limit_files(node, Some(wal)), || limit_files(node, None));
    cluster.kill("n1");
    cluster.start_node("n1");
    writer.check();
}

/// A shard whose files may not grow any more ends by that name, and no vote that it gave is lost:
/// started again with room it has them all, and serves.
#[test]
fn a_shard_whose_files_may_not_grow_ends_by_name_and_has_its_votes_when_they_may() {
    let mut cluster = Cluster::start(&Options { nodes: 1, participants: vec!["east"] });
    cluster.start_shard("east");
    let writer = Writer::of(&cluster);
    let client = writer.client.within(PATIENCE);
    let put = |key: String, value: &'static [u8]| Work {
        guards: Vec::new(),
        mutations: vec![Mutation::Put { key: key.into(), value: value.into() }],
    };
    let vote = client.txn().ask("east", put("promised".to_owned(), b"1")).prepare();
    let promised = writer.runtime.block_on(vote).unwrap();
    assert_eq!(promised.refused(), None);

    let wal = std::fs::metadata(cluster.path("c/east-shard/wal")).unwrap().len();
    limit_files(cluster.process("east").id(), Some(wal));
    let (mut committed, mut failed) = (Vec::new(), 0);
    while !cluster.said("east").contains("the disk is full; free some space") {
        let key = format!("k{}", committed.len());
        let hasty = writer.client.within(Duration::from_secs(2));
        let commit = hasty.txn().ask("east", put(key.clone(), VALUE)).commit();
        match writer.runtime.block_on(commit) {
            Ok(Outcome::Committed { .. }) => committed.push(key),
            _ => failed += 1,
        }
        assert!(failed < 10, "refused, and the disk is not full:\n{}", cluster.said("east"));
    }
    let ended = cluster.process("east").ended();
    assert_eq!(ended, Some(74), "{}", cluster.said("east"));

    cluster.start_shard("east");
    let east = client.shard("east");
    let in_doubt = writer.runtime.block_on(east.in_doubt()).unwrap();
    assert!(in_doubt.contains(&promised.id()), "its vote is forgotten: {in_doubt:?}");
    let outcome = writer.runtime.block_on(promised.decide()).unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    committed.push("promised".to_owned());
    for key in committed {
        let found = writer.runtime.block_on(east.get(key.clone())).unwrap();
        assert!(found.is_some(), "{key} was committed and is lost");
    }
}

/// Takes all the room that there is.
fn fill(ballast: &Path) {
    let mut file = File::create(ballast).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[0; 4 << 10]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

/// Whether this system lets a test mount something that nobody else sees.
fn a_mount_of_ones_own() -> Result<(), String> {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-rm", "mount", "-t", "tmpfs", "tmpfs"]).arg(place.path());
    let output = command.output().map_err(|error| format!("unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Past the harness, which would keep it to itself.
fn not_tested(why: &str) {
    let line = format!("NOT TESTED: a full file system; nothing may be mounted here: {why}\n");
    let _unheard = std::io::stderr().write_all(line.as_bytes());
}
