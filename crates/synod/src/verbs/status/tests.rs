use synod_client::{
    Why,
    machine::{
        Revision,
        door::{PeerStatus, Spent},
    },
};

use super::*;
use crate::signs::{ASCII, RICH};

fn status(node: &str, role: &str) -> NodeStatus {
    let others = ["n1", "n2", "n3"].into_iter().filter(|other| *other != node);
    NodeStatus {
        cluster: "catalog-eu".to_owned(),
        node: node.to_owned(),
        role: role.to_owned(),
        leader: Some("n2".to_owned()),
        ballot: "17.n2".to_owned(),
        chosen_slot: 48_211_903,
        applied_slot: 48_211_903,
        snapshot_slot: 48_200_000,
        trimmed_slot: 48_150_000,
        catching_up: None,
        revision: Revision::new(1_204),
        state_hashes: Vec::new(),
        hashes_agreed: 7,
        hashes_differed: 0,
        leading_for_us: if role == "leader" { 273_600_000_000 } else { 0 },
        takeover_us: 212_000,
        phase_1_us: 0,
        sync_us: (900, 1_100),
        store_bytes: 1_288_490_189,
        disk_full: false,
        sessions: 3,
        txns_unacked: 0,
        requests_in_flight: 1,
        certificate_ends_in_s: 83 * DAY_S + 5,
        peers: others
            .map(|node| PeerStatus {
                node: node.to_owned(),
                heard: true,
                rtt_us: Some(440),
                chosen_slot: 48_211_903,
            })
            .collect(),
        spent: Spent::default(),
        version: "1.0.2".to_owned(),
    }
}

fn silent() -> Result<NodeStatus, Error> {
    Err(Error::NotApplied { why: Why::NoAnswer })
}

fn heard(n1: Result<NodeStatus, Error>, n2: NodeStatus) -> Heard {
    let n3 = status("n3", "follower");
    [("n1", n1), ("n2", Ok(n2)), ("n3", Ok(n3))].map(|(name, said)| (name.to_owned(), said)).into()
}

/// Interfaces §2.4: the verdict first, one screen, a sign beside every colour.
#[test]
fn one_screen_tells_the_verdict_and_what_it_rests_on() {
    let mut n1 = status("n1", "follower");
    (n1.applied_slot, n1.sync_us.1, n1.certificate_ends_in_s) = (48_200_000, 61_000, 6 * DAY_S);
    let report = report(&heard(Ok(n1), status("n2", "leader")));
    let text = text::of(&report, RICH);
    let expected = "\
catalog-eu   HEALTHY   3 of 3 nodes, quorum 2: can lose 1 more   states agree (21 compared)
leader       n2 for 3 d 04 h, ballot 17.n2   took over in 212 ms
log          chosen 48 211 903   applied 48 211 903   snapshot 48 200 000   \
trimmed 48 150 000   revision 1 204
requests     3 in flight   3 sessions   0 commits not acknowledged by all

NODE      ROLE           RTT      APPLIED     LAG  SYNC p50       p99      DISK   CERT  VERSION
n1        follower   0.44 ms   48 200 000  11 903   0.90 ms     61 ms   1.2 GiB    6 d  1.0.2
n2 ★      leader           –   48 211 903       0   0.90 ms    1.1 ms   1.2 GiB   83 d  1.0.2
n3        follower   0.44 ms   48 211 903       0   0.90 ms    1.1 ms   1.2 GiB   83 d  1.0.2

▲ n1  its certificate ends in 6 days   synod cert renew NAME DIR, then start it again
▲ n1  its slowest syncs take 61 ms   what else uses this disk?
▲ n1  it is 11 903 slots behind   it catches up by itself while a quorum is up
";
    assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    let plain = anstream::adapter::strip_str(&text::of(&report, ASCII)).to_string();
    let as_ascii = expected.replace('★', "*").replace('▲', "!").replace('–', "-");
    assert_eq!(plain, as_ascii);
    assert!(plain.is_ascii());
}

/// A node that refuses because it cannot write says so, and that nothing else is to be done.
#[test]
fn a_node_whose_disk_is_full_says_so() {
    let mut n1 = status("n1", "follower");
    n1.disk_full = true;
    let report = report(&heard(Ok(n1), status("n2", "leader")));
    let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
    assert_eq!((&*warning.node, &*warning.what), ("n1", "its disk is full"));
}

/// Each verdict has its own rule; the exit code follows from it.
#[test]
fn the_verdict_says_what_is_wrong_most() {
    let verdict = |heard: Heard| report(&heard).verdict;
    let (leader, follower) = (status("n2", "leader"), status("n2", "follower"));
    assert_eq!(verdict(heard(silent(), leader.clone())), Verdict::Degraded);
    assert_eq!(verdict(heard(Ok(status("n1", "follower")), follower)), Verdict::NoLeader);
    let alone = [("n1", silent()), ("n2", silent()), ("n3", Ok(status("n3", "follower")))];
    let alone = alone.map(|(name, said)| (name.to_owned(), said));
    assert_eq!(verdict(alone.into()), Verdict::NoQuorum);
    let mut apart = leader;
    apart.hashes_differed = 1;
    assert_eq!(verdict(heard(Ok(status("n1", "follower")), apart)), Verdict::Diverged);
}

/// A leader that has not heard of its successor does not count: the younger reign does.
#[test]
fn of_two_that_say_that_they_lead_the_successor_does() {
    let mut n1 = status("n1", "leader");
    n1.leading_for_us = 5_000;
    let report = report(&heard(Ok(n1), status("n2", "leader")));
    assert_eq!(report.leader.map(|leader| leader.node), Some("n1".to_owned()));
}

/// A node that is down says why, with what to do.
#[test]
fn a_node_that_is_down_says_why() {
    let report = report(&heard(silent(), status("n2", "leader")));
    let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
    assert_eq!(warning.what, "is down: no answer came before the deadline");
    assert_eq!((report.can_lose, report.nodes[0].up), (0, false));
}
