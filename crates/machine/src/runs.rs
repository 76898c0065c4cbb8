use crate::table::{Digesting, Table};
use crate::{
    RestoreError, SessionId, TxnId,
    coding::{Decoder, Encoder},
};

/// A set of transactions, kept as runs of consecutive numbers of one session: a session that
/// commits one transaction after the other costs one row, however many there are.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Runs {
    /// (session, first number) to last number. Runs of one session neither touch nor overlap.
    rows: Table<(SessionId, u64), u64>,
}

/// What an insertion did to the rows: for whoever keeps them on disk as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grown {
    /// The run that the number is in now; its row is new or was rewritten.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The run that was joined to it and has no row of its own any more, by its first number.
    pub(crate) absorbed: Option<u64>,
}

impl Runs {
    pub(crate) fn new(seed: u64) -> Runs {
        Runs { rows: Table::new(seed) }
    }

    /// How many runs there are.
    pub(crate) fn len(&self) -> u64 {
        self.rows.len()
    }

    pub(crate) fn contains(&self, txn: TxnId) -> bool {
        self.at_or_before(txn).is_some_and(|(_, last)| txn.n <= last)
    }

    /// Adds one number; `None` when it was there.
    pub(crate) fn insert(&mut self, txn: TxnId) -> Option<Grown> {
        let TxnId { session, n } = txn;
        let before = self.at_or_before(txn);
        if before.is_some_and(|(_, last)| n <= last) {
            return None;
        }
        let first = match before {
            Some((first, last)) if last.checked_add(1) == Some(n) => first,
            Some(_) | None => n,
        };
        let absorbed = n.checked_add(1).filter(|after| self.rows.contains(&(session, *after)));
        let last = match absorbed {
            Some(after) => self.rows.remove(&(session, after)).unwrap_or(n),
            None => n,
        };
        self.rows.insert((session, first), last);
        Some(Grown { first, last, absorbed })
    }

    /// Adds a run as it was stored.
    pub(crate) fn restore(&mut self, session: SessionId, first: u64, last: u64) {
        self.rows.insert((session, first), last);
    }

    /// The lowest session that has a run.
    pub(crate) fn lowest_session(&self) -> Option<SessionId> {
        self.rows.iter().next().map(|((session, _), _)| *session)
    }

    /// The lowest run of a session: (first, last).
    pub(crate) fn lowest(&self, session: SessionId) -> Option<(u64, u64)> {
        self.of(session).next()
    }

    /// Takes out the run that begins here.
    pub(crate) fn remove(&mut self, session: SessionId, first: u64) {
        self.rows.remove(&(session, first));
    }

    /// Takes out every run of a session.
    pub(crate) fn remove_session(&mut self, session: SessionId) {
        while let Some((first, _)) = self.lowest(session) {
            self.remove(session, first);
        }
    }

    /// The runs of a session: (first, last).
    pub(crate) fn of(&self, session: SessionId) -> impl Iterator<Item = (u64, u64)> + '_ {
        let all = (session, 0)..=(session, u64::MAX);
        self.rows.range(all).map(|(&(_, first), &last)| (first, last))
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        self.rows.digest(how)
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)
    }

    pub(crate) fn decode(seed: u64, from: &mut Decoder<'_>) -> Result<Runs, RestoreError> {
        Ok(Runs { rows: Table::restore(seed, from)? })
    }

    fn at_or_before(&self, txn: TxnId) -> Option<(u64, u64)> {
        let below = (txn.session, 0)..=(txn.session, txn.n);
        self.rows.range(below).next_back().map(|(&(_, first), &last)| (first, last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn txn(session: u64, n: u64) -> TxnId {
        TxnId { session: SessionId::new(session), n }
    }

    proptest! {
        /// Runs are a set of numbers, in as few rows as consecutive numbers allow.
        #[test]
        fn runs_are_a_set_in_as_few_rows_as_possible(
            numbers in prop::collection::vec((1u64..3, 0u64..24), 0..64)
        ) {
            let mut runs = Runs::new(1);
            let mut set = BTreeSet::new();
            for (session, n) in numbers {
                prop_assert_eq!(runs.insert(txn(session, n)).is_some(), set.insert((session, n)));
            }
            for session in 0..4 {
                for n in 0..26 {
                    let expected = set.contains(&(session, n));
                    prop_assert_eq!(runs.contains(txn(session, n)), expected);
                }
            }
            let starts = set.iter().filter(|(s, n)| *n == 0 || !set.contains(&(*s, n - 1)));
            prop_assert_eq!(runs.len(), starts.count() as u64);
        }
    }

    /// What an insertion reports is what a store must write to hold the same rows.
    #[test]
    fn growing_reports_the_rows_that_changed() {
        let mut runs = Runs::new(1);
        runs.insert(txn(1, 5));
        runs.insert(txn(1, 7));
        assert_eq!(runs.insert(txn(1, 6)), Some(Grown { first: 5, last: 7, absorbed: Some(7) }));
        assert_eq!(runs.insert(txn(1, 6)), None);
        let top = Grown { first: u64::MAX, last: u64::MAX, absorbed: None };
        assert_eq!(runs.insert(txn(1, u64::MAX)), Some(top));
        assert_eq!(runs.of(SessionId::new(1)).collect::<Vec<_>>(), [(5, 7), (u64::MAX, u64::MAX)]);
    }
}
