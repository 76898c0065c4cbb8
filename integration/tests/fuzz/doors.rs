//! What clients, owners and participants say, and what they are told.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use synod_client::machine::{
    Answer, BarrierCommand, BranchIncarnation, Change, ClaimCommand, Command, CounterCommand,
    ElectionCommand, Entry, Expect, Guard, Hold, Holder, Incumbent, Interest, JournalCommand,
    LeaseCommand, LeaseId, LockCommand, LockReply, Multi, Mutation, Name, Office, Once, Order,
    ParticipantName, Position, Query, RegisterCommand, Reply, Report, Request, RequestId, Revision,
    Rules, Seq, SessionId, Successor, Timestamp, TxnId, Verdict,
    door::{self, Ask, Call, Freshness, Said},
    participant_door,
};
use synod_paxos::{Durable, Tick};
use synod_replica::{ClientId, Input, Output, Replica, Restored};

use crate::{
    hunt::{Judged, grown, hunt},
    words::config,
};

const TXN: TxnId = TxnId { session: SessionId::new(1), n: 2 };

pub(crate) fn bytes_of(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap()
}

/// Requests of several shapes.
pub(crate) fn requests() -> Vec<Request> {
    let id = Some(RequestId { session: SessionId::new(1), seq: Seq::new(3) });
    let multi = Multi {
        guards: vec![Guard { key: "k".into(), expect: Expect::Revision(Revision::new(4)) }],
        mutations: vec![
            Mutation::Put { key: "k".into(), value: "v".into() },
            Mutation::Delete { key: "l".into() },
        ],
        holds: vec![
            Hold::Lock { name: Name::new("a"), token: Revision::new(9) },
            Hold::Claim { name: Name::new("b"), owner: "c".to_owned() },
            Hold::Incumbent { election: Name::new("d"), token: Revision::new(8) },
        ],
        lease: Some(LeaseId::new(5)),
        reads: vec!["m".into()],
    };
    let named = [
        Command::Put { key: "k".into(), value: "v".into() },
        Command::Cas { key: "k".into(), expect: Expect::Absent, value: "v".into() },
        Command::Multi(multi),
        Command::Retire { below: 3 },
        Command::CloseSession,
    ];
    let named = named.into_iter().chain(services());
    let opened = Command::OpenSession { owner: "o".to_owned(), ttl_ms: 10_000 };
    let ack = Command::Ack { participant: ParticipantName::new("east"), txns: vec![TXN] };
    let unnamed = [opened, ack].map(|command| Request { id: None, acked: Seq::ZERO, command });
    let named = named.map(|command| Request { id, acked: Seq::new(1), command });
    unnamed.into_iter().chain(named).collect()
}

/// Requests of the services, two or so of each.
fn services() -> Vec<Command> {
    let (name, lease) = (|| Name::new("n"), LeaseId::new(1));
    let (actor, reason) = (|| "o".to_owned(), || "r".to_owned());
    vec![
        Command::Lease(LeaseCommand::Grant { ttl_ms: 5_000 }),
        Command::Lease(LeaseCommand::Revoke { lease }),
        Command::Lease(LeaseCommand::Break { lease, actor: actor(), reason: reason() }),
        Command::Lock(LockCommand::Acquire { name: name(), lease, wait: true }),
        Command::Lock(LockCommand::Release { name: name(), lease }),
        Command::Claim(ClaimCommand::Take { name: name(), owner: actor(), lease: Some(lease) }),
        Command::Register(RegisterCommand::Propose { name: name(), value: "v".into() }),
        Command::Counter(CounterCommand::Add { name: name(), by: -3 }),
        Command::Barrier(BarrierCommand::Arrive { name: name(), lease, parties: 2 }),
        Command::Journal(JournalCommand::Append { name: name(), value: "v".into() }),
        Command::Journal(JournalCommand::Commit {
            name: name(),
            group: name(),
            position: Position::new(1),
        }),
        Command::Compact { upto: Revision::new(1) },
    ]
    .into_iter()
    .chain(elections().map(Command::Election))
    .chain(once())
    .collect()
}

fn once() -> Option<Command> {
    let append = JournalCommand::Append { name: Name::new("n"), value: "v".into() };
    Once::new(Name::new("key"), Command::Journal(append)).ok().map(Command::Once)
}

fn elections() -> [ElectionCommand; 3] {
    let (name, lease, token) = (|| Name::new("n"), LeaseId::new(1), Revision::new(2));
    let (candidate, priority, report) = (Name::new("c"), -1, Some(Report::At(300)));
    let rules = Rules { lag_max: Some(1), position_min: Some(2), fresh_ms: None };
    let (order, actor, reason) = (Order::Rules(rules), "o".to_owned(), "r".to_owned());
    [
        ElectionCommand::Stand { name: name(), lease, candidate, priority, report },
        ElectionCommand::Proclaim { name: name(), lease, token, value: "v".to_owned() },
        ElectionCommand::Order { name: name(), order, actor, reason },
    ]
}

fn calls() -> Vec<Call> {
    let query = Query::Get { key: "k".into() };
    let attend = Call::Attend {
        participant: ParticipantName::new("east"),
        in_doubt: vec![TXN],
        finished: vec![TXN],
    };
    let submits = requests().into_iter().map(Call::Submit);
    let others = [
        Call::KeepAlive { session: SessionId::new(1) },
        Call::Read { query: query.clone(), freshness: Freshness::Stale },
        Call::Read { query: query.clone(), freshness: Freshness::Linearizable },
        Call::Read { query: query.clone(), freshness: Freshness::AtLeast(Revision::new(3)) },
        Call::Read { query, freshness: Freshness::Nearby },
        attend,
        Call::Renew { lease: LeaseId::new(1) },
        watch(Interest::Keys { prefix: "k".into() }),
        watch(Interest::Lock { name: Name::new("n") }),
        watch(Interest::Journal { name: Name::new("n") }),
        watch(Interest::Election { name: Name::new("n") }),
        Call::WatchAny {
            watches: vec![
                (Interest::Keys { prefix: "k".into() }, Revision::new(3)),
                (Interest::Lock { name: Name::new("n") }, Revision::new(4)),
            ],
        },
    ];
    submits.chain(others).collect()
}

fn watch(interest: Interest) -> Call {
    Call::Watch { interest, after: Revision::new(3) }
}

/// Whatever a client asks, a node goes on, and answers each call at most once.
#[test]
fn asks() {
    let asks = calls().into_iter().map(|call| bytes_of(&Ask { within_ms: 50, call }));
    let corpus: Vec<_> = asks.chain(grown::<Ask>()).collect();
    let mut replica = Replica::recover(config(), Durable::default(), Restored::default(), [], 1);
    let mut asked = 0;
    hunt("asks", 1, &corpus, |bytes| {
        let Ok((ask, [])) = postcard::take_from_bytes::<Ask>(bytes) else {
            return Judged::Refused;
        };
        asked += 1;
        let mut out = Output::default();
        let now = Tick::from_micros(asked * 1_000);
        let input = Input::Client { client: ClientId(asked), ask };
        replica.step(now, Timestamp::default(), input, &mut out);
        let told = out.responses.iter().filter(|(client, _)| client.0 == asked).count();
        assert!(told <= 1, "answered {told} times");
        drop(out.durably.synced());
        Judged::Taken
    });
}

/// What decodes says the same when it is written again.
fn is_itself<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Judged {
    let Ok((value, [])) = postcard::take_from_bytes::<T>(bytes) else { return Judged::Refused };
    let again = postcard::from_bytes::<T>(&bytes_of(&value));
    assert_eq!(again.as_ref(), Ok(&value));
    Judged::Taken
}

#[test]
fn answers() {
    let said = [
        Said::Reply(Reply::Written(Revision::new(3))),
        Said::Reply(Reply::SettledApplied(Box::new(Reply::Verdict(Verdict::Committed)))),
        Said::Answer(Answer::Key { revision: Revision::new(3), entry: None }),
        Said::Verdicts(vec![(TXN, Verdict::Aborted)]),
        Said::NotApplied(door::NotApplied::Overloaded { retry_after_ms: 50 }),
        Said::Refused(door::Refusal::Misuse("why".to_owned())),
        Said::Unknown,
        Said::Stale {
            answer: Answer::Key { revision: Revision::new(3), entry: None },
            age_ms: Some(7),
        },
        Said::NotApplied(door::NotApplied::Behind { revision: Revision::new(3) }),
        Said::Reply(Reply::Lease(LeaseId::new(3))),
        Said::Reply(Reply::Lock(LockReply::Queued { at: Revision::new(4), holder: holder() })),
        watched(Answer::Gap { forgotten: Revision::new(4) }),
        watched(Answer::Changes {
            changes: vec![(Revision::new(4), vec![changed(), put(), elected()])],
            upto: Revision::new(5),
        }),
    ];
    let gap = Answer::Gap { forgotten: Revision::new(4) };
    let any = Said::WatchedAny { news: vec![(1, gap)], upto: Revision::new(5), silent_ms: 20 };
    let said = said.iter().chain([&any]).map(bytes_of).chain(grown::<Said>());
    hunt("answers", 1, &said.collect::<Vec<_>>(), is_itself::<Said>);
}

fn watched(news: Answer) -> Said {
    Said::Watched { news, silent_ms: 20 }
}

fn holder() -> Holder {
    let (owner, token) = ("o/1".to_owned(), Revision::new(2));
    Holder { lease: LeaseId::new(3), owner, token, since_ms: 1_000 }
}

fn changed() -> Change {
    Change::Lock { name: Name::new("n"), holder: Some(holder()) }
}

fn elected() -> Change {
    let (candidate, owner, token) = (Name::new("c"), "o/1".to_owned(), Revision::new(4));
    let (lease, since_ms, proclaimed) = (LeaseId::new(3), 1_000, Some("v".to_owned()));
    let incumbent = Incumbent { candidate, lease, owner, token, since_ms, proclaimed };
    let successor = Some(Successor { candidate: Name::new("d"), lease: LeaseId::new(4) });
    let office = Office { incumbent: Some(incumbent), successor, paused: true };
    Change::Election { name: Name::new("n"), office }
}

fn put() -> Change {
    let at = Revision::new(4);
    let entry = Entry { value: "v".into(), create: at, modified: at, version: 1, lease: None };
    Change::Put { key: "k".into(), entry }
}

#[test]
fn participants_asks_and_answers() {
    use participant_door::{Ask, Call, InDoubt, NoReason, Said, Vote};
    let work = synod_client::machine::branch::Work {
        guards: vec![Guard { key: "k".into(), expect: Expect::Present }],
        mutations: vec![Mutation::Put { key: "k".into(), value: "v".into() }],
    };
    let asks =
        [Call::Prepare { txn: TXN, work }, Call::Finish { txn: TXN, verdict: Verdict::Committed }];
    let asks = asks.map(|call| bytes_of(&Ask { within_ms: 9, call }));
    let asks: Vec<_> = asks.into_iter().chain(grown::<Ask>()).collect();
    hunt("participants' asks", 1, &asks, is_itself::<Ask>);
    let no = Vote::No { reason: NoReason::Locked { by: TXN, key: "k".into() } };
    let yes = Vote::Yes { incarnation: BranchIncarnation(7) };
    let waits = InDoubt { txn: TXN, locks: 1, waited_ms: 2, held: false };
    let said = [Said::Vote(yes), Said::Vote(no), Said::InDoubt(vec![waits]), Said::Finished];
    let said: Vec<_> = said.iter().map(bytes_of).chain(grown::<Said>()).collect();
    hunt("participants' answers", 1, &said, is_itself::<Said>);
}
