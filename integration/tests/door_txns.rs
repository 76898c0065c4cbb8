//! Transactions over shards, as a program in any language asks for them: over HTTP, with real nodes
//! and real shards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use synod_integration::{Cluster, Http, Options};

/// A node with these shards, and its door.
fn with_shards(shards: &[&'static str]) -> (Cluster, Http) {
    let mut cluster = Cluster::start(&Options { nodes: 1, participants: shards.to_vec() });
    for shard in shards {
        cluster.start_shard(shard);
    }
    let mut http = Http::open(cluster.door("n1"));
    cluster.eventually("the door reaches the cluster", || {
        http.ask("GET /v1/kv", &[], b"").status == 200
    });
    (cluster, http)
}

/// What is asked for in one transaction is done at all shards and at the cluster's own keys, or
/// nowhere; and what became of it can be asked.
#[test]
fn a_transaction_is_done_everywhere_or_nowhere() {
    let (_cluster, mut http) = with_shards(&["east", "west"]);
    let moved = json!({
        "parts": [
            { "participant": "east", "writes": [{ "key": "25544", "value": "ISS" }] },
            { "participant": "west", "guards": [{ "key": "25544", "absent": true }] },
        ],
        "writes": [{ "key": "where/25544", "value": "east" }],
    });
    let done = http.json("POST /v1/txns", &moved).expect(200).json();
    let id = done["txn"].as_str().unwrap().to_owned();
    let told = http.ask(&format!("GET /v1/txns/{id}"), &[], b"").expect(200).json();
    assert_eq!(told["verdict"], "committed", "{told}");
    assert_eq!(http.ask("GET /v1/kv/where/25544", &[], b"").expect(200).body, b"east");

    // A guard that does not hold: at a shard, which votes no, and of the cluster's own keys.
    for (parts, guards) in [
        (json!([{ "key": "25544", "absent": true }]), json!([])),
        (json!([]), json!([{ "key": "where/25544", "value": "west" }])),
    ] {
        let again = json!({
            "parts": [
                { "participant": "east", "guards": parts },
                { "participant": "west", "writes": [{ "key": "25544", "value": "ISS" }] },
            ],
            "guards": guards,
        });
        let aborted = http.json("POST /v1/txns", &again).expect(409).json();
        assert_eq!(aborted["error"]["code"], "aborted", "{aborted}");
        assert!(aborted["txn"].is_string(), "{aborted}");
    }
    let nothing = json!({ "parts": [{
        "participant": "west",
        "guards": [{ "key": "25544", "absent": true }],
    }] });
    let _still_absent = http.json("POST /v1/txns", &nothing).expect(200);

    let _empty = http.json("POST /v1/txns", &json!({ "parts": [] })).expect(400);
    let key = [("Idempotency-Key", "k"), ("Content-Type", "application/json")];
    let body = serde_json::to_vec(&moved).unwrap();
    let keyed = http.ask("POST /v1/txns", &key, &body).expect(400).json();
    assert!(keyed["error"]["message"].as_str().unwrap().contains("Idempotency-Key"), "{keyed}");
}

/// A write at a shard and one of the cluster's own keys, under what must be held still.
fn under(hold: &Value, value: &str) -> Value {
    json!({
        "parts": [{ "participant": "east", "writes": [{ "key": "row", "value": value }] }],
        "holds": [hold],
        "writes": [{ "key": "last", "value": value }],
    })
}

/// It commits, and what it wrote of the cluster's own keys is there.
fn commits(http: &mut Http, hold: &Value, value: &str) {
    let _done = http.json("POST /v1/txns", &under(hold, value)).expect(200);
    assert_eq!(http.ask("GET /v1/kv/last", &[], b"").expect(200).body, value.as_bytes());
}

/// It is aborted, the caller is told why and which, and nothing of it is done.
fn is_refused(http: &mut Http, hold: &Value) {
    let before = http.ask("GET /v1/kv/last", &[], b"").body;
    let told = http.json("POST /v1/txns", &under(hold, "too late")).expect(409).json();
    assert_eq!(told["error"]["code"], "aborted", "{told}");
    let why = "the log decided so: what its commit asks of the log did not hold";
    assert_eq!(told["error"]["message"], why, "{told}");
    assert_eq!(told["error"]["hint"], "nothing of it was done", "{told}");
    let id = told["txn"].as_str().unwrap();
    let shown = http.ask(&format!("GET /v1/txns/{id}"), &[], b"").expect(200).json();
    assert_eq!(shown["verdict"], "aborted", "{shown}");
    assert_eq!(shown["cause"], "what its commit asks of the log did not hold", "{shown}");
    assert_eq!(http.ask("GET /v1/kv/last", &[], b"").body, before);
    // The shard has let go of its row, and has written nothing into it.
    let untouched = json!({ "parts": [
        { "participant": "east", "guards": [{ "key": "row", "value": "too late" }] },
    ] });
    let told = http.json("POST /v1/txns", &untouched).expect(409).json();
    let why = told["error"]["message"].as_str().unwrap();
    assert!(why.starts_with("east voted no: "), "{told}");
}

/// What is asked to be held still is held in the very moment of the decision, or nothing is done,
/// at any shard: under a lock, an office, and a claim; and whoever holds it after another does
/// that under a larger token.
#[test]
fn a_transaction_commits_only_while_what_it_asks_for_is_held() {
    let (cluster, mut http) = with_shards(&["east"]);
    let lease = |http: &mut Http| {
        http.json("POST /v1/leases", &json!({ "ttl_ms": 60_000 })).expect(201).json()["lease"]
            .as_u64()
            .unwrap()
    };
    let lock = |http: &mut Http, lease: u64| {
        let held = http.json("POST /v1/locks/nightly", &json!({ "lease": lease })).expect(200);
        json!({ "lock": "nightly", "token": held.json()["token"] })
    };
    let (first, second) = (lease(&mut http), lease(&mut http));
    let held = lock(&mut http, first);
    commits(&mut http, &held, "first");
    // It is given back, taken by another, and taken away from that one by an operator.
    let _ = http.ask(&format!("DELETE /v1/locks/nightly?lease={first}"), &[], b"").expect(200);
    is_refused(&mut http, &held);
    let next = lock(&mut http, second);
    assert!(next["token"].as_u64() > held["token"].as_u64(), "{next} after {held}");
    is_refused(&mut http, &held);
    commits(&mut http, &next, "second");
    let _ = cluster.tool(&["lock", "break", "nightly", "--reason", "a test", "--yes"]).expect(0);
    is_refused(&mut http, &next);

    let stands = json!({ "candidate": "pg-1", "lease": second });
    let granted = http.json("POST /v1/elections/primary", &stands).expect(200).json();
    let office = json!({ "election": "primary", "token": granted["token"] });
    commits(&mut http, &office, "third");
    let claimed = json!({ "owner": "17", "lease": second });
    let _ = http.json("POST /v1/claims/alice", &claimed).expect(200);
    let claim = json!({ "claim": "alice", "owner": "17" });
    commits(&mut http, &claim, "fourth");
    is_refused(&mut http, &json!({ "claim": "alice", "owner": "18" }));
    // All that hung on the lease ends with it.
    let _ = http.ask(&format!("DELETE /v1/leases/{second}"), &[], b"").expect(200);
    is_refused(&mut http, &office);
    is_refused(&mut http, &claim);

    let unclear = under(&json!({ "lock": "nightly" }), "never");
    let _ = http.json("POST /v1/txns", &unclear).expect(400);
}
