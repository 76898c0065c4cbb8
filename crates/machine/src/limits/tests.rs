//! Every limit at its last fine value and at its first wrong one.

use super::*;
use crate::{
    AbortCause, BranchIncarnation, ElectionCommand, Guard, Machine, ParticipantName, Reply,
    RequestId, Seq, SessionId, Timestamp, Verdict, door::Freshness, participant_door,
};

fn bytes(length: usize) -> Bytes {
    vec![b'x'; length].into()
}

fn text(length: usize) -> String {
    "x".repeat(length)
}

fn put(key: usize, value: usize) -> Command {
    Command::Put { key: bytes(key), value: bytes(value) }
}

fn name(length: usize) -> ParticipantName {
    ParticipantName::new(text(length))
}

fn txn(session: u64, n: u64) -> TxnId {
    TxnId { session: SessionId::new(session), n }
}

fn txns(count: usize) -> Vec<TxnId> {
    vec![txn(1, 1); count]
}

fn abort(cause: AbortCause) -> Command {
    Command::Decide { txn: txn(1, 1), outcome: Proposal::Abort { cause } }
}

fn commit(parts: usize, multi: Option<Multi>) -> Command {
    let part = |number| Part {
        participant: ParticipantName::new(format!("p{number}")),
        incarnation: BranchIncarnation(1),
    };
    let parts = (0..parts).map(part).collect();
    Command::Decide { txn: txn(1, 1), outcome: Proposal::Commit { parts, multi } }
}

fn register(name: ParticipantName, address: usize) -> Command {
    let (incarnation, address) = (BranchIncarnation(1), text(address));
    Command::RegisterParticipant { name, incarnation, address }
}

fn forget(actor: usize, reason: usize) -> Command {
    let (actor, reason) = (text(actor), text(reason));
    Command::ForgetParticipant { txn: txn(1, 1), participant: name(1), actor, reason }
}

fn claim(name: usize, owner: usize) -> Command {
    let (name, owner) = (Name::new(text(name)), text(owner));
    Command::Claim(crate::ClaimCommand::Take { name, owner, lease: None })
}

fn propose(name: usize, value: usize) -> Command {
    let (name, value) = (Name::new(text(name)), bytes(value));
    Command::Register(crate::RegisterCommand::Propose { name, value })
}

fn count(name: usize) -> Command {
    Command::Counter(crate::CounterCommand::Add { name: Name::new(text(name)), by: 1 })
}

fn arrive(name: usize, parties: u32) -> Command {
    let (name, lease) = (Name::new(text(name)), crate::LeaseId::new(1));
    Command::Barrier(crate::BarrierCommand::Arrive { name, lease, parties })
}

fn append(name: usize, value: usize) -> Command {
    let (name, value) = (Name::new(text(name)), bytes(value));
    Command::Journal(crate::JournalCommand::Append { name, value })
}

fn commit_offset(name: usize, group: usize) -> Command {
    let (name, group) = (Name::new(text(name)), Name::new(text(group)));
    let position = crate::Position::ZERO;
    Command::Journal(crate::JournalCommand::Commit { name, group, position })
}

fn stand(name: usize, candidate: usize) -> Command {
    let (name, candidate) = (Name::new(text(name)), Name::new(text(candidate)));
    let (lease, priority, report) = (crate::LeaseId::new(1), 0, None);
    Command::Election(ElectionCommand::Stand { name, lease, candidate, priority, report })
}

fn proclaim(length: usize) -> Command {
    let (name, lease, token) = (Name::new("n"), crate::LeaseId::new(1), Revision::new(1));
    Command::Election(ElectionCommand::Proclaim { name, lease, token, value: text(length) })
}

fn switchover(to: usize, reason: usize) -> Command {
    let order = crate::Order::Switchover { to: Some(Name::new(text(to))) };
    let (name, actor, reason) = (Name::new("n"), "ops".to_owned(), text(reason));
    Command::Election(ElectionCommand::Order { name, order, actor, reason })
}

/// So many guards, writes of keys of their own, and reads.
fn multi(guards: usize, mutations: usize, reads: usize) -> Multi {
    let guard = |_| Guard { key: bytes(1), expect: Expect::Absent };
    let put = |number: usize| Mutation::Put { key: number.to_string().into(), value: bytes(1) };
    Multi {
        guards: (0..guards).map(guard).collect(),
        mutations: (0..mutations).map(put).collect(),
        reads: vec![bytes(1); reads],
        ..Multi::default()
    }
}

/// So many locks of a long name that must be held, and writes beside two reads.
fn held(holds: usize, name: usize, mutations: usize) -> Multi {
    let hold = Hold::Lock { name: Name::new(text(name)), token: Revision::new(1) };
    Multi { holds: vec![hold; holds], ..multi(0, mutations, 1) }
}

/// Writes that weigh so much together.
fn heavy(weight: usize) -> Multi {
    let half = |key: &'static str, weight: usize| Mutation::Put {
        key: key.into(),
        value: bytes(weight - key.len()),
    };
    let mutations = vec![half("a", weight / 2), half("b", weight - weight / 2)];
    Multi { mutations, ..Multi::default() }
}

/// What is fine by the last byte, and what is too much, or too little, by one.
fn commands() -> Vec<(Command, Command)> {
    let open = |owner, ttl_ms| Command::OpenSession { owner: text(owner), ttl_ms };
    let cas = |key, expect, value| Command::Cas {
        key: bytes(key),
        expect: Expect::Value(bytes(expect)),
        value: bytes(value),
    };
    let operator =
        |actor, reason| AbortCause::Operator { actor: text(actor), reason: text(reason) };
    let grace = |length| AbortCause::InDoubtGrace { participant: name(length) };
    let ack = |length, count| Command::Ack { participant: name(length), txns: txns(count) };
    vec![
        (put(1, 0), put(0, 0)),
        (put(4_096, 0), put(4_097, 0)),
        (put(1, 1 << 20), put(1, (1 << 20) + 1)),
        (Command::Delete { key: bytes(4_096) }, Command::Delete { key: bytes(4_097) }),
        (Command::Delete { key: bytes(1) }, Command::Delete { key: Bytes::new() }),
        (cas(1, 1, 1 << 20), cas(1, 1, (1 << 20) + 1)),
        (cas(1, 1 << 20, 1), cas(1, (1 << 20) + 1, 1)),
        (cas(1, 1 << 19, (1 << 20) - 1), cas(1, 1 << 19, 1 << 20)),
        (Command::Multi(multi(1, 126, 1)), Command::Multi(multi(1, 127, 1))),
        (Command::Multi(held(1, 256, 126)), Command::Multi(held(2, 256, 126))),
        (Command::Multi(held(1, 256, 1)), Command::Multi(held(1, 257, 1))),
        (Command::Multi(multi(128, 0, 0)), Command::Multi(multi(129, 0, 0))),
        (Command::Multi(multi(0, 0, 128)), Command::Multi(multi(0, 0, 129))),
        (Command::Multi(heavy(3 << 19)), Command::Multi(heavy((3 << 19) + 1))),
        (open(256, 1_000), open(257, 1_000)),
        (open(1, 100), open(1, 99)),
        (open(1, 86_400_000), open(1, 86_400_001)),
        (open(1, 100), open(1, 0)),
        (open(1, 86_400_000), open(1, u64::MAX)),
        (register(name(256), 256), register(name(257), 256)),
        (register(name(1), 256), register(name(1), 257)),
        (register(name(1), 0), register(name(0), 0)),
        (commit(64, None), commit(65, None)),
        (commit(1, Some(multi(1, 127, 0))), commit(1, Some(multi(1, 128, 0)))),
        (commit(1, Some(multi(1, 1, 0))), commit(1, Some(multi(1, 1, 1)))),
        (commit(0, Some(heavy(3 << 19))), commit(0, Some(heavy((3 << 19) + 1)))),
        (abort(grace(256)), abort(grace(257))),
        (abort(grace(1)), abort(grace(0))),
        (abort(operator(256, 1_024)), abort(operator(257, 1_024))),
        (abort(operator(1, 1_024)), abort(operator(1, 1_025))),
        (ack(1, 4_096), ack(1, 4_097)),
        (ack(256, 1), ack(257, 1)),
        (forget(256, 1_024), forget(257, 1)),
        (forget(1, 1_024), forget(1, 1_025)),
        (claim(256, 256), claim(257, 256)),
        (claim(1, 256), claim(1, 257)),
        (claim(1, 1), claim(0, 1)),
        (claim(1, 1), claim(1, 0)),
        (propose(256, 64 << 10), propose(256, (64 << 10) + 1)),
        (propose(256, 0), propose(257, 0)),
        (propose(1, 0), propose(0, 0)),
        (count(256), count(257)),
        (count(1), count(0)),
        (arrive(256, 1), arrive(257, 1)),
        (arrive(1, 1), arrive(1, 0)),
        (arrive(1, 4_096), arrive(1, 4_097)),
        (append(256, 1 << 20), append(256, (1 << 20) + 1)),
        (append(1, 0), append(0, 0)),
        (commit_offset(256, 256), commit_offset(257, 256)),
        (commit_offset(1, 256), commit_offset(1, 257)),
        (commit_offset(1, 1), commit_offset(1, 0)),
        (stand(256, 256), stand(257, 256)),
        (stand(256, 256), stand(256, 257)),
        (stand(1, 1), stand(0, 1)),
        (stand(1, 1), stand(1, 0)),
        (proclaim(1_024), proclaim(1_025)),
        (switchover(256, 1_024), switchover(257, 1_024)),
        (switchover(1, 1_024), switchover(1, 1_025)),
        (switchover(1, 0), switchover(0, 0)),
    ]
}

fn named(command: Command) -> Request {
    let id = RequestId { session: SessionId::new(1), seq: Seq::new(1) };
    Request { id: Some(id), acked: Seq::ZERO, command }
}

/// A short story of a command, whose bytes nobody wants to read.
fn told(command: &Command) -> String {
    format!("{command:?}").chars().take(120).collect()
}

/// Security §4: each limit has a name and a typed refusal, and holds to the byte.
#[test]
fn every_limit_of_a_command_holds_to_the_byte() {
    for (fine, wrong) in commands() {
        assert_eq!(fine.check(), Ok(()), "{}", told(&fine));
        assert!(wrong.check().is_err(), "{}", told(&wrong));
    }
}

/// What is in the log may have come through an older door: the machine judges again, and changes
/// nothing.
#[test]
fn the_machine_refuses_what_breaks_a_limit_whoever_let_it_in() {
    for (_, wrong) in commands() {
        let mut machine = Machine::new();
        let command = Command::OpenSession { owner: "app".to_owned(), ttl_ms: 1_000 };
        let open = Request { id: None, acked: Seq::ZERO, command };
        machine.apply(Batch { stamp: Timestamp(1), requests: vec![open] });
        let story = told(&wrong);
        let batch = Batch { stamp: Timestamp(1), requests: vec![named(wrong)] };
        let applied = machine.apply(batch).remove(0);
        let misuse = matches!(applied.reply, Reply::Rejected(crate::Rejection::Misuse(_)));
        assert!(misuse, "{story}: {:?}", applied.reply);
        let census = machine.census();
        assert_eq!((census.keys, census.sessions, census.aborts, census.runs), (0, 1, 0, 0));
        assert_eq!(machine.revision(), Revision::ZERO);
    }
}

/// A refusal says what, how much was asked and how much is allowed.
#[test]
fn a_refusal_names_the_limit_and_what_was_asked() {
    let too_long = put(4_097, 0).check().unwrap_err();
    assert_eq!(too_long, Misuse::TooMuch { what: "bytes of a key", got: 4_097, max: 4_096 });
    let many = Command::Multi(multi(1, 127, 1)).check().unwrap_err();
    assert_eq!(many, Misuse::TooMuch { what: "commands of one multi", got: 129, max: 128 });
    let short = Command::OpenSession { owner: String::new(), ttl_ms: 99 }.check().unwrap_err();
    assert_eq!(
        short,
        Misuse::TooLittle { what: "milliseconds of a time to live", got: 99, min: 100 }
    );
}

/// Two writes of one key, two parts of one participant, a commit that reads.
#[test]
fn what_contradicts_itself_is_refused() {
    let mut twice = multi(0, 2, 0);
    twice.mutations[1] = twice.mutations[0].clone();
    assert!(Command::Multi(twice.clone()).check().is_err());
    assert!(commit(0, Some(twice)).check().is_err());
    let part = Part { participant: name(1), incarnation: BranchIncarnation(1) };
    let outcome = Proposal::Commit { parts: vec![part.clone(), part], multi: None };
    assert!(Command::Decide { txn: txn(1, 1), outcome }.check().is_err());
}

/// Sessions, requests and transactions are counted from 1, and never to the end.
#[test]
fn numbers_that_nobody_can_have_counted_to_are_refused() {
    let decide = |txn| {
        let outcome = Proposal::Abort { cause: AbortCause::Owner };
        Command::Decide { txn, outcome }.check()
    };
    assert_eq!(decide(txn(1, u64::MAX - 1)), Ok(()));
    for wrong in [txn(0, 1), txn(1, 0), txn(1, u64::MAX)] {
        assert!(decide(wrong).is_err(), "{wrong}");
    }
    let request = |session, seq, acked| {
        let id = RequestId { session: SessionId::new(session), seq: Seq::new(seq) };
        Request { id: Some(id), acked: Seq::new(acked), command: put(1, 1) }.check()
    };
    assert_eq!(
        (request(1, 1, 0), request(1, 5, 5), request(1, u64::MAX, 1)),
        (Ok(()), Ok(()), Ok(()))
    );
    for (session, seq, acked) in [(0, 1, 0), (1, 0, 0), (1, 5, 6), (1, 5, u64::MAX)] {
        assert!(request(session, seq, acked).is_err(), "{session}-{seq}, {acked}");
    }
}

/// Questions have limits as well, at a node and at a participant.
#[test]
fn every_limit_of_a_question_holds_to_the_byte() {
    let read = |query| Call::Read { query, freshness: Freshness::Stale }.check();
    let get = |key| read(Query::Get { key: bytes(key) });
    let list = |prefix, after| {
        read(Query::List { prefix: bytes(prefix), after: Some(bytes(after)), limit: u32::MAX })
    };
    let attend = |in_doubt, finished| {
        let (participant, in_doubt, finished) = (name(1), txns(in_doubt), txns(finished));
        Call::Attend { participant, in_doubt, finished }.check()
    };
    let verdicts = |count| read(Query::Verdicts { txns: txns(count) });
    for fine in [get(4_096), list(4_096, 4_096), list(0, 0), attend(4_096, 4_096), verdicts(4_096)]
    {
        assert_eq!(fine, Ok(()));
    }
    for wrong in [
        get(0),
        get(4_097),
        list(4_097, 0),
        list(0, 4_097),
        attend(4_097, 0),
        attend(0, 4_097),
        verdicts(4_097),
    ] {
        assert!(wrong.is_err());
    }
    let freshness = participant_door::Freshness::Finished;
    let get = |key| participant_door::Call::Get { key: bytes(key), freshness }.check();
    assert_eq!((get(1), get(4_096)), (Ok(()), Ok(())));
    assert!(get(0).is_err() && get(4_097).is_err());
    let finish = participant_door::Call::Finish { txn: txn(1, 0), verdict: Verdict::Aborted };
    assert!(finish.check().is_err());
}

/// Nobody may act on anything but a commit or an abort. (Whoever might write could have a branch
/// held for a person, with a word that the log alone may say.)
#[test]
fn a_branch_is_told_a_commit_or_an_abort_and_nothing_else() {
    let finish = |verdict| participant_door::Call::Finish { txn: txn(1, 1), verdict }.check();
    for verdict in [Verdict::Committed, Verdict::Aborted] {
        assert_eq!(finish(verdict), Ok(()));
    }
    for verdict in [Verdict::InProgress, Verdict::Retired] {
        assert!(matches!(finish(verdict), Err(Misuse::Contradiction(_))), "{verdict:?}");
    }
}

/// A branch's work has the limits of a multi without reads.
#[test]
fn every_limit_of_a_branch_holds_to_the_byte() {
    let work = |multi: Multi| Work { guards: multi.guards, mutations: multi.mutations }.check();
    assert_eq!(work(multi(2, 126, 0)), Ok(()));
    assert!(work(multi(2, 127, 0)).is_err());
    assert_eq!(work(heavy(3 << 19)), Ok(()));
    assert!(work(heavy((3 << 19) + 1)).is_err());
    let mut twice = multi(0, 2, 0);
    twice.mutations[1] = twice.mutations[0].clone();
    assert!(work(twice).is_err());
}
