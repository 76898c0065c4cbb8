use bytes::Bytes;
use synod_machine::{
    BarrierCommand, Batch, BranchIncarnation, CounterCommand, ElectionCommand, FenceGuard,
    JournalCommand, LeaseId, Multi, Order, Position, RegisterCommand, Reign, Report, Request,
    RequestId, Revision, Rules, Seq, SessionId, Timestamp, TxnId, door::Freshness,
};
use synod_net::Name;

use super::*;

fn client(name: &str, role: Role) -> Identity {
    let who = Who::Client { name: Name::new(name).unwrap(), role };
    Identity { cluster: Name::new("eu").unwrap(), who }
}

fn everybody() -> [Identity; 4] {
    [
        client("reader", Role::Read),
        client("writer", Role::Write),
        client("ops", Role::Admin),
        client("east", Role::Participant),
    ]
}

/// Who of `everybody` may ask this: `r`, `w`, `a`, `p`.
fn may(call: Call) -> String {
    let ask = Ask { within_ms: 1_000, call };
    let marks = everybody().into_iter().zip(['r', 'w', 'a', 'p']);
    marks.filter(|(who, _)| judge(who, &ask).is_ok()).map(|(_, mark)| mark).collect()
}

/// At a node that knows of no session.
fn judge(who: &Identity, ask: &Ask) -> Result<(), Refusal> {
    admit(who, ask, &Machine::new())
}

/// A machine in which the writer has opened session 1 and was granted lease 1.
fn with_a_session_and_a_lease() -> Machine {
    let mut machine = Machine::new();
    let open = Command::OpenSession { owner: "writer/77".to_owned(), ttl_ms: 5_000 };
    let grant = Command::Lease(LeaseCommand::Grant { ttl_ms: 5_000 });
    let id = RequestId { session: SessionId::new(1), seq: Seq::new(1) };
    let requests = vec![
        Request { id: None, acked: Seq::ZERO, command: open },
        Request { id: Some(id), acked: Seq::ZERO, command: grant },
    ];
    machine.apply(Batch { stamp: Timestamp(1), requests });
    machine
}

/// Security §2: what every handler receives is the name of the certificate. In the session of
/// another client nobody speaks, whatever its role.
#[test]
fn a_session_is_spoken_in_by_who_opened_it_and_by_nobody_else() {
    let machine = with_a_session_and_a_lease();
    let speaks = |who: &Identity, call: Call| admit(who, &Ask { within_ms: 1, call }, &machine);
    let [_, writer, ops, east] = everybody();
    let put = || submit(Command::Delete { key: key() });
    let keep_alive = || Call::KeepAlive { session: SessionId::new(1) };
    assert!(speaks(&writer, put()).is_ok() && speaks(&writer, keep_alive()).is_ok());
    let foreign = Err(Refusal::ForeignSession { session: SessionId::new(1) });
    assert_eq!(speaks(&ops, put()), foreign);
    assert_eq!(speaks(&ops, submit(Command::CloseSession)), foreign);
    assert_eq!(speaks(&east, keep_alive()), foreign);
    // One that begins with the same letters is another.
    assert_eq!(speaks(&client("write", Role::Write), put()), foreign);
    // A session that this node has not heard of is for the log to judge.
    assert!(speaks(&ops, Call::KeepAlive { session: SessionId::new(2) }).is_ok());
}

/// Whoever could renew another's lease could keep for ever what hangs on it.
#[test]
fn a_lease_is_renewed_by_whom_it_was_granted_to_and_by_nobody_else() {
    let machine = with_a_session_and_a_lease();
    let renew = |who: &Identity, lease: u64| {
        let call = Call::Renew { lease: LeaseId::new(lease) };
        admit(who, &Ask { within_ms: 1, call }, &machine)
    };
    let [reader, writer, ops, east] = everybody();
    assert!(renew(&writer, 1).is_ok());
    let foreign = Err(Refusal::ForeignLease { lease: LeaseId::new(1) });
    assert_eq!(renew(&ops, 1), foreign);
    assert_eq!(renew(&client("write", Role::Write), 1), foreign);
    assert!(matches!(renew(&reader, 1), Err(Refusal::Role { .. })));
    assert!(matches!(renew(&east, 1), Err(Refusal::Role { .. })));
    // One that this node has not heard of is for the log to judge.
    assert!(renew(&ops, 2).is_ok());
}

/// Leases and locks are taken by writers and taken away by admins under their own names; a leader
/// alone says that a lease is over.
#[test]
fn leases_and_locks_are_for_writers_and_force_is_for_admins() {
    let lease = |command| may(submit(Command::Lease(command)));
    let lock = |command| may(submit(Command::Lock(command)));
    let (one, name) = (LeaseId::new(1), || synod_machine::Name::new("l"));
    let guard = FenceGuard { reign: Reign(1, 0, 0), renewals: 0 };
    let (actor, reason) = (|who: &str| who.to_owned(), String::new);
    assert_eq!(lease(LeaseCommand::Grant { ttl_ms: 5_000 }), "wa");
    assert_eq!(lease(LeaseCommand::Revoke { lease: one }), "wa");
    assert_eq!(lease(LeaseCommand::Expire { lease: one, guard }), "");
    let broken = |who| LeaseCommand::Break { lease: one, actor: actor(who), reason: reason() };
    assert_eq!(lease(broken("ops")), "a");
    assert_eq!(lease(broken("writer")), "");
    assert_eq!(lock(LockCommand::Acquire { name: name(), lease: one, wait: true }), "wa");
    assert_eq!(lock(LockCommand::Release { name: name(), lease: one }), "wa");
    let broken = |who| LockCommand::Break { name: name(), actor: actor(who), reason: reason() };
    assert_eq!(lock(broken("ops")), "a");
    assert_eq!(lock(broken("writer")), "");
    assert_eq!(may(submit(Command::Compact { upto: Revision::new(1) })), "a");
    let interest = synod_machine::Interest::Lock { name: name() };
    let watches = vec![(interest.clone(), Revision::ZERO)];
    assert_eq!(may(Call::WatchAny { watches }), "rwa");
    assert_eq!(may(Call::Watch { interest, after: Revision::ZERO }), "rwa");
    assert_eq!(may(read(Query::Lock { name: name() })), "rwa");
}

/// So are claims: that only the client may give one back which took it, the log judges.
#[test]
fn claims_are_for_writers_and_force_is_for_admins() {
    let claim = |command| may(submit(Command::Claim(command)));
    let (name, owner) = (|| synod_machine::Name::new("n"), || "alice".to_owned());
    assert_eq!(claim(ClaimCommand::Take { name: name(), owner: owner(), lease: None }), "wa");
    assert_eq!(claim(ClaimCommand::Release { name: name(), owner: owner() }), "wa");
    let broken = |who: &str| {
        let (actor, reason) = (who.to_owned(), String::new());
        claim(ClaimCommand::Break { name: name(), actor, reason })
    };
    assert_eq!((broken("ops"), broken("writer")), ("a".to_owned(), String::new()));
    assert_eq!(may(read(Query::Claim { name: name() })), "rwa");
    let all = Query::Claims { prefix: String::new(), after: None, limit: 9 };
    assert_eq!(may(read(all)), "rwa");
    let interest = synod_machine::Interest::Claim { name: name() };
    assert_eq!(may(Call::Watch { interest, after: Revision::ZERO }), "rwa");
}

/// Registers and counters are for whoever writes.
#[test]
fn registers_and_counters_are_for_writers() {
    let name = || synod_machine::Name::new("n");
    let propose = RegisterCommand::Propose { name: name(), value: key() };
    assert_eq!(may(submit(Command::Register(propose))), "wa");
    let counts = [
        CounterCommand::Add { name: name(), by: 1 },
        CounterCommand::Set { name: name(), expect: None, to: 1 },
        CounterCommand::Delete { name: name() },
    ];
    for count in counts {
        assert_eq!(may(submit(Command::Counter(count))), "wa");
    }
    let (prefix, after, limit) = (String::new(), None, 9);
    let queries = [
        Query::Register { name: name() },
        Query::Registers { prefix: prefix.clone(), after: None, limit },
        Query::Counter { name: name() },
        Query::Counters { prefix, after, limit },
    ];
    for query in queries {
        assert_eq!(may(read(query)), "rwa");
    }
}

/// So are barriers and journals; that a party is a lease of the client that asks, the log judges.
#[test]
fn barriers_and_journals_are_for_writers() {
    let (name, lease) = (|| synod_machine::Name::new("n"), LeaseId::new(1));
    let meets = [
        BarrierCommand::Arrive { name: name(), lease, parties: 2 },
        BarrierCommand::Leave { name: name(), lease },
        BarrierCommand::Remove { name: name() },
    ];
    let position = Position::new(1);
    let writes = [
        JournalCommand::Append { name: name(), value: key() },
        JournalCommand::Trim { name: name(), upto: position },
        JournalCommand::Commit { name: name(), group: name(), position },
        JournalCommand::Forget { name: name(), group: name() },
    ];
    let meets = meets.map(Command::Barrier).into_iter();
    for command in meets.chain(writes.map(Command::Journal)) {
        assert_eq!(may(submit(command)), "wa");
    }
    let (prefix, after, limit) = (String::new(), None, 9);
    let queries = [
        Query::Barrier { name: name() },
        Query::Barriers { prefix: prefix.clone(), after: None, limit },
        Query::Journal { name: name(), after: position, limit },
        Query::Journals { prefix, after, limit },
        Query::Offsets { name: name() },
    ];
    for query in queries {
        assert_eq!(may(read(query)), "rwa");
    }
}

/// Elections are for whoever writes, and what a person orders in one is for admins.
#[test]
fn elections_are_for_writers_and_orders_are_for_admins() {
    let elect = |command| may(submit(Command::Election(command)));
    let (name, lease) = (|| synod_machine::Name::new("n"), LeaseId::new(1));
    let (report, token, priority) = (Report::At(1), Revision::new(1), 0);
    let (candidate, value) = (name(), "h:1".to_owned());
    let asked = [
        ElectionCommand::Stand { name: name(), lease, candidate, priority, report: Some(report) },
        ElectionCommand::Report { name: name(), lease, report },
        ElectionCommand::Proclaim { name: name(), lease, token, value },
        ElectionCommand::Leave { name: name(), lease },
    ];
    for command in asked {
        assert_eq!(elect(command), "wa");
    }
    let to = Order::Switchover { to: None };
    for order in [Order::Pause, Order::Resume, Order::Rules(Rules::default()), to, Order::Cancel] {
        let ordered = |who: &str| {
            let (order, actor, reason) = (order.clone(), who.to_owned(), String::new());
            elect(ElectionCommand::Order { name: name(), order, actor, reason })
        };
        assert_eq!((ordered("ops"), ordered("writer")), ("a".to_owned(), String::new()));
    }
    assert_eq!(may(read(Query::Election { name: name() })), "rwa");
    let all = Query::Elections { prefix: String::new(), after: None, limit: 9 };
    assert_eq!(may(read(all)), "rwa");
    let interest = synod_machine::Interest::Election { name: name() };
    assert_eq!(may(Call::Watch { interest, after: Revision::ZERO }), "rwa");
}

/// Whoever opens a session says truly who it is; what it adds is for people to read.
#[test]
fn a_session_is_opened_under_the_name_of_the_certificate() {
    let open =
        |owner: &str| may(submit(Command::OpenSession { owner: owner.to_owned(), ttl_ms: 5_000 }));
    assert_eq!(open("writer"), "w");
    assert_eq!(open("writer/4711"), "w");
    assert_eq!(open("east/4711/a"), "p");
    assert_eq!(open("writer2"), "");
    assert_eq!(open(""), "");
}

fn submit(command: Command) -> Call {
    let id = RequestId { session: SessionId::new(1), seq: Seq::new(2) };
    Call::Submit(Request { id: Some(id), acked: Seq::new(1), command })
}

fn read(query: Query) -> Call {
    Call::Read { query, freshness: Freshness::Stale }
}

fn key() -> Bytes {
    Bytes::from_static(b"epoch")
}

fn txn() -> TxnId {
    TxnId { session: SessionId::new(1), n: 1 }
}

fn participant(name: &str) -> ParticipantName {
    ParticipantName::new(name)
}

fn abort(cause: AbortCause) -> Command {
    Command::Decide { txn: txn(), outcome: Proposal::Abort { cause } }
}

fn fence(cause: FenceCause, guard: Option<FenceGuard>) -> Command {
    Command::Fence { session: SessionId::new(1), cause, guard }
}

/// Security §3: reading is for readers and up; a participant asks for verdicts, and who is
/// registered, only.
#[test]
fn reads_are_for_readers_and_verdicts_for_participants_too() {
    assert_eq!(may(read(Query::Get { key: key() })), "rwa");
    assert_eq!(may(read(Query::Verdicts { txns: vec![txn()] })), "rwap");
    assert_eq!(may(read(Query::Participants)), "rwap");
    assert_eq!(may(Call::Status), "rwap");
    assert_eq!(may(Call::HandOver { to: "n2".into() }), "a");
}

/// Security §3: writing is for writers and up.
#[test]
fn writes_are_for_writers_and_admins() {
    let value = Bytes::from_static(b"7");
    assert_eq!(may(submit(Command::Put { key: key(), value })), "wa");
    assert_eq!(may(submit(Command::Delete { key: key() })), "wa");
    assert_eq!(may(submit(Command::Multi(Multi::default()))), "wa");
    assert_eq!(may(submit(Command::Retire { below: 7 })), "wa");
    let commit = Proposal::Commit { parts: Vec::new(), multi: None };
    assert_eq!(may(submit(Command::Decide { txn: txn(), outcome: commit })), "wa");
    assert_eq!(may(submit(abort(AbortCause::Owner))), "wa");
}

/// Participants have sessions of their own.
#[test]
fn sessions_are_for_writers_and_participants() {
    let open =
        |owner: &str| submit(Command::OpenSession { owner: owner.to_owned(), ttl_ms: 5_000 });
    let may_open = ["reader", "writer", "ops", "east"].map(|owner| may(open(owner)));
    assert_eq!(may_open, ["", "w", "a", "p"]);
    assert_eq!(may(submit(Command::CloseSession)), "wap");
    assert_eq!(may(Call::KeepAlive { session: SessionId::new(1) }), "wap");
}

/// Security §3: a participant votes, acknowledges and asks for its own name only; nobody else can
/// say for it what is durable there.
#[test]
fn a_participant_speaks_for_its_own_name_and_nobody_else_does() {
    let attend = |name: &str| Call::Attend {
        participant: participant(name),
        in_doubt: Vec::new(),
        finished: Vec::new(),
    };
    let register = |name: &str| Command::RegisterParticipant {
        name: participant(name),
        incarnation: BranchIncarnation(1),
        address: "127.0.0.1:1".to_owned(),
    };
    let ack = |name: &str| Command::Ack { participant: participant(name), txns: vec![txn()] };
    let grace = |name: &str| abort(AbortCause::InDoubtGrace { participant: participant(name) });
    for (name, who) in [("east", "p"), ("west", "")] {
        assert_eq!(may(attend(name)), who);
        assert_eq!(may(submit(register(name))), who);
        assert_eq!(may(submit(ack(name))), who);
        assert_eq!(may(submit(grace(name))), who);
    }
}

/// Security §3: forcing is the admin's, under its own name.
#[test]
fn forcing_is_for_admins_under_their_own_name() {
    let forget = |actor: &str| Command::ForgetParticipant {
        txn: txn(),
        participant: participant("east"),
        actor: actor.to_owned(),
        reason: "the disk is gone".to_owned(),
    };
    assert_eq!(may(submit(forget("ops"))), "a");
    assert_eq!(may(submit(forget("somebody"))), "");
    let operator =
        |actor: &str| AbortCause::Operator { actor: actor.to_owned(), reason: "stuck".to_owned() };
    assert_eq!(may(submit(abort(operator("ops")))), "a");
    assert_eq!(may(submit(fence(FenceCause::Operator, None))), "a");
}

/// What leaders propose by themselves comes through no door.
#[test]
fn what_a_leader_proposes_comes_through_no_door() {
    assert_eq!(may(submit(Command::LeaderStart { reign: Reign(1, 2, 3) })), "");
    let guard = FenceGuard { reign: Reign(1, 2, 3), renewals: 0 };
    assert_eq!(may(submit(fence(FenceCause::Expired, Some(guard)))), "");
    assert_eq!(may(submit(fence(FenceCause::Closed, None))), "");
}

/// A role error names the role that would do.
#[test]
fn a_refusal_names_the_role_that_would_do() {
    let call = submit(Command::Delete { key: key() });
    let refusal = judge(&everybody()[0], &Ask { within_ms: 1, call }).unwrap_err();
    assert_eq!(refusal.to_string(), "role read may not do this; write may");
    let call = submit(Command::Ack { participant: participant("west"), txns: vec![txn()] });
    let refusal = judge(&everybody()[3], &Ask { within_ms: 1, call }).unwrap_err();
    assert_eq!(refusal.to_string(), "role participant east may not do this; participant west may");
}

/// Security §2: a node's certificate can never act as a client.
#[test]
fn a_node_is_no_client() {
    let node =
        Identity { cluster: Name::new("eu").unwrap(), who: Who::Node(Name::new("n1").unwrap()) };
    assert!(judge(&node, &Ask { within_ms: 1, call: Call::Status }).is_err());
}

/// Security §4: limits are checked before anything is proposed, and named.
#[test]
fn limits_are_checked_at_the_door() {
    let writer = &everybody()[1];
    let put = |key: usize, value: usize| Ask {
        within_ms: 1,
        call: submit(Command::Put { key: vec![7; key].into(), value: vec![7; value].into() }),
    };
    assert!(judge(writer, &put(4_096, 1 << 20)).is_ok());
    assert!(matches!(judge(writer, &put(4_097, 0)), Err(Refusal::Limit { max: 4_096, .. })));
    assert!(matches!(judge(writer, &put(1, (1 << 20) + 1)), Err(Refusal::Limit { .. })));
    assert!(matches!(judge(writer, &put(0, 1)), Err(Refusal::Misuse(_))));
    let call = read(Query::Get { key: Bytes::new() });
    assert!(matches!(judge(writer, &Ask { within_ms: 1, call }), Err(Refusal::Misuse(_))));
    let in_doubt = vec![txn(); synod_machine::limits::TXNS_MAX + 1];
    let call = Call::Attend { participant: participant("east"), in_doubt, finished: Vec::new() };
    let ask = Ask { within_ms: 1, call };
    assert!(matches!(judge(&everybody()[3], &ask), Err(Refusal::Limit { .. })));
}

/// Unused in the table above, and so that a new kind of expectation is thought of.
#[test]
fn a_compare_and_set_is_a_write() {
    let expect = synod_machine::Expect::Revision(Revision::new(3));
    let value = Bytes::from_static(b"8");
    assert_eq!(may(submit(Command::Cas { key: key(), expect, value })), "wa");
}
