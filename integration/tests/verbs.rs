//! What a user types, reads and sees: answers as data, a "no" apart from an error, one deadline, a
//! quiet end when nobody reads.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use synod_client::{
    Client, Config, Error,
    net::{Authority, Identity, Leaf, Name, Role, Who},
};
use synod_integration::{Cluster, Options, Run, run, synod};

fn lone() -> Options {
    Options { nodes: 1, ..Options::default() }
}

/// Every verb that prints data prints one JSON document with its schema when asked to.
#[test]
fn json_names_its_schema_and_tells_what_the_text_tells() {
    let cluster = Cluster::start(&Options { nodes: 1, participants: vec!["east"] });
    let json = |args: &[&str], code: i32, schema: &str| {
        let finished = cluster.tool(&[args, &["-o", "json"]].concat()).expect(code);
        assert_eq!(finished.stderr, "", "{finished:#?}");
        assert_eq!(finished.stdout.lines().count(), 1, "{finished:#?}");
        let document = finished.json();
        assert_eq!(document["schema"], schema, "{document}");
        document
    };
    let status = json(&["status"], 0, "synod.status/1");
    assert_eq!(status["leader"]["node"], "n1");
    assert_eq!((&status["verdict"], &status["can_lose"]), (&"HEALTHY".into(), &0.into()));
    assert_eq!(json(&["leader", "show"], 0, "synod.leader/1")["node"], "n1");
    assert_eq!(json(&["kv", "put", "a", "1"], 0, "synod.kv.written/1")["revision"], 1);
    let got = json(&["kv", "get", "a"], 0, "synod.kv.entry/1");
    assert_eq!((&got["found"], &got["value"]), (&true.into(), &"1".into()));
    assert_eq!(json(&["kv", "get", "none"], 1, "synod.kv.entry/1")["found"], false);
    assert_eq!(json(&["kv", "cas", "a", "0", "2"], 1, "synod.kv.mismatch/1")["value"], "1");
    assert_eq!(json(&["kv", "ls"], 0, "synod.kv.list/1")["keys"][0]["key"], "a");
    assert_eq!(json(&["kv", "del", "a"], 0, "synod.kv.deleted/1")["existed"], true);
    assert_eq!(json(&["kv", "del", "a"], 1, "synod.kv.deleted/1")["existed"], false);
    assert_eq!(json(&["lease", "grant"], 0, "synod.lease.granted/1")["lease"], 1);
    assert_eq!(json(&["lease", "renew", "1"], 0, "synod.lease.renewed/1")["done"], true);
    assert_eq!(json(&["lease", "show", "1"], 0, "synod.lease/1")["ttl_ms"], 10_000);
    assert_eq!(json(&["lease", "ls"], 0, "synod.lease.list/1")["leases"][0]["lease"], 1);
    assert_eq!(json(&["lease", "revoke", "1"], 0, "synod.lease.revoked/1")["done"], true);
    assert!(json(&["lock", "show", "none"], 1, "synod.lock/1")["holder"].is_null());
    assert_eq!(json(&["lock", "ls"], 0, "synod.lock.list/1")["more"], false);
    let broken = json(&["lock", "break", "x", "--reason", "r", "--yes"], 1, "synod.lock.broken/1");
    assert!(broken["token"].is_null());
    let watched = ["kv", "watch", "--from", "0", "--limit", "1"];
    assert_eq!(json(&watched, 0, "synod.kv.watched/1")["kind"], "put");
    assert_eq!(json(&["txn", "ls"], 0, "synod.txn.list/1")["more"], false);
    assert_eq!(json(&["txn", "show", "1.1"], 0, "synod.txn/1")["verdict"], "aborted");
    let (node, certs) = (cluster.config("n1"), cluster.path("c/certs").display().to_string());
    let config = json(&["check-config", &node], 0, "synod.config/1");
    assert_eq!(config["files"][0]["name"], "n1");
    let checked = json(&["cert", "check", &certs], 0, "synod.cert/1");
    assert_eq!(checked["certificates"].as_array().unwrap().len(), 5, "{checked}");
    let story = json(&["sim", "replay", "1"], 0, "synod.sim.replay/1");
    assert!(story["events"].as_u64().unwrap() > 0, "{story}");
    let place = cluster.path("d").display().to_string();
    assert_eq!(json(&["init", &place], 0, "synod.init/1")["nodes"].as_array().unwrap().len(), 3);
}

/// Interfaces, decision 2: a "no" is an answer. It exits with 1 and is not called an error.
#[test]
fn a_no_is_an_answer_and_not_an_error() {
    let cluster = Cluster::start(&lone());
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
    for (args, why) in [
        (&["kv", "get", "none"][..], "none does not exist\n"),
        (&["kv", "del", "none"], "none did not exist\n"),
        (&["kv", "cas", "a", "0", "2"], "a is \"1\" since revision 1; nothing was changed\n"),
        (
            &["kv", "cas", "none", "2", "--revision", "1"],
            "none does not exist; nothing was changed\n",
        ),
        (&["txn", "show", "999.1"], "no transaction 999.1: session 999 is not open\n"),
    ] {
        let finished = cluster.tool(args).expect(1);
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("", why));
    }
}

/// The steps of a guarded batch come from standard input; refused, it changes nothing.
#[test]
fn a_guarded_batch_is_done_as_a_whole_or_not_at_all() {
    let cluster = Cluster::start(&lone());
    let multi = |steps: &str| {
        Run::of(&["kv", "multi", "-c", &cluster.config("client")]).input(steps).finish()
    };
    let done = multi("require a absent\nput a two words\nget a\nget b\n").expect(0);
    assert_eq!(done.stdout, "done at revision 1\na\ttwo words\nb\tdoes not exist\n");
    let refused = multi("require a =two words\nrequire b present\ndel a\nget a\n").expect(1);
    assert_eq!(refused.stdout, "refused: requirement 2 did not hold\na\ttwo words\n");
    let wrong = multi("require a =two words\ndel a b\n").expect(2);
    assert!(wrong.stderr.contains("line 2"), "{wrong:#?}");
    let _ = cluster.tool(&["kv", "get", "a"]).expect(0);
}

/// How fresh a read is to be is said with it, and how old a stale one may be is said beside it.
#[test]
fn a_read_says_how_fresh_it_has_to_be() {
    let cluster = Cluster::start(&lone());
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
    assert_eq!(cluster.tool(&["kv", "get", "a", "--nearby"]).expect(0).stdout, "1");
    let own = cluster.tool(&["kv", "get", "a", "--at-least", "1"]).expect(0);
    assert_eq!(own.stdout, "1");
    let never = ["kv", "get", "a", "--at-least", "2", "--timeout", "1s"];
    let early = cluster.tool(&never).expect(3);
    assert!(early.stderr.contains("revision 1 only"), "{early:#?}");
    let stale = cluster.tool(&["kv", "get", "a", "--stale"]).expect(0);
    assert_eq!(stale.stdout, "1");
    assert!(stale.stderr.contains(" ms ago"), "{stale:#?}");
    let listed = cluster.tool(&["kv", "ls", "--stale", "-o", "json"]).expect(0).json();
    assert!(listed["age_ms"].is_u64() && listed["keys"][0]["value"] == "1", "{listed}");
    let listed = cluster.tool(&["kv", "ls", "--nearby", "-o", "json"]).expect(0).json();
    assert!(listed["age_ms"].is_null() && listed["keys"][0]["value"] == "1", "{listed}");
    let _ = cluster.tool(&["kv", "get", "a", "--stale", "--nearby"]).expect(2);
}

/// Interfaces §2.2: a program reads a list item by item, each as the verb for one of them shows it.
#[test]
fn a_list_in_json_lines_is_a_document_an_item() {
    let cluster = Cluster::start(&lone());
    for key in ["a", "b", "c"] {
        let _ = cluster.tool(&["kv", "put", key, "v"]).expect(0);
    }
    let one = cluster.tool(&["kv", "get", "a", "-o", "json"]).expect(0).stdout;
    let listed = cluster.tool(&["kv", "ls", "-o", "jsonl", "--limit", "2"]).expect(0);
    assert_eq!(listed.stdout.lines().count(), 2, "{listed:?}");
    assert!(listed.stdout.starts_with(&one), "{listed:?}");
    assert!(listed.stderr.contains("more than 2"), "{listed:?}");
    assert_eq!(cluster.tool(&["kv", "ls", "x", "-o", "jsonl"]).expect(0).stdout, "");
    assert_eq!(cluster.tool(&["txn", "ls", "-o", "jsonl"]).expect(0).stdout, "");
    let watched = cluster.tool(&["leader", "watch", "-o", "jsonl", "--limit", "1"]).expect(0);
    assert_eq!(watched.json()["schema"], "synod.leader/1");
}

/// Signs are the program's own; what a key holds is nobody's to change.
#[test]
fn ascii_is_for_signs_and_never_for_data() {
    let cluster = Cluster::start(&lone());
    let _ = cluster.tool(&["kv", "put", "k", "★ – ·"]).expect(0);
    assert!(cluster.tool(&["status"]).expect(0).stdout.contains("n1 ★"));
    let status = cluster.tool(&["status", "--ascii"]).expect(0).stdout;
    assert!(status.is_ascii() && status.contains("n1 *"), "{status}");
    assert_eq!(cluster.tool(&["kv", "get", "k", "--ascii"]).expect(0).stdout, "★ – ·");
    assert_eq!(cluster.tool(&["kv", "ls", "--ascii"]).expect(0).stdout, "k\t★ – ·\n");
    let wrong = Run::of(&["kv", "multi", "--ascii", "-c", &cluster.config("client")]);
    let wrong = wrong.input("drop ★\n").finish().expect(2).stderr;
    assert!(wrong.contains("drop ★") && wrong.contains("del KEY | get KEY"), "{wrong}");
}

/// Interfaces §2.2: a value is raw on a pipe, escaped on a terminal, and in JSON nothing is lost.
#[test]
fn a_value_is_raw_on_a_pipe_escaped_on_a_terminal_and_whole_in_json() {
    let cluster = Cluster::start(&lone());
    let config = cluster.config("client");
    let value = b"a\n\x1b[31m\xff";
    let put = Run::of(&["kv", "put", "k", "-", "-c", &config]).input(*value).finish();
    let _ = put.expect(0);
    let get = ["kv", "get", "k", "-c", &config];
    let raw = Command::new(synod()).args(get).output().unwrap();
    assert_eq!(raw.stdout, value);
    assert_eq!(Run::of(&get).on_a_terminal(), "a\\n\\x1b[31m\\xff\r\n");
    let json = cluster.tool(&["kv", "get", "k", "-o", "json"]).expect(0).json();
    assert_eq!((&json["value"], &json["value_base64"]), (&().into(), &"YQobWzMxbf8=".into()));
    assert_eq!(cluster.tool(&["kv", "get", "k", "--base64"]).expect(0).stdout, "YQobWzMxbf8=\n");
    assert_eq!(cluster.tool(&["kv", "ls"]).expect(0).stdout, "k\ta\\n\\x1b[31m\\xff\n");
}

/// Interfaces §2.2: colour on a terminal, and never when it is not wanted. A program that runs
/// under `CI` was once coloured on a dumb terminal too.
#[test]
fn colours_are_for_terminals_that_want_them() {
    let cluster = Cluster::start(&lone());
    let status = || Run::of(&["status", "-c", &cluster.config("client")]);
    let coloured = "\x1b[1m\x1b[32mHEALTHY\x1b[0m";
    assert!(status().env("TERM", "xterm").on_a_terminal().contains(coloured));
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        for ci in [false, true] {
            let mut run = status().env("TERM", "xterm").env(name, value);
            if ci {
                run = run.env("CI", "true");
            }
            let plain = run.on_a_terminal();
            assert!(plain.contains("HEALTHY") && !plain.contains('\x1b'), "{name}: {plain:?}");
        }
    }
    assert!(!status().finish().expect(0).stdout.contains('\x1b'));
    let always = cluster.tool(&["status", "--color", "always"]).expect(0);
    assert!(always.stdout.contains(coloured), "{always:#?}");
    let never = Run::of(&["status", "-c", &cluster.config("client"), "--color", "never"]);
    assert!(!never.env("TERM", "xterm").on_a_terminal().contains('\x1b'));
}

/// Interfaces §2.2: `--timeout` is one deadline for the whole command. The file would wait for a
/// day.
#[test]
fn one_deadline_is_for_the_whole_command_and_every_node_says_why() {
    let cluster = Cluster::init(&Options::default());
    let config = cluster.path("c/client.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("timeout_ms = 86400000\n{text}")).unwrap();
    for verb in [&["status"][..], &["kv", "put", "a", "1"], &["leader", "watch"], &["txn", "ls"]] {
        let finished = cluster.tool(&[verb, &["--timeout", "300ms"]].concat()).expect(3);
        assert!(finished.stderr.starts_with("error: no node of test could be reached\n  n1  127."));
        for part in ["\n  n2  ", "\n  n3  ", "\nhint: is any node running?", "SYN-ASK-001, exit 3"]
        {
            assert!(finished.stderr.contains(part), "{part:?}: {finished:#?}");
        }
    }
}

/// A cluster without a leader is told from one that cannot be reached: each node says how it is.
#[test]
fn without_a_quorum_the_verdict_and_every_node_say_so() {
    let mut cluster = Cluster::start(&Options::default());
    cluster.kill("n2");
    cluster.kill("n3");
    cluster.eventually("the last node gives up", || {
        let status = cluster.tool(&["status", "-o", "json", "--timeout", "2s"]);
        status.code == 1 && status.json()["leader"].is_null()
    });
    let status = cluster.tool(&["status", "--timeout", "2s"]).expect(1);
    let verdict = "NO QUORUM   1 of 3 nodes, quorum 2: can lose 0 more";
    assert!(status.stdout.contains(verdict), "{status:#?}");
    assert!(status.stdout.contains("▲ n3  is down: "), "{status:#?}");
    let put = cluster.tool(&["kv", "put", "a", "1", "--timeout", "1s"]).expect(3);
    for part in ["no leader was found", "\n  n1  127.", "connected; does not", "\n  n3  127."] {
        assert!(put.stderr.contains(part), "{part:?}: {put:#?}");
    }
}

/// Interfaces §2.2: flag over environment over file over default; `--print` tells where from.
#[test]
fn the_environment_is_stronger_than_the_file_and_a_flag_than_both() {
    let cluster = Cluster::start(&lone());
    let (client, node) = (cluster.config("client"), cluster.config("n1"));
    let seen = Run::of(&["leader", "show"])
        .env("SYNOD_CONFIG", &client)
        .env("SYNOD_OUTPUT", "json")
        .env("SYNOD_TIMEOUT", "30s");
    assert_eq!(seen.finish().expect(0).json()["node"], "n1");
    let wrong = Run::of(&["leader", "show"]).env("SYNOD_TIMEOUT", "30").finish().expect(2);
    assert!(wrong.stderr.contains("write 20ms, 5s"), "{wrong:#?}");
    let printed = |run: Run| run.finish().expect(0).stdout;
    let print = |file: &str| Run::of(&["check-config", file, "--print"]);
    let text = printed(print(&client).env("SYNOD_TIMEOUT", "7s"));
    assert!(text.contains(" = 7000  (--timeout or SYNOD_TIMEOUT)"), "{text}");
    assert!(printed(print(&client)).contains(" = 5000  (default)"));
    let text = printed(print(&node).env("SYNOD_LOG", "debug"));
    assert!(text.contains(" = debug  (SYNOD_LOG)"), "{text}");
    assert!(text.contains(" = \"n1\"  (file)"), "{text}");
}

/// A client's file beside the nodes' is checked with them; one for the other is said to be so.
#[test]
fn files_of_clients_and_nodes_are_told_apart_and_held_against_each_other() {
    let cluster = Cluster::init(&Options { participants: vec!["east"], ..Options::default() });
    let files = ["n1", "n2", "n3", "client", "east"].map(|name| cluster.config(name));
    let all: Vec<_> = files.iter().map(String::as_str).collect();
    let checked = run(&[&["check-config"], &all[..]].concat()).expect(0);
    assert!(checked.stdout.contains("client.toml   client of test\n"), "{checked:#?}");
    let tool = run(&["status", "-c", &cluster.config("n1")]).expect(2);
    assert!(tool.stderr.contains("hint: this file is a node's"), "{tool:#?}");
    let node = run(&["start", "-c", &cluster.config("client")]).expect(2);
    assert!(node.stderr.contains("hint: this file is a client's"), "{node:#?}");
    let stray = cluster.path("c/stray.toml");
    let text = fs::read_to_string(cluster.path("c/client.toml")).unwrap();
    fs::write(&stray, text.replace("name = \"n3\"", "name = \"n9\"")).unwrap();
    let stray = stray.display().to_string();
    let apart = run(&["check-config", &stray, &cluster.config("n1")]).expect(1);
    assert!(apart.stderr.contains("names n9, which is no [[peer]]"), "{apart:#?}");
    fs::write(&stray, text + "[shard]\nreplace = true\n").unwrap();
    let misspelt = run(&["check-config", &stray, "nowhere.toml"]).expect(2);
    for part in ["2 of 2 files are wrong", "unknown key `replace`", "nowhere.toml: No such"] {
        assert!(misspelt.stderr.contains(part), "{part:?}: {misspelt:#?}");
    }
}

/// `init` fills an empty directory where it stands, and takes no name twice.
#[test]
fn init_fills_the_directory_that_one_stands_in() {
    let dir = tempfile::tempdir().unwrap();
    let here = |args: &[&str]| Run::of(args).in_dir(dir.path()).finish();
    let _ = here(&["init", ".", "--participant", "east"]).expect(0);
    assert!(dir.path().join("n1/log.redb").exists());
    let _ = here(&["check-config", "n1.toml", "client.toml", "east.toml"]).expect(0);
    for taken in ["n1", "client", "ca"] {
        let refused = here(&["init", "other", "--participant", taken]).expect(2);
        assert!(refused.stderr.contains("the name is taken"), "{refused:#?}");
        assert!(!dir.path().join("other").exists());
    }
    let _ = here(&["init", "deeper/still"]).expect(0);
    let left = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The root's key signs anybody: beside what every node needs it is a problem.
#[test]
fn a_roots_key_beside_the_certificates_is_reported() {
    let cluster = Cluster::init(&lone());
    let certs = cluster.path("c/certs");
    fs::copy(cluster.path("c/authority/ca.key"), certs.join("ca.key")).unwrap();
    let checked = run(&["cert", "check", certs.to_str().unwrap()]).expect(1);
    assert!(checked.stdout.starts_with("bad  ca.crt "), "{checked:#?}");
    assert!(checked.stdout.contains("move it away from the nodes"), "{checked:#?}");
    assert!(checked.stdout.ends_with("1 problem\n"), "{checked:#?}");
}

/// Issues the client's certificate anew, bent to what a test wants to see refused.
fn reissue(cluster: &Cluster, bend: impl Fn(&mut Leaf)) {
    let certs = cluster.path("c/certs");
    let ca = Authority::load(&certs.join("ca.crt"), &cluster.path("c/authority/ca.key")).unwrap();
    let (cert, key) = (certs.join("client.crt"), certs.join("client.key"));
    let name = |text: &str| Name::new(text).unwrap();
    let who = Who::Client { name: name("client"), role: Role::Admin };
    let mut leaf = Leaf::of(&Identity { cluster: name("test"), who }, 90);
    bend(&mut leaf);
    fs::remove_file(&cert).unwrap();
    fs::remove_file(&key).unwrap();
    ca.issue_leaf(&leaf, &cert, &key).unwrap();
}

/// Interfaces §2.1: a cluster outlives its first certificates, and takes in new clients.
#[test]
fn certificates_are_issued_and_renewed_with_the_key_that_init_wrote() {
    let mut cluster = Cluster::init(&lone());
    let certs = cluster.path("c/certs");
    let dir = certs.to_str().unwrap();
    let issued = run(&["cert", "issue", "app", dir, "--role", "read", "-o", "json"]).expect(0);
    assert_eq!(issued.json()["who"], "synod://test/client/app?role=read");
    let door = ["cert", "issue", "n9-door", dir, "--role", "door", "--host", "n9.example"];
    assert!(run(&door).expect(0).stdout.contains("synod://test/client/door?role=admin"));
    let host = ["cert", "issue", "x", dir, "--role", "read", "--host", "n9.example"];
    assert!(run(&host).expect(2).stderr.contains("--host is for a door"));
    let again = run(&["cert", "issue", "app", dir, "--role", "admin"]).expect(2);
    assert!(again.stderr.contains("synod cert renew"), "{}", again.stderr);
    reissue(&cluster, |leaf| leaf.ends_at = leaf.begins_at + 60);
    let ended = run(&["cert", "check", dir]).expect(1);
    assert!(ended.stdout.contains("expired"), "{}", ended.stdout);
    // The key has been moved away, as `init` says it should.
    let safe = cluster.path("ca.key");
    fs::rename(cluster.path("c/authority/ca.key"), &safe).unwrap();
    let lost = run(&["cert", "renew", "client", dir]).expect(2);
    assert!(lost.stderr.contains("--authority-key"), "{}", lost.stderr);
    for name in ["client", "n1"] {
        let safe = safe.to_str().unwrap();
        let _ = run(&["cert", "renew", name, dir, "--authority-key", safe]).expect(0);
    }
    let _ = run(&["cert", "check", dir]).expect(0);
    cluster.start_node("n1");
    cluster.await_leader();
    let config = fs::read_to_string(cluster.config("client")).unwrap();
    let app = cluster.path("c/app.toml");
    fs::write(&app, config.replace("certs/client", "certs/app")).unwrap();
    let app = app.to_str().unwrap();
    let absent = run(&["kv", "get", "k", "-c", app]).expect(1);
    assert!(absent.stderr.contains('k'), "{absent:?}");
    let refused = run(&["kv", "put", "k", "v", "-c", app]).expect(5);
    assert!(refused.stderr.contains("role"), "{}", refused.stderr);
}

/// A certificate is looked at before anything is sent, and `cert check` says the same of it.
#[test]
fn a_certificate_whose_time_is_over_or_that_is_not_there_is_named_with_its_file() {
    let cluster = Cluster::init(&lone());
    let certs = cluster.path("c/certs").display().to_string();
    reissue(&cluster, |leaf| {
        leaf.begins_at -= 200 * 86_400;
        leaf.ends_at -= 93 * 86_400;
    });
    let get = cluster.tool(&["kv", "get", "a"]).expect(5);
    for part in ["client.crt: expired 3 days ago", "SYN-TLS-003, exit 5"] {
        assert!(get.stderr.contains(part), "{part:?}: {get:#?}");
    }
    let checked = run(&["cert", "check", &certs]).expect(1);
    assert!(checked.stdout.contains("client.crt: expired 3 days ago"), "{checked:#?}");
    reissue(&cluster, |leaf| leaf.ends_at -= 85 * 86_400 + 3_600);
    let checked = run(&["cert", "check", &certs]).expect(1);
    assert!(checked.stdout.contains("bad  client.crt   ends in 4 days"), "{checked:#?}");
    fs::remove_file(cluster.path("c/certs/client.crt")).unwrap();
    let get = cluster.tool(&["kv", "get", "a"]).expect(2);
    assert!(get.stderr.contains("client.crt: No such file"), "{get:#?}");
}

/// A request whose answer was lost is settled by whoever asks, once and for all.
#[test]
fn a_lost_request_is_settled_by_another_process_for_good() {
    let mut cluster = Cluster::start(&lone());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config::load(Path::new(&cluster.config("client"))).unwrap();
    let client = runtime.block_on(Client::connect(config)).unwrap();
    runtime.block_on(client.kv().put("a", "1")).unwrap();
    cluster.process("n1").signal("STOP");
    let hasty = client.within(Duration::from_millis(300));
    let lost = runtime.block_on(hasty.kv().put("a", "2")).unwrap_err();
    cluster.process("n1").signal("CONT");
    let Error::Unknown { request } = lost else { panic!("{lost}") };
    let settle = |code| {
        let settled = cluster.tool(&["request", "settle", &request.to_string()]);
        assert_eq!(settled.code, code, "{settled:#?}");
        settled.stdout
    };
    let first = cluster.tool(&["request", "settle", &request.to_string()]);
    assert!(matches!(first.code, 0 | 1), "{first:#?}");
    let value = if first.code == 0 { "2" } else { "1" };
    let told = if first.code == 0 { "was applied: written at revision 2" } else { "never will be" };
    assert!(first.stdout.contains(told), "{first:#?}");
    assert_eq!(settle(first.code), first.stdout, "asked again, it is as it was");
    assert_eq!(cluster.tool(&["kv", "get", "a"]).expect(0).stdout, value);
    let _ = cluster.tool(&["request", "settle", "999-1"]).expect(2);
}

/// `| head` ends a command quietly, with what a shell says of any tool whose reader has left.
#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let mut child = Command::new(synod())
        .args(["completions", "bash"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), &b""[..]));
}

/// Each shell's script knows every verb.
#[test]
fn completions_know_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).expect(0).stdout;
        for verb in ["check-config", "settle", "multi", "watch", "replay"] {
            assert!(script.contains(verb), "{shell}: no {verb}");
        }
        assert!(!script.contains("demo-owner"), "{shell}: a hidden verb is offered");
    }
}

/// Every node serves its health on loopback by default.
#[test]
fn a_node_tells_how_it_is_on_loopback() {
    let mut cluster = Cluster::init(&lone());
    let line = cluster.start_node("n1");
    cluster.await_leader();
    let address = line.rsplit("http://").next().unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    let page = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(page("/livez").ends_with("\r\n\r\nalive\n"));
    let ready = page("/readyz?verbose");
    for check in
        ["quorum", "local_read", "linearizable_read", "state_hash", "disk_free", "certificate"]
    {
        assert!(ready.contains(&format!("[+] {check} ok\n")), "{ready}");
    }
    assert!(ready.ends_with("ready\n"), "{ready}");
    let metrics = page("/metrics");
    assert!(metrics.contains("\nsynod_is_leader 1\n") && metrics.ends_with("# EOF\n"), "{metrics}");
}
