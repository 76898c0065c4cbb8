//! `synod bench` on a real cluster: what it measures is there, its claims can fail, and it
//! compares.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use synod_integration::{Cluster, Finished, Options, run};

/// A measurement that takes no longer than it must.
const BRIEF: [&str; 4] = ["--for", "300ms", "--warmup", "0s"];

fn lone() -> Cluster {
    Cluster::start(&Options { nodes: 1, ..Options::default() })
}

fn bench(cluster: &Cluster, args: &[&str]) -> Finished {
    cluster.tool(&[&["bench"][..], args, &BRIEF, &["-o", "json"]].concat())
}

/// Every load does what it says, without an error, and its parts fit together.
#[test]
fn every_load_is_measured_beside_its_floor() {
    let cluster = lone();
    let dir = cluster.path("").display().to_string();
    for (args, ops) in [
        (vec!["kv", "--mix", "put=1,get=2", "--clients", "3"], vec!["get", "put"]),
        (vec!["lock", "--clients", "2"], vec!["lock", "unlock"]),
        (vec!["journal"], vec!["append"]),
    ] {
        let told = bench(&cluster, &[&args[..], &["--dir", &dir]].concat()).expect(0).json();
        assert_eq!((&told["schema"], &told["what"]), (&"synod.bench/1".into(), &args[0].into()));
        let by_op = told["by_op"].as_object().unwrap();
        assert_eq!(by_op.keys().collect::<Vec<_>>(), ops, "{told}");
        let count = |of: &serde_json::Value| of["count"].as_u64().unwrap();
        let all: u64 = by_op.values().map(count).sum();
        assert!(all > 0 && all == count(&told["latency_us"]), "{told}");
        let binned = told["histogram_us"].as_array().unwrap().iter();
        assert_eq!(binned.map(|bin| bin[1].as_u64().unwrap()).sum::<u64>(), all, "{told}");
        for none in ["not_applied", "unknown", "refused"] {
            assert_eq!(told["errors"][none], 0, "{told}");
        }
        let floor = &told["floor_us"];
        let part = |name: &str| floor[name].as_u64().unwrap();
        assert_eq!(part("sum"), part("client_rtt") + part("quorum_rtt") + part("sync"), "{told}");
        assert_eq!(told["rounds"].as_array().unwrap().len(), 3, "{told}");
        assert!(told["rss_bytes"]["max"].as_u64().unwrap() > 1 << 20, "{told}");
    }
}

/// A journal that is appended to for long is trimmed as it goes, or it would be full before many
/// clients have been measured: with entries of a megabyte after 16 of them.
#[test]
fn a_journal_that_is_measured_does_not_fill() {
    let cluster = lone();
    let ls = || cluster.tool(&["journal", "ls", "-o", "json"]).expect(0);
    let mut appended = 0;
    while appended < 40 {
        let args = ["journal", "--value", "1000000", "--clients", "2"];
        let told = bench(&cluster, &args).expect(0).json();
        assert_eq!(told["errors"]["refused"], 0, "{told}");
        let count = told["latency_us"]["count"].as_u64().unwrap();
        assert!(count > 0, "{told}");
        appended += count;
    }
    let kept = ls();
    let trimmed = kept.json()["journals"][0]["trimmed"].as_u64().unwrap();
    assert!(trimmed >= 16, "{kept:#?}");
}

/// A transaction over two shards commits at both; an open loop asks as often as it was told.
#[test]
fn commits_are_measured_in_an_open_loop() {
    let mut cluster = Cluster::start(&Options { nodes: 1, participants: vec!["east", "west"] });
    cluster.start_shard("east");
    cluster.start_shard("west");
    let spans = ["txn", "--over", "east", "--over", "west", "--rate", "50"];
    let told = bench(&cluster, &spans).expect(0).json();
    assert_eq!(told["rate_per_s"], 50, "{told}");
    // Three rounds of 100 ms: requests are due at 0, 20, .. 80 ms of each.
    assert_eq!(told["latency_us"]["count"], 15, "{told}");
    assert!(told["floor_us"].is_null(), "no directory was named: {told}");
    let keys = cluster.tool(&["bench", "txn"]).expect(2);
    assert!(keys.stderr.contains("--over NAME"), "{keys:#?}");
    let over = cluster.tool(&["bench", "txn", "--variant", "multi", "--over", "east"]).expect(2);
    assert!(over.stderr.contains("spans no participants"), "{over:#?}");
}

/// A commit whose keys lie in the log sets as many as it was told to, in one round of the floor.
#[test]
fn transactions_within_the_log_are_measured() {
    let cluster = lone();
    let dir = cluster.path("").display().to_string();
    let args = ["txn", "--variant", "multi", "--participants", "3", "--keys", "1", "--dir", &dir];
    let told = bench(&cluster, &args).expect(0).json();
    assert_eq!(told["mix"], "multi=1", "{told}");
    assert!(told["latency_us"]["count"].as_u64().unwrap() > 0, "{told}");
    assert!(told["locks_held"].is_null(), "no shard holds a lock: {told}");
    let part = |name: &str| told["floor_us"][name].as_u64().unwrap();
    assert_eq!(part("sum"), part("client_rtt") + part("quorum_rtt") + part("sync"), "{told}");
    let set = cluster.tool(&["kv", "ls", "-o", "json"]).expect(0).json();
    assert_eq!(set["keys"].as_array().unwrap().len(), 3, "{set}");
}

/// The shards of a cluster that is made for it tell how long they held locks.
#[test]
fn locks_of_transactions_are_measured() {
    let args = ["bench", "txn", "--participants", "2", "-o", "json"];
    let told = run(&[&args[..], &BRIEF].concat()).expect(0).json();
    let branches = told["locks_held"]["branches"].as_u64().unwrap();
    // A commit is answered when both branches are prepared, and they end soon after.
    assert!(branches >= told["latency_us"]["count"].as_u64().unwrap(), "{told}");
    assert!(told["locks_held"]["mean_us"].as_f64().unwrap() > 0.0, "{told}");
}

/// A leader that is told to stop is succeeded without a put that fails.
#[test]
fn planned_transfers_are_measured() {
    let args = ["bench", "failover", "--planned", "--kills", "1", "-o", "json"];
    let told = run(&args).expect(0).json();
    assert_eq!((told["outages_us"].as_array().unwrap().len(), &told["failed"]), (1, &0.into()));
    assert!(told["bound_us"].as_u64().unwrap() > 0, "{told}");
}

/// In an open loop a request's time runs from when it was due, not from when its client came to it:
/// the last one of a round was due within the round, so the slowest took at least as long as the
/// round went on after that.
#[test]
fn a_request_that_is_late_to_start_counts_from_when_it_was_due() {
    let told = bench(&lone(), &["kv", "--rate", "2000"]).expect(0).json();
    let (figure, us) = (
        |name: &str| told[name].as_f64().unwrap(),
        |us: &str| told["latency_us"][us].as_f64().unwrap(),
    );
    // Three rounds of 100 ms with 200 requests each, whatever they take.
    assert_eq!(told["latency_us"]["count"], 600, "{told}");
    let over_s = 600.0 / figure("ops_per_s") - 0.3;
    // Buckets are exact to a part in a thousand.
    assert!(3.0 * us("max") * 1.001 >= over_s * 1e6, "{told}");
}

/// Nodes that are made far apart are: a put takes a round trip between them, and the floor says so.
#[test]
fn a_cluster_that_is_made_for_it_may_lie_far_apart() {
    let args = ["bench", "kv", "--rtt", "30ms", "--for", "600ms", "--warmup", "0s", "-o", "json"];
    let told = run(&args).expect(0).json();
    assert!(told["latency_us"]["p50"].as_u64().unwrap() >= 30_000, "{told}");
    assert!(told["floor_us"]["quorum_rtt"].as_u64().unwrap() >= 30_000, "{told}");
    assert!(told["floor_us"]["sync"].as_u64().unwrap() > 0, "{told}");
    let both = run(&["bench", "kv", "--rtt", "30ms", "-c", "some.toml"]).expect(2);
    assert!(both.stderr.contains("cannot be used with"), "{both:#?}");
}

/// What is claimed of a measurement sets the exit code, and says what was missed.
#[test]
fn a_claim_that_does_not_hold_ends_with_its_own_code() {
    let cluster = lone();
    let claims = ["kv", "--assert", "errors=0", "--assert", "p50<1us"];
    let missed = bench(&cluster, &claims).expect(6);
    assert!(missed.stderr.contains("does not hold: p50<1us"), "{missed:#?}");
    assert!(missed.json()["ops_per_s"].as_f64().unwrap() > 0.0, "it is told all the same");
    let _held = bench(&cluster, &["kv", "--assert", "p50<60s"]).expect(0);
    let wrong = bench(&cluster, &["kv", "--assert", "p51<1ms"]).expect(2);
    assert!(wrong.stderr.contains("p50, p90"), "{wrong:#?}");
}

/// A measurement is written as a document and a page; one is compared with another, and what is
/// none is refused by name.
#[test]
fn measurements_are_kept_and_compared() {
    let cluster = lone();
    let dir = cluster.path("report");
    let report = dir.display().to_string();
    let _written = bench(&cluster, &["kv", "--report", &report]).expect(0);
    let page = fs::read_to_string(dir.join("kv.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<svg"), "{page}");
    let kept = dir.join("kv.json").display().to_string();
    let compared = run(&["bench", "compare", &kept, &kept, "-o", "json"]).expect(0).json();
    assert_eq!((&compared["ops"]["mean"], &compared["p99"]), (&1.0.into(), &1.0.into()));
    assert_eq!(compared["differ"].as_array().unwrap().len(), 0, "{compared}");
    let page = dir.join("kv.html").display().to_string();
    let refused = run(&["bench", "compare", &kept, &page]).expect(2);
    assert!(refused.stderr.contains("is no measurement"), "{refused:#?}");
}

/// What is measured of a disk and of the way to it is told of each.
#[test]
fn round_trips_and_disks_are_measured_alone() {
    let cluster = lone();
    let rtt = cluster.tool(&["bench", "rtt", "--for", "50ms", "-o", "json"]).expect(0).json();
    assert_eq!(rtt["leader"], "n1", "{rtt}");
    assert!(rtt["client_us"]["n1"]["count"].as_u64().unwrap() > 0, "{rtt}");
    for bare in ["stream_us", "datagram_us"] {
        assert!(rtt["bare"][bare]["count"].as_u64().unwrap() > 0, "{rtt}");
    }
    let dir = cluster.path("").display().to_string();
    let disk = run(&["bench", "disk", &dir, "--for", "50ms", "-o", "json"]).expect(0).json();
    assert_eq!(disk["writes"].as_array().unwrap().len(), 6, "{disk}");
    let absent = run(&["bench", "disk", "/nowhere/at/all"]).expect(74);
    assert!(absent.stderr.contains("/nowhere/at/all"), "{absent:#?}");
}
