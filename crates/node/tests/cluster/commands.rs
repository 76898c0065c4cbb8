//! What clients see of a healthy cluster.

use bytes::Bytes;
use synod_machine::{
    Command, Multi, Rejection, Reply, Request, RequestId, Seq, SessionId,
    door::{Ask, Call, NotApplied, Refusal, Said},
};
use synod_net::Role;

use crate::{asker::read, world::World};

/// Interfaces: "ok" means chosen by a quorum; it is read back, from every node in the end.
#[tokio::test]
async fn what_was_put_is_read_back_from_every_node() {
    let world = World::running(3).await;
    let mut client = world.client("app", Role::Write);
    assert!(matches!(client.put("epoch", "7").await, Reply::Written(_)));
    assert_eq!(client.get("epoch").await.as_deref(), Some(&b"7"[..]));
    for node in ["n1", "n2", "n3"] {
        client.wait_for(node, "epoch", "7").await;
    }
}

/// A cluster of one chooses by itself.
#[tokio::test]
async fn a_lone_node_serves() {
    let world = World::running(1).await;
    let mut client = world.client("app", Role::Write);
    client.put("epoch", "7").await;
    assert_eq!(client.get("epoch").await.as_deref(), Some(&b"7"[..]));
    assert_eq!(client.get("other").await, None);
}

/// A repeated request is answered with the first reply and changes nothing.
#[tokio::test]
async fn a_request_sent_twice_takes_effect_once() {
    let world = World::running(1).await;
    let mut client = world.client("app", Role::Write);
    let put = Command::Put { key: Bytes::from("epoch"), value: Bytes::from("7") };
    let call = client.prepare(put).await;
    let first = client.ask_leader(call.clone()).await;
    assert!(matches!(first, Said::Reply(Reply::Written(_))), "{first:?}");
    assert_eq!(client.ask_leader(call).await, first);
}

/// A node that does not lead names the one that does, by name.
#[tokio::test]
async fn a_follower_names_the_leader() {
    let world = World::running(3).await;
    let mut client = world.client("app", Role::Read);
    let leader = client.leader().await;
    let follower = format!("n{}", leader % 3 + 1);
    let call = read("epoch", synod_machine::door::Freshness::Linearizable);
    let said = client.ask(&follower, call).await.unwrap();
    assert_eq!(said, Said::NotLeader { leader: Some(format!("n{leader}")) });
    let status = client.status(&follower).await;
    assert_eq!(status.leader, Some(format!("n{leader}")));
    assert_eq!((status.cluster.as_str(), status.node), ("eu", follower));
    assert_eq!(status.role, "follower");
    assert_eq!(status.peers.len(), 2);
    assert!(status.certificate_ends_in_s > 29 * 86_400);
}

/// Security §3: the role of the certificate decides, and the refusal names the one that would do.
#[tokio::test]
async fn a_reader_cannot_write() {
    let world = World::running(1).await;
    let mut reader = world.client("reader", Role::Read);
    let delete = Command::OpenSession { owner: "reader".to_owned(), ttl_ms: 5_000 };
    let call = Call::Submit(Request { id: None, acked: Seq::ZERO, command: delete });
    let Said::Refused(Refusal::Role { has, needs }) = reader.ask("n1", call).await.unwrap() else {
        panic!("not refused")
    };
    assert_eq!((has.as_str(), needs.as_str()), ("read", "write"));
}

/// Security §8: bytes that are no call are refused as such, and the next call is served.
#[tokio::test]
async fn bytes_that_are_no_call_are_refused_and_harm_nobody() {
    let world = World::running(1).await;
    let mut client = world.client("app", Role::Write);
    let whole = postcard::to_allocvec(&client.prepare(Command::CloseSession).await).unwrap();
    let mut bodies: Vec<Vec<u8>> = vec![vec![0xff; 64], vec![0; 3]];
    bodies.push([&[5, 4], &whole[..]].concat());
    bodies.extend((1..whole.len()).map(|cut| whole[..cut].to_vec()));
    for body in bodies {
        let answer = client.ask_bytes("n1", body.clone().into()).await;
        let bytes = answer.unwrap_or_else(|error| panic!("{body:?}: {error}"));
        let said: Said = postcard::from_bytes(&bytes).unwrap();
        assert!(
            matches!(said, Said::Refused(_) | Said::NotApplied(NotApplied::Deadline)),
            "{said:?}"
        );
    }
    client.put("epoch", "7").await;
}

/// Security §8, requests: each of these is refused by its name, before anything is proposed, and
/// the honest request after it is served.
#[tokio::test]
async fn requests_that_break_a_limit_are_refused_and_the_next_is_served() {
    let world = World::running(1).await;
    let mut client = world.client("app", Role::Write);
    let put = |key: usize, value: usize| Command::Put {
        key: vec![b'k'; key].into(),
        value: vec![b'v'; value].into(),
    };
    let reads =
        |count| Command::Multi(Multi { reads: vec!["k".into(); count], ..Multi::default() });
    for (number, command) in
        (1..).zip([put(0, 1), put(4_097, 1), put(1, (1 << 20) + 1), reads(129)])
    {
        let call = client.prepare(command).await;
        let said = client.ask_leader(call).await;
        assert!(
            matches!(said, Said::Refused(Refusal::Limit { .. } | Refusal::Misuse(_))),
            "{said:?}"
        );
        client.put("epoch", &number.to_string()).await;
    }
    for fine in [put(4_096, 1 << 20), reads(128)] {
        let reply = client.submit(fine).await;
        assert!(matches!(reply, Reply::Written(_) | Reply::MultiDone { .. }), "{reply:?}");
    }
    assert_eq!(client.get("epoch").await.as_deref(), Some(&b"4"[..]));
}

/// A session that was never opened, a number that was acknowledged, a session of somebody else: the
/// log or the door says which, and nothing changes.
#[tokio::test]
async fn requests_under_a_wrong_name_change_nothing() {
    let world = World::running(1).await;
    let (mut client, mut other) =
        (world.client("app", Role::Write), world.client("other", Role::Write));
    client.put("epoch", "7").await;
    client.put("epoch", "8").await;
    let put = || Command::Put { key: "epoch".into(), value: "9".into() };
    let Call::Submit(honest) = client.prepare(put()).await else { panic!("no submit") };
    let own = honest.id.unwrap();
    let named = |session: u64, seq: u64| {
        let id = RequestId { session: SessionId::new(session), seq: Seq::new(seq) };
        Call::Submit(Request { id: Some(id), acked: Seq::ZERO, command: put() })
    };
    let rejected = |why| Said::Reply(Reply::Rejected(why));
    let never_opened = client.ask_leader(named(9_999, 1)).await;
    assert_eq!(never_opened, rejected(Rejection::UnknownSession));
    let acknowledged = client.ask_leader(named(own.session.get(), 1)).await;
    assert_eq!(acknowledged, rejected(Rejection::ReplyForgotten));
    let foreign = other.ask_leader(named(own.session.get(), 77)).await;
    assert_eq!(foreign, Said::Refused(Refusal::ForeignSession { session: own.session }));
    for (session, seq) in [(0, 1), (own.session.get(), 0)] {
        let said = client.ask_leader(named(session, seq)).await;
        assert!(matches!(said, Said::Refused(Refusal::Misuse(_))), "{said:?}");
    }
    assert_eq!(client.get("epoch").await.as_deref(), Some(&b"8"[..]));
    let said = client.ask_leader(Call::Submit(honest)).await;
    assert!(matches!(said, Said::Reply(Reply::Written(_))), "{said:?}");
}

/// A length from outside reserves no memory that the bytes behind it cannot fill.
#[tokio::test]
async fn a_call_that_claims_endless_rows_is_refused() {
    let world = World::running(1).await;
    let mut east = world.client("east", Role::Participant);
    let whole = postcard::to_allocvec(&Ask { within_ms: 9, call: attend() }).unwrap();
    // What follows the name of the participant is the length of the list.
    let list = whole.windows(4).position(|bytes| bytes == b"east").unwrap() + 4;
    let endless = [&whole[..list], &[0xff; 9], &[0x01], &whole[list + 1..]].concat();
    let answer = east.ask_bytes("n1", endless.into()).await.unwrap();
    let said: Said = postcard::from_bytes(&answer).unwrap();
    assert!(matches!(said, Said::Refused(Refusal::Malformed(_))), "{said:?}");
    assert_eq!(east.ask_within("n1", attend(), 10).await, Ok(Said::Verdicts(Vec::new())));
}

/// A deadline in the past is no reason to do anything.
#[tokio::test]
async fn a_call_without_time_is_not_applied() {
    let world = World::running(1).await;
    let mut client = world.client("app", Role::Write);
    let put = Command::Put { key: Bytes::from("epoch"), value: Bytes::from("7") };
    let call = client.prepare(put).await;
    let said = client.ask_within("n1", call, 0).await.unwrap();
    assert_eq!(said, Said::NotApplied(NotApplied::Deadline));
    assert_eq!(client.get("epoch").await, None);
}

fn attend() -> Call {
    let txn = synod_machine::TxnId { session: SessionId::new(1), n: 1 };
    Call::Attend {
        participant: synod_machine::ParticipantName::new("east"),
        in_doubt: vec![txn],
        finished: Vec::new(),
    }
}

/// A caller that goes away is forgotten: it holds no place.
#[tokio::test]
async fn a_caller_that_goes_away_is_forgotten() {
    let world = World::running(1).await;
    let mut east = world.client("east", Role::Participant);
    let waits = tokio::spawn(async move { east.ask_within("n1", attend(), 60_000).await });
    world.wait_in_flight(1, 1).await;
    waits.abort();
    world.wait_in_flight(1, 0).await;
}

/// Security §4: past the limit of calls a new one is refused at once, as safe to repeat, and the
/// limit of one client leaves room for others.
#[tokio::test]
async fn calls_past_the_limit_are_refused_at_once() {
    let mut world = World::prepared(1);
    world.start_with(1, "[limits]\nrequests_per_client_max = 1\nrequests_max = 2\n").await;
    let mut east = world.client("east", Role::Participant);
    let mut app = world.client("app", Role::Write);
    let first = tokio::spawn(async move { east.ask_within("n1", attend(), 60_000).await });
    world.wait_in_flight(1, 1).await;
    let mut twin = world.twin("east");
    let said = twin.ask("n1", attend()).await.unwrap();
    assert!(matches!(said, Said::NotApplied(NotApplied::Overloaded { .. })), "{said:?}");
    assert_eq!(app.get("epoch").await, None);
    first.abort();
    world.wait_in_flight(1, 0).await;
    let said = twin.ask_within("n1", attend(), 10).await.unwrap();
    assert_eq!(said, Said::Verdicts(Vec::new()));
}
