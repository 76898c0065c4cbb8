use std::{collections::BTreeSet, time::Duration};

use synod_machine::{
    Answer, Command, FenceCause, Part, ParticipantName, Proposal, Query, Request, RequestId, Seq,
    SessionId, door as node_door,
};
use tokio::task::yield_now;

use super::*;
use crate::stage::{Kind, Stage, Twist};

/// Remembers what it was told, and notices when two calls about one transaction overlap.
#[derive(Default)]
struct Memory {
    prepared: Mutex<BTreeSet<TxnId>>,
    ended: Mutex<Vec<(TxnId, Outcome)>>,
    busy: Mutex<BTreeSet<TxnId>>,
    /// So many times it cannot finish.
    again: Mutex<usize>,
    /// What it can never finish.
    stuck: Mutex<Option<TxnId>>,
}

impl Memory {
    async fn alone(&self, txn: TxnId) {
        assert!(self.busy.lock().unwrap().insert(txn), "two calls about {txn} overlap");
        yield_now().await;
        self.busy.lock().unwrap().remove(&txn);
    }
}

impl ResourceManager for Memory {
    fn incarnation(&self) -> BranchIncarnation {
        BranchIncarnation(1)
    }

    async fn vote(&self, txn: TxnId, _work: Work) -> Result<Share, NoReason> {
        self.alone(txn).await;
        self.prepared.lock().unwrap().insert(txn);
        Ok(Share::Prepared)
    }

    async fn finish(&self, txn: TxnId, outcome: Outcome) -> Result<(), Again> {
        self.alone(txn).await;
        if *self.stuck.lock().unwrap() == Some(txn) {
            return Err(Again("its rows are locked".to_owned()));
        }
        {
            let mut again = self.again.lock().unwrap();
            if *again > 0 {
                *again -= 1;
                return Err(Again("the disk is busy".to_owned()));
            }
        }
        self.prepared.lock().unwrap().remove(&txn);
        self.ended.lock().unwrap().push((txn, outcome));
        Ok(())
    }

    async fn in_doubt(&self) -> Result<Vec<TxnId>, Again> {
        Ok(self.prepared.lock().unwrap().iter().copied().collect())
    }
}

/// An owner's session on stage, whose requests are numbered from here.
struct Owner {
    stage: Stage,
    session: SessionId,
}

impl Owner {
    fn new(stage: &Stage) -> Owner {
        let open = Command::OpenSession { owner: "owner".to_owned(), ttl_ms: 1_000 };
        let synod_machine::Reply::Session(session) = stage.apply(open) else {
            panic!("no session")
        };
        Owner { stage: stage.clone(), session }
    }

    fn txn(&self, n: u64) -> TxnId {
        TxnId { session: self.session, n }
    }

    fn commit(&self, n: u64) {
        let participant = ParticipantName::new("east");
        let parts = vec![Part { participant, incarnation: BranchIncarnation(1) }];
        let outcome = Proposal::Commit { parts, multi: None };
        let command = Command::Decide { txn: self.txn(n), outcome };
        let id = Some(RequestId { session: self.session, seq: Seq::new(n) });
        self.stage.apply_request(Request { id, acked: Seq::ZERO, command });
    }

    fn die(&self) {
        let (session, cause) = (self.session, FenceCause::Expired);
        self.stage.apply(Command::Fence { session, cause, guard: None });
    }
}

async fn post(stage: &Stage) -> Arc<Post<Memory>> {
    Arc::new(Post {
        manager: Memory::default(),
        participant: stage.client().await.participant("east"),
        turns: Turns::default(),
        state: Mutex::default(),
        finished: Notify::new(),
    })
}

fn ended(post: &Post<Memory>) -> Vec<(TxnId, Outcome)> {
    post.manager.ended.lock().unwrap().clone()
}

fn unacknowledged(stage: &Stage) -> u64 {
    let Answer::Census(census) = stage.query(&Query::Census) else { panic!("no census") };
    census.commits_unacked
}

/// *Transactions* §5, "Abort overtakes Prepare": no lock is taken. Nor is what has committed
/// promised again, to be done twice. (Of a commit nothing was remembered.)
#[tokio::test(start_paused = true)]
async fn a_prepare_that_comes_after_the_end_is_refused() {
    let stage = Stage::new();
    let (post, owner) = (post(&stage).await, Owner::new(&stage));
    post.finish(owner.txn(1), Verdict::Aborted).await.unwrap().unwrap();
    post.vote(owner.txn(2), Work::default()).await.unwrap();
    post.finish(owner.txn(2), Verdict::Committed).await.unwrap().unwrap();
    for ended in [1, 2] {
        let voted = post.vote(owner.txn(ended), Work::default()).await;
        assert_eq!(voted, Err(NoReason::Ended), "{ended}");
    }
    assert_eq!(post.vote(owner.txn(3), Work::default()).await, Ok(Share::Prepared));
}

/// What could not be finished has not ended, and votes as it did.
#[tokio::test(start_paused = true)]
async fn a_prepare_that_comes_again_before_the_end_is_heard() {
    let stage = Stage::new();
    let (post, owner) = (post(&stage).await, Owner::new(&stage));
    post.vote(owner.txn(1), Work::default()).await.unwrap();
    *post.manager.again.lock().unwrap() = 1;
    assert!(post.finish(owner.txn(1), Verdict::Committed).await.unwrap().is_err());
    assert_eq!(post.vote(owner.txn(1), Work::default()).await, Ok(Share::Prepared));
}

/// C7: `InProgress` is never the reason for an action; nor is `Retired`.
#[tokio::test(start_paused = true)]
async fn nothing_is_finished_without_a_verdict() {
    let stage = Stage::new();
    let (post, owner) = (post(&stage).await, Owner::new(&stage));
    post.vote(owner.txn(1), Work::default()).await.unwrap();
    for verdict in [Verdict::InProgress, Verdict::Retired] {
        assert_eq!(post.finish(owner.txn(1), verdict).await, None);
    }
    assert_eq!(ended(&post), []);
}

/// Only whoever may write may have work done, or say how it ended; anybody may look.
#[test]
fn the_door_lets_nobody_decide_who_may_not_write() {
    use synod_machine::participant_door::Call;
    use synod_net::{Name, Role, Who};
    let name = || Name::new("somebody").unwrap();
    let txn = TxnId { session: SessionId::new(1), n: 1 };
    let prepare = Call::Prepare { txn, work: Work::default() };
    let finish = Call::Finish { txn, verdict: Verdict::Committed };
    let client = |role| Who::Client { name: name(), role };
    for (who, may) in [
        (Who::Node(name()), false),
        (client(Role::Read), false),
        (client(Role::Participant), false),
        (client(Role::Write), true),
        (client(Role::Admin), true),
    ] {
        assert_eq!(door::refuse(&who, &prepare).is_none(), may, "{who:?}");
        assert_eq!(door::refuse(&who, &finish).is_none(), may, "{who:?}");
        assert_eq!(door::refuse(&who, &Call::InDoubt), None, "{who:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_about_one_transaction_wait_for_each_other() {
    let stage = Stage::new();
    let (post, owner) = (post(&stage).await, Owner::new(&stage));
    let mut calls = JoinSet::new();
    for n in [1, 1, 2, 1, 2] {
        let (post, txn) = (Arc::clone(&post), owner.txn(n));
        calls.spawn(async move { post.vote(txn, Work::default()).await });
    }
    for voted in calls.join_all().await {
        assert_eq!(voted, Ok(Share::Prepared));
    }
}

/// *Transactions* §5, "owner dies after Decide(Commit)": the participant finds out and
/// acknowledges, and is asked again for what it could not do.
#[tokio::test(start_paused = true)]
async fn a_commit_that_nobody_told_is_found_finished_and_acknowledged() {
    let stage = Stage::new();
    let (post, owner) = (post(&stage).await, Owner::new(&stage));
    let txn = owner.txn(1);
    post.vote(txn, Work::default()).await.unwrap();
    *post.manager.again.lock().unwrap() = 2;
    owner.commit(1);
    owner.die();
    assert_eq!(unacknowledged(&stage), 1);
    let attending = tokio::spawn(attend::keep(Arc::clone(&post)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    attending.abort();
    assert_eq!(ended(&post), [(txn, Outcome::Committed)]);
    assert_eq!(unacknowledged(&stage), 0);
}

/// A commit comes from its owner, and from a node that does not know yet that it was acknowledged:
/// it is acknowledged once, the node is left alone for a while, and another is asked. (The log took
/// in an acknowledgement for every answer of such a node, and it was asked without a pause.)
#[tokio::test(start_paused = true)]
async fn a_node_that_lags_behind_is_not_asked_again_at_once() {
    let stage = Stage::new();
    let (post, owner) = (post(&stage).await, Owner::new(&stage));
    let txn = owner.txn(1);
    post.vote(txn, Work::default()).await.unwrap();
    owner.commit(1);
    post.finish(txn, Verdict::Committed).await.unwrap().unwrap();
    let lags = || {
        let said = node_door::Said::Verdicts(vec![(txn, Verdict::Committed)]);
        stage.next(Kind::Attend, Twist::say(said));
    };
    let route = &post.participant.client.core.route;
    let first = route.any();
    // The first question may be dropped, for there is something to acknowledge.
    (0..2).for_each(|_| lags());
    let attending = tokio::spawn(attend::keep(Arc::clone(&post)));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_ne!(route.any(), first, "the same node is asked");
    let before = ended(&post).len();
    (0..100).for_each(|_| lags());
    tokio::time::sleep(Duration::from_secs(4)).await;
    attending.abort();
    let told = ended(&post).len() - before;
    assert!((1..=9).contains(&told), "asked {told} times");
    let acks = stage.submits().iter().filter(|request| is_ack(&request.command)).count();
    assert_eq!((acks, unacknowledged(&stage)), (1, 0));
}

fn is_ack(command: &Command) -> bool {
    matches!(command, Command::Ack { .. })
}

/// *Transactions* §5, "owner dies before Decide": its session ends, and the branch with it.
#[tokio::test(start_paused = true)]
async fn the_end_of_its_owners_session_ends_a_branch() {
    let stage = Stage::new();
    let (post, owner) = (post(&stage).await, Owner::new(&stage));
    post.vote(owner.txn(1), Work::default()).await.unwrap();
    owner.die();
    let attending = tokio::spawn(attend::keep(Arc::clone(&post)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    attending.abort();
    assert_eq!(ended(&post), [(owner.txn(1), Outcome::Aborted)]);
}

/// *Transactions* §5, "participant restarts with prepared branch": after its grace it asks for an
/// abort, through the log, and not before.
#[tokio::test(start_paused = true)]
async fn a_branch_in_doubt_for_longer_than_its_grace_asks_the_log_to_abort() {
    let stage = Stage::new();
    let (post, owner) = (post(&stage).await, Owner::new(&stage));
    let txn = owner.txn(1);
    post.vote(txn, Work::default()).await.unwrap();
    let attending = tokio::spawn(attend::keep(Arc::clone(&post)));
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(ended(&post), [], "its owner may still commit");
    tokio::time::sleep(Duration::from_secs(6)).await;
    attending.abort();
    assert_eq!(ended(&post), [(txn, Outcome::Aborted)]);
    let Answer::Verdicts(log) = stage.query(&Query::Verdicts { txns: vec![txn] }) else {
        panic!("no verdicts")
    };
    assert_eq!(log, [Verdict::Aborted]);
}

/// One that cannot be finished, or that only a person can end, holds up no other. (Nothing behind
/// the lowest of them was ever asked about.)
#[tokio::test(start_paused = true)]
async fn a_branch_that_is_stuck_holds_up_no_other() {
    let stage = Stage::new();
    let (post, owner) = (post(&stage).await, Owner::new(&stage));
    let [stuck, other] = [1, 2].map(|n| owner.txn(n));
    for txn in [stuck, other] {
        post.vote(txn, Work::default()).await.unwrap();
    }
    *post.manager.stuck.lock().unwrap() = Some(stuck);
    let attending = tokio::spawn(attend::keep(Arc::clone(&post)));
    tokio::time::sleep(Duration::from_secs(20)).await;
    attending.abort();
    assert_eq!(ended(&post), [(other, Outcome::Aborted)]);
}

/// It hears of what others left behind while its own owners go on committing. (Whatever it waited
/// for was dropped whenever there was something to acknowledge, and there always was.)
#[tokio::test(start_paused = true)]
async fn a_commit_that_nobody_told_is_found_among_thousands_that_are_told() {
    let stage = Stage::new();
    let (post, dead, alive) = (post(&stage).await, Owner::new(&stage), Owner::new(&stage));
    let txn = dead.txn(1);
    post.vote(txn, Work::default()).await.unwrap();
    dead.commit(1);
    dead.die();
    for _ in 0..2_000 {
        stage.next(Kind::Unnamed, Twist::Late(Duration::from_millis(5)));
    }
    let load = tokio::spawn({
        let post = Arc::clone(&post);
        async move {
            for n in 1.. {
                alive.commit(n);
                post.finish(alive.txn(n), Verdict::Committed).await.unwrap().unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    yield_now().await;
    let attending = tokio::spawn(attend::keep(Arc::clone(&post)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.abort();
    attending.abort();
    assert!(ended(&post).contains(&(txn, Outcome::Committed)));
    let finished = ended(&post).len() as u64;
    assert!(unacknowledged(&stage) < finished / 2, "{} of {finished}", unacknowledged(&stage));
}
