use bytes::Bytes;
use proptest::prelude::*;
use synod_machine::{
    AbortCause, BarrierCommand, Batch, BranchIncarnation, ClaimCommand, Command, CounterCommand,
    ElectionCommand, Expect, FenceCause, FenceGuard, Guard, JournalCommand, LeaseCommand, LeaseId,
    LockCommand, Multi, Mutation, Name, Order, Part, ParticipantName, Position, Proposal,
    RegisterCommand, Reign, Report, Request, RequestId, Revision, Rules, Seq, SessionId, Timestamp,
    TxnId,
};

/// Few names, so that everything meets everything.
pub(crate) const SESSIONS: u64 = 4;
pub(crate) const TXNS: u64 = 5;

pub(crate) fn names() -> [ParticipantName; 2] {
    ["east", "west"].map(ParticipantName::new)
}

/// A history that sensible clients could have written, in a bad order.
pub(crate) fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let batch = (0u64..50, prop::collection::vec(request(), 1..4))
        .prop_map(|(stamp, requests)| Batch { stamp: Timestamp(stamp), requests });
    prop::collection::vec(batch, 1..40).prop_map(|rest| {
        let mut history = vec![opening()];
        history.extend(rest);
        history
    })
}

/// Two sessions and both participants are there from the start.
fn opening() -> Batch {
    let open = Request { id: None, acked: Seq::ZERO, command: open() };
    let register = |(seq, name): (u64, ParticipantName)| Request {
        id: Some(RequestId { session: SessionId::new(1), seq: Seq::new(seq) }),
        acked: Seq::ZERO,
        command: register(name, 1),
    };
    let [east, west] = names();
    let registered = [(1, east), (2, west)].map(register);
    Batch {
        stamp: Timestamp(1),
        requests: [vec![open.clone(), open], registered.to_vec()].concat(),
    }
}

fn open() -> Command {
    Command::OpenSession { owner: "model".to_owned(), ttl_ms: 1_000 }
}

fn register(name: ParticipantName, incarnation: u64) -> Command {
    let incarnation = BranchIncarnation(incarnation);
    Command::RegisterParticipant { name, incarnation, address: "here".to_owned() }
}

fn request() -> impl Strategy<Value = Request> {
    let id = (1..=SESSIONS, 1u64..10, 0u64..10).prop_map(|(session, seq, acked)| {
        let id = RequestId { session: SessionId::new(session), seq: Seq::new(seq) };
        (id, Seq::new(acked.min(seq) / 2))
    });
    (id, any::<prop::sample::Index>(), command()).prop_map(|((id, acked), named, command)| {
        let named = command.must_be_named() || named.index(2) == 0;
        let (id, acked) = if named { (Some(id), acked) } else { (None, Seq::ZERO) };
        Request { id, acked, command }
    })
}

fn command() -> impl Strategy<Value = Command> {
    let txn = || {
        (1..=SESSIONS, 1..=TXNS)
            .prop_map(|(session, n)| TxnId { session: SessionId::new(session), n })
    };
    let keys = prop_oneof![
        (key(), value()).prop_map(|(key, value)| Command::Put { key, value }),
        key().prop_map(|key| Command::Delete { key }),
        (key(), expect(), value())
            .prop_map(|(key, expect, value)| { Command::Cas { key, expect, value } }),
        multi().prop_map(Command::Multi),
    ];
    let txns = prop_oneof![
        6 => (txn(), outcome()).prop_map(|(txn, outcome)| Command::Decide { txn, outcome }),
        4 => (name(), prop::collection::vec(txn(), 1..3))
            .prop_map(|(participant, txns)| Command::Ack { participant, txns }),
        1 => (1..=TXNS).prop_map(|below| Command::Retire { below }),
        1 => (txn(), name()).prop_map(|(txn, participant)| Command::ForgetParticipant {
            txn, participant, actor: "ops".to_owned(), reason: "gone".to_owned(),
        }),
        1 => (name(), 1u64..3).prop_map(|(name, incarnation)| register(name, incarnation)),
    ];
    let sessions = prop_oneof![
        Just(open()),
        (1..=SESSIONS, 1u64..10).prop_map(|(session, seq)| Command::Settle {
            request: RequestId { session: SessionId::new(session), seq: Seq::new(seq) },
        }),
        (1..=SESSIONS, prop::option::of((0u64..3, 0u64..6))).prop_map(|(session, guard)| {
            let guard =
                guard.map(|(round, renewals)| FenceGuard { reign: Reign(round, 0, 0), renewals });
            let session = SessionId::new(session);
            Command::Fence { session, cause: FenceCause::Expired, guard }
        }),
        (0u64..3).prop_map(|round| Command::LeaderStart { reign: Reign(round, 0, 0) }),
    ];
    prop_oneof![8 => keys, 12 => txns, 3 => sessions, 1 => Just(Command::CloseSession)]
}

fn outcome() -> impl Strategy<Value = Proposal> {
    let part = (name(), 1u64..8).prop_map(|(participant, store)| Part {
        participant,
        incarnation: BranchIncarnation(store.saturating_sub(5).max(1)),
    });
    let guarded = multi().prop_map(|multi| Multi { reads: vec![], ..multi });
    prop_oneof![
        3 => (prop::collection::vec(part, 0..3), prop::option::of(guarded))
            .prop_map(|(parts, multi)| Proposal::Commit { parts, multi }),
        1 => Just(Proposal::Abort { cause: AbortCause::Owner }),
    ]
}

fn name() -> impl Strategy<Value = ParticipantName> {
    prop::sample::select(names().to_vec())
}

fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["a", "ab", "b"]).prop_map(|key| Bytes::from_static(key.as_bytes()))
}

fn value() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["1", "2"]).prop_map(|value| Bytes::from_static(value.as_bytes()))
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![
        Just(Expect::Absent),
        Just(Expect::Present),
        (1u64..20).prop_map(|at| Expect::Revision(Revision::new(at))),
        value().prop_map(Expect::Value),
    ]
}

fn multi() -> impl Strategy<Value = Multi> {
    let guard = (key(), expect()).prop_map(|(key, expect)| Guard { key, expect });
    let mutation = prop_oneof![
        (key(), value()).prop_map(|(key, value)| Mutation::Put { key, value }),
        key().prop_map(|key| Mutation::Delete { key }),
    ];
    let guards = prop::collection::vec(guard, 0..2);
    let mutations = prop::collection::vec(mutation, 0..3);
    (guards, mutations, prop::collection::vec(key(), 0..3)).prop_map(
        |(guards, mutations, reads)| Multi { guards, mutations, reads, ..Multi::default() },
    )
}

/// A batch that nobody sensible would write: the ends of every range, anything anywhere.
pub(crate) fn wild_batch() -> impl Strategy<Value = Batch> {
    let wild = || prop::sample::select(vec![0, 1, 2, 3, u64::MAX - 1, u64::MAX]);
    let id = (wild(), wild()).prop_map(|(session, seq)| RequestId {
        session: SessionId::new(session),
        seq: Seq::new(seq),
    });
    let txn =
        (wild(), wild()).prop_map(|(session, n)| TxnId { session: SessionId::new(session), n });
    let bytes = prop::sample::select(vec![0, 1, 4_096, 4_097, 1 << 20, (1 << 20) + 1]);
    let big = bytes.prop_map(|len| Bytes::from(vec![7; len]));
    let name = prop_oneof![
        name(),
        Just(ParticipantName::new("")),
        Just(ParticipantName::new("x".repeat(300)))
    ];
    let command = prop_oneof![
        6 => command(),
        1 => (big.clone(), big.clone()).prop_map(|(key, value)| Command::Put { key, value }),
        1 => (big.clone(), prop::collection::vec(big, 0..130)).prop_map(|(key, reads)| {
            let guards = vec![Guard { key, expect: Expect::Absent }];
            Command::Multi(Multi { guards, reads, ..Multi::default() })
        }),
        1 => wild().prop_map(|ttl_ms| Command::OpenSession { owner: "x".repeat(257), ttl_ms }),
        1 => wild().prop_map(|ttl_ms| Command::OpenSession { owner: String::new(), ttl_ms }),
        1 => wild().prop_map(|below| Command::Retire { below }),
        2 => (txn.clone(), outcome()).prop_map(|(txn, outcome)| Command::Decide { txn, outcome }),
        1 => (name, prop::collection::vec(txn, 0..3))
            .prop_map(|(participant, txns)| Command::Ack { participant, txns }),
        1 => id.clone().prop_map(|request| Command::Settle { request }),
        1 => (wild(), wild()).prop_map(|(session, renewals)| Command::Fence {
            session: SessionId::new(session),
            cause: FenceCause::Operator,
            guard: Some(FenceGuard { reign: Reign(renewals, 0, 0), renewals }),
        }),
    ];
    let command = prop_oneof![8 => command, 2 => wild_service(wild())];
    let request = (prop::option::of(id), wild(), command)
        .prop_map(|(id, acked, command)| Request { id, acked: Seq::new(acked), command });
    (wild(), prop::collection::vec(request, 0..6))
        .prop_map(|(stamp, requests)| Batch { stamp: Timestamp(stamp), requests })
}

fn wild_service(
    wild: impl Strategy<Value = u64> + Clone + 'static,
) -> impl Strategy<Value = Command> {
    let lease = || wild.clone().prop_map(LeaseId::new);
    let text = || prop::sample::select(vec![0, 1, 256, 257, 1_025]).prop_map(|len| "x".repeat(len));
    let name = || text().prop_map(Name::new);
    let guard = (wild.clone(), wild.clone())
        .prop_map(|(round, renewals)| FenceGuard { reign: Reign(round, 0, 0), renewals });
    prop_oneof![
        3 => wild.clone().prop_map(|ttl_ms| Command::Lease(LeaseCommand::Grant { ttl_ms })),
        3 => Just(Command::Lease(LeaseCommand::Grant { ttl_ms: 1_000 })),
        1 => lease().prop_map(|lease| Command::Lease(LeaseCommand::Revoke { lease })),
        1 => (lease(), guard)
            .prop_map(|(lease, guard)| Command::Lease(LeaseCommand::Expire { lease, guard })),
        1 => (lease(), text(), text()).prop_map(|(lease, actor, reason)| {
            Command::Lease(LeaseCommand::Break { lease, actor, reason })
        }),
        4 => (name(), lease(), any::<bool>()).prop_map(|(name, lease, wait)| {
            Command::Lock(LockCommand::Acquire { name, lease, wait })
        }),
        1 => (name(), lease())
            .prop_map(|(name, lease)| Command::Lock(LockCommand::Release { name, lease })),
        1 => (name(), text(), text()).prop_map(|(name, actor, reason)| {
            Command::Lock(LockCommand::Break { name, actor, reason })
        }),
        1 => wild.clone().prop_map(|upto| Command::Compact { upto: Revision::new(upto) }),
        4 => wild_table(wild),
    ]
}

fn wild_table(
    wild: impl Strategy<Value = u64> + Clone + 'static,
) -> impl Strategy<Value = Command> {
    let lease = || prop::option::of(wild.clone().prop_map(LeaseId::new));
    let number = || prop::sample::select(vec![0, 1, -1, i64::MAX, i64::MIN]);
    let length = prop::sample::select(vec![0, 1, 64 << 10, (64 << 10) + 1]);
    let text = || prop::sample::select(vec![0, 1, 256, 257, 1_025]).prop_map(|len| "x".repeat(len));
    let name = || text().prop_map(Name::new);
    prop_oneof![
        2 => (name(), text(), lease()).prop_map(|(name, owner, lease)| {
            Command::Claim(ClaimCommand::Take { name, owner, lease })
        }),
        1 => (name(), text())
            .prop_map(|(name, owner)| Command::Claim(ClaimCommand::Release { name, owner })),
        1 => (name(), text(), text()).prop_map(|(name, actor, reason)| {
            Command::Claim(ClaimCommand::Break { name, actor, reason })
        }),
        1 => (name(), length.prop_map(|length| Bytes::from(vec![7; length]))).prop_map(
            |(name, value)| Command::Register(RegisterCommand::Propose { name, value })
        ),
        2 => (name(), number())
            .prop_map(|(name, by)| Command::Counter(CounterCommand::Add { name, by })),
        1 => (name(), prop::option::of(number()), number()).prop_map(|(name, expect, to)| {
            Command::Counter(CounterCommand::Set { name, expect, to })
        }),
        1 => name().prop_map(|name| Command::Counter(CounterCommand::Delete { name })),
        3 => wild_meeting(wild.clone()).prop_map(Command::Barrier),
        3 => wild_journal(wild.clone()).prop_map(Command::Journal),
        3 => wild_election(wild).prop_map(Command::Election),
    ]
}

fn wild_meeting(
    wild: impl Strategy<Value = u64> + Clone + 'static,
) -> impl Strategy<Value = BarrierCommand> {
    let lease = || wild.clone().prop_map(LeaseId::new);
    let name = || prop::sample::select(vec![0, 1, 257]).prop_map(|len| Name::new("x".repeat(len)));
    let parties = prop::sample::select(vec![0, 1, 2, 4_096, 4_097, u32::MAX]);
    prop_oneof![
        3 => (name(), lease(), parties).prop_map(|(name, lease, parties)| {
            BarrierCommand::Arrive { name, lease, parties }
        }),
        1 => (name(), lease()).prop_map(|(name, lease)| BarrierCommand::Leave { name, lease }),
        1 => name().prop_map(|name| BarrierCommand::Remove { name }),
    ]
}

fn wild_election(
    wild: impl Strategy<Value = u64> + Clone + 'static,
) -> impl Strategy<Value = ElectionCommand> {
    let lease = || wild.clone().prop_map(LeaseId::new);
    let text = |longest: usize| {
        prop::sample::select(vec![0, 1, longest, longest + 1]).prop_map(|len| "x".repeat(len))
    };
    let name = || text(256).prop_map(Name::new);
    let report = || prop_oneof![wild.clone().prop_map(Report::At), Just(Report::NotNow)];
    let rule = || prop::option::of(wild.clone());
    let order = prop_oneof![
        Just(Order::Pause),
        Just(Order::Resume),
        Just(Order::Cancel),
        prop::option::of(name()).prop_map(|to| Order::Switchover { to }),
        (rule(), rule(), rule()).prop_map(|(lag_max, position_min, fresh_ms)| {
            Order::Rules(Rules { lag_max, position_min, fresh_ms })
        }),
    ];
    let token = wild.clone().prop_map(Revision::new);
    prop_oneof![
        4 => (name(), lease(), name(), any::<i32>(), prop::option::of(report())).prop_map(
            |(name, lease, candidate, priority, report)| {
                ElectionCommand::Stand { name, lease, candidate, priority, report }
            },
        ),
        2 => (name(), lease(), report())
            .prop_map(|(name, lease, report)| ElectionCommand::Report { name, lease, report }),
        1 => (name(), lease(), token, text(1_024)).prop_map(|(name, lease, token, value)| {
            ElectionCommand::Proclaim { name, lease, token, value }
        }),
        1 => (name(), lease()).prop_map(|(name, lease)| ElectionCommand::Leave { name, lease }),
        3 => (name(), order, text(256), text(1_024)).prop_map(|(name, order, actor, reason)| {
            ElectionCommand::Order { name, order, actor, reason }
        }),
    ]
}

fn wild_journal(
    wild: impl Strategy<Value = u64> + Clone + 'static,
) -> impl Strategy<Value = JournalCommand> {
    let position = || wild.clone().prop_map(Position::new);
    let name = || prop::sample::select(vec![0, 1, 257]).prop_map(|len| Name::new("x".repeat(len)));
    let value = prop::sample::select(vec![0, 1, 1 << 20, (1 << 20) + 1]);
    prop_oneof![
        3 => (name(), value.prop_map(|length| Bytes::from(vec![7; length])))
            .prop_map(|(name, value)| JournalCommand::Append { name, value }),
        1 => (name(), position()).prop_map(|(name, upto)| JournalCommand::Trim { name, upto }),
        2 => (name(), name(), position()).prop_map(|(name, group, position)| {
            JournalCommand::Commit { name, group, position }
        }),
        1 => (name(), name()).prop_map(|(name, group)| JournalCommand::Forget { name, group }),
    ]
}
