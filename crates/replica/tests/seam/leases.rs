//! Leases end when they were not renewed for longer than their owners count, in the log, and by
//! nothing else; and whoever waits for a lock hears of it on any node.

use synod_machine::{
    Answer, Change, Command, Interest, LeaseCommand, LeaseId, LockCommand, LockReply, Name,
    Rejection, Reply, Request, Revision, Seq, SessionId,
    door::{Call, Said},
    limits::CLOCK_RATES_DIFFER_BY,
};
use synod_replica::Response;

use crate::world::{World, id};

const TTL_MS: u64 = 1_000;
const GRACE_MS: u64 = 500;
/// By how much the leader's clock may be the faster one.
const SLOWER_MS: u64 = TTL_MS.div_ceil(CLOCK_RATES_DIFFER_BY);
/// The session is to outlive the lease: nothing here is about its end.
const SESSION_MS: u64 = 60_000;

/// One client, asking in the order of its numbers.
struct Client {
    session: SessionId,
    seq: Seq,
}

impl Client {
    fn new(world: &mut World, node: usize) -> Client {
        Client { session: world.open_session(node, SESSION_MS), seq: Seq::ZERO }
    }

    fn says(&mut self, world: &mut World, node: usize, command: Command) -> Reply {
        self.seq = self.seq.next();
        let id = Some(id(self.session, self.seq.get()));
        world.reply(node, Request { id, acked: self.seq, command })
    }

    fn grant(&mut self, world: &mut World, node: usize) -> LeaseId {
        let grant = Command::Lease(LeaseCommand::Grant { ttl_ms: TTL_MS });
        match self.says(world, node, grant) {
            Reply::Lease(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn acquire(&mut self, world: &mut World, node: usize, lease: LeaseId) -> LockReply {
        let acquire = LockCommand::Acquire { name: Name::new("a"), lease, wait: true };
        match self.says(world, node, Command::Lock(acquire)) {
            Reply::Lock(reply) => reply,
            other => panic!("{other:?}"),
        }
    }
}

fn lives(world: &World, node: usize, lease: LeaseId) -> bool {
    world.replica(node).machine().lease_owner(lease).is_some()
}

fn rejected(why: Rejection) -> Response {
    Response::Said(Said::Reply(Reply::Rejected(why)))
}

/// *Transactions* §9: the owner counts the time to live from before it asked, on a clock that may
/// be slower than the leader's.
#[test]
fn a_lease_ends_later_than_its_owner_counts() {
    let (mut world, leader) = World::serving(3);
    let mut client = Client::new(&mut world, leader);
    let asked_at_us = world.now_us;
    let lease = client.grant(&mut world, leader);
    world.run_until(5_000, |world| !lives(world, leader, lease));
    let lived_ms = (world.now_us - asked_at_us) / 1_000;
    assert!(lived_ms >= TTL_MS + SLOWER_MS + GRACE_MS, "ended after {lived_ms} ms");
    world.run_until_level(1_000);
    for node in 0..3 {
        assert!(!lives(&world, node, lease));
    }
    let over = world.answer(leader, Call::Renew { lease });
    assert_eq!(over, rejected(Rejection::LeaseEnded));
    let lease = lease.next();
    let never = world.answer(leader, Call::Renew { lease });
    assert_eq!(never, rejected(Rejection::UnknownLease));
}

/// A renewal keeps it for its whole time, and is in no log.
#[test]
fn a_renewed_lease_lives_and_its_renewals_cost_no_slot() {
    let (mut world, leader) = World::serving(3);
    let mut client = Client::new(&mut world, leader);
    let lease = client.grant(&mut world, leader);
    let before = world.replica(leader).status().applied;
    for _ in 0..10 {
        world.run_ms(TTL_MS);
        assert_eq!(world.answer(leader, Call::Renew { lease }), Response::Said(Said::Kept));
    }
    assert_eq!(world.replica(leader).status().applied, before);
    let renewed_at_us = world.now_us;
    world.run_until(5_000, |world| !lives(world, leader, lease));
    assert!(world.now_us - renewed_at_us >= (TTL_MS + SLOWER_MS) * 1_000);
}

/// A new leader does not know what the last one heard: none is ever shorter than its owner was
/// told.
#[test]
fn a_new_leader_gives_every_lease_its_full_time() {
    let (mut world, first) = World::serving(3);
    let mut client = Client::new(&mut world, first);
    let lease = client.grant(&mut world, first);
    world.run_ms(TTL_MS);
    assert_eq!(world.answer(first, Call::Renew { lease }), Response::Said(Said::Kept));
    world.crash(first);
    let second = world.run_until_served(5_000);
    let serves_at_us = world.now_us;
    world.run_until(5_000, |world| !lives(world, second, lease));
    let lived_ms = (world.now_us - serves_at_us) / 1_000;
    assert!(lived_ms >= TTL_MS + SLOWER_MS + GRACE_MS, "ended {lived_ms} ms after the takeover");
}

/// A node that follows tells as well: the lock of a lease that ended is the next one's.
#[test]
fn whoever_waits_for_a_lock_hears_on_a_follower_that_its_turn_has_come() {
    let (mut world, leader) = World::serving(3);
    let mut client = Client::new(&mut world, leader);
    let (first, second) = (client.grant(&mut world, leader), client.grant(&mut world, leader));
    let LockReply::Held { token } = client.acquire(&mut world, leader, first) else { panic!() };
    let LockReply::Queued { at, .. } = client.acquire(&mut world, leader, second) else { panic!() };
    let (follower, interest) = ((leader + 1) % 3, Interest::Lock { name: Name::new("a") });
    let watch = world.ask_within(follower, 10_000, Call::Watch { interest, after: at });
    while lives(&world, leader, first) {
        assert!(!world.responses.contains_key(&watch), "nothing has changed");
        world.run_ms(TTL_MS / 4);
        assert_eq!(world.answer(leader, Call::Renew { lease: second }), Response::Said(Said::Kept));
    }
    world.run_until(1_000, |world| world.responses.contains_key(&watch));
    let Response::Said(Said::Watched { news: Answer::Changes { changes, .. }, .. }) =
        &world.responses[&watch]
    else {
        panic!("{:?}", world.responses[&watch])
    };
    let [(revision, row)] = &changes[..] else { panic!("{changes:?}") };
    let [Change::Lock { holder: Some(holder), .. }] = &row[..] else { panic!("{row:?}") };
    assert_eq!((holder.lease, holder.token), (second, *revision));
    assert!(holder.token > token && token > Revision::ZERO);
}
