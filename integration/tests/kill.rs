//! `kill -9` of real nodes: what was acknowledged stays, what was asked once happens once, and the
//! rest carries on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use synod_integration::{Cluster, Options};

#[test]
fn acknowledged_writes_survive_the_leader() {
    let mut cluster = Cluster::start(&Options::default());
    for round in 0..3 {
        let key = format!("round-{round}");
        let _ = cluster.tool(&["kv", "put", &key, "written"]).expect(0);
        let leader = cluster.await_leader();
        cluster.kill(&leader);
        for earlier in 0..=round {
            let got = cluster.tool(&["kv", "get", &format!("round-{earlier}"), "--timeout", "30s"]);
            assert_eq!(got.expect(0).stdout, "written");
        }
        cluster.start_node(&leader);
    }
}

#[test]
fn everything_survives_the_death_of_all_nodes_at_once() {
    let mut cluster = Cluster::start(&Options::default());
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
    let cas = cluster.tool(&["kv", "cas", "a", "1", "2"]).expect(0);
    drop(cas);
    for name in ["n1", "n2", "n3"] {
        cluster.kill(name);
    }
    for name in ["n1", "n2", "n3"] {
        cluster.start_node(name);
    }
    let got = cluster.tool(&["kv", "get", "a", "--timeout", "30s"]).expect(0);
    assert_eq!(got.stdout, "2");
}

/// A node that was away learns what it missed and then counts towards the quorum again.
#[test]
fn a_node_that_was_away_catches_up_and_carries_the_cluster() {
    let mut cluster = Cluster::start(&Options::default());
    let leader = cluster.await_leader();
    let away = ["n1", "n2", "n3"].into_iter().find(|name| *name != leader).unwrap();
    cluster.kill(away);
    for i in 0..50 {
        let _ = cluster.tool(&["kv", "put", &format!("k{i:02}"), "v"]).expect(0);
    }
    cluster.start_node(away);
    let other = ["n1", "n2", "n3"].into_iter().find(|n| *n != leader && *n != away).unwrap();
    cluster.kill(other);
    let _ = cluster.tool(&["kv", "put", "last", "v", "--timeout", "30s"]).expect(0);
    cluster.kill(&leader);
    cluster.start_node(other);
    let listed = cluster.tool(&["kv", "ls", "-o", "json", "--timeout", "30s"]).expect(0).json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 51);
}

#[test]
fn a_node_that_is_told_to_end_ends_well_and_the_others_go_on_at_once() {
    let mut cluster = Cluster::start(&Options::default());
    let leader = cluster.await_leader();
    cluster.process(&leader).signal("TERM");
    assert_eq!(cluster.process(&leader).ended(), Some(0), "{}", cluster.said(&leader));
    let _ = cluster.tool(&["kv", "put", "a", "1", "--timeout", "30s"]).expect(0);
}

/// Whoever asks for it says which node leads next, before it stops one, and no request of a client
/// fails for that. For a node that is dead, stands still, or that the cluster does not have nothing
/// happens: the one that leads goes on at the same ballot.
#[test]
fn the_lead_is_moved_to_the_node_that_is_named() {
    let mut cluster = Cluster::start(&Options::default());
    let mut leader = cluster.await_leader();
    let moves = |cluster: &Cluster, to: &str, code| {
        cluster.tool(&["leader", "move", to, "--timeout", "20s", "-o", "json"]).expect(code)
    };
    for round in 0..2 {
        for to in ["n1", "n2", "n3"] {
            let told = moves(&cluster, to, 0).json();
            assert_eq!((&told["schema"], &told["node"]), (&"synod.leader/1".into(), &to.into()));
            let value = format!("{round} under {to}");
            let _ = cluster.tool(&["kv", "put", "a", &value]).expect(0);
            assert_eq!(cluster.tool(&["kv", "get", "a"]).expect(0).stdout, value);
            leader = cluster.await_leader();
            assert_eq!(leader, to);
        }
    }
    let nobody = moves(&cluster, "n9", 2);
    assert!(nobody.stderr.contains("no node of that name"), "{nobody:?}");
    let shown = |cluster: &Cluster| {
        let told = cluster.tool(&["leader", "show", "-o", "json"]).expect(0).json();
        (told["node"].clone(), told["ballot"].clone())
    };
    let before = shown(&cluster);
    assert_eq!(before.0, leader.as_str());
    cluster.kill("n1");
    let dead = moves(&cluster, "n1", 3);
    assert!(dead.stderr.contains("cannot lead: it does not answer"), "{dead:?}");
    assert_eq!(shown(&cluster), before);
    cluster.start_node("n1");
    // It counts again when it is there to be handed the lead.
    cluster.eventually("n1 leads", || {
        cluster.tool(&["leader", "move", "n1", "--timeout", "20s"]).code == 0
    });
    let before = shown(&cluster);
    cluster.process("n2").signal("STOP");
    let paused = moves(&cluster, "n2", 3);
    cluster.process("n2").signal("CONT");
    assert!(paused.stderr.contains("cannot lead: it does not answer"), "{paused:?}");
    assert_eq!(shown(&cluster), before);
}

#[test]
fn five_nodes_carry_on_without_two() {
    let mut cluster = Cluster::start(&Options { nodes: 5, ..Options::default() });
    let _ = cluster.tool(&["kv", "put", "a", "1"]).expect(0);
    let leader = cluster.await_leader();
    let other = ["n1", "n2"].into_iter().find(|name| *name != leader).unwrap();
    cluster.kill(&leader);
    cluster.kill(other);
    let _ = cluster.tool(&["kv", "cas", "a", "1", "2", "--timeout", "30s"]).expect(0);
    assert_eq!(cluster.tool(&["kv", "get", "a"]).expect(0).stdout, "2");
}
