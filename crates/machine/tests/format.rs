//! The bytes of a batch outlive the process that wrote them. They are described in
//! `docs/format.md`.

use bytes::Bytes;
use synod_machine::{
    AbortCause, BarrierCommand, Batch, BranchIncarnation, ClaimCommand, Command, CounterCommand,
    ElectionCommand, Expect, FenceCause, FenceGuard, Guard, Hold, JournalCommand, LeaseCommand,
    LeaseId, LockCommand, Multi, Mutation, Name, Once, Order, Part, ParticipantName, Position,
    Proposal, RegisterCommand, Reign, Reply, Report, Request, RequestId, Revision, Rules, Seq,
    SessionId, Timestamp, TxnId,
    door::{Ask, Said},
    participant_door,
};

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// Each command with the bytes that it has had since the first version.
fn commands() -> Vec<(Command, &'static str)> {
    let (key, value) = (bytes("k"), bytes("v"));
    let session = SessionId::new(300);
    let txn = TxnId { session, n: 2 };
    let name = ParticipantName::new("east");
    let part = Part { participant: name.clone(), incarnation: BranchIncarnation(128) };
    let multi = Multi {
        guards: vec![
            Guard { key: key.clone(), expect: Expect::Absent },
            Guard { key: key.clone(), expect: Expect::Present },
            Guard { key: key.clone(), expect: Expect::Value(value.clone()) },
        ],
        mutations: vec![
            Mutation::Put { key: key.clone(), value: value.clone() },
            Mutation::Delete { key: key.clone() },
        ],
        holds: vec![
            Hold::Lock { name: Name::new("l"), token: Revision::new(9) },
            Hold::Claim { name: Name::new("n"), owner: "o".to_owned() },
            Hold::Incumbent { election: Name::new("e"), token: Revision::new(8) },
        ],
        lease: Some(LeaseId::new(5)),
        reads: vec![key.clone()],
    };
    let guard = Some(FenceGuard { reign: Reign(7, 1, 2), renewals: 3 });
    let operator = AbortCause::Operator { actor: "a".to_owned(), reason: "b".to_owned() };
    let decide = |outcome| Command::Decide { txn, outcome };
    let abort = |cause| decide(Proposal::Abort { cause });
    let fence = |cause, guard| Command::Fence { session, cause, guard };
    let commit = |parts, multi| decide(Proposal::Commit { parts, multi });
    let (lease, lock, of) = (Command::Lease, Command::Lock, Name::new);
    let mut commands = vec![
        (Command::OpenSession { owner: "app".to_owned(), ttl_ms: 10_000 }, "0003617070904e"),
        (Command::CloseSession, "01"),
        (Command::Put { key: key.clone(), value: value.clone() }, "02016b0176"),
        (Command::Delete { key: key.clone() }, "03016b"),
        (
            Command::Cas {
                key: key.clone(),
                expect: Expect::Revision(Revision::new(9)),
                value: value.clone(),
            },
            "04016b02090176",
        ),
        (
            Command::Multi(multi.clone()),
            "0503016b00016b01016b0301760300016c0901016e016f020165080200016b017601016b010501016b",
        ),
        (Command::Settle { request: RequestId { session, seq: Seq::new(4) } }, "06ac0204"),
        (
            Command::RegisterParticipant {
                name: name.clone(),
                incarnation: BranchIncarnation(128),
                address: "h:1".to_owned(),
            },
            "070465617374800103683a31",
        ),
        (commit(vec![part.clone()], None), "08ac020200010465617374800100"),
        (
            commit(vec![part], Some(Multi { reads: vec![], ..multi })),
            "08ac02020001046561737480010103016b00016b01016b03017603\
             00016c0901016e016f020165080200016b017601016b010500",
        ),
        (abort(AbortCause::InDoubtGrace { participant: name.clone() }), "08ac020201000465617374"),
        (abort(operator), "08ac0202010101610162"),
        (abort(AbortCause::Owner), "08ac02020102"),
        (abort(AbortCause::Guard), "08ac02020103"),
        (abort(AbortCause::LostVote { participant: name.clone() }), "08ac020201040465617374"),
        (fence(FenceCause::Expired, guard), "09ac02000107010203"),
        (fence(FenceCause::Closed, None), "09ac020100"),
        (fence(FenceCause::Overrun, None), "09ac020200"),
        (fence(FenceCause::Operator, None), "09ac020300"),
        (Command::Ack { participant: name.clone(), txns: vec![txn] }, "0a046561737401ac0202"),
        (Command::Retire { below: 5 }, "0b05"),
        (Command::LeaderStart { reign: Reign(7, 1, 2) }, "0c070102"),
        (
            Command::ForgetParticipant {
                txn,
                participant: name,
                actor: "a".to_owned(),
                reason: "b".to_owned(),
            },
            "0dac0202046561737401610162",
        ),
        (lease(LeaseCommand::Grant { ttl_ms: 300 }), "0e00ac02"),
        (lease(LeaseCommand::Revoke { lease: LeaseId::new(5) }), "0e0105"),
        (
            lease(LeaseCommand::Expire {
                lease: LeaseId::new(5),
                guard: FenceGuard { reign: Reign(7, 1, 2), renewals: 3 },
            }),
            "0e020507010203",
        ),
        (
            lease(LeaseCommand::Break {
                lease: LeaseId::new(5),
                actor: "a".to_owned(),
                reason: "b".to_owned(),
            }),
            "0e030501610162",
        ),
        (
            lock(LockCommand::Acquire { name: of("l"), lease: LeaseId::new(5), wait: true }),
            "0f00016c0501",
        ),
        (lock(LockCommand::Release { name: of("l"), lease: LeaseId::new(5) }), "0f01016c05"),
        (
            lock(LockCommand::Break {
                name: of("l"),
                actor: "a".to_owned(),
                reason: "b".to_owned(),
            }),
            "0f02016c01610162",
        ),
        (Command::Compact { upto: Revision::new(300) }, "10ac02"),
    ];
    commands.extend(of_claims());
    commands.extend(of_registers_and_counters());
    commands.extend(of_barriers_and_journals());
    commands.extend(of_elections());
    commands.extend(under_keys());
    commands
}

fn under_keys() -> Vec<(Command, &'static str)> {
    let (name, lease) = (|| Name::new("n"), Command::Lease);
    let multi = Multi { reads: vec![bytes("k")], ..Multi::default() };
    let commands = [
        (Command::Put { key: bytes("k"), value: bytes("v") }, "17016f00016b0176"),
        (Command::Delete { key: bytes("k") }, "17016f01016b"),
        (Command::Multi(multi), "17016f020000000001016b"),
        (lease(LeaseCommand::Grant { ttl_ms: 300 }), "17016f03ac02"),
        (
            Command::Register(RegisterCommand::Propose { name: name(), value: bytes("v") }),
            "17016f0400016e0176",
        ),
        (Command::Counter(CounterCommand::Add { name: name(), by: -2 }), "17016f0500016e03"),
        (
            Command::Journal(JournalCommand::Append { name: name(), value: bytes("v") }),
            "17016f0600016e0176",
        ),
    ];
    let once =
        |command| Command::Once(Once::new(Name::new("o"), command).expect("it can have a key"));
    commands.map(|(command, bytes)| (once(command), bytes)).to_vec()
}

fn of_claims() -> Vec<(Command, &'static str)> {
    let (name, owner) = (|| Name::new("n"), || "o".to_owned());
    let take = |lease| ClaimCommand::Take { name: name(), owner: owner(), lease };
    let broken =
        ClaimCommand::Break { name: name(), actor: "a".to_owned(), reason: "b".to_owned() };
    vec![
        (Command::Claim(take(None)), "1100016e016f00"),
        (Command::Claim(take(Some(LeaseId::new(5)))), "1100016e016f0105"),
        (Command::Claim(ClaimCommand::Release { name: name(), owner: owner() }), "1101016e016f"),
        (Command::Claim(broken), "1102016e01610162"),
    ]
}

fn of_registers_and_counters() -> Vec<(Command, &'static str)> {
    let (name, count) = (|| Name::new("n"), Command::Counter);
    let propose = RegisterCommand::Propose { name: name(), value: bytes("v") };
    vec![
        (Command::Register(propose), "1200016e0176"),
        (count(CounterCommand::Add { name: name(), by: -2 }), "1300016e03"),
        (count(CounterCommand::Set { name: name(), expect: None, to: 2 }), "1301016e0004"),
        (count(CounterCommand::Set { name: name(), expect: Some(-1), to: 64 }), "1301016e01018001"),
        (count(CounterCommand::Delete { name: name() }), "1302016e"),
    ]
}

fn of_barriers_and_journals() -> Vec<(Command, &'static str)> {
    let (name, group, lease) = (|| Name::new("n"), || Name::new("g"), LeaseId::new(5));
    let (meet, journal) = (Command::Barrier, Command::Journal);
    let position = Position::new(300);
    vec![
        (meet(BarrierCommand::Arrive { name: name(), lease, parties: 3 }), "1400016e0503"),
        (meet(BarrierCommand::Leave { name: name(), lease }), "1401016e05"),
        (meet(BarrierCommand::Remove { name: name() }), "1402016e"),
        (journal(JournalCommand::Append { name: name(), value: bytes("v") }), "1500016e0176"),
        (journal(JournalCommand::Trim { name: name(), upto: position }), "1501016eac02"),
        (
            journal(JournalCommand::Commit { name: name(), group: group(), position }),
            "1502016e0167ac02",
        ),
        (journal(JournalCommand::Forget { name: name(), group: group() }), "1503016e0167"),
    ]
}

fn of_elections() -> Vec<(Command, &'static str)> {
    let (name, lease, token) = (|| Name::new("n"), LeaseId::new(5), Revision::new(300));
    let stand = |priority, report| {
        let candidate = Name::new("c");
        ElectionCommand::Stand { name: name(), lease, candidate, priority, report }
    };
    let order = |order| {
        let (actor, reason) = ("a".to_owned(), "b".to_owned());
        ElectionCommand::Order { name: name(), order, actor, reason }
    };
    let rules = Rules { lag_max: Some(300), position_min: None, fresh_ms: Some(5) };
    let commands = [
        (stand(-1, None), "1600016e0501630100"),
        (stand(1, Some(Report::At(300))), "1600016e050163020100ac02"),
        (ElectionCommand::Report { name: name(), lease, report: Report::NotNow }, "1601016e0501"),
        (
            ElectionCommand::Proclaim { name: name(), lease, token, value: "v".to_owned() },
            "1602016e05ac020176",
        ),
        (ElectionCommand::Leave { name: name(), lease }, "1603016e05"),
        (order(Order::Pause), "1604016e0001610162"),
        (order(Order::Resume), "1604016e0101610162"),
        (order(Order::Rules(rules)), "1604016e0201ac0200010501610162"),
        (order(Order::Switchover { to: None }), "1604016e030001610162"),
        (order(Order::Switchover { to: Some(Name::new("c")) }), "1604016e0301016301610162"),
        (order(Order::Cancel), "1604016e0401610162"),
    ];
    commands.map(|(command, bytes)| (Command::Election(command), bytes)).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A log written by this version can be read by every later one.
#[test]
fn commands_have_the_bytes_they_always_had() {
    for (command, expected) in commands() {
        let bytes = postcard::to_stdvec(&command).unwrap();
        assert_eq!(hex(&bytes), expected, "{command:?}");
        assert_eq!(postcard::from_bytes::<Command>(&bytes), Ok(command));
    }
}

/// A batch is its stamp and its requests.
#[test]
fn a_batch_has_the_bytes_it_always_had() {
    let id = Some(RequestId { session: SessionId::new(300), seq: Seq::new(4) });
    let put = Command::Put { key: bytes("k"), value: bytes("v") };
    let start = Command::LeaderStart { reign: Reign(7, 1, 2) };
    let batch = Batch {
        stamp: Timestamp(1_000),
        requests: vec![
            Request { id, acked: Seq::new(3), command: put },
            Request { id: None, acked: Seq::ZERO, command: start },
        ],
    };
    let bytes = postcard::to_stdvec(&batch).unwrap();
    assert_eq!(hex(&bytes), "e8070201ac02040302016b017600000c070102");
    assert_eq!(postcard::from_bytes::<Batch>(&bytes), Ok(batch));
}

/// Every prefix of a batch is refused by decoding, never misread.
#[test]
fn a_batch_cut_short_is_refused() {
    let command = Command::Put { key: bytes("key"), value: bytes("value") };
    let request = Request { id: None, acked: Seq::ZERO, command };
    let batch = Batch { stamp: Timestamp(1_000), requests: vec![request] };
    let bytes = postcard::to_stdvec(&batch).unwrap();
    for length in 0..bytes.len() {
        assert!(postcard::from_bytes::<Batch>(&bytes[..length]).is_err(), "{length}");
    }
}

/// A length from outside reserves no memory that the bytes cannot fill.
#[test]
fn a_claim_of_endless_requests_is_refused() {
    let mut bytes = vec![1];
    bytes.extend([0xff; 9]);
    bytes.push(0x01);
    assert!(postcard::from_bytes::<Batch>(&bytes).is_err());
}

/// What a settle found is told as it was, after one byte that says so.
#[test]
fn a_settled_reply_has_the_bytes_it_always_had() {
    let settled: Reply = Reply::SettledApplied(Box::new(Reply::Written(Revision::new(3))));
    let bytes = postcard::to_stdvec(&settled).unwrap();
    assert_eq!(hex(&bytes), "070203");
    assert_eq!(postcard::from_bytes(&bytes), Ok(settled));
}

/// The largest frame.
const FRAME_BYTES: usize = 2 << 20;

/// A reply in a reply in a reply, as deep as a frame is long, is refused at the second: read one in
/// the other they would exhaust the stack of whoever asked.
#[test]
fn a_settled_reply_within_a_settled_reply_is_refused() {
    let refused = |bytes: &[u8]| assert!(postcard::from_bytes::<Said>(bytes).is_err());
    refused(&[0x00, 0x07, 0x07, 0x02, 0x03]);
    let mut deep = vec![0x07; FRAME_BYTES];
    deep[0] = 0x00;
    refused(&deep);
}

/// Nor does anything else that is said nest: whatever choice holds itself is met by its own number
/// over and over.
#[test]
fn no_byte_said_over_and_over_exhausts_the_stack() {
    for byte in 0..=u8::MAX {
        for first in 0..16 {
            let mut bytes = vec![byte; FRAME_BYTES / 16];
            bytes[0] = first;
            drop(postcard::from_bytes::<Ask>(&bytes));
            drop(postcard::from_bytes::<Said>(&bytes));
            drop(postcard::from_bytes::<participant_door::Ask>(&bytes));
            drop(postcard::from_bytes::<participant_door::Said>(&bytes));
            drop(postcard::from_bytes::<Batch>(&bytes));
        }
    }
}
