use super::*;
use crate::SessionId;
use crate::participant_door::NoReason;

const TXN: TxnId = TxnId { session: SessionId::new(1), n: 1 };

fn name(of: &str) -> ParticipantName {
    ParticipantName::new(of)
}

fn yes() -> Vote {
    Vote::Yes { incarnation: BranchIncarnation(7) }
}

fn no() -> Vote {
    Vote::No { reason: NoReason::Ended }
}

fn owner() -> Owner {
    Owner::begin(TXN, [name("east"), name("west")])
}

/// *Transactions* §5, all pairs of votes: a commit is proposed exactly when nobody said anything
/// but yes, its parts are exactly those who hold something, and an abort is told to exactly those
/// who may.
#[test]
fn every_pair_of_votes_has_its_outcome() {
    let votes = [None, Some(yes()), Some(Vote::ReadOnly), Some(no()), Some(Vote::Unknown)];
    for east in &votes {
        for west in &votes {
            let mut owner = owner();
            for (of, vote) in [("east", east), ("west", west)] {
                if let Some(vote) = vote {
                    owner.vote(&name(of), vote);
                }
            }
            let both = [east, west];
            let for_it = |vote: &&Option<Vote>| matches!(vote, Some(Vote::Yes { .. }));
            let read_only = |vote: &&Option<Vote>| matches!(vote, Some(Vote::ReadOnly));
            let all = both.iter().all(|vote| for_it(vote) || read_only(vote));
            let parts = owner.proposal().map(|command| match command {
                Command::Decide { outcome: Proposal::Commit { parts, .. }, .. } => parts.len(),
                other => panic!("{other:?}"),
            });
            let expected = all.then(|| both.iter().filter(|vote| for_it(vote)).count());
            assert_eq!(parts, expected, "{east:?} {west:?}");
            if !all {
                assert_eq!(owner.give_up(), GivenUp::Over);
                let none =
                    |vote: &&&Option<Vote>| matches!(vote, Some(Vote::No { .. } | Vote::ReadOnly));
                let told = 2 - both.iter().filter(none).count();
                assert_eq!(owner.to_tell().len(), told, "{east:?} {west:?}");
                assert!(owner.to_tell().iter().all(|(_, what)| *what == Verdict::Aborted));
                assert_eq!(owner.proposal(), None);
            }
        }
    }
}

/// Once a commit may have left, only the log can end it: giving up is a question.
#[test]
fn an_owner_that_has_proposed_asks_the_log_before_it_aborts() {
    let mut owner = owner();
    owner.vote(&name("east"), &yes());
    owner.vote(&name("west"), &yes());
    let proposal = owner.proposal();
    assert!(matches!(owner.give_up(), GivenUp::AskTheLog(Command::Decide { .. })));
    assert_eq!(owner.to_tell(), []);
    assert_eq!(owner.proposal(), proposal);
    owner.learn(Verdict::InProgress);
    owner.learn(Verdict::Retired);
    assert_eq!(owner.phase(), Phase::Proposed);
    owner.learn(Verdict::Committed);
    let told = |of| (name(of), Verdict::Committed);
    assert_eq!(owner.to_tell(), [told("east"), told("west")]);
    owner.finished(&name("east"));
    assert_eq!(owner.to_tell(), [told("west")]);
}

/// A late yes after the decision is ignored, and rolled back like any other.
#[test]
fn a_late_yes_does_not_revive_a_transaction() {
    let mut owner = owner();
    owner.vote(&name("east"), &no());
    owner.vote(&name("west"), &yes());
    owner.vote(&name("east"), &yes());
    assert_eq!(owner.phase(), Phase::Aborted);
    assert_eq!(owner.proposal(), None);
    assert_eq!(owner.to_tell(), [(name("west"), Verdict::Aborted)]);
}

/// Every participant answers once. What comes later, and says something else, changes neither what
/// is proposed nor how it ends.
#[test]
fn a_second_vote_changes_nothing() {
    for late in
        [Vote::Yes { incarnation: BranchIncarnation(8) }, Vote::ReadOnly, no(), Vote::Unknown]
    {
        let mut owner = owner();
        owner.vote(&name("east"), &yes());
        owner.vote(&name("east"), &late);
        assert_eq!(owner.phase(), Phase::Voting, "{late:?}");
        owner.vote(&name("west"), &yes());
        let proposal = owner.proposal();
        assert!(proposal.is_some());
        owner.vote(&name("west"), &late);
        assert_eq!((owner.phase(), owner.proposal()), (Phase::Proposed, proposal), "{late:?}");
        owner.learn(Verdict::Committed);
        owner.vote(&name("east"), &late);
        assert_eq!(owner.phase(), Phase::Committed, "{late:?}");
        assert_eq!(owner.to_tell().len(), 2, "{late:?}");
    }
}

/// The votes of participants that were never enlisted are nothing.
#[test]
fn a_stranger_has_no_vote() {
    let mut owner = owner();
    owner.vote(&name("east"), &yes());
    owner.vote(&name("north"), &no());
    owner.vote(&name("north"), &yes());
    assert_eq!(owner.proposal(), None);
    owner.vote(&name("west"), &yes());
    assert!(owner.proposal().is_some());
}

/// A retire never passes a transaction that may still be committed.
#[test]
fn retiring_stops_at_the_oldest_open_transaction() {
    let mut numbers = Numbers::new(SessionId::new(1));
    let txns: Vec<TxnId> = (0..200).map(|_| numbers.begin()).collect();
    for txn in &txns {
        if txn.n != 100 {
            numbers.end(*txn);
        }
    }
    assert_eq!(numbers.retire(), Some(Command::Retire { below: 100 }));
    assert_eq!(numbers.retire(), None);
    numbers.end(txns[99]);
    assert_eq!(numbers.retire(), Some(Command::Retire { below: 201 }));
}
