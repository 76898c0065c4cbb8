//! Whoever takes more leases and locks than it gives back takes its own room only.

use synod_machine::{
    Command, Counted, Expect, Guard, Hold, LeaseCommand, LeaseId, LockCommand, LockReply, Multi,
    Mutation, Name, Rejection, Reply, Revision,
};

use crate::{World, model::a_client_fills_its_own_share};

const MANY: u64 = 16_384;

fn grant() -> Command {
    Command::Lease(LeaseCommand::Grant { ttl_ms: 1_000 })
}

#[test]
fn a_client_fills_its_own_share_of_leases_only() {
    let full = Rejection::TooMany { what: Counted::LeasesOfOwner, limit: MANY };
    a_client_fills_its_own_share(MANY, |_| grant(), &full);
}

/// Held or awaited, each counts; what is let go of is there for another.
#[test]
fn a_client_stands_at_its_own_share_of_locks_only() {
    let mut world = World::new();
    let mut ask = |asked: &[_]| {
        let batch = world.batch(asked);
        let applied = world.machine.apply(batch);
        applied.into_iter().map(|applied| applied.reply).collect::<Vec<_>>()
    };
    ask(&[(1, grant()), (3, grant())]);
    let acquire = |by, number: u64, lease| {
        let (name, lease) = (Name::new(number.to_string()), LeaseId::new(lease));
        (by, Command::Lock(LockCommand::Acquire { name, lease, wait: true }))
    };
    let all: Vec<_> = (0..MANY).map(|number| acquire(1, number, 1)).collect();
    assert!(ask(&all).iter().all(|reply| matches!(reply, Reply::Lock(LockReply::Held { .. }))));
    let full = Rejection::TooMany { what: Counted::ContendersOfOwner, limit: MANY };
    assert_eq!(ask(&[acquire(2, MANY, 1)]), [Reply::Rejected(full)]);
    let other = ask(&[acquire(3, 0, 2)]);
    assert!(matches!(other[..], [Reply::Lock(LockReply::Queued { .. })]), "{other:?}");
    let (name, lease) = (Name::new("0"), LeaseId::new(1));
    ask(&[(1, Command::Lock(LockCommand::Release { name, lease }))]);
    let again = ask(&[acquire(2, MANY, 1)]);
    assert!(matches!(again[..], [Reply::Lock(LockReply::Held { .. })]), "{again:?}");
}

/// Whoever knows the number of a lease and the name of a lock has neither: what is another's is
/// not renewed by use, not given back and not ended, and stands as it stood.
#[test]
fn nobody_uses_gives_back_or_ends_what_is_anothers() {
    let mut world = World::new();
    let mut ask = |by: u64, command: Command| {
        let batch = world.batch(&[(by, command)]);
        world.machine.apply(batch).remove(0).reply
    };
    let (name, lease) = (Name::new("a"), LeaseId::new(1));
    let lock = |command: LockCommand| Command::Lock(command);
    let acquire = || lock(LockCommand::Acquire { name: name.clone(), lease, wait: true });
    let release = || lock(LockCommand::Release { name: name.clone(), lease });
    let revoke = || Command::Lease(LeaseCommand::Revoke { lease });
    assert_eq!(ask(1, grant()), Reply::Lease(lease));
    let held = ask(1, acquire());
    let Reply::Lock(LockReply::Held { token }) = held else { panic!("{held:?}") };
    for theirs in [acquire(), release(), revoke()] {
        assert_eq!(ask(3, theirs), Reply::Rejected(Rejection::ForeignLease));
    }
    assert_eq!(ask(2, acquire()), Reply::Lock(LockReply::Held { token }), "of the same client");
    assert_eq!(ask(1, revoke()), Reply::Done(Revision::new(2)));
    // What is over is told so to its client: it is not there again by being asked for.
    for late in [acquire(), release()] {
        assert_eq!(ask(1, late), Reply::Rejected(Rejection::LeaseEnded));
    }
}

/// A condition on what is not there does not hold, whatever it says of it, and nothing is done.
#[test]
fn a_condition_on_what_is_not_there_does_not_hold() {
    let mut world = World::new();
    let mut ask = |multi: Multi| {
        let batch = world.batch(&[(1, Command::Multi(multi))]);
        world.machine.apply(batch).remove(0).reply
    };
    let (none, token) = (|| Name::new("none"), Revision::new(1));
    let put = || vec![Mutation::Put { key: "k".into(), value: "v".into() }];
    for expect in [Expect::Present, Expect::Revision(token), Expect::Value("v".into())] {
        let guards = vec![Guard { key: "none".into(), expect }];
        let refused = ask(Multi { guards, mutations: put(), ..Multi::default() });
        assert!(matches!(refused, Reply::MultiRefused { failed: 0, .. }), "{refused:?}");
    }
    for hold in [
        Hold::Lock { name: none(), token },
        Hold::Incumbent { election: none(), token },
        Hold::Claim { name: none(), owner: "17".to_owned() },
    ] {
        let refused = ask(Multi { holds: vec![hold], mutations: put(), ..Multi::default() });
        assert!(matches!(refused, Reply::MultiRefused { failed: 0, .. }), "{refused:?}");
    }
    let absent = Guard { key: "none".into(), expect: Expect::Absent };
    let done = ask(Multi { guards: vec![absent], mutations: put(), ..Multi::default() });
    assert!(matches!(done, Reply::MultiDone { .. }), "{done:?}");
}
