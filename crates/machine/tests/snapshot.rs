//! A machine's state as bytes: one encoding for one state, pinned, and read back with doubt. It is
//! described in `docs/format.md`.

use bytes::Bytes;
use proptest::prelude::*;
use synod_machine::{
    AbortCause, BarrierCommand, Batch, BranchIncarnation, ClaimCommand, Command, CounterCommand,
    ElectionCommand, FenceCause, JournalCommand, LeaseCommand, LeaseId, LockCommand, Machine,
    Multi, Mutation, Name, Once, Order, Part, ParticipantName, Position, Proposal, RegisterCommand,
    Reign, Report, Request, RequestId, RestoreError, Revision, Rules, Seq, SessionId, StateHash,
    Timestamp, TxnId,
};

fn name(text: &str) -> ParticipantName {
    ParticipantName::new(text)
}

fn txn(session: u64, n: u64) -> TxnId {
    TxnId { session: SessionId::new(session), n }
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn commit(participants: &[&str]) -> Proposal {
    let part = |text: &&str| Part { participant: name(text), incarnation: BranchIncarnation(7) };
    Proposal::Commit { parts: participants.iter().map(part).collect(), multi: None }
}

/// A machine in which every table has a row, and every choice of a row's value was made.
fn full() -> Machine {
    let own = |session, seq, command| Request {
        id: Some(RequestId { session: SessionId::new(session), seq: Seq::new(seq) }),
        acked: Seq::ZERO,
        command,
    };
    let nobody = |command| Request { id: None, acked: Seq::ZERO, command };
    let open = || nobody(Command::OpenSession { owner: "app".into(), ttl_ms: 10_000 });
    let register = |text: &str| Command::RegisterParticipant {
        name: name(text),
        incarnation: BranchIncarnation(7),
        address: "h:1".into(),
    };
    let decide = |session, n, outcome| Command::Decide { txn: txn(session, n), outcome };
    let operator = AbortCause::Operator { actor: "a".into(), reason: "b".into() };
    let multi = Multi {
        mutations: vec![Mutation::Put { key: bytes("k2"), value: bytes("v2") }],
        reads: vec![bytes("k"), bytes("none")],
        ..Multi::default()
    };
    let settled = RequestId { session: SessionId::new(1), seq: Seq::new(90) };
    let first = vec![
        nobody(Command::LeaderStart { reign: Reign(7, 1, 2) }),
        open(),
        open(),
        own(1, 1, register("east")),
        own(1, 2, register("west")),
        own(1, 3, Command::Put { key: bytes("k"), value: bytes("v") }),
        own(1, 4, Command::Multi(multi)),
        own(1, 5, Command::Settle { request: settled }),
        own(1, 6, decide(1, 1, commit(&["east", "west"]))),
        own(1, 7, Command::Ack { participant: name("east"), txns: vec![txn(1, 1)] }),
        own(1, 8, decide(1, 2, commit(&["east"]))),
        own(1, 9, Command::Ack { participant: name("east"), txns: vec![txn(1, 2)] }),
        own(1, 10, decide(1, 3, Proposal::Abort { cause: operator })),
        own(2, 1, decide(2, 1, commit(&["west"]))),
        own(2, 2, Command::Ack { participant: name("west"), txns: vec![txn(2, 1)] }),
        own(2, 3, Command::CloseSession),
    ];
    let fence =
        Command::Fence { session: SessionId::new(3), cause: FenceCause::Operator, guard: None };
    let mut machine = Machine::new();
    machine.apply(Batch { stamp: Timestamp(1_000), requests: first });
    machine.apply(Batch { stamp: Timestamp(1_001), requests: vec![open(), nobody(fence)] });
    let acquire = |lease: u64| {
        let (name, lease) = (Name::new("lock"), LeaseId::new(lease));
        Command::Lock(LockCommand::Acquire { name, lease, wait: true })
    };
    let grant = || Command::Lease(LeaseCommand::Grant { ttl_ms: 5_000 });
    let on_a_lease = Multi {
        mutations: vec![Mutation::Put { key: bytes("k3"), value: bytes("v3") }],
        lease: Some(LeaseId::new(1)),
        ..Multi::default()
    };
    let services = vec![
        own(1, 11, grant()),
        own(1, 12, grant()),
        own(1, 13, acquire(1)),
        own(1, 14, acquire(2)),
        own(1, 15, Command::Delete { key: bytes("k2") }),
        own(1, 60, Command::Multi(on_a_lease)),
        nobody(Command::Compact { upto: Revision::new(1) }),
    ];
    machine.apply(Batch { stamp: Timestamp(1_002), requests: services });
    let take = |text: &str, lease| {
        let (name, owner) = (Name::new(text), "o".to_owned());
        Command::Claim(ClaimCommand::Take { name, owner, lease })
    };
    let propose = RegisterCommand::Propose { name: Name::new("register"), value: bytes("v") };
    let add = CounterCommand::Add { name: Name::new("counter"), by: -70 };
    let arrive = |text: &str, parties| {
        let (name, lease) = (Name::new(text), LeaseId::new(2));
        Command::Barrier(BarrierCommand::Arrive { name, lease, parties })
    };
    let (journal, position) = (|| Name::new("journal"), Position::new(1));
    let append = || Command::Journal(JournalCommand::Append { name: journal(), value: bytes("e") });
    let trim = JournalCommand::Trim { name: journal(), upto: position };
    let commit = JournalCommand::Commit { name: journal(), group: Name::new("g"), position };
    let tables = vec![
        own(1, 16, take("claim", None)),
        own(1, 17, take("leased", Some(LeaseId::new(2)))),
        own(1, 18, Command::Register(propose)),
        own(1, 19, Command::Counter(add)),
        own(1, 20, arrive("open", 1)),
        own(1, 21, arrive("shut", 2)),
        own(1, 22, append()),
        own(1, 23, append()),
        own(1, 24, Command::Journal(trim)),
        own(1, 25, Command::Journal(commit)),
    ];
    machine.apply(Batch { stamp: Timestamp(1_003), requests: tables });
    let token = machine.revision().next();
    let elections = elections(token).into_iter().zip(26..);
    let elections = elections.map(|(command, seq)| own(1, seq, Command::Election(command)));
    machine.apply(Batch { stamp: Timestamp(1_004), requests: elections.collect() });
    let add = Command::Counter(CounterCommand::Add { name: Name::new("keyed"), by: 2 });
    let once = Once::new(Name::new("key"), add).expect("counting can be done once");
    let requests = vec![own(1, 90, Command::Once(once))];
    machine.apply(Batch { stamp: Timestamp(1_005), requests });
    machine
}

/// An incumbent that proclaims something and is to leave, one who waits, one who may not be
/// granted; and an election that is paused.
fn elections(token: Revision) -> Vec<ElectionCommand> {
    let name = || Name::new("election");
    let stand = |election: &str, lease, candidate: &str, report| ElectionCommand::Stand {
        name: Name::new(election),
        lease: LeaseId::new(lease),
        candidate: Name::new(candidate),
        priority: -1,
        report,
    };
    let order = |election: &str, order| {
        let (name, actor, reason) = (Name::new(election), "a".into(), "b".into());
        ElectionCommand::Order { name, order, actor, reason }
    };
    let (lease, value) = (LeaseId::new(1), "h:1".to_owned());
    let rules = Rules { lag_max: Some(9), position_min: Some(1), fresh_ms: Some(5_000) };
    vec![
        stand("election", 1, "one", Some(Report::At(7))),
        stand("election", 2, "two", Some(Report::At(7))),
        order("election", Order::Rules(rules)),
        ElectionCommand::Proclaim { name: name(), lease, token, value },
        order("election", Order::Switchover { to: None }),
        stand("paused", 1, "one", None),
        stand("paused", 2, "two", Some(Report::NotNow)),
        order("paused", Order::Pause),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A state that was written years ago is read today. Who changes these bytes changes the version.
#[test]
fn a_state_has_golden_bytes() {
    expect_test::expect_file!["snapshot.golden"].assert_eq(&hex(&full().snapshot().to_bytes()));
}

/// What is restored is equal, goes on equally, and is written with the same bytes.
#[test]
fn a_restored_machine_is_the_one_that_was_written() {
    let mut machine = full();
    let written = machine.snapshot().to_bytes();
    let mut restored = Machine::restore(&written).unwrap();
    assert_eq!(restored.hash(), machine.hash());
    assert_eq!(restored.hash_anew(), machine.hash());
    assert_eq!(restored.snapshot().to_bytes(), written);
    assert_eq!(restored.census(), machine.census());
    for participant in ["east", "west"].map(name) {
        let news = machine.news_for(&participant, &[txn(1, 1), txn(1, 9)], &[]);
        assert_eq!(restored.news_for(&participant, &[txn(1, 1), txn(1, 9)], &[]), news);
    }
    // A month later what was committed is forgotten: the queues of what ends were restored too.
    for hour in 1..40 * 24 {
        let later = Batch { stamp: Timestamp(hour * 60 * 60 * 1_000), requests: vec![] };
        machine.apply(later.clone());
        restored.apply(later);
    }
    assert_eq!(machine.census().sessions_retired, 1);
    assert_eq!(restored.hash(), machine.hash());
    assert_eq!(restored.census(), machine.census());
}

/// A snapshot is of one moment, whatever the machine does afterwards.
#[test]
fn a_snapshot_stands_still_while_its_machine_goes_on() {
    let mut machine = full();
    let (snapshot, then) = (machine.snapshot(), machine.snapshot().to_bytes());
    let request = Request {
        id: Some(RequestId { session: SessionId::new(1), seq: Seq::new(60) }),
        acked: Seq::new(60),
        command: Command::Delete { key: bytes("k") },
    };
    machine.apply(Batch { stamp: Timestamp(2_000), requests: vec![request] });
    assert_ne!(machine.hash(), snapshot.hash());
    assert_eq!(snapshot.to_bytes(), then);
}

/// A state cut short is none, at every length; nor is one with something behind it.
#[test]
fn a_state_cut_short_or_lengthened_is_refused() {
    let written = full().snapshot().to_bytes();
    for length in 0..written.len() {
        let restored = Machine::restore(&written[..length]);
        assert!(
            matches!(restored, Err(RestoreError::Malformed { .. })),
            "cut at {length}: {restored:?}"
        );
    }
    let longer = [written.as_slice(), &[0]].concat();
    assert_eq!(Machine::restore(&longer).unwrap_err(), RestoreError::Malformed { left: 1 });
}

/// A newer build's state is refused by its number.
#[test]
fn a_newer_state_is_refused_by_number() {
    let mut written = full().snapshot().to_bytes();
    let known = written[0];
    written[0] = known + 1;
    let refused = Machine::restore(&written).unwrap_err();
    assert_eq!(refused, RestoreError::Version { found: known + 1, known });
}

/// The digest at the end is that of the state, or the state is another.
#[test]
fn another_state_than_was_written_is_refused() {
    let empty = Machine::new();
    let mut written = empty.snapshot().to_bytes();
    // The clock, right behind the version: one millisecond later.
    written[1] = 1;
    match Machine::restore(&written) {
        Err(RestoreError::OtherState { written, found }) => {
            assert_eq!(written, empty.hash());
            assert_ne!(found, StateHash::default());
        }
        other => panic!("accepted: {other:?}"),
    }
}

proptest! {
    /// Whatever the bytes are, they are a state or they are refused.
    #[test]
    fn damaged_states_are_refused_and_never_another(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let machine = full();
        let written = machine.snapshot().to_bytes();
        let mut damaged = written.clone();
        for (place, byte) in damage {
            let place = place.index(damaged.len());
            damaged[place] = byte;
        }
        if let Ok(restored) = Machine::restore(&damaged) {
            // Numbers may be spelled with more bytes than they need; the state is the same.
            prop_assert_eq!(restored.hash(), machine.hash());
        }
    }
}
