//! What comes twice, late, or against what came before changes nothing: a copy is told.

use std::collections::BTreeMap;

use bytes::Bytes;
use synod_machine::{
    BranchIncarnation, Entry, Expect, Guard, Mutation, ParticipantName, SessionId, TxnId, Verdict,
    branch::{Asker, Branches, Config, Durable, Input, Moment, Output, Room, Work},
    owner::{Owner, Phase},
    participant_door::{NoReason, Said, Vote},
};

use crate::violation::{Checked, Violation, demand};

/// An owner hears a vote again, and another one, of each of these participants.
pub(crate) fn owner_stands<'n>(
    owner: &Owner,
    names: impl Iterator<Item = &'n ParticipantName>,
) -> Checked {
    owner_waits(owner)?;
    let phase = owner.phase();
    for name in names.filter(|name| !owner.to_ask().any(|awaited| awaited == *name)) {
        for vote in votes() {
            let mut copy = owner.clone();
            copy.vote(name, &vote);
            // Who gave up early may still hear for the first time who holds something.
            let stands = match phase {
                Phase::Aborted => copy.phase() == phase,
                Phase::Voting | Phase::Proposed | Phase::Committed => is_same(&copy, owner),
            };
            demand!(stands, "C10", "{}, {phase:?}, heeds a late {vote:?} of {name}", owner.txn());
        }
    }
    Ok(())
}

/// An owner that has no verdict acts on none, and tells none; and a no is the end of what still
/// waits for votes.
fn owner_waits(owner: &Owner) -> Checked {
    let (txn, phase) = (owner.txn(), owner.phase());
    if !matches!(phase, Phase::Voting | Phase::Proposed) {
        return Ok(());
    }
    for verdict in [Verdict::InProgress, Verdict::Retired] {
        let mut copy = owner.clone();
        copy.learn(verdict);
        demand!(is_same(&copy, owner), "H3", "the owner of {txn}, {phase:?}, acts on {verdict:?}");
    }
    let told = owner.to_tell();
    demand!(told.is_empty(), "H3", "the owner of {txn}, {phase:?}, tells {told:?}");
    if let Some(name) = owner.to_ask().next() {
        let mut copy = owner.clone();
        copy.vote(name, &Vote::Unknown);
        demand!(
            copy.phase() == Phase::Aborted,
            "C11",
            "the owner of {txn} waits on when {name} has voted no"
        );
    }
    Ok(())
}

/// A participant is about to do its part of a commit: what it was asked to find when it promised
/// is still so, for nobody else may have changed it.
pub(crate) fn guards_hold(
    place: usize,
    txn: TxnId,
    work: &Work,
    keys: &BTreeMap<Bytes, Entry>,
) -> Checked {
    let failed = work.guards.iter().find(|guard| !guard.expect.holds(keys.get(&guard.key)));
    demand!(
        failed.is_none(),
        "H5",
        "participant {place} commits {txn}, and {failed:?} holds no more: {:?}",
        failed.and_then(|guard| keys.get(&guard.key))
    );
    Ok(())
}

/// A participant has done a step that `input` asked for.
pub(crate) fn branch_keeps_its_word(branches: &Branches, now: Moment, input: &Input) -> Checked {
    let (after, counts) = (After { branches, now }, branches.counts());
    demand!(
        counts.in_doubt > 0 || counts.locked == 0,
        "C11",
        "nothing is in doubt, and {} keys are locked",
        counts.locked
    );
    match input {
        Input::Prepare { txn, .. } if branches.is_prepared(*txn) => after.a_promise(*txn),
        Input::Finish { txn, verdict: Verdict::Aborted, .. } => after.an_abort(*txn),
        Input::Finish { txn, verdict: Verdict::Committed, .. } => after.a_commit(*txn),
        _ => Ok(()),
    }
}

/// So many transactions later most of what a participant did for one session is forgotten, if it
/// has no room for it.
const LATER: u64 = 4;

/// A participant as it is after a step.
struct After<'b> {
    branches: &'b Branches,
    now: Moment,
}

impl After<'_> {
    /// It has promised: it ends that by a verdict and by nothing else, and promises no other work
    /// instead. What it never heard of is not done, and what is guarded is not written.
    fn a_promise(&self, txn: TxnId) -> Checked {
        for verdict in [Verdict::InProgress, Verdict::Retired] {
            let out = self.finish(txn, verdict);
            demand!(
                out.durably.writes().is_empty(),
                "H3",
                "{txn} is {verdict:?}, and its branch would end: {:?}",
                out.durably.writes()
            );
        }
        self.is_refused(txn, put(b"another"), "H4")?;
        let unheard = TxnId { session: txn.session, n: u64::MAX };
        let out = self.finish(unheard, Verdict::Committed);
        demand!(
            says_no(&out) && !out.alarms.is_empty(),
            "H3",
            "{unheard}, of which nothing was heard, counts as done"
        );
        self.what_is_guarded_is_not_written(unheard)
    }

    /// Another transaction guards a key, and one more is to write it.
    fn what_is_guarded_is_not_written(&self, txn: TxnId) -> Checked {
        let key = Bytes::from_static(b"guarded");
        let guards = vec![Guard { key: key.clone(), expect: Expect::Absent }];
        let work = Work { guards, mutations: Vec::new() };
        let mut branches = self.branches.clone();
        let guarding = Input::Prepare { asker: Asker(u64::MAX), txn, work };
        drop(branches.step(self.now, guarding, |_| None));
        let after = After { branches: &branches, now: self.now };
        let writer = TxnId { n: txn.n - 1, ..txn };
        if !branches.is_prepared(txn) {
            return Ok(());
        }
        after.is_refused(writer, put(&key), "H5")?;
        after.and_not_when_another_has_let_go(TxnId { n: txn.n - 2, ..txn }, writer, key)
    }

    /// One more guards the same key, and ends.
    fn and_not_when_another_has_let_go(&self, txn: TxnId, writer: TxnId, key: Bytes) -> Checked {
        let guards = vec![Guard { key: key.clone(), expect: Expect::Absent }];
        let work = Work { guards, mutations: Vec::new() };
        let mut branches = self.branches.clone();
        let guarding = Input::Prepare { asker: Asker(u64::MAX), txn, work };
        drop(branches.step(self.now, guarding, |_| None));
        let ends = Input::Finish { asker: None, txn, verdict: Verdict::Aborted };
        drop(branches.step(self.now, ends, |_| None));
        After { branches: &branches, now: self.now }.is_refused(writer, put(&key), "H5")
    }

    /// It has rolled a branch back, and is asked to prepare it after that.
    fn an_abort(&self, txn: TxnId) -> Checked {
        self.is_refused(txn, put(b"late"), "C10")
    }

    /// It has committed, and hears the opposite.
    fn a_commit(&self, txn: TxnId) -> Checked {
        let out = self.finish(txn, Verdict::Aborted);
        demand!(
            says_no(&out) && !out.alarms.is_empty(),
            "H3",
            "{txn} is done, and would be said to be rolled back"
        );
        self.what_is_forgotten_is_over(txn)
    }

    /// It has no room for what it did before, of that session or of all. It goes on in later
    /// transactions, or later sessions, and last with one that it had promised before those; it is
    /// then asked to prepare this one again, and one of those; and this one once more when it has
    /// started anew, with what it has written since.
    fn what_is_forgotten_is_over(&self, txn: TxnId) -> Checked {
        let of_one = Room { runs_of_one: 0, ..Room::default() };
        let of_all = Room { sessions: 0, ..Room::default() };
        let later = u64::MAX - 2 * LATER;
        let numbers = (0..LATER).map(|n| TxnId { n: later + 2 * n, ..txn });
        let sessions = (0..LATER).map(|n| TxnId { session: SessionId::new(later + n), n: 1 });
        let before = TxnId { n: later - 1, ..txn };
        self.forgets(of_one, before, numbers.collect(), txn)?;
        let before = TxnId { session: SessionId::new(later - 1), n: 1 };
        self.forgets(of_all, before, sessions.collect(), txn)
    }

    fn forgets(&self, room: Room, before: TxnId, later: Vec<TxnId>, txn: TxnId) -> Checked {
        let mut branches = self.branches.clone().with_room(room);
        let mut durable = Durable::default();
        let asker = Asker(u64::MAX);
        let finish = |txn| Input::Finish { asker: None, txn, verdict: Verdict::Committed };
        let promise = Input::Prepare { asker, txn: before, work: put(b"before") };
        let all = later
            .iter()
            .flat_map(|&txn| [Input::Prepare { asker, txn, work: put(b"later") }, finish(txn)]);
        for input in [promise].into_iter().chain(all).chain([finish(before)]) {
            let out = branches.step(self.now, input, |_| None);
            out.durably.writes().iter().for_each(|write| durable.write(write));
        }
        demand!(
            durable.revision == branches.revision(),
            "H5",
            "a participant has come to {}, and its disk to {}",
            branches.revision(),
            durable.revision
        );
        let after = After { branches: &branches, now: self.now };
        for txn in later.first().into_iter().chain([&txn]) {
            after.is_refused(*txn, put(b"again"), "H3")?;
        }
        // Where there are many of them, this one is not forgotten yet, and what is written says
        // nothing of it.
        let told = after.finish(txn, Verdict::Committed).at_once;
        let forgotten = told.iter().any(|(_, said)| *said == Said::Unproven);
        let anew = Branches::recover(nobody(), &durable, self.now);
        let anew = After { branches: &anew, now: self.now };
        if forgotten { anew.is_refused(txn, put(b"again"), "H3") } else { Ok(()) }
    }

    fn is_refused(&self, txn: TxnId, work: Work, invariant: &'static str) -> Checked {
        let prepare = Input::Prepare { asker: Asker(u64::MAX), txn, work: work.clone() };
        let Output { durably, at_once, .. } = self.given(prepare);
        let no = |said: &Said| matches!(said, Said::Vote(Vote::No { .. }));
        match at_once.iter().any(|(_, said)| no(said)) && durably.writes().is_empty() {
            true => Ok(()),
            false => Err(Violation {
                invariant,
                what: format!("{txn} would be prepared with {work:?}: {at_once:?}"),
            }),
        }
    }

    fn finish(&self, txn: TxnId, verdict: Verdict) -> Output {
        self.given(Input::Finish { asker: Some(Asker(u64::MAX)), txn, verdict })
    }

    fn given(&self, input: Input) -> Output {
        self.branches.clone().step(self.now, input, |_| None)
    }
}

/// Nothing is written, and nobody hears that it is finished.
fn says_no(out: &Output) -> bool {
    out.durably.writes().is_empty() && out.at_once.iter().all(|(_, said)| *said == Said::Unproven)
}

/// Another participant than any.
fn nobody() -> Config {
    let (name, incarnation) = (ParticipantName::new("nobody"), BranchIncarnation(u64::MAX));
    Config { name, incarnation, in_doubt_grace_ms: 1_000 }
}

fn put(key: &[u8]) -> Work {
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::from_static(b"of a copy"));
    Work { guards: Vec::new(), mutations: vec![Mutation::Put { key, value }] }
}

fn votes() -> [Vote; 4] {
    let incarnation = BranchIncarnation(u64::MAX);
    [Vote::Yes { incarnation }, Vote::ReadOnly, Vote::No { reason: NoReason::Ended }, Vote::Unknown]
}

fn is_same(one: &Owner, other: &Owner) -> bool {
    crate::checks::hash(one) == crate::checks::hash(other)
}
