use super::*;
use crate::{Answer, Entry, Expect, Guard, Multi, Mutation, Query, Rejection, Revision};

fn get(log: &Log, key: &str) -> Option<Entry> {
    match log.machine.query(&Query::Get { key: bytes(key) }) {
        Answer::Key { entry, .. } => entry,
        other => panic!("{other:?}"),
    }
}

fn list(log: &Log, prefix: &str, after: Option<&str>, limit: u32) -> (Vec<String>, bool) {
    let query = Query::List { prefix: bytes(prefix), after: after.map(bytes), limit };
    match log.machine.query(&query) {
        Answer::Keys { entries, more, .. } => {
            let text = |(key, _): (Bytes, Entry)| String::from_utf8(key.to_vec()).unwrap();
            (entries.into_iter().map(text).collect(), more)
        }
        other => panic!("{other:?}"),
    }
}

/// One revision per request that changes something, none for one that does not.
#[test]
fn only_what_changes_something_moves_the_revision() {
    let mut log = Log::new();
    let mut client = log.open();
    let one = Revision::new(1);
    assert_eq!(log.ask(&mut client, put("a", "1")), Reply::Written(one));
    let absent = Command::Delete { key: bytes("b") };
    let nothing = Reply::Deleted { existed: false, revision: one };
    assert_eq!(log.ask(&mut client, absent), nothing);
    let (key, expect, value) = (bytes("a"), Expect::Absent, bytes("2"));
    let entry = Entry { value: bytes("1"), create: one, modified: one, version: 1, lease: None };
    let cas = Command::Cas { key, expect, value };
    assert_eq!(log.ask(&mut client, cas), Reply::Mismatch(Some(entry)));
    let empty = Multi { mutations: vec![Mutation::Delete { key: bytes("b") }], ..Multi::default() };
    let done = Reply::MultiDone { revision: one, reads: vec![] };
    assert_eq!(log.ask(&mut client, Command::Multi(empty)), done);
    assert_eq!(log.machine.revision(), one);
    assert_eq!(log.ask(&mut client, put("a", "1")), Reply::Written(Revision::new(2)));
}

/// All writes of a multi have one revision; its reads see them; a failing guard undoes all.
#[test]
fn a_multi_is_one_moment() {
    let mut log = Log::new();
    let mut client = log.open();
    let multi = |expect| Multi {
        guards: vec![Guard { key: bytes("a"), expect }],
        mutations: vec![
            Mutation::Put { key: bytes("a"), value: bytes("1") },
            Mutation::Put { key: bytes("b"), value: bytes("2") },
        ],
        reads: vec![bytes("b"), bytes("c")],
        ..Multi::default()
    };
    let one = Revision::new(1);
    let entry = Entry { value: bytes("2"), create: one, modified: one, version: 1, lease: None };
    let done = Reply::MultiDone { revision: one, reads: vec![Some(entry.clone()), None] };
    assert_eq!(log.ask(&mut client, Command::Multi(multi(Expect::Absent))), done);
    assert_eq!(get(&log, "a").unwrap().modified, get(&log, "b").unwrap().modified);
    let refused = Reply::MultiRefused { failed: 0, reads: vec![Some(entry), None] };
    assert_eq!(log.ask(&mut client, Command::Multi(multi(Expect::Absent))), refused);
    assert_eq!(log.machine.revision(), one);
}

/// With two writes of one key at one revision the version would be a lie.
#[test]
fn a_multi_that_writes_a_key_twice_is_refused() {
    let mut log = Log::new();
    let mut client = log.open();
    let mutations = vec![
        Mutation::Put { key: bytes("a"), value: bytes("1") },
        Mutation::Delete { key: bytes("a") },
    ];
    let multi = Command::Multi(Multi { mutations, ..Multi::default() });
    let reply = log.ask(&mut client, multi);
    assert_eq!(reply, Reply::Rejected(Rejection::Misuse("a key is written twice".to_owned())));
    assert_eq!(get(&log, "a"), None);
}

/// A key that was deleted and set again is a new key: its life begins anew.
#[test]
fn a_deleted_key_comes_back_as_version_one() {
    let mut log = Log::new();
    let mut client = log.open();
    log.ask(&mut client, put("a", "1"));
    log.ask(&mut client, put("a", "2"));
    assert_eq!(get(&log, "a").unwrap().version, 2);
    log.ask(&mut client, Command::Delete { key: bytes("a") });
    log.ask(&mut client, put("a", "3"));
    let four = Revision::new(4);
    let entry = Entry { value: bytes("3"), create: four, modified: four, version: 1, lease: None };
    assert_eq!(get(&log, "a"), Some(entry));
}

/// Pages by prefix meet every key once, whatever the limit.
#[test]
fn a_list_can_be_read_page_by_page() {
    let mut log = Log::new();
    let mut client = log.open();
    for key in ["a", "b/1", "b/2", "b/3", "c"] {
        log.ask(&mut client, put(key, ""));
    }
    let texts = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    assert_eq!(list(&log, "b/", None, 2), (texts(&["b/1", "b/2"]), true));
    assert_eq!(list(&log, "b/", Some("b/2"), 2), (texts(&["b/3"]), false));
    assert_eq!(list(&log, "b/", Some("a"), 9), (texts(&["b/1", "b/2", "b/3"]), false));
    assert_eq!(list(&log, "", None, 9).0.len(), 5);
    assert_eq!(list(&log, "", None, 0), (vec![], true));
}

/// A list never outgrows a frame, and never stands still either.
#[test]
fn a_list_is_cut_by_bytes_but_always_gets_on() {
    let mut log = Log::new();
    let mut client = log.open();
    let big = "x".repeat(700 << 10);
    for key in ["a", "b"] {
        log.ask(&mut client, put(key, &big));
    }
    assert_eq!(list(&log, "", None, 9), (vec!["a".to_owned()], true));
    assert_eq!(list(&log, "", Some("a"), 9), (vec!["b".to_owned()], false));
}

/// Reads that no reply could carry are refused before anything is done.
#[test]
fn a_multi_whose_reads_are_too_large_changes_nothing() {
    let mut log = Log::new();
    let mut client = log.open();
    let big = "x".repeat(700 << 10);
    log.ask(&mut client, put("a", &big));
    let multi = Multi {
        mutations: vec![Mutation::Put { key: bytes("b"), value: bytes(&big) }],
        reads: vec![bytes("a"), bytes("b")],
        ..Multi::default()
    };
    let reply = log.ask(&mut client, Command::Multi(multi));
    assert!(matches!(reply, Reply::Rejected(Rejection::Misuse(_))), "{reply:?}");
    assert_eq!(get(&log, "b"), None);
    assert_eq!(log.machine.revision(), Revision::new(1));
}
