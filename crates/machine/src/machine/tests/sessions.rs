use super::*;
use crate::sessions::{ENDED_MS, REPLIES_MAX, SESSIONS_OF_OWNER_MAX, TOMBSTONES_MAX};
use crate::{Counted, FenceCause, FenceGuard, Reign, Rejection, Revision};

fn settle(request: RequestId) -> Command {
    Command::Settle { request }
}

fn rejected(rejection: Rejection) -> Reply {
    Reply::Rejected(rejection)
}

fn leader_start(round: u64) -> Command {
    Command::LeaderStart { reign: Reign(round, 1, 1) }
}

fn expiry(of: Client, round: u64, renewals: u64) -> Command {
    let guard = Some(FenceGuard { reign: Reign(round, 1, 1), renewals });
    Command::Fence { session: of.session, cause: FenceCause::Expired, guard }
}

/// *Consensus* item 25: a repeat is answered with the first reply and done once, whichever slot
/// it comes in.
#[test]
fn a_repeated_request_is_done_once_and_hears_its_first_reply() {
    let mut log = Log::new();
    let (mut client, mut other) = (log.open(), log.open());
    let request = client.request(put("a", "1"));
    let first = log.apply(request.clone());
    log.ask(&mut other, put("a", "2"));
    let again =
        log.machine.apply(Batch { stamp: log.now, requests: vec![request.clone(), request] });
    assert!(again.iter().all(|applied| applied.repeated && applied.reply == first), "{again:?}");
    assert_eq!(log.machine.revision(), Revision::new(2));
}

/// What the client says it has is forgotten, and a late copy of it does nothing.
#[test]
fn an_acknowledged_request_is_not_done_again() {
    let mut log = Log::new();
    let mut client = log.open();
    let first = client.request(put("a", "1"));
    log.apply(first.clone());
    log.ask(&mut client, put("b", "2"));
    assert_eq!(log.apply(first), rejected(Rejection::ReplyForgotten));
    assert_eq!(log.machine.census().replies, 1);
    assert_eq!(log.machine.revision(), Revision::new(2));
}

/// Requests may come in any order: the order of the log is the order of their effect.
#[test]
fn requests_of_one_session_may_overtake_one_another() {
    let mut log = Log::new();
    let mut client = log.open();
    let first = client.unacked_request(put("a", "1"));
    let second = client.unacked_request(put("a", "2"));
    assert_eq!(log.apply(second), Reply::Written(Revision::new(1)));
    assert_eq!(log.apply(first), Reply::Written(Revision::new(2)));
}

/// Settled as never is never: the straggler is refused.
#[test]
fn a_request_settled_as_never_cannot_take_effect_later() {
    let mut log = Log::new();
    let (mut client, mut other) = (log.open(), log.open());
    let late = client.request(put("a", "1"));
    let id = late.id.unwrap();
    assert_eq!(log.ask(&mut other, settle(id)), Reply::SettledNever);
    assert_eq!(log.apply(late), rejected(Rejection::SettledNever));
    assert_eq!(log.ask(&mut other, settle(id)), Reply::SettledNever);
    assert_eq!(log.machine.revision(), Revision::ZERO);
}

/// Settled as applied carries the reply that was lost, also when the session has ended since.
#[test]
fn a_request_that_took_effect_is_settled_with_its_reply() {
    let mut log = Log::new();
    let (mut client, mut other) = (log.open(), log.open());
    let reply = log.ask(&mut client, put("a", "1"));
    let applied = Reply::SettledApplied(Box::new(reply.into_first().unwrap()));
    assert_eq!(log.ask(&mut other, settle(client.id(1))), applied);
    log.apply(client.unacked_request(Command::CloseSession));
    // The close acknowledged nothing, so both replies are known.
    assert_eq!(log.ask(&mut other, settle(client.id(1))), applied);
    let closed = Reply::SettledApplied(Box::new(Reply::Done(Revision::new(1))));
    assert_eq!(log.ask(&mut other, settle(client.id(2))), closed);
    assert_eq!(log.ask(&mut other, settle(client.id(3))), Reply::SettledNever);
}

/// No answer is made up: what is forgotten is said to be forgotten, what never was is unknown.
#[test]
fn settling_never_guesses() {
    let mut log = Log::new();
    let (mut client, mut other) = (log.open(), log.open());
    log.ask(&mut client, put("a", "1"));
    log.ask(&mut client, put("a", "2"));
    let first = settle(client.id(1));
    assert_eq!(log.ask(&mut other, first.clone()), rejected(Rejection::ReplyForgotten));
    log.ask(&mut client, Command::CloseSession);
    log.pass(ENDED_MS - 1);
    log.now.0 += 1;
    assert_eq!(
        log.ask(&mut other, settle(client.id(3))),
        Reply::SettledApplied(Box::new(Reply::Done(Revision::new(2))))
    );
    assert_eq!(log.ask(&mut other, settle(client.id(9))), rejected(Rejection::Forgotten));
    assert_eq!(log.ask(&mut client, put("a", "3")), rejected(Rejection::Forgotten));
    let unopened = RequestId { session: SessionId::new(99), seq: Seq::new(1) };
    assert_eq!(log.ask(&mut other, settle(unopened)), rejected(Rejection::UnknownSession));
    let own = other.id(other.seq + 1);
    assert!(matches!(log.ask(&mut other, settle(own)), Reply::Rejected(Rejection::Misuse(_))));
    assert!(log.machine.census().replies_forgotten > 0);
}

/// A settle of a settle of a settle would be a reply without end.
#[test]
fn a_settle_is_not_settled() {
    let mut log = Log::new();
    let (mut client, mut other) = (log.open(), log.open());
    log.ask(&mut client, put("a", "1"));
    log.ask(&mut other, settle(client.id(1)));
    let nested = log.ask(&mut client, settle(other.id(1)));
    assert!(matches!(nested, Reply::Rejected(Rejection::Misuse(_))), "{nested:?}");
}

/// A session that has ended changes nothing any more.
#[test]
fn an_ended_session_is_refused() {
    let mut log = Log::new();
    let mut client = log.open();
    log.ask(&mut client, Command::CloseSession);
    assert_eq!(log.ask(&mut client, put("a", "1")), rejected(Rejection::SessionEnded));
    let mut stranger = Client { session: SessionId::new(7), seq: 0 };
    assert_eq!(log.ask(&mut stranger, put("a", "1")), rejected(Rejection::UnknownSession));
    assert_eq!(log.machine.revision(), Revision::ZERO);
    assert_eq!(log.machine.live_sessions().count(), 0);
}

/// *Consensus* item 26 and the guard of a fence: it ends a session only in its leader's own reign
/// and only if the session was as silent as the leader thought.
#[test]
fn an_expiry_is_void_once_the_session_spoke_or_another_leads() {
    let mut log = Log::new();
    let mut client = log.open();
    log.unnamed(leader_start(1));
    log.ask(&mut client, put("a", "1"));
    let overruled = rejected(Rejection::FenceOverruled);
    assert_eq!(log.unnamed(expiry(client, 1, 0)), overruled);
    log.unnamed(leader_start(2));
    assert_eq!(log.unnamed(expiry(client, 1, 1)), overruled);
    assert_eq!(log.ask(&mut client, put("a", "2")), Reply::Written(Revision::new(2)));
    assert_eq!(log.unnamed(expiry(client, 2, 2)), Reply::Done(Revision::new(2)));
    assert_eq!(log.ask(&mut client, put("a", "3")), rejected(Rejection::SessionEnded));
}

/// A reign that is over does not come back, whatever order its start is chosen in.
#[test]
fn an_older_reign_does_not_replace_a_newer_one() {
    let mut log = Log::new();
    log.unnamed(leader_start(2));
    log.unnamed(leader_start(1));
    assert_eq!(log.machine.reign(), Reign(2, 1, 1));
}

/// What may not be done twice needs a name; what is numbered is numbered from 1.
#[test]
fn a_request_without_a_proper_name_is_misuse() {
    let mut log = Log::new();
    let mut client = log.open();
    let misuse = |reply| matches!(reply, Reply::Rejected(Rejection::Misuse(_)));
    assert!(misuse(log.unnamed(put("a", "1"))));
    assert!(misuse(log.unnamed(Command::CloseSession)));
    let zero = Request { id: Some(client.id(0)), acked: Seq::ZERO, command: put("a", "1") };
    assert!(misuse(log.apply(zero)));
    let ahead = Request { acked: Seq::new(2), ..client.request(put("a", "1")) };
    assert!(misuse(log.apply(ahead)));
    assert_eq!(log.machine.revision(), Revision::ZERO);
}

/// Replies are kept for so many requests; past it a request is refused for good, and a client
/// that never minds is ended, so that memory stays bounded and nothing is done twice.
#[test]
fn a_session_that_never_acknowledges_is_refused_and_then_ended() {
    let mut log = Log::new();
    let mut client = log.open();
    for _ in 0..REPLIES_MAX {
        let request = client.unacked_request(put("a", "1"));
        assert!(matches!(log.machine.apply(batch(&log, request))[0].reply, Reply::Written(_)));
    }
    let full = rejected(Rejection::TooManyOpen { limit: REPLIES_MAX });
    let refused = client.unacked_request(put("a", "2"));
    assert_eq!(log.apply(refused.clone()), full);
    for _ in 1..TOMBSTONES_MAX {
        let request = client.unacked_request(put("a", "2"));
        assert_eq!(log.machine.apply(batch(&log, request))[0].reply, full);
    }
    assert_eq!(log.apply(refused), rejected(Rejection::SettledNever));
    assert_eq!(log.machine.revision(), Revision::new(REPLIES_MAX));
    let last = client.unacked_request(put("a", "2"));
    assert_eq!(log.apply(last), rejected(Rejection::SessionEnded));
    assert_eq!(log.machine.census().sessions, 0);
}

/// A window that the client moves on never fills.
#[test]
fn a_full_session_has_room_again_once_it_acknowledges() {
    let mut log = Log::new();
    let mut client = log.open();
    for _ in 0..REPLIES_MAX {
        let request = client.unacked_request(put("a", "1"));
        log.machine.apply(batch(&log, request));
    }
    assert!(matches!(log.ask(&mut client, put("a", "2")), Reply::Written(_)));
    assert_eq!(log.machine.census().replies, 1);
}

/// One client cannot take the room of all; and what it ends it has again.
#[test]
fn sessions_of_one_owner_are_bounded_and_leave_room_for_others() {
    let mut log = Log::new();
    let open = |owner: String| Command::OpenSession { owner, ttl_ms: 10_000 };
    let of_greedy = |process: u64| open(format!("greedy/{process}"));
    for process in 0..SESSIONS_OF_OWNER_MAX {
        assert!(matches!(log.unnamed(of_greedy(process)), Reply::Session(_)));
    }
    let (what, limit) = (Counted::SessionsOfOwner, SESSIONS_OF_OWNER_MAX);
    let full = rejected(Rejection::TooMany { what, limit });
    assert_eq!(log.unnamed(of_greedy(9_999)), full);
    assert!(matches!(log.unnamed(open("greedy2/1".to_owned())), Reply::Session(_)));
    assert!(matches!(log.unnamed(open("modest".to_owned())), Reply::Session(_)));
    // A restored machine has counted the same.
    log.machine = Machine::restore(&log.machine.snapshot().to_bytes()).unwrap();
    assert_eq!(log.unnamed(of_greedy(9_999)), full);
    let (session, cause) = (SessionId::new(7), FenceCause::Expired);
    log.unnamed(Command::Fence { session, cause, guard: None });
    assert!(matches!(log.unnamed(of_greedy(9_999)), Reply::Session(_)));
    assert_eq!(log.unnamed(of_greedy(9_999)), full);
}

/// Stamps are a leader's clock, which may be set back; time in the machine does not follow, so what
/// ended grows no older for it, however often leaders with different clocks take turns.
#[test]
fn time_never_runs_backwards() {
    let mut log = Log::new();
    let (mut client, mut keeper) = (log.open(), log.open());
    log.now = Timestamp(2 * ENDED_MS);
    log.ask(&mut client, Command::CloseSession);
    for _ in 0..30 {
        log.now = Timestamp(1);
        log.open();
        log.now = Timestamp(2 * ENDED_MS);
        log.open();
    }
    assert_eq!(log.ask(&mut keeper, settle(client.id(9))), Reply::SettledNever);
}

fn batch(log: &Log, request: Request) -> Batch {
    Batch { stamp: log.now, requests: vec![request] }
}
