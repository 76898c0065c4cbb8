//! Bad input gets a clear error (what, where, whose fault, what to do), nothing half done, and the
//! next honest request is served. Real processes, real files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::UdpSocket, os::unix::fs::PermissionsExt, path::Path};

use synod_client::net::{Authority, Leaf};
use synod_integration::{Cluster, Finished, Options, Process, run};

fn lone() -> Options {
    Options { nodes: 1, ..Options::default() }
}

/// Rewrites one file of a cluster that does not run.
fn edit(cluster: &Cluster, name: &str, change: impl Fn(String) -> String) {
    let path = cluster.path(&format!("c/{name}"));
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed, "the edit of {name} changed nothing");
    fs::write(&path, changed).unwrap();
}

/// Tries to start a node that must refuse.
fn refused(cluster: &Cluster, node: &str, code: i32) -> Finished {
    run(&["start", "-c", &cluster.config(node)]).expect(code)
}

fn says(finished: &Finished, words: &[&str]) {
    for word in words {
        assert!(finished.stderr.contains(word), "does not say {word:?}: {finished:#?}");
    }
    assert!(!finished.stderr.contains("panicked"), "{finished:#?}");
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_nearest_known_one() {
    let cluster = Cluster::init(&lone());
    edit(&cluster, "n1.toml", |text| text.replace("listen = ", "lisen = "));
    let finished = refused(&cluster, "n1", 2);
    says(&finished, &["lisen", "listen", "line", "n1.toml"]);
}

#[test]
fn two_nodes_with_one_id_are_refused_before_anything_runs() {
    let cluster = Cluster::init(&Options::default());
    edit(&cluster, "n1.toml", |text| text.replace("id = 3", "id = 2"));
    says(&refused(&cluster, "n1", 2), &["2", "id"]);
    let checked = run(&["check-config", &cluster.config("n1")]);
    assert_ne!(checked.code, 0, "{checked:#?}");
}

#[test]
fn a_taken_port_is_said_to_be_taken() {
    let cluster = Cluster::init(&lone());
    let squatter = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = squatter.local_addr().unwrap().to_string();
    edit(&cluster, "n1.toml", |text| {
        let start = text.find("listen = \"").unwrap() + 10;
        let end = start + text[start..].find('"').unwrap();
        text[..start].to_owned() + &port + &text[end..]
    });
    says(&refused(&cluster, "n1", 2), &["port", &port]);
}

#[test]
fn the_directory_of_another_node_is_refused_with_both_names() {
    let cluster = Cluster::init(&Options::default());
    edit(&cluster, "n1.toml", |text| text.replace("data = \"n1\"", "data = \"n2\""));
    says(&refused(&cluster, "n1", 5), &["belongs to"]);
}

#[test]
fn the_directory_of_another_cluster_is_refused() {
    let (ours, theirs) = (Cluster::init(&lone()), Cluster::init(&lone()));
    let foreign = theirs.path("c/n1").display().to_string();
    edit(&ours, "n1.toml", |text| text.replace("data = \"n1\"", &format!("data = {foreign:?}")));
    says(&refused(&ours, "n1", 5), &["belongs to"]);
}

#[test]
fn a_directory_in_use_is_refused_and_its_user_is_not_disturbed() {
    let mut cluster = Cluster::init(&lone());
    cluster.start_node("n1");
    edit(&cluster, "n1.toml", |text| {
        let start = text.find("listen = \"").unwrap() + 10;
        let end = start + text[start..].find('"').unwrap();
        text[..start].to_owned() + "127.0.0.1:0" + &text[end..]
    });
    says(&refused(&cluster, "n1", 2), &["in use"]);
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
}

#[test]
fn a_lost_store_is_refused_and_never_formatted_again_in_silence() {
    let cluster = Cluster::init(&lone());
    fs::remove_dir_all(cluster.path("c/n1")).unwrap();
    says(&refused(&cluster, "n1", 2), &["no store", "replaced"]);
    assert!(!cluster.path("c/n1").join("log.redb").exists());
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Nothing in an older copy of all of a node's files contradicts anything else in it. The others
/// were told of what it lacks, so the node ends before it takes any part, and is not started on it
/// again; they go on without it, and with the newest files in their place it is a node again. So it
/// is with one that is the first to call the others, and with one that waits for their calls.
#[test]
fn an_older_copy_of_all_files_of_a_node_is_named_and_takes_no_part() {
    for node in ["n1", "n3"] {
        an_older_copy_is_named(node);
    }
}

fn an_older_copy_is_named(node: &str) {
    let mut cluster = Cluster::start(&Options::default());
    let put = |cluster: &Cluster, value: &str| {
        let _ = cluster.tool(&["kv", "put", "a", value]).expect(0);
        cluster.eventually("it has what the others have", || {
            let status = cluster.tool(&["status", "-o", "json"]);
            let nodes =
                if status.code == 0 { status.json()["nodes"].take() } else { return false };
            let mut nodes = nodes.as_array().unwrap().iter();
            nodes.find(|it| it["node"] == node).unwrap()["lag_slots"] == 0
        });
    };
    put(&cluster, "1");
    cluster.kill(node);
    let [own, older, newest] =
        [&format!("c/{node}"), "older", "newest"].map(|name| cluster.path(name));
    copy_files(&own, &older);
    cluster.start_node(node);
    for value in ["2", "3", "4"] {
        put(&cluster, value);
    }
    cluster.kill(node);
    fs::rename(&own, &newest).unwrap();
    copy_files(&older, &own);
    let args = ["start", "-c", &cluster.config(node), "--until-stdin-closes"];
    let log = cluster.path("older.log");
    assert_eq!(Process::start(&args, &log).ended(), Some(74));
    let said = fs::read_to_string(log).unwrap();
    assert!(said.contains("older than this node") && said.contains("SYN-NODE-001"), "{said}");
    says(&refused(&cluster, node, 74), &["older than its node", "SYN-NODE-001"]);
    let _ = cluster.tool(&["kv", "put", "a", "5"]).expect(0);
    fs::remove_dir_all(&own).unwrap();
    fs::rename(&newest, &own).unwrap();
    cluster.start_node(node);
    put(&cluster, "6");
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_chmod_to_type() {
    let cluster = Cluster::init(&lone());
    let key = cluster.path("c/certs/n1.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    says(&refused(&cluster, "n1", 5), &["chmod 600", "n1.key"]);
    let checked = run(&["cert", "check", cluster.path("c/certs").to_str().unwrap()]).expect(1);
    assert!(checked.stdout.contains("bad  n1.crt"), "{checked:#?}");
}

#[test]
fn another_nodes_certificate_and_a_clients_are_refused_as_ours() {
    let cluster = Cluster::init(&Options::default());
    edit(&cluster, "n1.toml", |text| text.replace("certs/n1.", "certs/n2."));
    says(&refused(&cluster, "n1", 5), &["n2"]);
    edit(&cluster, "n1.toml", |text| text.replace("certs/n2.", "certs/client."));
    says(&refused(&cluster, "n1", 5), &["client"]);
}

#[test]
fn a_client_of_another_cluster_is_refused_with_exit_5() {
    let mut ours = Cluster::init(&lone());
    ours.start_node("n1");
    let theirs = Cluster::init(&lone());
    let certs = theirs.path("c/certs").display().to_string();
    edit(&ours, "client.toml", |text| text.replace("\"certs/", &format!("\"{certs}/")));
    let finished = ours.tool(&["kv", "put", "a", "1", "--timeout", "3s"]).expect(5);
    says(&finished, &["n1"]);
}

#[test]
fn init_refuses_to_overwrite_and_changes_nothing() {
    let cluster = Cluster::init(&lone());
    let place = cluster.path("c").display().to_string();
    let before = fs::read_to_string(cluster.path("c/n1.toml")).unwrap();
    says(&run(&["init", &place, "--nodes", "3"]).expect(2), &["not an empty directory"]);
    assert_eq!(before, fs::read_to_string(cluster.path("c/n1.toml")).unwrap());
    says(&run(&["init", cluster.path("d").to_str().unwrap(), "--nodes", "4"]).expect(2), &["4"]);
    assert!(!cluster.path("d").exists());
}

#[test]
fn keys_and_values_beyond_their_limits_are_refused_and_nothing_is_written() {
    let mut cluster = Cluster::init(&lone());
    cluster.start_node("n1");
    let long = "k".repeat(4 * 1024 + 1);
    for args in [["kv", "put", &long, "v"], ["kv", "put", "", "v"]] {
        let finished = cluster.tool(&args);
        assert_eq!(finished.code, 2, "{finished:#?}");
        says(&finished, &["key"]);
    }
    let _ = cluster.tool(&["kv", "put", &"k".repeat(4 * 1024), "v"]).expect(0);
    let _ = cluster.tool(&["kv", "get", &long]).expect(2);
    let listed = cluster.tool(&["kv", "ls", "-o", "json"]).expect(0).json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn without_a_quorum_requests_are_refused_by_the_deadline_and_served_again_when_it_is_back() {
    let mut cluster = Cluster::start(&Options::default());
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
    cluster.kill("n2");
    cluster.kill("n3");
    let finished = cluster.tool(&["kv", "put", "a", "2", "--timeout", "2s"]);
    assert!(matches!(finished.code, 3 | 4), "not applied or unknown, said so: {finished:#?}");
    says(&finished, &["error: "]);
    let read = cluster.tool(&["kv", "get", "a", "--timeout", "2s"]).expect(3);
    says(&read, &["error: "]);
    cluster.start_node("n2");
    cluster.eventually("a put is served again", || {
        cluster.tool(&["kv", "put", "a", "3", "--timeout", "2s"]).code == 0
    });
    assert_eq!(cluster.tool(&["kv", "get", "a"]).expect(0).stdout, "3");
}

#[test]
fn random_bytes_on_the_port_disturb_nobody() {
    let mut cluster = Cluster::init(&lone());
    let line = cluster.start_node("n1");
    let address = line.split("listens on ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut chance = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let bytes: Vec<u8> = (0..chance.usize(1..1_400)).map(|_| chance.u8(..)).collect();
        socket.send_to(&bytes, &address).unwrap();
    }
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
    assert!(!cluster.said("n1").contains("panicked"), "{}", cluster.said("n1"));
}

/// Bits of a stopped node's store are flipped one place at a time: the node names the damage and
/// refuses, or it serves what was written. It never serves anything else and never panics.
#[test]
fn a_bit_flipped_at_rest_is_named_or_harmless_but_never_served() {
    let mut cluster = Cluster::init(&lone());
    cluster.start_node("n1");
    for i in 0..20 {
        let _ = cluster.tool(&["kv", "put", &format!("k{i}"), &format!("value-{i}")]).expect(0);
    }
    cluster.kill("n1");
    // The newest facts stand in the write-ahead log alone, older ones in both: what rots is flipped
    // wherever it stands.
    let files = ["log.redb", "wal"].map(|name| cluster.path(&format!("c/n1/{name}")));
    let whole = files.each_ref().map(|path| fs::read(path).unwrap());
    let mut chance = fastrand::Rng::with_seed(11);
    let mut noticed = 0;
    for round in 0..12 {
        let mut rotten = whole.clone();
        let bit = 1 << chance.u8(0..8);
        if round % 2 == 0 {
            // Half of the flips hit a value that was written, so that some surely matter.
            let needle = format!("value-{}", chance.u32(0..20)).into_bytes();
            for bytes in &mut rotten {
                for place in 0..bytes.len() - needle.len() {
                    if bytes[place..].starts_with(&needle) {
                        bytes[place] ^= bit;
                    }
                }
            }
        } else {
            let file = chance.usize(..rotten.len());
            let place = chance.usize(..rotten[file].len());
            rotten[file][place] ^= bit;
        }
        for (path, bytes) in files.iter().zip(&rotten) {
            fs::write(path, bytes).unwrap();
        }
        noticed += usize::from(!serves_the_truth(&mut cluster));
        assert!(!cluster.said("n1").contains("panicked"), "{}", cluster.said("n1"));
    }
    assert!(noticed > 0, "no flip was ever noticed: was anything read?");
}

/// Whether the node starts and serves all that was written; `false` when it refuses, saying why.
fn serves_the_truth(cluster: &mut Cluster) -> bool {
    let config = cluster.config("n1");
    let log = cluster.path("n1.log");
    let mut process = Process::start(&["start", "-c", &config], &log);
    if process.line().is_none() {
        assert_ne!(process.ended(), Some(0));
        let said = cluster.said("n1");
        assert!(said.contains("damaged") || said.contains("SYN-"), "{said}");
        return false;
    }
    for i in 0..20 {
        let got = cluster.tool(&["kv", "get", &format!("k{i}"), "--timeout", "2s"]);
        match got.code {
            0 => assert_eq!(got.stdout, format!("value-{i}")),
            // A lone node that has lost a chosen record cannot serve: nobody can repair it.
            3 => return false,
            _ => panic!("neither the truth nor a refusal: {got:#?}"),
        }
    }
    process.kill();
    true
}

#[test]
fn a_truncated_store_is_named_and_refused_or_made_whole_but_never_served() {
    let mut cluster = Cluster::init(&lone());
    cluster.start_node("n1");
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
    cluster.kill("n1");
    let (store, config) = (cluster.path("c/n1/log.redb"), cluster.config("n1"));
    let whole = fs::read(&store).unwrap();
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&store, &whole[..length]).unwrap();
        let mut process = Process::start(&["start", "-c", &config], &cluster.path("n1.log"));
        if process.line().is_some() {
            // What was cut off stood in the journal too, and was put back from there.
            assert_eq!(cluster.tool(&["kv", "get", "a"]).expect(0).stdout, "1");
            process.kill();
        } else {
            assert_ne!(process.ended(), Some(0));
            let said = cluster.said("n1");
            let word = if length == 0 { "no store" } else { "damaged" };
            assert!(said.contains(word), "{length} bytes: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    }
}

/// Rewrites a node's certificate and key, honest but for one thing.
fn reissue(cluster: &Cluster, leaf: &str, identity: &str, bend: impl FnOnce(&mut Leaf)) {
    let file = |name: &str| cluster.path(&format!("c/{name}"));
    let authority = Authority::load(&file("certs/ca.crt"), &file("authority/ca.key")).unwrap();
    let mut made = Leaf::of(&identity.parse().unwrap(), 1);
    bend(&mut made);
    let (cert, key) = (file(&format!("certs/{leaf}.crt")), file(&format!("certs/{leaf}.key")));
    for old in [&cert, &key] {
        fs::remove_file(old).unwrap();
    }
    authority.issue_leaf(&made, &cert, &key).unwrap();
}

/// Security §8, certificates: a node does not start with one that nobody would accept.
#[test]
fn a_node_does_not_start_with_a_certificate_that_is_out_of_time_or_names_nobody() {
    const DAY: i64 = 86_400;
    let own = "synod://test/node/n1";
    let shift = |leaf: &mut Leaf, days: i64| {
        leaf.begins_at += days * DAY;
        leaf.ends_at += days * DAY;
    };
    let named = |uris: &[&str]| uris.iter().map(|uri| (*uri).to_owned()).collect::<Vec<_>>();
    let bent = [
        (-9, named(&[own]), "expired"),
        (9, named(&[own]), "not valid"),
        (0, named(&[]), "names nobody"),
        (0, named(&[own, own]), "2 URI names"),
        (0, named(&["https://test/node/n1"]), "scheme"),
        (0, named(&["synod://test/client/x?role=king"]), "unknown role"),
        (0, named(&["synod://other/node/n1"]), "other"),
    ];
    let mut cluster = Cluster::init(&lone());
    for (days, uris, word) in bent {
        reissue(&cluster, "n1", own, |leaf| {
            shift(leaf, days);
            leaf.uris = uris;
        });
        says(&refused(&cluster, "n1", 5), &[word, "n1.crt"]);
    }
    reissue(&cluster, "n1", own, |_| {});
    cluster.start_node("n1");
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
}

/// Security §8, key files: none of these holds the start up, and each is named.
#[test]
fn a_key_file_that_is_missing_empty_a_directory_or_a_pipe_is_refused_at_once() {
    let cluster = Cluster::init(&lone());
    let key = cluster.path("c/certs/n1.key");
    let honest = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    says(&refused(&cluster, "n1", 2), &["n1.key"]);
    fs::create_dir(&key).unwrap();
    says(&refused(&cluster, "n1", 2), &["n1.key", "regular file"]);
    fs::remove_dir(&key).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&key).status().unwrap().success());
    says(&refused(&cluster, "n1", 2), &["n1.key", "regular file"]);
    fs::remove_file(&key).unwrap();
    let write = |bytes: &[u8]| {
        fs::write(&key, bytes).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(b"");
    says(&refused(&cluster, "n1", 2), &["n1.key", "empty"]);
    // Another node's key under this node's certificate.
    reissue(&cluster, "n1", "synod://test/node/n1", |_| {});
    write(&honest);
    says(&refused(&cluster, "n1", 5), &["n1.key", "is not the key of"]);
}

/// Security §8, files: whatever stands in the place of the configuration, it is named.
#[test]
fn a_configuration_that_is_none_is_named() {
    let cluster = Cluster::init(&lone());
    let path = cluster.path("c/n1.toml");
    let honest = fs::read(&path).unwrap();
    let text = String::from_utf8(honest.clone()).unwrap();
    let files = [
        ([b"\xef\xbb\xbf", &honest[..]].concat(), "byte order mark"),
        (vec![b'#'; 2 << 20], "1048576"),
        (b"\x7fELF\x02\x01\x01\0\0\0".to_vec(), "not plain UTF-8 text"),
        (text.replace("id = 1\n", "id = \"one\"\n").into_bytes(), "line"),
        (text.replacen("id = 1\n", "id = 9\n", 1).into_bytes(), "no [[peer]] has this id"),
        (Vec::new(), "cluster"),
    ];
    for (bytes, word) in files {
        assert!(bytes != honest, "the edit for {word:?} changed nothing");
        fs::write(&path, bytes).unwrap();
        says(&refused(&cluster, "n1", 2), &["n1.toml", word]);
    }
    assert!(!cluster.path("c/n1/wal").exists() || cluster.path("c/n1/log.redb").exists());
}

/// What strangers leave behind is not kept: neither descriptors nor the next honest request.
#[test]
#[cfg(target_os = "linux")]
fn strangers_leave_no_descriptors_behind() {
    use std::{io::Write, net::TcpStream};

    let mut cluster = Cluster::init(&lone());
    let line = cluster.start_node("n1");
    let page = line.rsplit("http://").next().unwrap().split('/').next().unwrap().to_owned();
    let port = line.split("listens on ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let held = format!("/proc/{}/fd", cluster.process("n1").id());
    let count = || fs::read_dir(&held).unwrap().count();
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
    let before = count();
    let noise = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..200_u8 {
        let mut stranger = TcpStream::connect(&page).unwrap();
        // One that is cut off early may not take all of it.
        let _ = stranger.write_all(&[number; 100]);
        noise.send_to(&[number; 1_200], &port).unwrap();
    }
    cluster.eventually("all of them are let go", || count() <= before);
    let _ = cluster.tool(&["kv", "get", "a"]).expect(0);
    assert!(!cluster.said("n1").contains("panicked"), "{}", cluster.said("n1"));
}
