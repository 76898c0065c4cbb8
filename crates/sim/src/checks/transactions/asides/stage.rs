//! A log that the tests of these checks have something come to, and what is known of it.

use synod_machine::{
    BranchIncarnation, Command, FenceCause, Machine, ParticipantName, RequestId, Seq, SessionId,
    TxnId, Verdict,
};

use super::{Asides, Hears, commit, of};
use crate::{checks::transactions::Transactions, violation::Checked};

pub(super) const OWNER: SessionId = SessionId::new(1);
pub(super) const ENDED: SessionId = SessionId::new(3);
pub(super) const STORE: BranchIncarnation = BranchIncarnation(1);
pub(super) const OPEN: TxnId = TxnId { session: OWNER, n: 1 };
pub(super) const DONE: TxnId = TxnId { session: OWNER, n: 2 };
pub(super) const GONE: TxnId = TxnId { session: ENDED, n: 1 };

/// A log with an open transaction, one that committed, and one whose session ended; and what a
/// bystander knows of it.
pub(super) fn log() -> (Machine, Transactions) {
    let (mut machine, mut known) = (Machine::new(), Transactions::default());
    for _ in 0..3 {
        let open = Command::OpenSession { owner: "an owner".to_owned(), ttl_ms: 10_000 };
        machine.apply(of(None, open));
    }
    let id = Some(RequestId { session: OWNER, seq: Seq::new(1) });
    machine.apply(of(id, Command::Decide { txn: DONE, outcome: commit() }));
    machine.apply(of(None, fence(ENDED)));
    let (name, address) = (shard(), "here:1".to_owned());
    let register = Command::RegisterParticipant { name, incarnation: STORE, address };
    machine.apply(of(Some(RequestId { session: OWNER, seq: Seq::new(2) }), register));
    known.verdicts.extend([
        (OPEN, Verdict::InProgress),
        (DONE, Verdict::Committed),
        (GONE, Verdict::Aborted),
    ]);
    known.stores.insert(shard(), STORE);
    (machine, known)
}

pub(super) fn fence(session: SessionId) -> Command {
    Command::Fence { session, cause: FenceCause::Expired, guard: None }
}

pub(super) fn shard() -> ParticipantName {
    ParticipantName::new("shard")
}

/// What is seen of a log that mishears; of one that does not, nothing.
pub(super) fn seen(hears: Hears, check: impl Fn(&Asides<'_>) -> Checked) -> Option<&'static str> {
    let (machine, known) = log();
    let asides = Asides::to(&machine, &known);
    assert_eq!(asides.stand(), Ok(()));
    assert_eq!(check(&asides), Ok(()));
    check(&Asides { hears, ..asides }).err().map(|violation| violation.invariant)
}

/// The same of what somebody does not know as it is.
pub(super) fn unknown(lie: impl Fn(&mut Transactions)) -> Option<&'static str> {
    let (machine, mut known) = log();
    lie(&mut known);
    let checked = Asides::to(&machine, &known).news_is_what_is_decided();
    checked.err().map(|violation| violation.invariant)
}
