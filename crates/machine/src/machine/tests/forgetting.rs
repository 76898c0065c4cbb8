use super::*;
use crate::sessions::ENDED_MS;
use crate::transactions::{ABORTS_OF_ONE_MAX, COMMITS_MAX, HORIZON_MS};
use crate::{FenceCause, Rejection, Room, Verdict};

fn fence(of: Client) -> Command {
    Command::Fence { session: of.session, cause: FenceCause::Expired, guard: None }
}

/// An abort on record goes once fence or retire says the same, and the answer stays.
#[test]
fn an_abort_leaves_nothing_once_a_rule_says_the_same() {
    let (mut log, mut client) = Log::with_shards();
    for n in 1..=4 {
        log.unnamed(abort(client.txn(n)));
    }
    assert_eq!(log.machine.census().aborts, 4);
    log.ask(&mut client, Command::Retire { below: 3 });
    assert_eq!(log.machine.census().aborts, 2);
    log.unnamed(fence(client));
    assert_eq!(log.machine.census().aborts, 0);
    for n in 1..=4 {
        assert_eq!(log.machine.verdict(client.txn(n)), Verdict::Aborted, "{n}");
    }
}

/// Commits that follow one another cost one run; an abort splits it.
#[test]
fn a_commit_leaves_its_number_in_a_run() {
    let (mut log, mut client) = Log::with_shards();
    for n in [1, 2, 3, 5, 6] {
        log.commit(&mut client, n);
        log.ack_all(client.txn(n));
    }
    assert_eq!(log.machine.census().runs, 2);
    log.ask(&mut client, Command::Retire { below: 7 });
    assert_eq!(log.machine.verdict(client.txn(4)), Verdict::Aborted);
    assert_eq!(log.machine.verdict(client.txn(5)), Verdict::Committed);
}

/// Inside the horizon a fenced session's commits are answered with the truth, beyond it with
/// `Retired`, and never with a guess (a forgotten commit is not an abort).
#[test]
fn past_the_horizon_the_answer_is_retired() {
    let (mut log, mut client) = Log::with_shards();
    log.commit(&mut client, 1);
    log.ack_all(client.txn(1));
    log.unnamed(fence(client));
    log.pass(HORIZON_MS - 1);
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Committed);
    assert_eq!(log.machine.verdict(client.txn(2)), Verdict::Aborted);
    log.pass(1);
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Retired);
    assert_eq!(log.machine.verdict(client.txn(2)), Verdict::Retired);
    assert_eq!(log.machine.census().sessions_retired, 1);
}

/// A leader whose clock is far ahead takes over just after an owner died. Its branches are told
/// that they are aborted, whatever else the owner committed: nobody has had a month to ask in, and
/// with `Retired` they would be left for a person. So with every other clock that is wrong.
#[test]
fn a_leader_whose_clock_is_far_ahead_retires_nothing() {
    let (mut log, mut client) = Log::with_shards();
    log.commit(&mut client, 1);
    log.ack_all(client.txn(1));
    log.unnamed(fence(client));
    let right = log.now;
    for wrong in [right.0 + 2 * HORIZON_MS, 0, u64::MAX] {
        for _ in 0..20 {
            log.now = Timestamp(wrong);
            log.open();
            log.now = right;
            log.open();
        }
    }
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Committed);
    assert_eq!(log.machine.verdict(client.txn(2)), Verdict::Aborted);
    assert_eq!(log.machine.census().sessions_retired, 0);
}

/// A commit that some part has not acknowledged is never past the horizon: that part may still
/// hold its branch prepared.
#[test]
fn an_unacknowledged_commit_is_never_past_the_horizon() {
    let (mut log, mut client) = Log::with_shards();
    log.commit(&mut client, 1);
    log.unnamed(fence(client));
    log.pass(10 * HORIZON_MS);
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Committed);
    assert_eq!(log.machine.census().sessions_retired, 0);
    log.ack_all(client.txn(1));
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Retired);
    assert_eq!(log.machine.census().sessions_retired, 1);
}

/// A session that committed nothing has nothing to forget: its transactions are aborted for ever.
#[test]
fn a_session_without_commits_is_never_retired() {
    let (mut log, client) = Log::with_shards();
    log.unnamed(abort(client.txn(1)));
    log.unnamed(fence(client));
    log.pass(10 * HORIZON_MS);
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Aborted);
}

fn abort_many(log: &mut Log, client: Client, count: u64) {
    let aborts = (1..=count).map(|n| abort(client.txn(n)));
    let requests = aborts.map(|command| Request { id: None, acked: Seq::ZERO, command }).collect();
    log.machine.apply(Batch { stamp: log.now, requests });
}

/// An owner that retires has room for as many aborts as it likes.
#[test]
fn aborts_that_their_owner_retires_cost_nothing() {
    let (mut log, mut client) = Log::with_shards();
    abort_many(&mut log, client, ABORTS_OF_ONE_MAX);
    log.ask(&mut client, Command::Retire { below: ABORTS_OF_ONE_MAX });
    let next = client.txn(ABORTS_OF_ONE_MAX + 1);
    assert_eq!(log.unnamed(abort(next)), Reply::Verdict(Verdict::Aborted));
    assert_eq!(log.machine.census().aborts, 2);
    assert_eq!(log.machine.live_sessions().count(), 1);
}

/// Aborts on record are bounded, and yet none is refused: a branch that asked would hold its locks
/// for as long as the owner lives. One too many ends the session, and that says the same of all.
/// (It was refused once, and its branches were blocked by an owner that never retired.)
#[test]
fn an_abort_is_never_refused_for_want_of_room() {
    let (mut log, mut client) = Log::with_shards();
    log.commit(&mut client, ABORTS_OF_ONE_MAX + 2);
    abort_many(&mut log, client, ABORTS_OF_ONE_MAX);
    assert_eq!(log.machine.census().aborts, ABORTS_OF_ONE_MAX);
    let next = client.txn(ABORTS_OF_ONE_MAX + 1);
    assert_eq!(log.unnamed(abort(next)), Reply::Verdict(Verdict::Aborted));
    assert_eq!(log.machine.live_sessions().count(), 0);
    assert_eq!(log.machine.census().aborts, 0);
    for n in [1, ABORTS_OF_ONE_MAX, ABORTS_OF_ONE_MAX + 1, ABORTS_OF_ONE_MAX + 3] {
        assert_eq!(log.machine.verdict(client.txn(n)), Verdict::Aborted, "{n}");
    }
    let committed = client.txn(ABORTS_OF_ONE_MAX + 2);
    assert_eq!(log.machine.verdict(committed), Verdict::Committed);
}

/// Sessions that were closed a day ago and more have no replies any more, but their transactions
/// have verdicts: an owner that comes back so late is told, like one that comes back at once.
#[test]
fn an_owner_that_resumes_after_its_replies_were_forgotten_is_told_what_stands() {
    let (mut log, mut client) = Log::with_shards();
    log.commit(&mut client, 1);
    log.unnamed(fence(client));
    log.pass(ENDED_MS);
    assert_eq!(log.ask(&mut client, put("a", "1")), Reply::Rejected(Rejection::Forgotten));
    assert_eq!(log.commit(&mut client, 1), Reply::Verdict(Verdict::Committed));
    assert_eq!(log.commit(&mut client, 2), Reply::Verdict(Verdict::Aborted));
    log.ack_all(client.txn(1));
    log.pass(HORIZON_MS);
    assert_eq!(log.commit(&mut client, 2), Reply::Verdict(Verdict::Retired));
}

/// Runs are bounded: the oldest are answered with `Retired`, counted; what is on record below them
/// is still told as it is, and what was never decided there can no longer be.
#[test]
fn runs_past_the_limit_are_forgotten_but_no_record_is() {
    let (mut log, mut client) = Log::with_shards();
    let runs_max = Room::default().runs_of_one;
    log.commit(&mut client, 1);
    let commits = (0..=runs_max).map(|run| {
        let command = commit(client.txn(3 + 2 * run), &[]);
        let id = Some(client.id(10 + run));
        Request { id, acked: Seq::new(10 + run), command }
    });
    let requests = commits.collect();
    log.machine.apply(Batch { stamp: log.now, requests });
    assert_eq!(log.machine.hash(), log.machine.hash_anew());
    let census = log.machine.census();
    assert_eq!((census.runs, census.runs_forgotten), (runs_max, 1));
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Committed);
    assert_eq!(log.machine.verdict(client.txn(2)), Verdict::Retired);
    assert_eq!(log.machine.verdict(client.txn(3)), Verdict::Retired);
    assert_eq!(log.machine.verdict(client.txn(4)), Verdict::InProgress);
    assert_eq!(log.machine.verdict(client.txn(5)), Verdict::Committed);
    assert_eq!(log.unnamed(abort(client.txn(2))), Reply::Verdict(Verdict::Retired));
}

/// Runs of retired sessions are bounded too: the two lowest are joined, whatever lies between. What
/// lay there had committed nothing that is still known, so `Retired` says less and nothing false;
/// and it costs no more for a wide gap than for a narrow one.
#[test]
fn retired_runs_past_their_limit_are_joined_from_below() {
    let mut log = Log::new();
    let request = |id, command| Request { id, acked: Seq::ZERO, command };
    let open = || Command::OpenSession { owner: "test".to_owned(), ttl_ms: 10_000 };
    let of = |session| Client { session: SessionId::new(session), seq: 0 };
    let runs_max = Room::default().retired_runs;
    for pair in 0..=runs_max {
        let (with, without) = (of(2 * pair + 1), of(2 * pair + 2));
        let requests = vec![
            request(None, open()),
            request(Some(with.id(1)), commit(with.txn(1), &[])),
            request(None, fence(with)),
            request(None, open()),
            request(None, fence(without)),
        ];
        log.machine.apply(Batch { stamp: log.now, requests });
    }
    log.pass(HORIZON_MS);
    assert_eq!(log.machine.census().sessions_retired, runs_max + 1);
    let verdict = |session| log.machine.verdict(of(session).txn(1));
    let lowest = [1, 2, 3, 4, 5].map(verdict);
    let (retired, aborted) = (Verdict::Retired, Verdict::Aborted);
    assert_eq!(lowest, [retired, retired, retired, aborted, retired]);
}

/// Commits that somebody has yet to acknowledge are bounded. One more is refused and changes
/// nothing: the transaction can still be aborted, which is never refused, or committed when an
/// acknowledgement has made room.
#[test]
fn a_commit_past_the_limit_is_refused_until_another_is_acknowledged() {
    let (mut log, mut client) = Log::with_shards();
    let asked = |n: u64| Request {
        id: Some(client.id(100 + n)),
        acked: Seq::new(100 + n),
        command: commit(client.txn(n), &["east"]),
    };
    let requests = (1..=COMMITS_MAX).map(asked).collect();
    let applied = log.machine.apply(Batch { stamp: log.now, requests });
    assert!(applied.iter().all(|one| one.reply == Reply::Verdict(Verdict::Committed)));
    let (next, other) = (COMMITS_MAX + 1, COMMITS_MAX + 2);
    client.seq = 200 + COMMITS_MAX;
    let full = Rejection::TooMany { what: crate::Counted::Commits, limit: COMMITS_MAX };
    for n in [next, other] {
        assert_eq!(log.commit(&mut client, n), Reply::Rejected(full.clone()));
        assert_eq!(log.machine.verdict(client.txn(n)), Verdict::InProgress);
    }
    assert_eq!(log.machine.census().commits_unacked, COMMITS_MAX);
    assert_eq!(log.unnamed(abort(client.txn(other))), Reply::Verdict(Verdict::Aborted));
    log.unnamed(ack("east", client.txn(1)));
    assert_eq!(log.commit(&mut client, next), Reply::Verdict(Verdict::Committed));
    assert_eq!(log.commit(&mut client, next + 2), Reply::Rejected(full));
}
