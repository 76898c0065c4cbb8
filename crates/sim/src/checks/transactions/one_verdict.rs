//! H1: a transaction has one verdict, for ever and whoever asks, also past the horizon.

use std::fmt;

use synod_machine::{Answer, Command, Machine, Query, TxnId, Verdict, owner::Numbers};

use super::{Transactions, verdict_of};
use crate::{
    sights::Sight,
    violation::{Checked, Violation, demand},
};

/// After so many transactions at the latest, an owner retires those that are over.
const RETIRES_IN: u64 = 100;

impl Transactions {
    /// An owner has begun a transaction: were it time to retire those that are over, this is none.
    pub(crate) fn begins(&self, txn: TxnId, numbers: &Numbers) -> Checked {
        let mut later = numbers.clone();
        let others = (0..RETIRES_IN).map(|_| later.begin()).collect::<Vec<_>>();
        others.into_iter().for_each(|other| later.end(other));
        let retired = later.retire();
        demand!(
            !matches!(retired, Some(Command::Retire { below }) if below > txn.n),
            "H1",
            "{txn} is open and its owner would submit {retired:?}"
        );
        Ok(())
    }

    /// No verdict changes.
    pub(super) fn look(&mut self, machine: &Machine) -> Checked {
        let open: Vec<TxnId> = self.verdicts.keys().copied().collect();
        if open.is_empty() {
            return Ok(());
        }
        let Answer::Verdicts(now) = machine.query(&Query::Verdicts { txns: open }) else {
            demand!(false, "H1", "a question for verdicts is answered otherwise");
            return Ok(());
        };
        for ((txn, before), now) in self.verdicts.iter_mut().zip(now) {
            demand!(
                *before == Verdict::InProgress || *before == now,
                "H1",
                "{txn} was {before:?} and is {now:?}"
            );
            match (*before, now) {
                (Verdict::InProgress, Verdict::Committed) => self.seen.see(Sight::Committed),
                (Verdict::InProgress, Verdict::Aborted) => self.seen.see(Sight::Aborted),
                (_, _) => {}
            }
            *before = now;
        }
        Ok(())
    }

    /// A transaction was read like this, and is `then` when the horizon of whatever has ended has
    /// passed; whether its own session has ended is known by then.
    pub(super) fn stands_past_the_horizon(
        &self,
        txn: TxnId,
        before: Verdict,
        (then, ended): (Verdict, bool),
    ) -> Checked {
        demand!(
            then == before || then == Verdict::Retired && before != Verdict::InProgress,
            "H1",
            "{txn} was {before:?} and is {then:?} when the horizon has passed"
        );
        demand!(
            !self.awaits_a_part(txn.session) || then == before,
            "H1",
            "a commit of its session waits for a part, and {txn} was {before:?} and is \
             {then:?} past the horizon"
        );
        demand!(
            ended || then == before,
            "H1",
            "the session of {txn} has not ended, and it was {before:?} and is {then:?} past \
             the horizon of others"
        );
        Ok(())
    }
}

/// Somebody hears of a verdict: it is the one that the log has made.
pub(crate) fn told(machine: &Machine, txn: TxnId, verdict: Verdict) -> Checked {
    let chosen = verdict_of(machine, txn);
    demand!(
        verdict == Verdict::InProgress || verdict == chosen,
        "H1",
        "{txn} is said to be {verdict:?}; the log says {chosen:?}"
    );
    Ok(())
}

/// An owner that asks for a decision hears what is no verdict.
pub(crate) fn is_none(txn: TxnId, said: &impl fmt::Debug) -> Checked {
    Err(Violation { invariant: "H1", what: format!("{txn} is decided with {said:?}") })
}
