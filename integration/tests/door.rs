//! The HTTP door of real nodes: what it serves, and that no failure of it is one of the node.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use synod_integration::{Cluster, Http, Options};

fn lone() -> Cluster {
    Cluster::start(&Options { nodes: 1, ..Options::default() })
}

fn door(cluster: &Cluster, node: &str) -> Http {
    let mut http = Http::open(cluster.door(node));
    // The door reaches the cluster as any client does, which takes a moment.
    cluster.eventually("the door reaches the cluster", || {
        http.ask("GET /v1/kv", &[], b"").status == 200
    });
    http
}

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

#[test]
fn keys_are_set_read_compared_and_removed() {
    let cluster = lone();
    let mut http = door(&cluster, "n1");
    let set = http.ask("PUT /v1/kv/catalog/25544", &[OCTETS], b"east\0\xff").expect(200);
    assert_eq!((&set.json()["revision"], &*set.headers["synod-revision"]), (&json!(1), "1"));
    let got = http.ask("GET /v1/kv/catalog%2f25544", &[], b"").expect(200);
    assert_eq!(got.body, b"east\0\xff");
    assert_eq!(&*got.headers["etag"], "\"1\"");
    assert_eq!(&*got.headers["content-type"], "application/octet-stream");
    let known = [("If-None-Match", "\"1\"")];
    let _ = http.ask("GET /v1/kv/catalog/25544", &known, b"").expect(304);

    let put = |http: &mut Http, header: (&str, &str)| {
        http.ask("PUT /v1/kv/catalog/25544", &[OCTETS, header], b"west")
    };
    let refused = put(&mut http, ("If-None-Match", "*")).expect(412).json();
    assert_eq!(refused["error"]["code"], "mismatch");
    assert_eq!(refused["present"]["value_base64"], "ZWFzdAD/");
    assert_eq!(refused["present"]["modified"], 1);
    let _ = put(&mut http, ("If-Match", "\"7\"")).expect(412);
    assert_eq!(put(&mut http, ("If-Match", "\"1\"")).expect(200).json()["revision"], 2);

    let listed = http.ask("GET /v1/kv?prefix=catalog/&limit=1", &[], b"").expect(200).json();
    assert_eq!((&listed["entries"][0]["value"], &listed["next"]), (&json!("west"), &json!(null)));
    let _ = http.ask("DELETE /v1/kv/catalog/25544", &[("If-Match", "\"1\"")], b"").expect(412);
    let removed = http.ask("DELETE /v1/kv/catalog/25544", &[("If-Match", "*")], b"").expect(200);
    assert_eq!(removed.json(), json!({ "existed": true, "revision": 3 }));
    let removed = http.ask("DELETE /v1/kv/catalog/25544", &[], b"").expect(200);
    assert_eq!(removed.json()["existed"], false);
    let absent = http.ask("GET /v1/kv/catalog/25544", &[], b"").expect(404).json();
    assert_eq!(absent["error"]["code"], "absent");
}

#[test]
fn a_list_goes_on_where_it_ended() {
    let cluster = lone();
    let mut http = door(&cluster, "n1");
    for key in ["a/1", "a/%ff", "a/2", "b"] {
        let _ = http.ask(&format!("PUT /v1/kv/{key}"), &[], b"v").expect(200);
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = http.ask(&format!("GET /v1/kv?prefix=a/&limit=1{cursor}"), &[], b"");
        let page = page.expect(200).json();
        let row = page["entries"][0].clone();
        found.push(row["key"].as_str().or(row["key_base64"].as_str()).unwrap().to_owned());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, ["a/1", "a/2", "YS//"]);
}

#[test]
fn a_multi_does_all_or_nothing() {
    let cluster = lone();
    let mut http = door(&cluster, "n1");
    let request = json!({
        "guards": [{ "key": "a", "absent": true }],
        "writes": [{ "key": "a", "value": "1" }, { "key_base64": "/w==", "value_base64": "AA==" }],
        "reads": [{ "key": "a" }, { "key": "nothing" }],
    });
    let done = http.json("POST /v1/kv:multi", &request).expect(200).json();
    assert_eq!((&done["revision"], &done["reads"][0]["value"]), (&json!(1), &json!("1")));
    assert_eq!(done["reads"].as_array().unwrap().len(), 1);
    let refused = http.json("POST /v1/kv:multi", &request).expect(412).json();
    assert_eq!(
        (&refused["error"]["code"], &refused["present"]["failed"]),
        (&"mismatch".into(), &0.into())
    );
    let unclear = json!({ "guards": [{ "key": "a", "absent": true, "revision": 1 }] });
    let _ = http.json("POST /v1/kv:multi", &unclear).expect(400);
}

#[test]
fn what_is_not_known_is_refused_by_its_name() {
    let cluster = lone();
    let mut http = door(&cluster, "n1");
    for (ask, body, word) in [
        ("GET /v1/kv?form=1", json!(null), "unknown parameter \"form\""),
        ("POST /v1/leases", json!({ "ttl_ms": 1_000, "tll": 1 }), "unknown field `tll`"),
        ("POST /v1/leases", json!({ "ttl_ms": "soon" }), "invalid value"),
        ("POST /v1/leases", json!({}), "missing field `ttl_ms`"),
        ("POST /v1/leases", json!({ "ttl_ms": 1 }), "at least 100"),
        ("GET /v1/leases/seven", json!(null), "no whole number"),
        ("POST /v1/requests/7:settle", json!(null), "names no request"),
    ] {
        let answer = match body.is_null() {
            true => http.ask(ask, &[], b""),
            false => http.json(ask, &body),
        };
        let error = answer.expect(400).json();
        let said = error["error"]["message"].as_str().unwrap();
        assert!(said.contains(word), "{ask}: {said}");
    }
    let nothing = http.ask("GET /v1/nothing", &[], b"").expect(404).json();
    assert_eq!(nothing["error"]["code"], "absent");
    let method = http.ask("PATCH /v1/status", &[], b"").expect(405);
    assert_eq!(
        (&*method.headers["allow"], &method.json()["error"]["code"]),
        ("GET", &"method".into())
    );
    for deadline in ["0", "soon", "-1", "60001"] {
        let _ = http.ask("GET /v1/status", &[("Synod-Deadline-Ms", deadline)], b"").expect(400);
    }
    let answer = http.ask("GET /v1/status", &[("Synod-Deadline-Ms", "2000")], b"").expect(200);
    assert_eq!(answer.json()["leader"], "n1");
}

/// Two answers say what became of a write: 503 that it was not applied, 504 that nobody knows, and
/// what to ask about. No door says the one for the other while its cluster loses its quorum.
#[test]
fn without_a_quorum_a_door_says_that_nothing_was_applied() {
    let mut cluster = Cluster::start(&Options::default());
    let mut http = door(&cluster, "n1");
    cluster.kill("n2");
    cluster.kill("n3");
    let mut unknown = Vec::new();
    cluster.eventually("the node knows that it is alone", || {
        let deadline = ("Synod-Deadline-Ms", "700");
        let answer = http.ask("PUT /v1/kv/a", &[deadline], b"1");
        match answer.status {
            504 => unknown.push(answer.json()["request"].as_str().unwrap().to_owned()),
            503 => {
                assert_eq!(answer.json()["error"]["code"], "not_applied");
                assert_eq!(&*answer.headers["retry-after"], "1");
                return true;
            }
            other => panic!("{other}: {:?}", answer.json()),
        }
        false
    });
    cluster.start_node("n2");
    cluster.await_leader();
    for request in unknown {
        cluster.eventually("the request is settled", || {
            let settled = http.ask(&format!("POST /v1/requests/{request}:settle"), &[], b"");
            settled.status == 200 && settled.json()["applied"].is_boolean()
        });
    }
    cluster
        .eventually("the door writes again", || http.ask("PUT /v1/kv/a", &[], b"2").status == 200);
}

/// A port that is taken, a certificate that is gone: the door stays shut, and the node serves.
#[test]
fn a_door_that_cannot_open_does_not_hurt_its_node() {
    let mut cluster = Cluster::init(&Options { nodes: 1, ..Options::default() });
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let path = cluster.config("n1");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once("[door]\nlisten = \"").unwrap();
    let (_, after) = after.split_once('"').unwrap();
    let changed = format!("{before}[door]\nlisten = \"{address}\"{after}");
    std::fs::write(&path, &changed).unwrap();
    let line = cluster.start_node("n1");
    assert!(!line.contains("door"), "{line}");
    assert!(cluster.said("n1").contains("the door stays shut"), "{}", cluster.said("n1"));
    cluster.await_leader();
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
}

/// What hangs on a lease ends with it; and what is fenced by a lock is written by its holder only.
#[test]
fn keys_end_with_their_lease_and_are_written_by_who_holds_the_lock() {
    let cluster = lone();
    let mut http = door(&cluster, "n1");
    let held = http.json("POST /v1/locks/nightly", &json!({ "ttl_ms": 60_000 })).expect(200).json();
    let (lease, token) = (&held["lease"], &held["token"]);
    let put = format!("PUT /v1/kv/services/api?lease={lease}");
    let _ = http.ask(&put, &[OCTETS], b"10.0.0.7").expect(200);
    let got = http.ask("GET /v1/kv/services/api", &[], b"").expect(200);
    assert_eq!(got.headers["synod-lease"], lease.to_string());
    let fenced = json!({
        "holds": [{ "lock": "nightly", "token": token }],
        "writes": [{ "key": "last-run", "value": "today" }],
        "lease": lease,
    });
    let _ = http.json("POST /v1/kv:multi", &fenced).expect(200);
    let unclear = json!({ "holds": [{ "lock": "nightly" }] });
    let _ = http.json("POST /v1/kv:multi", &unclear).expect(400);
    let _ = http.ask(&format!("DELETE /v1/leases/{lease}"), &[], b"").expect(200);
    for key in ["services/api", "last-run"] {
        let _ = http.ask(&format!("GET /v1/kv/{key}"), &[], b"").expect(404);
    }
    let _ = http.ask(&put, &[OCTETS], b"10.0.0.7").expect(410);
    let late = json!({
        "holds": [{ "lock": "nightly", "token": token }],
        "writes": [{ "key": "last-run", "value": "yesterday" }],
    });
    assert_eq!(http.json("POST /v1/kv:multi", &late).expect(412).json()["present"]["failed"], 0);
}

/// A caller whose door died before it answered repeats at another, with the same key.
#[test]
fn a_request_with_a_key_takes_effect_once_whichever_door_it_comes_through() {
    let mut cluster = Cluster::start(&Options::default());
    let count = |cluster: &Cluster, node: &str, body: &str| {
        let key = ("Idempotency-Key", "move-25544");
        let json = ("Content-Type", "application/json");
        let mut http = door(cluster, node);
        http.ask("POST /v1/counters/moves:add", &[key, json], body.as_bytes())
    };
    let first = count(&cluster, "n1", "{}").expect(200).json();
    assert_eq!(first["value"], "1");
    assert_eq!(count(&cluster, "n2", "{}").expect(200).json(), first);
    let other = count(&cluster, "n2", "{\"by\": 2}").expect(422).json();
    assert_eq!(other["error"]["code"], "key_reused");
    cluster.kill("n1");
    assert_eq!(count(&cluster, "n3", "{}").expect(200).json(), first);
    cluster.start_node("n1");
    assert_eq!(count(&cluster, "n1", "{}").expect(200).json(), first);
    let value = door(&cluster, "n2").ask("GET /v1/counters/moves", &[], b"").expect(200).json();
    assert_eq!(value["value"], "1");
}

/// What one door granted, another renews and gives back; who waits gets it in turn.
#[test]
fn a_lock_is_taken_renewed_and_let_go_of_at_any_door() {
    let cluster = Cluster::start(&Options::default());
    let (mut one, mut two) = (door(&cluster, "n1"), door(&cluster, "n2"));
    let held = one.json("POST /v1/locks/nightly", &json!({ "ttl_ms": 60_000 })).expect(200).json();
    let (lease, token) = (held["lease"].as_u64().unwrap(), held["token"].as_u64().unwrap());
    let _ = two.ask(&format!("POST /v1/leases/{lease}:renew"), &[], b"").expect(200);
    let taken = two.json("POST /v1/locks/nightly", &json!({})).expect(409).json();
    assert_eq!(
        (&taken["error"]["code"], &taken["present"]["token"]),
        (&json!("taken"), &json!(token))
    );
    let address = cluster.door("n3").to_owned();
    let waiting = std::thread::spawn(move || {
        Http::open(&address).json("POST /v1/locks/nightly", &json!({ "wait_ms": 60_000 }))
    });
    cluster.eventually("somebody waits", || {
        two.ask("GET /v1/locks/nightly", &[], b"").expect(200).json()["waiting"] == 1
    });
    let released = two.ask(&format!("DELETE /v1/locks/nightly?lease={lease}"), &[], b"");
    assert_eq!(released.expect(200).json(), json!({ "existed": true, "token": token }));
    let next = waiting.join().unwrap().expect(200).json();
    assert!(next["token"].as_u64().unwrap() > token, "{next}");
    let _ = one.ask(&format!("DELETE /v1/leases/{}", next["lease"]), &[], b"").expect(200);
    let _ = one.ask("GET /v1/locks/nightly", &[], b"").expect(404);
    let _ = one.ask(&format!("DELETE /v1/leases/{lease}"), &[], b"").expect(200);
    let _ = one.ask(&format!("POST /v1/leases/{lease}:renew"), &[], b"").expect(410);
}

/// Who goes while it waits on a lease that was made for that leaves nothing behind.
#[test]
fn a_caller_that_goes_while_it_waits_leaves_the_queue() {
    let cluster = lone();
    let mut http = door(&cluster, "n1");
    let _ = http.json("POST /v1/locks/nightly", &json!({ "ttl_ms": 60_000 })).expect(200);
    let mut gone = Http::open(cluster.door("n1"));
    let body = "{\"ttl_ms\": 60000, \"wait_ms\": 60000}";
    let head = format!(
        "POST /v1/locks/nightly HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        cluster.door("n1"),
        body.len()
    );
    gone.send(head.as_bytes());
    let mut waiting = |count: u64| {
        http.ask("GET /v1/locks/nightly", &[], b"").expect(200).json()["waiting"] == count
    };
    cluster.eventually("it waits", || waiting(1));
    drop(gone);
    cluster.eventually("it waits no more", || waiting(0));
}

/// A watch goes on over the death of the node whose door tells it, at another door.
#[test]
fn a_watch_goes_on_at_another_door_where_it_was() {
    let mut cluster = Cluster::start(&Options::default());
    let mut writer = door(&cluster, "n2");
    let _ = writer.ask("PUT /v1/kv/a/1", &[], b"1").expect(200);
    let watch = |http: &Http, rest: &str| {
        format!("GET /v1/watch?prefix=a/{rest} HTTP/1.1\r\nHost: {}\r\n", http.host())
    };
    let mut http = door(&cluster, "n1");
    let head = watch(&http, "&from=0");
    http.send(format!("{head}\r\n").as_bytes());
    let event = |http: &mut Http| loop {
        let event = http.event().unwrap();
        if event.0 != "caught-up" {
            return event;
        }
    };
    let (name, id, data) = event(&mut http);
    assert_eq!((&*name, id, &data["changes"][0]["key"]), ("change", Some(1), &json!("a/1")));
    let _ = writer.ask("PUT /v1/kv/b", &[], b"no").expect(200);
    let _ = writer.ask("DELETE /v1/kv/a/1", &[], b"").expect(200);
    let (name, id, data) = event(&mut http);
    assert_eq!((&*name, id), ("change", Some(3)));
    assert_eq!(data["changes"][0], json!({ "type": "delete", "key": "a/1" }));
    cluster.kill("n1");
    let mut other = door(&cluster, "n3");
    cluster.eventually("somebody leads and writes", || {
        writer.ask("PUT /v1/kv/a/2", &[("Idempotency-Key", "once")], b"2").status == 200
    });
    let head = watch(&other, "");
    other.send(format!("{head}Last-Event-ID: 3\r\n\r\n").as_bytes());
    let (_, id, data) = event(&mut other);
    assert_eq!((id, &data["changes"][0]["value"]), (Some(4), &json!("2")));
    let mut early = door(&cluster, "n2");
    let error = early.ask("GET /v1/watch?from=1000", &[], b"").expect(400).json();
    assert_eq!((&error["error"]["code"], &error["now"]), (&json!("not_yet"), &json!(4)));
}

/// Whoever was away for longer than the cluster remembers is told up to where, and of everything
/// that came after that; and so is who comes again from there.
#[test]
fn a_watch_from_before_the_history_is_told_of_the_gap_and_goes_on() {
    // More than the bytes that are remembered.
    const VALUES: u64 = 36;
    let cluster = Cluster::start(&Options { nodes: 1, ..Options::default() });
    let mut writer = door(&cluster, "n1");
    let value = vec![b'v'; 1 << 20];
    for place in 1..=VALUES {
        let _ = writer.ask(&format!("PUT /v1/kv/k{place}"), &[], &value).expect(200);
    }
    let watch = |rest: &str| {
        let mut http = door(&cluster, "n1");
        let head = format!("GET /v1/watch{rest}Host: {}\r\n\r\n", http.host());
        http.send(head.as_bytes());
        http
    };
    let gap = |http: &mut Http| {
        let (name, gap, data) = http.event().unwrap();
        assert_eq!(name, "gap");
        assert_eq!(data, json!({ "forgotten": gap.unwrap() }));
        gap.unwrap()
    };
    let mut http = watch("?from=0 HTTP/1.1\r\n");
    let gone = gap(&mut http);
    assert!(0 < gone && gone < VALUES, "{gone}");
    for revision in gone + 1..=VALUES {
        let (name, id, data) = http.event().unwrap();
        assert_eq!((&*name, id), ("change", Some(revision)));
        assert_eq!(data["changes"][0]["key"], format!("k{revision}"));
    }
    assert_eq!(http.event().unwrap().0, "caught-up");
    assert_eq!(gap(&mut watch(" HTTP/1.1\r\nLast-Event-ID: 1\r\n")), gone);
    let again = watch(&format!(" HTTP/1.1\r\nLast-Event-ID: {gone}\r\n")).event();
    assert_eq!(again.map(|(name, id, _)| (name, id)), Some(("change".to_owned(), Some(gone + 1))));
}

/// Nobody passes before everybody has come; whoever waits is told when they have, and who is gone
/// counts no more.
#[test]
fn parties_meet_at_a_barrier() {
    let cluster = Cluster::start(&Options { nodes: 1, ..Options::default() });
    let (mut first, mut second) = (door(&cluster, "n1"), door(&cluster, "n1"));
    let come = |http: &mut Http, party: Value| http.json("POST /v1/barriers/load", &party);
    let lone = come(&mut first, json!({ "parties": 2, "wait_ms": 50 })).expect(200).json();
    assert_eq!((&lone["open"], &lone["arrived"]), (&json!(false), &json!(1)));
    let other = come(&mut first, json!({ "parties": 3 })).expect(400).json();
    assert!(other["error"]["message"].as_str().unwrap().contains("2 parties"), "{other}");
    let waits = second.ask("POST /v1/barriers/load:remove", &[], b"").expect(409).json();
    assert_eq!(
        (&waits["error"]["code"], &waits["present"]["here"]),
        (&json!("waiting"), &json!(1))
    );
    // The first goes and comes again, to wait; the second comes meanwhile.
    let lease = lone["lease"].as_u64().unwrap();
    let gone = first.ask(&format!("DELETE /v1/barriers/load?lease={lease}"), &[], b"").expect(200);
    assert_eq!(gone.json(), json!({ "existed": true, "here": 0 }));
    let party = json!({ "parties": 2, "lease": lease, "wait_ms": 60_000 });
    let waiting = std::thread::spawn(move || come(&mut first, party).expect(200).json());
    cluster.eventually("the first has come again", || {
        let shown = second.ask("GET /v1/barriers/load", &[], b"");
        shown.status == 200 && shown.json()["here"] == 1
    });
    let party = second.json("POST /v1/barriers/load", &json!({ "parties": 2 })).expect(200).json();
    assert_eq!((&party["open"], &party["arrived"]), (&json!(true), &Value::Null));
    assert_eq!(waiting.join().unwrap()["open"], true);
    let all = second.ask("GET /v1/barriers", &[], b"").expect(200).json();
    assert_eq!(all["barriers"][0]["barrier"], "load");
    let _ = second.ask("POST /v1/barriers/load:remove", &[], b"").expect(200);
    let _ = second.ask("GET /v1/barriers/load", &[], b"").expect(404);
}

/// Where other people use the machine, only who can read a file of its owner's is heard.
#[test]
fn a_door_with_a_token_hears_who_can_read_it() {
    let mut cluster = Cluster::init(&Options { nodes: 1, ..Options::default() });
    let (path, token) = (cluster.config("n1"), cluster.path("c/token"));
    let text = std::fs::read_to_string(&path).unwrap();
    let role = "plain_role = \"write\"\n";
    let named = text.replace(role, &format!("{role}plain_token_file = \"token\"\n"));
    std::fs::write(&path, named).unwrap();
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&token, mode(0o644)).unwrap();
    let line = cluster.start_node("n1");
    assert!(!line.contains("door"), "{line}");
    assert!(cluster.said("n1").contains("chmod 600"), "{}", cluster.said("n1"));
    cluster.kill("n1");
    std::fs::set_permissions(&token, mode(0o600)).unwrap();
    cluster.start_node("n1");
    let mut http = Http::open(cluster.door("n1"));
    let refused = http.ask("GET /v1/kv", &[], b"").expect(401);
    assert_eq!(refused.json()["error"]["code"], "token");
    let mut http = Http::open(cluster.door("n1"));
    let shown = ("Authorization", "Bearer 0123456789abcdef");
    cluster.eventually("the door reaches the cluster", || {
        http.ask("GET /v1/kv", &[shown], b"").status == 200
    });
}

/// Silence would say nothing: there is an event each second, for longer than a connection may be
/// silent; and when no node knows of a quorum any more, that is what is told.
#[test]
fn a_watch_is_never_silent_and_says_when_it_may_be_old() {
    let mut cluster = Cluster::start(&Options::default());
    let mut http = door(&cluster, "n1");
    let head = format!("GET /v1/watch?from=0 HTTP/1.1\r\nHost: {}\r\n\r\n", http.host());
    http.send(head.as_bytes());
    for _ in 0..7 {
        assert_eq!(http.event().unwrap().0, "caught-up");
    }
    cluster.kill("n2");
    cluster.kill("n3");
    let stale = loop {
        let (name, id, data) = http.event().unwrap();
        if name != "caught-up" {
            assert_eq!((&*name, id), ("stale", None));
            break data["silent_ms"].as_u64().unwrap();
        }
    };
    assert!(stale > 0);
    cluster.start_node("n2");
    while http.event().unwrap().0 != "caught-up" {}
}

/// Bytes of memory that a process has.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// Whoever asks for everything and takes nothing is cut off; until then it has little here.
#[test]
fn a_reader_that_takes_nothing_is_cut_off_and_counted_and_costs_little() {
    const READERS: usize = 8;
    const VALUES: usize = 24;
    let mut cluster = Cluster::init(&Options { nodes: 1, ..Options::default() });
    let line = cluster.start_node("n1");
    let health = line.split("http://").nth(1).unwrap().to_owned();
    cluster.await_leader();
    let mut http = door(&cluster, "n1");
    let value = vec![b'v'; 1 << 20];
    for place in 0..VALUES {
        let _ = http.ask(&format!("PUT /v1/kv/k{place}"), &[], &value).expect(200);
    }
    let before = resident(cluster.process("n1").id());
    let mut readers: Vec<Http> = (0..READERS).map(|_| Http::open(cluster.door("n1"))).collect();
    for reader in &mut readers {
        let host = reader.host().to_owned();
        reader.send(format!("GET /v1/watch?from=0 HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    }
    let cut = format!("synod_door_refused_total{{reason=\"stalled\"}} {READERS}\n");
    let mut most = 0;
    let id = cluster.process("n1").id();
    cluster.eventually("all are cut off", || {
        most = most.max(resident(id));
        let page = Http::open(&health).ask("GET /metrics", &[], b"").expect(200);
        String::from_utf8_lossy(&page.body).contains(&cut)
    });
    // All that was asked for would be READERS × VALUES MiB.
    let grown = most.saturating_sub(before);
    assert!(grown < 96 << 20, "{READERS} readers that take nothing hold {grown} bytes");
    let _ = door(&cluster, "n1").ask("GET /v1/kv/k0", &[], b"").expect(200);
}
