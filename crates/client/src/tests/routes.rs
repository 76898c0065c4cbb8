//! Reaching nodes, and finding out who leads.

use std::time::Duration;

use synod_machine::door::{Call, NotApplied, Said, Unfit};

use crate::{
    Error, Why,
    stage::{Kind, NODES, Stage, Twist, WITHIN},
};

#[tokio::test(start_paused = true)]
async fn one_reachable_node_is_enough_to_connect() {
    let stage = Stage::new();
    stage.kill("n1");
    stage.refuse_identity("n2");
    stage.client().await;
}

/// The list that the command line prints: name, address, reason, of every node.
#[tokio::test(start_paused = true)]
async fn who_reaches_no_node_is_told_of_each_why() {
    let stage = Stage::new();
    for node in NODES {
        stage.kill(node);
    }
    let began = tokio::time::Instant::now();
    let Err(Error::Connect(why)) = stage.try_client().await else { panic!("it connected") };
    assert!(began.elapsed() >= WITHIN, "it kept trying");
    assert!(!why.is_identity());
    let lines: Vec<_> = why.nodes().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        ["n1  n1:1  nobody there", "n2  n2:1  nobody there", "n3  n3:1  nobody there"]
    );
}

/// A dead machine says nothing at all, and must not hold back what the living say.
#[tokio::test(start_paused = true)]
async fn a_silent_node_is_not_waited_for_once_a_quorum_has_answered() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.silence("n2");
    let began = tokio::time::Instant::now();
    let heard = client.status_all().await;
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    let up: Vec<_> = heard.iter().map(|(name, said)| (name.as_str(), said.is_ok())).collect();
    assert_eq!(up, [("n1", true), ("n2", false), ("n3", true)]);
    let Err(Error::Connect(why)) = &heard[1].1 else { panic!("{:?}", heard[1].1) };
    let lines: Vec<_> = why.nodes().map(ToString::to_string).collect();
    assert_eq!(lines, ["n2  n2:1  no answer in time"]);
}

/// Without a quorum there is nothing better to do than to wait for it.
#[tokio::test(start_paused = true)]
async fn a_survey_without_a_quorum_waits_for_every_node_until_its_deadline() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.silence("n1");
    stage.silence("n2");
    let within = Duration::from_millis(2_000);
    let began = tokio::time::Instant::now();
    let heard = client.within(within).status_all().await;
    assert!(began.elapsed() >= within, "{:?}", began.elapsed());
    let up: Vec<_> = heard.iter().map(|(_, said)| said.is_ok()).collect();
    assert_eq!(up, [false, false, true]);
}

/// A certificate does not get better by waiting.
#[tokio::test(start_paused = true)]
async fn an_identity_that_every_node_refuses_is_told_at_once() {
    let stage = Stage::new();
    for node in NODES {
        stage.refuse_identity(node);
    }
    let began = tokio::time::Instant::now();
    let Err(Error::Connect(why)) = stage.try_client().await else { panic!("it connected") };
    assert!(why.is_identity());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(why.to_string(), "no node of stage accepted this client");
}

/// Which nodes cannot be reached is known, and nothing was sent.
#[tokio::test(start_paused = true)]
async fn a_call_without_any_node_says_why_each_was_not_reached() {
    let stage = Stage::new();
    let client = stage.client().await;
    for node in NODES {
        stage.kill(node);
    }
    let error = client.kv().put("a", "1").await.unwrap_err();
    assert!(matches!(&error, Error::Connect(why) if why.nodes().count() == 3), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_back_is_connected_to_again() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    for _ in 0..3 {
        for node in NODES {
            stage.kill(node);
        }
        let put = tokio::spawn({
            let kv = client.kv();
            async move { kv.put("a", "2").await }
        });
        tokio::time::sleep(Duration::from_secs(2)).await;
        for node in NODES {
            stage.start(node);
        }
        put.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn every_node_is_asked_for_its_status_and_the_dead_one_says_why_not() {
    let stage = Stage::new();
    let client = stage.client().await;
    stage.kill("n2");
    let heard = client.status_all().await;
    let names: Vec<_> = heard.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, NODES);
    assert!(heard[0].1.is_ok() && heard[2].1.is_ok());
    let error = heard[1].1.as_ref().unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error}");
    assert!(matches!(client.status("n9").await, Err(Error::Misuse(_))));
}

/// A hung process costs its own answer and nobody else's.
#[tokio::test(start_paused = true)]
async fn a_silent_node_does_not_keep_the_leader_from_being_found() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.lead(Some("n3"));
    stage.kill("n1");
    // The next looks at two of the nodes get no answer; the third is the leader by then.
    stage.next(Kind::Status, Twist::Silence);
    let began = tokio::time::Instant::now();
    client.kv().put("a", "2").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// Three round trips go by before a node is heard that was not connected, and a fourth until it
/// has said that it leads. (Whoever was farther than 125 ms away hung up on every leader.)
#[tokio::test(start_paused = true)]
async fn a_leader_on_the_other_side_of_the_world_is_found() {
    for far_ms in [150, 300, 400] {
        let stage = Stage::new();
        stage.move_away(Duration::from_millis(far_ms));
        stage.kill("n2");
        let client = stage.client().await;
        stage.start("n2");
        stage.lead(Some("n2"));
        client.kv().put("a", "1").await.unwrap();
    }
}

/// An election takes a few hundred milliseconds: whoever looked less often the longer it takes
/// would find the next leader late.
#[tokio::test(start_paused = true)]
async fn a_leader_is_found_as_soon_after_a_long_election_as_after_a_short_one() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    for next in NODES.into_iter().cycle().skip(1).take(12) {
        stage.lead(None);
        let put = tokio::spawn({
            let kv = client.kv();
            async move { kv.put("a", "2").await }
        });
        tokio::time::sleep(Duration::from_millis(400)).await;
        stage.lead(Some(next));
        let began = tokio::time::Instant::now();
        put.await.unwrap().unwrap();
        // A pause at most, and the step of a clock.
        assert!(began.elapsed() <= Duration::from_millis(32), "{:?}", began.elapsed());
    }
}

/// A leader that hands over tells its clients and its successor at once, and a client may be
/// faster: the successor still points back. It is asked again in a moment, and the predecessor is
/// not.
#[tokio::test(start_paused = true)]
async fn a_successor_that_has_yet_to_hear_of_it_is_asked_again_at_once() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    for (old, next) in [("n1", "n2"), ("n2", "n3"), ("n3", "n1")] {
        // Beyond this no word is on its way any more.
        tokio::time::sleep(Duration::from_secs(1)).await;
        stage.lead(Some(next));
        let points_at = |leader: &str| Twist::say(Said::NotLeader { leader: Some(leader.into()) });
        stage.next(Kind::Submit, points_at(next));
        for _ in 0..3 {
            stage.next(Kind::Submit, points_at(old));
        }
        let began = tokio::time::Instant::now();
        client.kv().put("a", "2").await.unwrap();
        // 1 and 2 ms, and the step of a clock for each.
        assert!(began.elapsed() <= Duration::from_millis(5), "{:?}", began.elapsed());
    }
}

/// A word from node to node is shorter than the way of a client to the successor and back. (There
/// was a pause of a millisecond, the step of a timer, and a put that met a hand-over was twice as
/// long for it.)
#[tokio::test(start_paused = true)]
async fn a_successor_that_pointed_back_once_is_not_waited_for() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.lead(Some("n2"));
    for leader in ["n2", "n1"] {
        stage.next(Kind::Submit, Twist::say(Said::NotLeader { leader: Some(leader.into()) }));
    }
    let began = tokio::time::Instant::now();
    client.kv().put("a", "2").await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// Nobody has refused anything, so there is nothing to wait for. (There was a pause of up to 300 ms
/// before the node that was found.)
#[tokio::test(start_paused = true)]
async fn a_leader_that_is_found_while_another_is_dialled_is_asked_at_once() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    let route = &client.core.route;
    assert!(route.node(1).line(&route.wire).await.is_ok());
    stage.silence("n1");
    stage.lead(Some("n2"));
    let dialled = stage.dialled("n1");
    let (asking, finding) = (client.kv(), async {
        while stage.dialled("n1") == dialled {
            tokio::task::yield_now().await;
        }
        route.believe(1);
    });
    let began = tokio::time::Instant::now();
    let (put, ()) = tokio::join!(async { asking.put("a", "2").await }, finding);
    put.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// It is closed by itself: only the connections are those of the one of which it was made. (That
/// one took along whoever looks for the leader.)
#[tokio::test(start_paused = true)]
async fn a_client_on_behalf_of_somebody_outlives_the_one_of_which_it_was_made() {
    let stage = Stage::new();
    let door = stage.client().await;
    let client = door.on_behalf_of("bob");
    client.kv().put("a", "1").await.unwrap();
    door.close().await;
    assert!(door.kv().put("a", "2").await.is_err());
    stage.lead(Some("n3"));
    stage.kill("n1");
    client.kv().put("a", "3").await.unwrap();
    let late = door.on_behalf_of("eve").kv().put("a", "4").await;
    assert!(matches!(late, Err(Error::NotApplied { why: Why::Closed })), "{late:?}");
}

/// Then nobody looks for a leader any more.
#[tokio::test(start_paused = true)]
async fn connections_end_with_the_last_client_that_uses_them() {
    let stage = Stage::new();
    let door = stage.client().await;
    let client = door.on_behalf_of("bob");
    client.kv().put("a", "1").await.unwrap();
    door.close().await;
    client.close().await;
    let minute = Duration::from_secs(60);
    tokio::time::sleep(minute).await;
    let dialled = NODES.map(|node| stage.dialled(node));
    for node in NODES {
        stage.kill(node);
        stage.start(node);
    }
    tokio::time::sleep(minute).await;
    assert_eq!(NODES.map(|node| stage.dialled(node)), dialled);
}

/// A stale read needs no leader, and goes on to the next node when one is silent.
#[tokio::test(start_paused = true)]
async fn a_stale_read_is_answered_by_any_node() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.lead(None);
    stage.next(Kind::Read, Twist::Silence);
    stage.kill("n2");
    let stale = client.kv().get("a").stale().await.unwrap();
    assert!(stale.value.is_some());
    assert_eq!(stale.age, Some(Duration::from_millis(3)));
}

/// A read nearby and one of at least a revision go to a node that need not lead; one that says no
/// is passed over, and what it said is the reason in the end.
#[tokio::test(start_paused = true)]
async fn a_read_of_at_least_a_revision_is_answered_by_any_node() {
    let stage = Stage::new();
    let client = stage.client().await;
    let at = client.kv().put("a", "1").await.unwrap();
    stage.next(Kind::Read, Twist::Lost);
    assert!(client.kv().get("a").nearby().await.unwrap().is_some());
    stage.lead(None);
    assert!(client.kv().get("a").at_least(at).await.unwrap().is_some());
    let page = client.kv().page("", None, 9).at_least(at).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    let error = client.kv().get("a").at_least(at.next()).await.unwrap_err();
    let behind = NotApplied::Behind { revision: at };
    assert!(matches!(error, Error::NotApplied { why: Why::Node(why) } if why == behind));
    let error = client.kv().get("a").nearby().await.unwrap_err();
    assert!(matches!(error, Error::NotApplied { .. }), "{error}");
}

/// Changes only, the present state first; that nobody leads is a change too.
#[tokio::test(start_paused = true)]
async fn a_watcher_is_told_of_every_change_of_leader() {
    let stage = Stage::new();
    let mut watch = stage.client().await.watch_leader(Duration::from_millis(200));
    for leader in [Some("n1"), None, Some("n3"), Some("n2")] {
        stage.lead(leader);
        assert_eq!(watch.next().await.node.as_deref(), leader);
    }
    let still = tokio::time::timeout(Duration::from_secs(9), watch.next()).await;
    assert!(still.is_err(), "nothing changed");
}

/// The leader alone is asked, once, and by name; for a node that it says cannot lead nothing
/// happens, and the answer says why.
#[tokio::test(start_paused = true)]
async fn the_leader_is_asked_to_hand_over() {
    let stage = Stage::new();
    let client = stage.client().await;
    let asked = |stage: &Stage| -> Vec<String> {
        let heard = stage.heard().into_iter();
        let to = |(at, call)| match call {
            Call::HandOver { to } => Some(format!("{at} {to}")),
            _ => None,
        };
        heard.filter_map(to).collect()
    };
    assert_eq!(client.move_lead("n1").await.unwrap().node.as_deref(), Some("n1"));
    assert_eq!(asked(&stage), [""; 0], "it leads already");
    assert_eq!(client.move_lead("n3").await.unwrap().node.as_deref(), Some("n3"));
    assert_eq!(asked(&stage), ["n1:1 n3"]);
    let why = NotApplied::Unfit(Unfit::Silent);
    stage.next(Kind::HandOver, Twist::say(Said::NotApplied(why)));
    let unfit = client.move_lead("n2").await.unwrap_err();
    assert!(
        matches!(&unfit, Error::NotApplied { why: Why::Node(said) } if *said == why),
        "{unfit}"
    );
    assert_eq!(client.leader().await.unwrap(), "n3");
    let unknown = client.move_lead("n9").await.unwrap_err();
    assert!(matches!(unknown, Error::Misuse(_)), "{unknown}");
    assert_eq!(asked(&stage).len(), 1, "what was answered for it, it has not heard");
}

/// (Of the leader, too, it was said that it does not say that it leads.)
#[tokio::test(start_paused = true)]
async fn how_each_node_was_reached_is_told_of_the_leader_and_of_others() {
    let stage = Stage::new();
    let client = stage.client().await;
    client.kv().put("a", "1").await.unwrap();
    stage.kill("n2");
    // Meanwhile a connection is made to each that is there.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let reached: Vec<_> = client.reached().iter().map(ToString::to_string).collect();
    assert_eq!(
        reached,
        [
            "n1  n1:1  connected; says that it leads",
            "n2  n2:1  nobody there",
            "n3  n3:1  connected; does not say that it leads",
        ]
    );
}

/// A leader that was cut off goes on saying that it leads.
#[tokio::test(start_paused = true)]
async fn leader_names_the_node_that_says_so_now() {
    let stage = Stage::new();
    let client = stage.client().await;
    assert_eq!(client.leader().await.unwrap(), "n1");
    stage.kill("n1");
    stage.lead(Some("n2"));
    assert_eq!(client.leader().await.unwrap(), "n2");
    stage.lead(None);
    assert!(client.leader().await.is_err());
}
