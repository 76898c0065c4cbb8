//! Whoever takes more leases and locks than it gives back takes its own room only.

use synod_machine::{
    Command, Counted, LeaseCommand, LeaseId, LockCommand, LockReply, Name, Rejection, Reply,
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
