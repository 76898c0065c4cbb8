//! H3: branches end on the chosen verdict and on nothing else, and what is over, also long ago, is
//! not done again.

use synod_machine::{
    BranchIncarnation, ParticipantName, SessionId, TxnId, Verdict,
    branch::{Branches, Durable, Input, Room},
    owner::{GivenUp, Owner, Phase},
    participant_door::{Said, Vote},
};

use super::{ASKER, After, is_same, nobody, put, says_no, whole};
use crate::violation::{Checked, demand};

/// So many transactions later most of what a participant did for one session is forgotten, if it
/// has no room for it.
const LATER: u64 = 4;

/// An owner that has no verdict acts on none, and tells none.
pub(super) fn an_owner_waits(owner: &Owner) -> Checked {
    let (txn, phase) = (owner.txn(), owner.phase());
    for verdict in [Verdict::InProgress, Verdict::Retired] {
        let mut copy = owner.clone();
        copy.learn(verdict);
        demand!(is_same(&copy, owner), "H3", "the owner of {txn}, {phase:?}, acts on {verdict:?}");
    }
    let told = owner.to_tell();
    demand!(told.is_empty(), "H3", "the owner of {txn}, {phase:?}, tells {told:?}");
    Ok(())
}

/// An owner gives up. If it has proposed, only the log can say how that ends; if not, it has ended,
/// and its participants may hear so: then it proposes no commit, although they all vote for one.
pub(super) fn what_is_over_is_not_proposed(owner: &Owner, names: &[&ParticipantName]) -> Checked {
    let (mut copy, txn, phase) = (owner.clone(), owner.txn(), owner.phase());
    let asks = matches!(copy.give_up(), GivenUp::AskTheLog(_));
    demand!(
        asks == (phase == Phase::Proposed),
        "H3",
        "the owner of {txn}, {phase:?}, gives up, and {} the log",
        if asks { "asks" } else { "does not ask" }
    );
    if !asks {
        let yes = Vote::Yes { incarnation: BranchIncarnation(u64::MAX) };
        names.iter().for_each(|name| copy.vote(name, &yes));
        let proposal = copy.proposal();
        demand!(
            proposal.is_none(),
            "H3",
            "the owner of {txn}, {:?}, proposes {proposal:?}",
            copy.phase()
        );
    }
    Ok(())
}

impl After<'_> {
    /// It has promised: it ends that by a verdict and by nothing else.
    pub(super) fn only_a_verdict_ends_it(&self, txn: TxnId) -> Checked {
        for verdict in [Verdict::InProgress, Verdict::Retired] {
            let out = self.finish(txn, verdict);
            demand!(
                out.durably.writes().is_empty(),
                "H3",
                "{txn} is {verdict:?}, and its branch would end: {:?}",
                out.durably.writes()
            );
        }
        Ok(())
    }

    /// It never heard of this one.
    pub(super) fn what_is_unheard_is_not_done(&self, unheard: TxnId) -> Checked {
        let out = self.finish(unheard, Verdict::Committed);
        demand!(
            says_no(&out) && !out.alarms.is_empty(),
            "H3",
            "{unheard}, of which nothing was heard, counts as done"
        );
        Ok(())
    }

    /// It has committed, and hears the opposite.
    pub(super) fn a_commit(&self, txn: TxnId) -> Checked {
        let out = self.finish(txn, Verdict::Aborted);
        demand!(
            says_no(&out) && !out.alarms.is_empty(),
            "H3",
            "{txn} is done, and would be said to be rolled back"
        );
        self.what_is_forgotten_is_over(txn)?;
        self.what_came_out_of_turn_is_over(txn)
    }

    /// It commits two more, then the one between them, so that what is written of them becomes one,
    /// and the next; and is asked to prepare each of them again when it has started anew.
    fn what_came_out_of_turn_is_over(&self, txn: TxnId) -> Checked {
        let all = [6, 4, 5, 3].map(|below| TxnId { n: u64::MAX - below, ..txn });
        let (_, durable) = self.later(Room::default(), all.into_iter().flat_map(done));
        let anew = Branches::recover(nobody(), &durable, self.now);
        let anew = After { branches: &anew, now: self.now };
        all.iter().try_for_each(|txn| anew.is_refused(*txn, put(b"again"), "H3"))
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
        let promise = Input::Prepare { asker: ASKER, txn: before, work: put(b"before") };
        let all = later.iter().copied().flat_map(done);
        let all = [promise].into_iter().chain(all).chain([finish(before)]);
        let (branches, durable) = self.later(room, all);
        whole::is_written_too(&branches, &durable)?;
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

    /// The same participant, with so much room, after all this; and what it has written meanwhile.
    fn later(&self, room: Room, inputs: impl Iterator<Item = Input>) -> (Branches, Durable) {
        let mut branches = self.branches.clone().with_room(room);
        let mut durable = Durable::default();
        for input in inputs {
            let out = branches.step(self.now, input, |_| None);
            out.durably.writes().iter().for_each(|write| durable.write(write));
        }
        (branches, durable)
    }
}

/// What a participant hears of a transaction that commits.
fn done(txn: TxnId) -> [Input; 2] {
    [Input::Prepare { asker: ASKER, txn, work: put(b"later") }, finish(txn)]
}

fn finish(txn: TxnId) -> Input {
    Input::Finish { asker: None, txn, verdict: Verdict::Committed }
}
