//! Leases end in the log, not before their owners have to know, and whoever waits for what hangs
//! on them hears of it, at any node.

use synod_machine::{
    Answer, Change, Command, Interest, LeaseCommand, LeaseId, LockCommand, LockReply, Name,
    Rejection, Reply, Request, Revision, Seq, SessionId,
    door::{Call, Said},
    limits::CLOCK_RATES_DIFFER_BY,
};
use synod_replica::Response;

use crate::world::{World, id, submit, written};

/// Of the sessions here, so that none ends.
const SESSION_MS: u64 = 60_000;
const TTL_MS: u64 = 1_280;
const GRACE_MS: u64 = 500;
/// How long the leader waits for the renewal of a lease.
const WAIT_MS: u64 = TTL_MS + TTL_MS / CLOCK_RATES_DIFFER_BY + GRACE_MS;

fn ask(session: SessionId, seq: u64, command: Command) -> Call {
    Call::Submit(Request { id: Some(id(session, seq)), acked: Seq::new(seq), command })
}

/// The session's request `seq`: a lease.
fn grant(world: &mut World, leader: usize, session: SessionId, seq: u64) -> LeaseId {
    let grant = Command::Lease(LeaseCommand::Grant { ttl_ms: TTL_MS });
    match world.answer(leader, ask(session, seq, grant)) {
        Response::Said(Said::Reply(Reply::Lease(lease))) => lease,
        other => panic!("no lease: {other:?}"),
    }
}

fn acquire(lease: LeaseId) -> Command {
    Command::Lock(LockCommand::Acquire { name: Name::new("lock"), lease, wait: true })
}

fn lives(world: &World, node: usize, lease: LeaseId) -> bool {
    world.replica(node).machine().lease_owner(lease).is_some()
}

fn ended() -> Response {
    Response::Said(Said::Reply(Reply::Rejected(Rejection::LeaseEnded)))
}

fn kept() -> Response {
    Response::Said(Said::Kept)
}

/// Not before its owner's clock, if it runs slower than the leader's by as much as it may.
#[test]
fn a_lease_ends_by_silence_and_not_sooner() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, SESSION_MS);
    let lease = grant(&mut world, leader, session, 1);
    let granted_at_us = world.now_us;
    world.run_until(WAIT_MS + 200, |world| !lives(world, leader, lease));
    let silent_ms = (world.now_us - granted_at_us) / 1_000;
    assert!(silent_ms >= WAIT_MS - 5, "ended after {silent_ms} ms");
    assert_eq!(world.answer(leader, Call::Renew { lease }), ended());
    let never = Call::Renew { lease: LeaseId::new(9) };
    let unknown = Response::Said(Said::Reply(Reply::Rejected(Rejection::UnknownLease)));
    assert_eq!(world.answer(leader, never), unknown);
}

/// Renewals keep a lease without an entry of the log; so does what its owner does with it.
#[test]
fn renewals_and_uses_keep_a_lease() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, SESSION_MS);
    let leases = [1, 2, 3].map(|seq| grant(&mut world, leader, session, seq));
    let before = world.replica(leader).status().applied;
    world.run_ms(TTL_MS);
    assert_eq!(world.answer(leader, Call::Renew { lease: leases[0] }), kept());
    assert_eq!(world.replica(leader).status().applied, before);
    world.answer(leader, ask(session, 4, acquire(leases[1])));
    world.run_ms(WAIT_MS - TTL_MS / 2);
    assert!(lives(&world, leader, leases[0]) && lives(&world, leader, leases[1]));
    assert!(!lives(&world, leader, leases[2]), "nothing was heard of it");
}

/// A new leader does not know what the last one confirmed: every lease has its full time again.
#[test]
fn a_new_leader_gives_every_lease_its_full_time() {
    let (mut world, first) = World::serving(3);
    let session = world.open_session(first, SESSION_MS);
    let lease = grant(&mut world, first, session, 1);
    world.run_ms(WAIT_MS - 100);
    world.crash(first);
    let second = world.run_until_served(5_000);
    let serves_at_us = world.now_us;
    world.run_until(WAIT_MS + 200, |world| !lives(world, second, lease));
    assert!(world.now_us - serves_at_us >= (WAIT_MS - 5) * 1_000);
}

/// The clock of a leader leaps: its machine slept, and what its clients said meanwhile was heard by
/// nobody. The silence was its own, so it ends nothing at once; and what nobody renews after that
/// ends in its time.
#[test]
fn a_leader_whose_clock_leaps_ends_no_lease_before_it_has_listened() {
    let (mut world, leader) = World::serving(1);
    let session = world.open_session(leader, SESSION_MS);
    let leases = [1, 2].map(|seq| grant(&mut world, leader, session, seq));
    for leap_ms in [WAIT_MS / 2, 10 * WAIT_MS] {
        world.nodes[leader].paused = true;
        world.run_ms(leap_ms);
        world.nodes[leader].paused = false;
        world.run_ms(GRACE_MS - 10);
        assert!(leases.iter().all(|lease| lives(&world, leader, *lease)), "{leap_ms}");
        for lease in leases {
            assert_eq!(world.answer(leader, Call::Renew { lease }), kept(), "{leap_ms}");
        }
    }
    world.run_ms(TTL_MS);
    assert_eq!(world.answer(leader, Call::Renew { lease: leases[0] }), kept());
    world.run_until(WAIT_MS + 200, |world| !lives(world, leader, leases[1]));
    assert!(lives(&world, leader, leases[0]));
}

/// Once its end is in the log nobody is told that a lease lives, until it is known.
#[test]
fn a_lease_whose_end_is_in_the_log_is_not_confirmed() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, SESSION_MS);
    let lease = grant(&mut world, leader, session, 1);
    world.run_until(WAIT_MS + 200, |world| world.replica(leader).status().requests_proposed > 0);
    let late = world.ask(leader, Call::Renew { lease });
    world.run_until(1_000, |world| world.responses.contains_key(&late));
    assert_eq!(world.responses[&late], ended());
}

/// Only a leader says that a lease is over, and of its own accord.
#[test]
fn nobody_asks_for_the_end_of_a_lease_as_a_leader_would() {
    let (mut world, leader) = World::serving(1);
    let session = world.open_session(leader, SESSION_MS);
    let lease = grant(&mut world, leader, session, 1);
    let reign = world.replica(leader).machine().reign();
    let guard = synod_machine::FenceGuard { reign, renewals: 0 };
    let expire = Command::Lease(LeaseCommand::Expire { lease, guard });
    let answer = world.answer(leader, ask(session, 2, expire));
    assert!(matches!(answer, Response::Said(Said::Refused(_))), "{answer:?}");
    assert!(lives(&world, leader, lease));
}

/// The lock of a lease that ends comes to whoever waits, who hears of it from any node.
#[test]
fn whoever_waits_for_a_lock_hears_of_it_from_any_node() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, SESSION_MS);
    let (first, second) =
        (grant(&mut world, leader, session, 1), grant(&mut world, leader, session, 2));
    world.answer(leader, ask(session, 3, acquire(first)));
    let queued = world.answer(leader, ask(session, 4, acquire(second)));
    let Response::Said(Said::Reply(Reply::Lock(LockReply::Queued { at, holder }))) = queued else {
        panic!("not queued: {queued:?}")
    };
    assert_eq!(holder.lease, first);
    world.run_until_level(1_000);
    let watch = || Call::Watch { interest: Interest::Lock { name: Name::new("lock") }, after: at };
    let waits = [0, 1, 2].map(|node| world.ask_within(node, 60_000, watch()));
    for _ in 0..4 {
        world.run_ms(TTL_MS / 2);
        assert_eq!(world.answer(leader, Call::Renew { lease: second }), kept());
    }
    world.run_until(1_000, |world| waits.iter().all(|wait| world.responses.contains_key(wait)));
    for wait in waits {
        let Response::Said(Said::Watched { news: Answer::Changes { changes, .. }, silent_ms }) =
            &world.responses[&wait]
        else {
            panic!("not told: {:?}", world.responses[&wait])
        };
        assert!(*silent_ms < GRACE_MS as u32, "a quorum is there");
        let [(token, row)] = &changes[..] else { panic!("one change: {changes:?}") };
        let [Change::Lock { holder: Some(holder), .. }] = &row[..] else { panic!("{row:?}") };
        assert_eq!((holder.lease, holder.token), (second, *token));
    }
}

/// A watch that waits in vain is told how far its node has come, and goes on there.
#[test]
fn a_watch_that_waits_in_vain_is_told_how_far_it_has_come() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, SESSION_MS);
    let at = written(&world.answer(leader, submit(session, 1))).expect("a put is written");
    let interest = Interest::Keys { prefix: "elsewhere".into() };
    let watch = Call::Watch { interest, after: Revision::ZERO };
    let vain = world.ask_within(leader, 100, watch);
    world.run_until(1_000, |world| world.responses.contains_key(&vain));
    let Response::Said(Said::Watched { news, .. }) = &world.responses[&vain] else {
        panic!("not told")
    };
    assert_eq!(*news, Answer::Changes { changes: Vec::new(), upto: at });
}

/// A node that is alone says for how long it has known no quorum.
#[test]
fn a_node_that_is_alone_says_for_how_long() {
    let (mut world, leader) = World::serving(3);
    let alone = (leader + 1) % 3;
    world.run_until_level(1_000);
    for node in [leader, (leader + 2) % 3] {
        world.crash(node);
    }
    world.run_ms(3_000);
    let interest = Interest::Keys { prefix: "k".into() };
    let after = world.replica(alone).machine().revision();
    let vain = world.ask_within(alone, 100, Call::Watch { interest, after });
    world.run_until(1_000, |world| world.responses.contains_key(&vain));
    let Response::Said(Said::Watched { silent_ms, .. }) = &world.responses[&vain] else {
        panic!("not told")
    };
    assert!((3_000..3_500).contains(silent_ms), "{silent_ms} ms");
}
