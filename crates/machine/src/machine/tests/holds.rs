//! What is done where somebody holds something, and what hangs on a lease.

use super::*;
use crate::{
    ClaimCommand, Counted, ElectionCommand, Entry, Hold, LeaseCommand, LeaseId, LockCommand,
    LockReply, Multi, Mutation, Name, Rejection, keys::KEYS_OF_LEASE_MAX,
    limits::MULTI_COMMANDS_MAX,
};

fn lease(log: &mut Log, client: &mut Client) -> LeaseId {
    match log.ask(client, Command::Lease(LeaseCommand::Grant { ttl_ms: 1_000 })) {
        Reply::Lease(lease) => lease,
        other => panic!("{other:?}"),
    }
}

fn get(log: &Log, key: &str) -> Option<Entry> {
    log.machine.keys.get(&bytes(key)).cloned()
}

/// A lock's token, a claim and an election's, each as a condition: fencing in the very moment of
/// the write.
#[test]
fn a_multi_is_refused_to_whoever_does_not_hold_what_it_says() {
    let mut log = Log::new();
    let mut client = log.open();
    let lease = lease(&mut log, &mut client);
    let name = Name::new("a");
    let acquire = LockCommand::Acquire { name: name.clone(), lease, wait: false };
    let Reply::Lock(LockReply::Held { token }) = log.ask(&mut client, Command::Lock(acquire))
    else {
        panic!("the lock is free")
    };
    let owner = "alice".to_owned();
    let take = ClaimCommand::Take { name: name.clone(), owner: owner.clone(), lease: None };
    log.ask(&mut client, Command::Claim(take));
    let stand = ElectionCommand::Stand {
        name: name.clone(),
        lease,
        candidate: Name::new("pg-1"),
        priority: 0,
        report: None,
    };
    log.ask(&mut client, Command::Election(stand));
    let reign = log.machine.revision();
    let holds = [
        Hold::Lock { name: name.clone(), token },
        Hold::Claim { name: name.clone(), owner },
        Hold::Incumbent { election: name.clone(), token: reign },
    ];
    let multi = |holds: &[Hold]| {
        let mutations = vec![Mutation::Put { key: bytes("k"), value: bytes("v") }];
        Command::Multi(Multi { holds: holds.to_vec(), mutations, ..Multi::default() })
    };
    let done = log.ask(&mut client, multi(&holds));
    assert!(matches!(done, Reply::MultiDone { .. }), "{done:?}");
    let wrong = [
        Hold::Lock { name: name.clone(), token: reign },
        Hold::Claim { name: name.clone(), owner: "bob".to_owned() },
        Hold::Incumbent { election: name, token },
    ];
    for (place, wrong) in wrong.into_iter().enumerate() {
        let mut some = holds.clone();
        some[place] = wrong;
        let failed = u32::try_from(place).unwrap();
        let refused = Reply::MultiRefused { failed, reads: vec![] };
        assert_eq!(log.ask(&mut client, multi(&some)), refused);
    }
}

/// Whatever hangs on a lease ends with it, at one revision; what was put again without does not.
#[test]
fn keys_on_a_lease_end_with_it() {
    let mut log = Log::new();
    let mut client = log.open();
    let lease = lease(&mut log, &mut client);
    let multi = |lease| {
        let put = |key: &str| Mutation::Put { key: bytes(key), value: bytes("v") };
        let mutations = vec![put("a"), put("b"), put("c")];
        Command::Multi(Multi { mutations, lease, ..Multi::default() })
    };
    log.ask(&mut client, multi(Some(lease)));
    assert_eq!(get(&log, "a").unwrap().lease, Some(lease));
    log.ask(&mut client, put("b", "2"));
    assert_eq!(get(&log, "b").unwrap().lease, None);
    let before = log.machine.revision();
    log.ask(&mut client, Command::Lease(LeaseCommand::Revoke { lease }));
    assert_eq!(["a", "b", "c"].map(|key| get(&log, key).is_some()), [false, true, false]);
    assert_eq!(log.machine.revision(), before.next());
    let late = log.ask(&mut client, multi(Some(lease)));
    assert_eq!(late, Reply::Rejected(Rejection::LeaseEnded));
}

/// They end in one moment, so there is a bound on what that moment takes.
#[test]
fn a_lease_carries_so_many_keys_and_no_more() {
    let mut log = Log::new();
    let mut client = log.open();
    let lease = lease(&mut log, &mut client);
    let keys: Vec<_> = (0..=KEYS_OF_LEASE_MAX).map(|key| bytes(&key.to_string())).collect();
    let multi = |keys: &[Bytes]| {
        let put = |key: &Bytes| Mutation::Put { key: key.clone(), value: bytes("v") };
        let mutations = keys.iter().map(put).collect();
        Command::Multi(Multi { mutations, lease: Some(lease), ..Multi::default() })
    };
    for some in keys[..KEYS_OF_LEASE_MAX].chunks(MULTI_COMMANDS_MAX) {
        let done = log.ask(&mut client, multi(some));
        assert!(matches!(done, Reply::MultiDone { .. }), "{done:?}");
    }
    let limit = KEYS_OF_LEASE_MAX as u64;
    let full = Reply::Rejected(Rejection::TooMany { what: Counted::KeysOfLease, limit });
    assert_eq!(log.ask(&mut client, multi(&keys[KEYS_OF_LEASE_MAX..])), full);
    // One that hangs there already takes no more room.
    let again = log.ask(&mut client, multi(&keys[..1]));
    assert!(matches!(again, Reply::MultiDone { .. }), "{again:?}");
}
