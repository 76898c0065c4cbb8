//! Commands under keys, held against a machine that is asked for each of them once.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use synod_machine::{
    Batch, Command, CounterCommand, JournalCommand, Keyed, LeaseCommand, Machine, Multi, Mutation,
    Name, Once, RegisterCommand, Rejection, Reply, Timestamp,
};

use crate::{Asked, World, model::client, name};

fn keyed() -> impl Strategy<Value = Command> {
    let value = || prop::sample::select(vec!["v", "w"]).prop_map(Bytes::from);
    prop_oneof![
        value().prop_map(|value| Command::Put { key: "k".into(), value }),
        Just(Command::Delete { key: "k".into() }),
        value().prop_map(|value| {
            let mutations = vec![Mutation::Put { key: "m".into(), value }];
            Command::Multi(Multi { mutations, reads: vec!["k".into()], ..Multi::default() })
        }),
        (name(), value())
            .prop_map(|(name, value)| Command::Register(RegisterCommand::Propose { name, value })),
        (name(), prop::sample::select(vec![1, i64::MAX]))
            .prop_map(|(name, by)| Command::Counter(CounterCommand::Add { name, by })),
        (name(), value())
            .prop_map(|(name, value)| Command::Journal(JournalCommand::Append { name, value })),
        Just(Command::Journal(JournalCommand::Append { name: Name::new(""), value: "v".into() })),
    ]
}

fn once(key: &str, command: Command) -> Command {
    Command::Once(Once::new(Name::new(key), command).expect("it can have a key"))
}

fn is_broken(command: &Command) -> bool {
    matches!(command, Command::Journal(JournalCommand::Append { name, .. }) if name.as_str() == "")
}

/// Commands under few keys, by three sessions, the first two of one client.
fn asked() -> impl Strategy<Value = Vec<(u64, &'static str, Command)>> {
    let key = prop::sample::select(vec!["a", "b", "c"]);
    prop::collection::vec((1u64..=3, key, keyed()), 1..40)
}

fn ask(world: &mut World, asked: Asked) -> Reply {
    let batch = world.batch(&[asked]);
    world.machine.apply(batch).remove(0).reply
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// A client is told under a key what it was told first, in whichever session it asks; what it
    /// did is what it would have done without a key, once. Another command under the key is none.
    #[test]
    fn what_is_done_under_a_key_is_done_once(asked in asked()) {
        let (mut keyed, mut plain) = (World::new(), World::new());
        let mut first: BTreeMap<(&str, &str), (Command, Reply)> = BTreeMap::new();
        for (by, key, command) in asked {
            let reply = ask(&mut keyed, (by, once(key, command.clone())));
            let expected = match first.get(&(client(by), key)) {
                // What breaks a limit is nothing, under whatever key.
                _ if is_broken(&command) => ask(&mut plain, (by, command)),
                Some((done, told)) if *done == command => told.clone(),
                Some(_) => Reply::Rejected(Rejection::KeyReused),
                None => {
                    let told = ask(&mut plain, (by, command.clone()));
                    if !matches!(told, Reply::Rejected(_)) {
                        first.insert((client(by), key), (command, told.clone()));
                    }
                    told
                }
            };
            prop_assert_eq!(reply, expected);
            prop_assert_eq!(keyed.machine.revision(), plain.machine.revision());
            prop_assert_eq!(keyed.machine.hash(), keyed.machine.hash_anew());
        }
        let bytes = keyed.machine.snapshot().to_bytes();
        let restored = Machine::restore(&bytes).expect("it was just written");
        prop_assert_eq!(restored.hash(), keyed.machine.hash());
    }
}

fn grant(world: &mut World) -> Reply {
    ask(world, (1, once("key", Command::Lease(LeaseCommand::Grant { ttl_ms: 1_000 }))))
}

/// A lease that is told again is one that lives: whoever hears of it counts from when it asked. So
/// an end that was on its way is overruled, and of a lease that has ended nobody is told that it
/// was granted.
#[test]
fn a_lease_that_was_granted_under_a_key_is_told_again_while_it_lives() {
    let mut world = World::new();
    let Reply::Lease(lease) = grant(&mut world) else { panic!("no lease was granted") };
    assert_eq!(grant(&mut world), Reply::Lease(lease));
    let guard = synod_machine::FenceGuard { reign: world.machine.reign(), renewals: 0 };
    let expire = |guard| Command::Lease(LeaseCommand::Expire { lease, guard });
    let overruled = ask(&mut world, (1, expire(guard)));
    assert_eq!(overruled, Reply::Rejected(Rejection::ExpiryOverruled));
    let guard = synod_machine::FenceGuard { renewals: 1, ..guard };
    assert!(matches!(ask(&mut world, (1, expire(guard))), Reply::Done(_)));
    assert_eq!(grant(&mut world), Reply::Rejected(Rejection::LeaseEnded));
}

/// A day of the log, or 100 000 later keys: what is forgotten is done again.
#[test]
fn a_key_is_forgotten_after_a_day_or_after_many_others() {
    let add = || Command::Counter(CounterCommand::Add { name: Name::new("n"), by: 1 });
    let value = |reply: Reply| match reply {
        Reply::Counter(synod_machine::CounterReply::Value { value, .. }) => value,
        other => panic!("{other:?}"),
    };
    let mut world = World::new();
    assert_eq!(value(ask(&mut world, (1, once("key", add())))), 1);
    for _ in 0..23 {
        world.stamp += 60 * 60 * 1_000;
        assert_eq!(value(ask(&mut world, (1, once("key", add())))), 1);
    }
    world.stamp += 60 * 60 * 1_000;
    world.machine.apply(Batch { stamp: Timestamp(world.stamp), requests: Vec::new() });
    assert_eq!(value(ask(&mut world, (1, once("key", add())))), 2);
    for later in 0..100_000 {
        let delete = Command::Delete { key: "absent".into() };
        let batch = world.batch(&[(1, once(&later.to_string(), delete))]);
        world.machine.apply(batch);
    }
    assert_eq!(value(ask(&mut world, (1, once("key", add())))), 3);
}

/// What is held is told as it stands, and what is done by force is on record: neither has a key.
#[test]
fn what_is_held_has_no_key() {
    use synod_machine::{LeaseId, LockCommand};
    let lock = LockCommand::Acquire { name: Name::new("n"), lease: LeaseId::new(1), wait: true };
    assert!(Once::new(Name::new("key"), Command::Lock(lock)).is_err());
    let revoke = LeaseCommand::Revoke { lease: LeaseId::new(1) };
    assert!(Once::new(Name::new("key"), Command::Lease(revoke)).is_err());
    let no_key = Once { key: Name::new(""), what: Keyed::Grant { ttl_ms: 1_000 } };
    let reply = ask(&mut World::new(), (1, Command::Once(no_key)));
    assert!(matches!(reply, Reply::Rejected(Rejection::Misuse(_))), "{reply:?}");
}
