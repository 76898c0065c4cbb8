//! Claims, registers and journals on the command line, against a node with a log.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use synod_integration::{Cluster, Options, Run};

fn lone() -> Cluster {
    Cluster::start(&Options { nodes: 1, ..Options::default() })
}

/// Exit 0: taken by us. Exit 1: taken by another, and by whom.
#[test]
fn a_name_is_taken_by_one_and_the_other_is_told_by_whom() {
    let cluster = lone();
    let take = |owner: &str| cluster.tool(&["claim", "take", "user/alice", "--owner", owner]);
    assert_eq!(take("17").expect(0).stdout, "revision 1\n");
    assert_eq!(take("17").expect(0).stdout, "revision 1\n");
    let refused = take("18").expect(1);
    assert_eq!(refused.stdout, "");
    assert_eq!(refused.stderr, "17 has user/alice since revision 1; nothing was changed\n");
    let shown = cluster.tool(&["claim", "show", "user/alice", "-o", "json"]).expect(0).json();
    assert_eq!(
        (&shown["schema"], &shown["claim"]["owner"]),
        (&"synod.claim/1".into(), &"17".into())
    );
    let listed = cluster.tool(&["claim", "ls", "user/", "-o", "json"]).expect(0).json();
    assert_eq!((&listed["claims"][0], &listed["more"]), (&shown["claim"], &false.into()));
    let release = |owner: &str| cluster.tool(&["claim", "release", "user/alice", "--owner", owner]);
    let _ = release("18").expect(1);
    assert_eq!(release("17").expect(0).stderr, "");
    assert_eq!(release("17").expect(1).stderr, "nobody had user/alice\n");
    assert_eq!(
        cluster.tool(&["claim", "show", "user/alice"]).expect(1).stderr,
        "nobody has user/alice\n"
    );
}

#[test]
fn the_first_proposal_stands_and_the_other_is_told_it() {
    let cluster = lone();
    let get = || cluster.tool(&["register", "get", "schema"]);
    assert_eq!(get().expect(1).stderr, "nothing was chosen in schema\n");
    assert_eq!(cluster.tool(&["register", "propose", "schema", "a"]).expect(0).stdout, "a");
    assert_eq!(cluster.tool(&["register", "propose", "schema", "b"]).expect(1).stdout, "a");
    assert_eq!(get().expect(0).stdout, "a");
    let again =
        cluster.tool(&["register", "propose", "schema", "b", "-o", "json"]).expect(1).json();
    assert_eq!(again["schema"], "synod.register/1");
    assert_eq!((&again["ours"], &again["value"]), (&false.into(), &"a".into()));
}

#[test]
fn a_journal_is_read_in_the_order_in_which_it_was_written() {
    let cluster = lone();
    let journal = |args: &[&str]| cluster.tool(&[&["journal"], args].concat());
    assert_eq!(
        journal(&["tail", "moves"]).expect(1).stderr,
        "nothing was ever appended to moves\n"
    );
    for (place, value) in ["a", "b", "c"].into_iter().enumerate() {
        let appended = journal(&["append", "moves", value]).expect(0);
        assert_eq!(appended.stdout, format!("position {}\n", place + 1));
    }
    assert_eq!(journal(&["tail", "moves", "--after", "1"]).expect(0).stdout, "2\tb\n3\tc\n");
    let first = journal(&["tail", "moves", "--limit", "1", "-o", "jsonl"]).expect(0);
    assert_eq!(first.json()["value"], "a");
    assert!(first.stderr.contains("more than 1"), "{first:?}");
    assert_eq!(journal(&["trim", "moves", "2"]).expect(0).stdout, "gone up to position 2\n");
    let rest = journal(&["tail", "moves"]).expect(0);
    assert_eq!(
        (&rest.stdout[..], &rest.stderr[..]),
        ("3\tc\n", "entries up to position 2 are gone\n")
    );
    let listed = journal(&["ls", "-o", "json"]).expect(0).json();
    assert_eq!(
        (&listed["journals"][0]["last"], &listed["journals"][0]["trimmed"]),
        (&3.into(), &2.into())
    );
    let _ = journal(&["trim", "none", "2"]).expect(1);
    let followed =
        journal(&["tail", "moves", "--after", "2", "--follow", "--limit", "1"]).expect(0);
    assert_eq!(followed.stdout, "3\tc\n");
    // It waits for more until its time is up, and that is no failure.
    let waited =
        journal(&["tail", "moves", "--follow", "--timeout", "5s", "-o", "jsonl"]).expect(0);
    assert_eq!(waited.json()["position"], 3);
    assert_eq!(waited.stderr, "entries up to position 2 are gone\n");
}

/// What a service registers is gone when it is; what was put without a lease is not.
#[test]
fn keys_on_a_lease_end_with_it_and_a_batch_asks_for_a_claim_that_stands() {
    let cluster = lone();
    let granted = cluster.tool(&["lease", "grant", "--ttl", "1h"]).expect(0);
    let lease = granted.stdout.trim();
    let _ = cluster.tool(&["kv", "put", "api/1", "10.0.3.7", "--lease", lease]).expect(0);
    let _ = cluster.tool(&["kv", "put", "api/2", "10.0.3.8"]).expect(0);
    let shown = cluster.tool(&["kv", "get", "api/1", "-o", "json"]).expect(0).json();
    assert_eq!(shown["lease"].to_string(), lease);
    let _ = cluster.tool(&["claim", "take", "user/alice", "--owner", "17"]).expect(0);
    let config = cluster.config("client");
    let multi = |steps: String| Run::of(&["kv", "multi", "-c", &config]).input(steps).finish();
    let by = |owner: &str| format!("held claim user/alice {owner}\nlease {lease}\nput api/3 x\n");
    let refused = multi(by("18")).expect(1);
    assert_eq!(refused.stdout, "refused: requirement 1 did not hold\n");
    let _ = multi(by("17")).expect(0);
    let _ = cluster.tool(&["lease", "revoke", lease]).expect(0);
    let left = cluster.tool(&["kv", "ls", "api/"]).expect(0);
    assert_eq!(left.stdout.lines().count(), 1, "{left:?}");
    let over = cluster.tool(&["kv", "put", "api/1", "10.0.3.7", "--lease", lease]).expect(5);
    assert!(over.stderr.contains("lease"), "{over:?}");
}

/// What an admin takes away is another's to take; what is listed is in the order of names.
#[test]
fn a_claim_is_broken_and_registers_are_listed() {
    let cluster = lone();
    let _ = cluster.tool(&["claim", "take", "a", "--owner", "17"]).expect(0);
    let broken = ["claim", "break", "a", "--reason", "gone"];
    let _ = cluster.tool(&broken).expect(0);
    assert_eq!(cluster.tool(&broken).expect(1).stderr, "nobody had a\n");
    for name in ["y", "x"] {
        let _ = cluster.tool(&["register", "propose", name, "v"]).expect(0);
    }
    assert_eq!(cluster.tool(&["register", "ls"]).expect(0).stdout, "x\tv\ny\tv\n");
}

#[test]
fn a_counter_counts_and_is_set_only_if_it_is_as_expected() {
    let cluster = lone();
    let counter = |args: &[&str], code| cluster.tool(&[&["counter"], args].concat()).expect(code);
    assert_eq!(counter(&["show", "c"], 1).stderr, "c does not exist\n");
    assert_eq!(counter(&["add", "c"], 0).stdout, "1\n");
    assert_eq!(counter(&["add", "c", "-3"], 0).stdout, "-2\n");
    let wrong = counter(&["set", "c", "7", "--absent"], 1);
    assert_eq!(wrong.stderr, "c is -2; nothing was changed\n");
    assert_eq!(counter(&["set", "c", "7", "--expect", "-2"], 0).stdout, "7\n");
    let full = counter(&["add", "c", &i64::MAX.to_string()], 1);
    assert!(full.stderr.contains("cannot be counted so far"), "{full:?}");
    let shown = counter(&["show", "c", "-o", "json"], 0).json();
    assert_eq!((&shown["schema"], &shown["value"]), (&"synod.counter/1".into(), &7.into()));
    assert_eq!(counter(&["ls"], 0).stdout, "c\t7\n");
    let _ = counter(&["del", "c"], 0);
    assert_eq!(counter(&["del", "c"], 1).stderr, "c did not exist\n");
}

#[test]
fn a_barrier_opens_when_all_have_come() {
    let cluster = lone();
    for _ in 0..2 {
        let _ = cluster.tool(&["lease", "grant", "--ttl", "1h"]).expect(0);
    }
    let barrier = |args: &[&str], code| cluster.tool(&[&["barrier"], args].concat()).expect(code);
    let enter = ["enter", "b", "--parties", "2", "--lease"];
    let waits = barrier(&[&enter[..], &["1", "--timeout", "1s"]].concat(), 1);
    assert_eq!(waits.stderr, "b\t1 of 2 have come\n");
    let _ = barrier(&["rm", "b"], 1);
    assert_eq!(barrier(&[&enter[..], &["2", "-o", "json"]].concat(), 0).json()["open"], true);
    let _ = barrier(&["show", "b"], 0);
    assert_eq!(barrier(&["leave", "b", "--lease", "1"], 0).stdout, "left; 1 are still there\n");
    let listed = barrier(&["ls", "-o", "json"], 0).json();
    assert_eq!(listed["barriers"][0]["here"], 1);
    let _ = barrier(&["rm", "b"], 0);
    assert_eq!(barrier(&["show", "b"], 1).stderr, "b\tnobody has come\n");
}

#[test]
fn a_group_of_readers_has_an_offset_that_never_goes_back() {
    let cluster = lone();
    let journal = |args: &[&str], code| cluster.tool(&[&["journal"], args].concat()).expect(code);
    for value in ["a", "b"] {
        let _ = journal(&["append", "j", value], 0);
    }
    let _ = journal(&["commit", "j", "g", "2"], 0);
    assert_eq!(journal(&["commit", "j", "g", "1"], 1).stderr, "g is at position 2 already\n");
    assert_eq!(journal(&["commit", "j", "g", "3"], 1).stderr, "the last position is 2\n");
    assert_eq!(journal(&["offsets", "j"], 0).stdout, "g\t2\n");
}
