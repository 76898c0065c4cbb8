use super::*;
use crate::transactions::{ABORTS_MAX, HORIZON_MS, RUNS_OF_ONE_MAX};
use crate::{Counted, FenceCause, Rejection, Verdict};

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
    log.now.0 += HORIZON_MS - 1;
    log.open();
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Committed);
    assert_eq!(log.machine.verdict(client.txn(2)), Verdict::Aborted);
    log.now.0 += 1;
    log.open();
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Retired);
    assert_eq!(log.machine.verdict(client.txn(2)), Verdict::Retired);
    assert_eq!(log.machine.census().sessions_retired, 1);
}

/// A commit that some part has not acknowledged is never past the horizon: that part may still
/// hold its branch prepared.
#[test]
fn an_unacknowledged_commit_is_never_past_the_horizon() {
    let (mut log, mut client) = Log::with_shards();
    log.commit(&mut client, 1);
    log.unnamed(fence(client));
    log.now.0 += 10 * HORIZON_MS;
    log.open();
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
    log.now.0 += 10 * HORIZON_MS;
    log.open();
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Aborted);
}

/// Aborts on record are bounded; an owner that retires has room for more.
#[test]
fn aborts_on_record_are_bounded_until_the_owner_retires() {
    let (mut log, mut client) = Log::with_shards();
    let aborts = (1..=ABORTS_MAX).map(|n| abort(client.txn(n)));
    let requests = aborts.map(|command| Request { id: None, acked: Seq::ZERO, command }).collect();
    log.machine.apply(Batch { stamp: log.now, requests });
    let next = client.txn(ABORTS_MAX + 1);
    let full = Rejection::TooMany { what: Counted::Aborts, limit: ABORTS_MAX };
    assert_eq!(log.unnamed(abort(next)), Reply::Rejected(full));
    log.ask(&mut client, Command::Retire { below: ABORTS_MAX });
    assert_eq!(log.unnamed(abort(next)), Reply::Verdict(Verdict::Aborted));
    assert_eq!(log.machine.census().aborts, 2);
}

/// Runs are bounded: the oldest are answered with `Retired`, counted; what is on record below them
/// is still told as it is, and what was never decided there can no longer be.
#[test]
fn runs_past_the_limit_are_forgotten_but_no_record_is() {
    let (mut log, mut client) = Log::with_shards();
    log.commit(&mut client, 1);
    let commits = (0..=RUNS_OF_ONE_MAX).map(|run| {
        let command = commit(client.txn(3 + 2 * run), &[]);
        let id = Some(client.id(10 + run));
        Request { id, acked: Seq::new(10 + run), command }
    });
    let requests = commits.collect();
    log.machine.apply(Batch { stamp: log.now, requests });
    assert_eq!(log.machine.hash(), log.machine.hash_anew());
    let census = log.machine.census();
    assert_eq!((census.runs, census.runs_forgotten), (RUNS_OF_ONE_MAX, 1));
    assert_eq!(log.machine.verdict(client.txn(1)), Verdict::Committed);
    assert_eq!(log.machine.verdict(client.txn(2)), Verdict::Retired);
    assert_eq!(log.machine.verdict(client.txn(3)), Verdict::Retired);
    assert_eq!(log.machine.verdict(client.txn(4)), Verdict::InProgress);
    assert_eq!(log.machine.verdict(client.txn(5)), Verdict::Committed);
    assert_eq!(log.unnamed(abort(client.txn(2))), Reply::Verdict(Verdict::Retired));
}
