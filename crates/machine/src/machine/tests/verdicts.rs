use super::*;
use crate::{
    Act, Answer, Expect, FenceCause, Guard, Multi, Mutation, Query, Rejection, Revision, Verdict,
};

fn fence(of: Client) -> Command {
    Command::Fence { session: of.session, cause: FenceCause::Operator, guard: None }
}

const COMMITTED: Reply = Reply::Verdict(Verdict::Committed);
const ABORTED: Reply = Reply::Verdict(Verdict::Aborted);

/// Transactions §4: the first of decide, fence and retire in the order of the log is the verdict.
#[test]
fn the_first_of_decide_fence_and_retire_wins() {
    let orders: [[usize; 4]; 8] = [
        [0, 1, 2, 3],
        [0, 2, 3, 1],
        [1, 0, 2, 3],
        [1, 3, 0, 2],
        [2, 0, 1, 3],
        [2, 3, 1, 0],
        [3, 0, 1, 2],
        [3, 2, 1, 0],
    ];
    for order in orders {
        let (mut log, mut client) = Log::with_shards();
        let txn = client.txn(1);
        for act in order {
            match act {
                0 => drop(log.commit(&mut client, 1)),
                1 => drop(log.unnamed(abort(txn))),
                2 => drop(log.ask(&mut client, Command::Retire { below: 2 })),
                _ => drop(log.unnamed(fence(client))),
            }
            let expected = match order[0] {
                0 => Verdict::Committed,
                _ => Verdict::Aborted,
            };
            assert_eq!(log.machine.verdict(txn), expected, "{order:?} after {act}");
        }
        log.ack_all(txn);
        let expected = if order[0] == 0 { Verdict::Committed } else { Verdict::Aborted };
        assert_eq!(log.machine.verdict(txn), expected, "{order:?} after all have acknowledged");
    }
}

/// C6: after a fence no commit of the session is applied; the owner that resumes is told so.
#[test]
fn a_fenced_owner_cannot_commit_and_is_told_what_stands() {
    let (mut log, mut client) = Log::with_shards();
    log.unnamed(fence(client));
    assert_eq!(log.commit(&mut client, 1), ABORTED);
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Aborted);
    assert_eq!(log.machine.census().commits_unacked, 0);
}

/// A retire is a fence over a prefix.
#[test]
fn a_retired_number_cannot_commit() {
    let (mut log, mut client) = Log::with_shards();
    log.ask(&mut client, Command::Retire { below: 5 });
    log.ask(&mut client, Command::Retire { below: 2 });
    assert_eq!(log.commit(&mut client, 4), ABORTED);
    assert_eq!(log.commit(&mut client, 5), COMMITTED);
}

/// Only the owner knows that every branch has voted yes.
#[test]
fn only_the_owners_own_session_may_commit() {
    let (mut log, client) = Log::with_shards();
    let mut other = log.open();
    let request = other.request(commit(client.txn(1), &["east"]));
    assert_eq!(log.apply(request), Reply::Rejected(Rejection::NotTheOwner));
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::InProgress);
    let unnamed = log.unnamed(commit(client.txn(1), &["east"]));
    assert!(matches!(unnamed, Reply::Rejected(Rejection::Misuse(_))), "{unnamed:?}");
}

/// Anybody may give up on a transaction, but not on one of a session that does not exist.
#[test]
fn anybody_may_abort_what_is_in_progress() {
    let (mut log, mut client) = Log::with_shards();
    assert_eq!(log.unnamed(abort(client.txn(1))), ABORTED);
    assert_eq!(log.commit(&mut client, 1), ABORTED);
    let unopened = TxnId { session: SessionId::new(9), n: 1 };
    let reply = log.unnamed(abort(unopened));
    assert_eq!(reply, Reply::Rejected(Rejection::UnknownSession));
    assert_eq!(log.machine.verdict(unopened), Verdict::InProgress);
}

/// A second proposal under another name is told the standing verdict.
#[test]
fn a_second_decide_is_told_what_stands() {
    let (mut log, mut client) = Log::with_shards();
    assert_eq!(log.commit(&mut client, 1), COMMITTED);
    assert_eq!(log.commit(&mut client, 1), COMMITTED);
    assert_eq!(log.unnamed(abort(client.txn(1))), COMMITTED);
    assert_eq!(log.machine.census().commits_unacked, 1);
}

/// A yes from a store that the participant no longer has, or from nobody, binds nobody.
#[test]
fn a_commit_on_a_lost_vote_is_aborted() {
    let (mut log, mut client) = Log::with_shards();
    let txn = client.txn(1);
    log.ask(&mut client, register("west", 2));
    assert_eq!(log.commit(&mut client, 1), ABORTED);
    let Answer::Txn(view) = log.machine.query(&Query::Txn { txn }) else { panic!() };
    assert_eq!(view.cause, Some(AbortCause::LostVote { participant: name("west") }));
    let stranger = commit(client.txn(2), &["north"]);
    assert_eq!(log.ask(&mut client, stranger), ABORTED);
    let Answer::Audit(entries) = log.machine.query(&Query::Audit) else { panic!() };
    let replaced = Act::Replaced {
        participant: name("west"),
        was: BranchIncarnation(1),
        is: BranchIncarnation(2),
        unacked: 0,
    };
    assert_eq!(entries.iter().map(|entry| &entry.act).collect::<Vec<_>>(), [&replaced]);
}

/// "Commit in both databases iff this name is still free, and take it" is one decision.
#[test]
fn a_guarded_commit_writes_at_one_revision_or_aborts() {
    let (mut log, mut client) = Log::with_shards();
    let guarded = |txn| {
        let multi = Multi {
            guards: vec![Guard { key: bytes("name"), expect: Expect::Absent }],
            mutations: vec![Mutation::Put { key: bytes("name"), value: bytes("mine") }],
            ..Multi::default()
        };
        let outcome = Proposal::Commit { parts: parts(&["east"]), multi: Some(multi) };
        Command::Decide { txn, outcome }
    };
    let (first, second) = (client.txn(1), client.txn(2));
    assert_eq!(log.ask(&mut client, guarded(first)), COMMITTED);
    assert_eq!(log.machine.revision(), Revision::new(1));
    assert_eq!(log.ask(&mut client, guarded(second)), ABORTED);
    assert_eq!(log.machine.revision(), Revision::new(1));
    let Answer::Txn(view) = log.machine.query(&Query::Txn { txn: second }) else { panic!() };
    assert_eq!(view.cause, Some(AbortCause::Guard));
}

/// C8: a record goes when the last part has acknowledged, and not before.
#[test]
fn a_commit_is_on_record_until_every_part_has_acknowledged() {
    let (mut log, mut client) = Log::with_shards();
    let txn = client.txn(1);
    log.commit(&mut client, 1);
    let waits = |log: &Log, of: &str| log.machine.news_for(&name(of), &[], &[]);
    assert_eq!(waits(&log, "east"), [(txn, Verdict::Committed)]);
    log.unnamed(ack("east", txn));
    log.unnamed(ack("east", txn));
    assert_eq!(waits(&log, "east"), []);
    assert_eq!(waits(&log, "west"), [(txn, Verdict::Committed)]);
    assert_eq!(log.machine.census().commits_unacked, 1);
    log.unnamed(ack("west", txn));
    assert_eq!(log.machine.census().commits_unacked, 0);
    assert_eq!(log.machine.verdict(txn), Verdict::Committed);
}

/// How long the oldest commit waits is read off the log's own stamps, and a restart knows it too.
#[test]
fn the_oldest_unacknowledged_commit_is_the_one_that_was_decided_first() {
    let (mut log, mut client) = Log::with_shards();
    assert_eq!(log.machine.oldest_unacked(), None);
    let decided = [1, 2, 3].map(|n| {
        log.pass(100);
        log.commit(&mut client, n);
        log.now
    });
    log.ack_all(client.txn(2));
    assert_eq!(log.machine.oldest_unacked(), Some(decided[0]));
    log.unnamed(ack("east", client.txn(1)));
    assert_eq!(log.machine.oldest_unacked(), Some(decided[0]), "west has not said so");
    log.ack_all(client.txn(1));
    assert_eq!(log.machine.oldest_unacked(), Some(decided[2]));
    let mut bytes = Vec::new();
    let Ok(()) = log.machine.snapshot().encode(|piece| {
        bytes.extend_from_slice(piece);
        Ok::<(), std::convert::Infallible>(())
    });
    let mut restored = Log { machine: Machine::restore(&bytes).unwrap(), now: log.now };
    assert_eq!(restored.machine.oldest_unacked(), Some(decided[2]));
    restored.ack_all(client.txn(3));
    assert_eq!(restored.machine.oldest_unacked(), None);
}

/// A participant waits for what it does not know: not for what is open, nor for what it said.
#[test]
fn news_is_what_a_participant_does_not_know() {
    let (mut log, mut client) = Log::with_shards();
    let (open, done, unnamed, dead) = (client.txn(9), client.txn(1), client.txn(2), client.txn(3));
    log.commit(&mut client, 1);
    log.commit(&mut client, 2);
    log.unnamed(abort(dead));
    let news = log.machine.news_for(&name("east"), &[open, dead], &[done]);
    assert_eq!(news, [(dead, Verdict::Aborted), (unnamed, Verdict::Committed)]);
    assert_eq!(log.machine.news_for(&name("north"), &[open], &[]), []);
}

/// A participant that is gone for good is let go by a person, on record, and of nothing else.
#[test]
fn a_lost_participant_is_forgotten_with_an_entry_in_the_audit() {
    let (mut log, mut client) = Log::with_shards();
    let txn = client.txn(1);
    log.commit(&mut client, 1);
    log.unnamed(ack("east", txn));
    let forget = |of: &str| Command::ForgetParticipant {
        txn,
        participant: name(of),
        actor: "ops".to_owned(),
        reason: "burnt down".to_owned(),
    };
    let reply = log.ask(&mut client, forget("east"));
    assert_eq!(reply, Reply::Rejected(Rejection::NotAwaited("east".to_owned())));
    assert!(matches!(log.ask(&mut client, forget("west")), Reply::Done(_)));
    assert_eq!(log.machine.census().commits_unacked, 0);
    assert_eq!(log.machine.verdict(txn), Verdict::Committed);
    let Answer::Audit(entries) = log.machine.query(&Query::Audit) else { panic!() };
    assert!(matches!(&entries[..], [entry] if matches!(entry.act, Act::Forgot { .. })));
}

/// An acknowledgement by nobody that is known settles nothing.
#[test]
fn an_unregistered_participant_acknowledges_nothing() {
    let (mut log, mut client) = Log::with_shards();
    log.commit(&mut client, 1);
    let reply = log.unnamed(ack("north", client.txn(1)));
    assert_eq!(reply, Reply::Rejected(Rejection::UnknownParticipant("north".to_owned())));
    assert_eq!(log.machine.census().commits_unacked, 1);
}

/// A commit of no branch is a guarded write that has a verdict.
#[test]
fn a_commit_without_parts_is_done_at_once() {
    let (mut log, mut client) = Log::with_shards();
    let txn = client.txn(1);
    assert_eq!(log.ask(&mut client, commit(txn, &[])), COMMITTED);
    assert_eq!(log.machine.census().commits_unacked, 0);
    assert_eq!(log.machine.verdict(txn), Verdict::Committed);
}
