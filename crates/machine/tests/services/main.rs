//! Leases, locks, keys on leases and watches, held against models that remember everything and are
//! slow.

mod barriers;
mod claims;
mod counters;
mod elections;
mod journals;
mod model;
mod naive;
mod once;
mod registers;
mod shares;

use bytes::Bytes;
use proptest::prelude::*;
use synod_machine::{
    Answer, Batch, Change, Command, FenceGuard, Hold, Interest, LeaseCommand, LeaseId, LockCommand,
    Machine, Multi, Mutation, Name, Query, Reign, Request, RequestId, Revision, Seq, SessionId,
    Timestamp,
};

use naive::Naive;

/// Who asks: three sessions, the first two of one client.
const OWNERS: [&str; 3] = ["app/1", "app/2", "ops/1"];

/// The place of what is counted from 1.
fn place(number: u64) -> usize {
    usize::try_from(number).expect("few are counted here") - 1
}

fn names() -> [Name; 2] {
    ["a", "b"].map(Name::new)
}

/// A command, and the session that asks.
type Asked = (u64, Command);

fn name() -> impl Strategy<Value = Name> {
    prop::sample::select(names().to_vec())
}

fn lease() -> impl Strategy<Value = LeaseId> {
    (0u64..12).prop_map(LeaseId::new)
}

fn command() -> impl Strategy<Value = Command> {
    let leases = prop_oneof![
        4 => Just(LeaseCommand::Grant { ttl_ms: 1_000 }),
        2 => lease().prop_map(|lease| LeaseCommand::Revoke { lease }),
        2 => (lease(), 0u64..3, 0u64..4).prop_map(|(lease, round, renewals)| {
            let guard = FenceGuard { reign: Reign(round, 0, 0), renewals };
            LeaseCommand::Expire { lease, guard }
        }),
        1 => lease().prop_map(|lease| LeaseCommand::Break {
            lease, actor: "ops".to_owned(), reason: "gone".to_owned(),
        }),
    ];
    let locks = prop_oneof![
        6 => (name(), lease(), any::<bool>())
            .prop_map(|(name, lease, wait)| LockCommand::Acquire { name, lease, wait }),
        3 => (name(), lease()).prop_map(|(name, lease)| LockCommand::Release { name, lease }),
        1 => name().prop_map(|name| LockCommand::Break {
            name, actor: "ops".to_owned(), reason: "stuck".to_owned(),
        }),
    ];
    let keys = prop::sample::select(vec!["k", "kk", "l"]).prop_map(Bytes::from);
    let keys = (keys, any::<bool>()).prop_map(|(key, put)| match put {
        true => Command::Put { key, value: Bytes::from_static(b"v") },
        false => Command::Delete { key },
    });
    let on_leases =
        (prop::option::of(lease()), prop::option::of((name(), 1u64..20)), any::<bool>());
    let on_leases = on_leases.prop_map(|(lease, held, two)| {
        let hold = |(name, token)| Hold::Lock { name, token: Revision::new(token) };
        let put = |key: &'static str| Mutation::Put { key: key.into(), value: "m".into() };
        let mutations = if two { vec![put("k"), put("kk")] } else { vec![put("l")] };
        let holds = held.map(hold).into_iter().collect();
        Command::Multi(Multi { holds, mutations, lease, ..Multi::default() })
    });
    prop_oneof![
        4 => leases.prop_map(Command::Lease),
        3 => on_leases,
        6 => locks.prop_map(Command::Lock),
        3 => keys,
        1 => (0u64..3).prop_map(|round| Command::LeaderStart { reign: Reign(round, 0, 0) }),
        1 => (0u64..40).prop_map(|upto| Command::Compact { upto: Revision::new(upto) }),
    ]
}

fn history() -> impl Strategy<Value = Vec<Vec<Asked>>> {
    let asked = (1u64..=3, command());
    prop::collection::vec(prop::collection::vec(asked, 1..4), 1..60)
}

/// A machine with three sessions, and how far each has counted.
struct World {
    machine: Machine,
    seqs: [u64; 3],
    stamp: u64,
}

impl World {
    fn new() -> World {
        let mut machine = Machine::new();
        let open = |owner: &str| Request {
            id: None,
            acked: Seq::ZERO,
            command: Command::OpenSession { owner: owner.to_owned(), ttl_ms: 10_000 },
        };
        machine.apply(Batch { stamp: Timestamp(1), requests: OWNERS.map(open).to_vec() });
        World { machine, seqs: [0; 3], stamp: 1 }
    }

    fn batch(&mut self, asked: &[Asked]) -> Batch {
        self.stamp += 1;
        let requests = asked.iter().map(|(session, command)| {
            let seq = &mut self.seqs[place(*session)];
            *seq += 1;
            let id = RequestId { session: SessionId::new(*session), seq: Seq::new(*seq) };
            let expiry = matches!(command, Command::Lease(LeaseCommand::Expire { .. }));
            let id = (!expiry).then_some(id);
            let acked = if expiry { Seq::ZERO } else { Seq::new(*seq) };
            Request { id, acked, command: command.clone() }
        });
        Batch { stamp: Timestamp(self.stamp), requests: requests.collect() }
    }
}

fn interests() -> Vec<Interest> {
    let keys = ["", "k", "kk", "x"].map(|prefix| Interest::Keys { prefix: prefix.into() });
    let locks = names().map(|name| Interest::Lock { name });
    [keys.to_vec(), locks.to_vec()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Every reply, every holder and every queue is that of a model that replays the whole history.
    #[test]
    fn leases_and_locks_are_what_the_history_says(history in history()) {
        let (mut world, mut naive) = (World::new(), Naive::default());
        for asked in history {
            let batch = world.batch(&asked);
            let expected: Vec<_> =
                asked.iter().map(|(by, command)| naive.apply(*by, command, batch.stamp)).collect();
            let replies: Vec<_> =
                world.machine.apply(batch).into_iter().map(|applied| applied.reply).collect();
            prop_assert_eq!(replies, expected, "{:?}", asked);
            prop_assert_eq!(world.machine.revision(), Revision::new(naive.revision));
            prop_assert_eq!(world.machine.hash(), world.machine.hash_anew());
            naive.agrees(&world.machine)?;
        }
    }

    /// The token of a lock grows from grant to grant, for ever, and at most one lease holds it.
    #[test]
    fn tokens_grow_from_grant_to_grant(history in history()) {
        let mut world = World::new();
        let mut last = std::collections::BTreeMap::new();
        for asked in history {
            let since = world.machine.revision();
            let batch = world.batch(&asked);
            world.machine.apply(batch);
            for change in world.machine.changes_since(since) {
                let (_, Change::Lock { name, holder: Some(holder) }) = change else { continue };
                let before = last.insert(name.clone(), holder.token);
                prop_assert!(before.is_none_or(|before| before < holder.token));
            }
        }
    }

    /// A watch from any revision is told exactly what came after it, in order, whole revisions, by
    /// any machine that is as far; or that some of it is forgotten.
    #[test]
    fn a_watch_is_told_everything_once_or_that_there_is_a_gap(
        history in history(), restored in any::<bool>(),
    ) {
        let (mut world, mut naive) = (World::new(), Naive::default());
        for asked in history {
            let batch = world.batch(&asked);
            for (by, command) in &asked {
                naive.apply(*by, command, batch.stamp);
            }
            world.machine.apply(batch);
        }
        if restored {
            world.machine = Machine::restore(&world.machine.snapshot().to_bytes()).unwrap();
        }
        let now = world.machine.revision();
        for interest in interests() {
            for after in (0..=now.get() + 2).map(Revision::new) {
                let query = Query::Changes { interest: interest.clone(), after };
                let expected = if after.get() < naive.forgotten {
                    Answer::Gap { forgotten: Revision::new(naive.forgotten) }
                } else {
                    let changes = naive.changes_after(after, &interest);
                    Answer::Changes { changes, upto: now.max(after) }
                };
                prop_assert_eq!(world.machine.query(&query), expected);
            }
        }
    }

    /// A machine that was written and read back goes on as the original does.
    #[test]
    fn a_restored_machine_goes_on_as_the_original_does(history in history(), at in 0usize..30) {
        let mut world = World::new();
        let mut restored = None;
        for (place, asked) in history.into_iter().enumerate() {
            if place == at {
                let bytes = world.machine.snapshot().to_bytes();
                restored = Some(Machine::restore(&bytes).unwrap());
            }
            let batch = world.batch(&asked);
            let applied = world.machine.apply(batch.clone());
            if let Some(restored) = &mut restored {
                prop_assert_eq!(restored.apply(batch), applied);
                prop_assert_eq!(
                    restored.snapshot().to_bytes(), world.machine.snapshot().to_bytes()
                );
            }
        }
    }
}
