//! A shard as a process of its own: what it promised outlives whatever is killed, and nobody takes
//! its place by mistake.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use synod_client::{
    Client, Config, Error, Outcome, Why,
    machine::{Mutation, branch::Work, door::NotApplied},
};
use synod_integration::{Cluster, Options, Process, run};

fn one_node_and_east() -> Cluster {
    let options = Options { nodes: 1, participants: vec!["east"] };
    let mut cluster = Cluster::start(&options);
    cluster.start_shard("east");
    cluster
}

/// What a page answers.
fn get(page: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(page).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn shard_args(cluster: &Cluster) -> Vec<String> {
    let place = cluster.path("c/east-shard").display().to_string();
    let args = ["shard", "--name", "east", "--data", &place, "-c", &cluster.config("east")];
    args.map(str::to_owned).to_vec()
}

/// East at a given address and on a given store; it need not be heard by the cluster.
fn start_east_at(cluster: &Cluster, address: &str, place: &str) -> Process {
    let place = cluster.path(place).display().to_string();
    let config = cluster.config("east");
    let args = ["shard", "--name", "east", "--data", &place, "-c", &config];
    let args = [&args[..], &["--listen", address, "--until-stdin-closes"]].concat();
    Process::start(&args, &cluster.path("east-at.log"))
}

/// Another store under a shard's name has promised nothing of what the shard has: somebody lost a
/// disk, or mistyped a directory. It is refused with both ways out, and let in when a person says
/// so.
#[test]
fn a_shard_on_another_store_is_refused_until_a_person_says_so() {
    let mut cluster = one_node_and_east();
    cluster.kill("east");
    fs::remove_dir_all(cluster.path("c/east-shard")).unwrap();
    let args = shard_args(&cluster);
    let refused = run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_ne!(refused.code, 0);
    for way_out in ["another store", "--data", "replaces_lost_store = true"] {
        assert!(refused.stderr.contains(way_out), "{}", refused.stderr);
    }
    let config = cluster.config("east");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[shard]\nreplaces_lost_store = true\n")).unwrap();
    cluster.start_shard("east");
}

/// A shard that is started over an empty directory, as when its volume is not mounted, says of no
/// key that it is absent, whether or not there is a quorum to know it by; its own store serves on
/// without one.
#[test]
fn an_empty_store_at_the_address_of_a_shard_says_nothing() {
    let mut cluster = one_node_and_east();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(async {
        let config = Config::load(Path::new(&cluster.config("client"))).unwrap();
        Client::connect(config).await.unwrap().within(Duration::from_secs(10))
    });
    let put = Mutation::Put { key: "a".into(), value: "1".into() };
    let work = Work { guards: Vec::new(), mutations: vec![put] };
    runtime.block_on(client.txn().ask("east", work).commit()).unwrap();
    let east = client.shard("east");
    assert!(runtime.block_on(east.get("a")).unwrap().is_some());
    let views = runtime.block_on(client.participants()).unwrap();
    let address = views[0].address.clone();

    cluster.kill("n1");
    cluster.kill("east");
    let mut wrong = start_east_at(&cluster, &address, "c/unmounted");
    cluster.eventually("it is asked", || {
        let said = runtime.block_on(east.stale().get("a"));
        let Err(error) = said else { panic!("it answered {said:?}") };
        matches!(error, Error::NotApplied { why: Why::Node(NotApplied::NoQuorum) })
    });
    wrong.kill();
    let own = start_east_at(&cluster, &address, "c/east-shard");
    cluster.eventually("it serves", || match runtime.block_on(east.stale().get("a")) {
        Ok(entry) => entry.unwrap().value == "1",
        Err(_) => false,
    });
    drop(own);

    cluster.start_node("n1");
    let mut wrong = start_east_at(&cluster, &address, "c/unmounted");
    assert_ne!(wrong.ended(), Some(0));
    cluster.start_shard("east");
    assert!(runtime.block_on(east.get("a")).unwrap().is_some());
}

/// *Transactions* §5, "participant restarts with prepared branch": a vote outlives its shard and
/// the whole cluster; the shard answers while there is no quorum; and the branch ends by its
/// verdict.
#[test]
fn a_vote_outlives_the_shard_and_the_cluster() {
    let mut cluster = one_node_and_east();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(async {
        let config = Config::load(Path::new(&cluster.config("client"))).unwrap();
        Client::connect(config).await.unwrap().within(Duration::from_secs(30))
    });
    let put = Mutation::Put { key: "a".into(), value: "1".into() };
    let work = Work { guards: Vec::new(), mutations: vec![put] };
    let prepared = runtime.block_on(client.txn().ask("east", work).prepare()).unwrap();
    let txn = prepared.id();
    assert_eq!(prepared.refused(), None);

    cluster.kill("n1");
    let east = client.shard("east");
    assert_eq!(runtime.block_on(east.in_doubt()).unwrap(), [txn], "it answers without a cluster");
    assert_eq!(runtime.block_on(east.stale().get("a")).unwrap(), None);
    // It may have committed, for all that the shard knows: whoever wants to see what has waits.
    let hasty = client.within(Duration::from_secs(3)).shard("east");
    let error = runtime.block_on(hasty.get("a")).unwrap_err();
    let locked = Why::Node(NotApplied::Locked { by: txn });
    assert!(matches!(&error, Error::NotApplied { why } if *why == locked), "{error}");
    assert_eq!(runtime.block_on(hasty.get("b")).unwrap(), None, "nobody holds it");

    cluster.kill("east");
    cluster.start_node("n1");
    cluster.start_shard("east");
    assert_eq!(runtime.block_on(east.in_doubt()).unwrap(), [txn], "it remembers its vote");

    let outcome = runtime.block_on(prepared.decide()).unwrap();
    assert_eq!(outcome, Outcome::Committed { txn });
    // Whoever was told "committed" finds it, however late the shard hears of it.
    let entry = runtime.block_on(east.get("a")).unwrap().unwrap();
    assert_eq!(entry.value, "1");
    assert_eq!(runtime.block_on(east.in_doubt()).unwrap(), []);
}

/// Operations §7.1: what a shard promises and waits for is seen from outside, and nothing of what
/// it holds.
#[test]
fn a_shard_shows_its_health_and_what_it_holds_in_doubt() {
    let options = Options { nodes: 1, participants: vec!["east"] };
    let mut cluster = Cluster::start(&options);
    let started = cluster.start_shard("east");
    let page = started.trim_end().rsplit("http://").next().unwrap().to_owned();
    assert!(get(&page, "/livez").ends_with("alive\n"));
    let ready = get(&page, "/readyz?verbose");
    let checks = ["registered", "disk_free", "certificate"].map(|name| format!("[+] {name} ok\n"));
    assert!(ready.ends_with(&(checks.concat() + "ready\n")), "{ready}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(async {
        let config = Config::load(Path::new(&cluster.config("client"))).unwrap();
        Client::connect(config).await.unwrap().within(Duration::from_secs(30))
    });
    let put = Mutation::Put { key: "secret".into(), value: "secret".into() };
    let work = Work { guards: Vec::new(), mutations: vec![put] };
    let prepared = runtime.block_on(client.txn().ask("east", work.clone()).prepare()).unwrap();
    let other = runtime.block_on(client.txn().ask("east", work).prepare()).unwrap();
    assert!(other.refused().is_some(), "the key is locked");
    let shows = |row: &str, wanted: &str| {
        let text = get(&page, "/metrics");
        let found = text.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(' '));
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(found, Some(wanted), "{row}: {text}");
    };
    let own = "{participant=\"east\"}";
    // The thread shows how it stands after it has said what it said: when it comes round.
    let east = client.shard("east");
    assert_eq!(runtime.block_on(east.in_doubt()).unwrap(), [prepared.id()]);
    shows(&format!("synod_participant_in_doubt{own}"), "1");
    shows(&format!("synod_participant_keys_locked{own}"), "1");
    shows(&format!("synod_participant_prepared_total{own}"), "1");
    shows("synod_participant_refused_total{participant=\"east\",reason=\"locked\"}", "1");
    runtime.block_on(prepared.decide()).unwrap();
    assert!(runtime.block_on(east.get("secret")).unwrap().is_some());
    assert_eq!(runtime.block_on(east.in_doubt()).unwrap(), []);
    shows(&format!("synod_participant_in_doubt{own}"), "0");
    let committed = "{participant=\"east\",outcome=\"committed\"}";
    shows(&format!("synod_participant_ended_total{committed}"), "1");
    shows(&format!("synod_participant_branch_duration_seconds_count{committed}"), "1");
}

/// The page of a shard is as private as a node's: beyond loopback it takes a person's word.
#[test]
fn the_pages_of_a_shard_do_not_leave_loopback_by_mistake() {
    let options = Options { nodes: 1, participants: vec!["east"] };
    let cluster = Cluster::init(&options);
    let config = cluster.config("east");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[http]\nlisten = \"0.0.0.0:0\"\n")).unwrap();
    let place = cluster.path("never").display().to_string();
    let shard = ["shard", "--name", "east", "--data", &place, "--until-stdin-closes"];
    for args in [&["check-config", &config][..], &shard] {
        let refused = run(&[args, &["-c", &config]].concat()).expect(2);
        assert!(refused.stderr.contains("0.0.0.0:0"), "{}", refused.stderr);
    }
}

/// A commit that its participant has not heard of is on record: in the list, item by item too, and
/// in the node's metrics with how long it has waited.
#[test]
fn a_commit_that_waits_for_a_dead_shard_is_listed_and_grows_old_in_the_metrics() {
    let mut cluster = one_node_and_east();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(async {
        let config = Config::load(Path::new(&cluster.config("client"))).unwrap();
        Client::connect(config).await.unwrap().within(Duration::from_secs(30))
    });
    let put = |key: &'static str| Mutation::Put { key: key.into(), value: "1".into() };
    let work = |key| Work { guards: Vec::new(), mutations: vec![put(key)] };
    let [one, two] = ["a", "b"].map(|key| {
        let prepared = client.txn().ask("east", work(key)).prepare();
        runtime.block_on(prepared).unwrap()
    });
    cluster.kill("east");
    let txns = [one.id(), two.id()].map(|txn| txn.to_string());
    runtime.block_on(one.decide()).unwrap();
    runtime.block_on(two.decide()).unwrap();
    let listed = cluster.tool(&["txn", "ls", "-o", "json"]).expect(0).json();
    assert_eq!(listed["txns"].as_array().unwrap().len(), 2, "{listed}");
    let lines = cluster.tool(&["txn", "ls", "-o", "jsonl"]).expect(0).stdout;
    let shown: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(shown.iter().map(|txn| &txn["txn"]).collect::<Vec<_>>(), txns.each_ref(), "{lines}");
    assert_eq!(shown[0]["schema"], "synod.txn/1");
    cluster.kill("n1");
    let started = cluster.start_node("n1");
    let page = started.trim_end().rsplit("http://").next().unwrap().to_owned();
    let value = |name: &str| -> f64 {
        let text = get(&page, "/metrics");
        let row = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        row.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
    };
    // What it has applied at once may lack the last: that is known when it leads again.
    cluster.eventually("both are known", || value("synod_txns_unacked") == 2.0);
    let oldest = value("synod_txn_oldest_seconds");
    assert!(oldest > 0.0, "it was decided before this process began");
    cluster.start_shard("east");
    cluster.eventually("both are acknowledged", || {
        value("synod_txns_unacked") == 0.0 && value("synod_txn_oldest_seconds") == 0.0
    });
}
