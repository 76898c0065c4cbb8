use serde::{Deserialize, Serialize};

use super::{
    named_rows,
    shares::{Limits, Shares},
};
use crate::limits::{Misuse, check_name};
use crate::table::{Digesting, Table};
use crate::{
    Change, Counted, Name, Rejection, RestoreError, Revision,
    coding::{Decoder, Encoder},
    history::History,
};

/// Counters, and those that one client made: they stand until they are deleted.
const LIMITS: Limits = Limits {
    what: Counted::Counters,
    max: 200_000,
    of_owner: Counted::CountersOfOwner,
    of_owner_max: 65_536,
};

/// What can be done with counters: whole numbers under a name, that anybody who writes may count.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CounterCommand {
    /// Counts up or down, from zero if there is no such counter: `Value`, or `Overflow`.
    Add {
        /// Which.
        name: Name,
        /// By how much.
        by: i64,
    },
    /// Sets it if it is as expected: `Value`, or `Mismatch`.
    Set {
        /// Which.
        name: Name,
        /// What it must be; `None` if there must be none.
        expect: Option<i64>,
        /// To what.
        to: i64,
    },
    /// Removes it: `Deleted`, or `Absent`.
    Delete {
        /// Which.
        name: Name,
    },
}

/// What became of a [`CounterCommand`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CounterReply {
    /// It was counted, or set.
    Value {
        /// What it is since.
        value: i64,
        /// The revision of that.
        revision: Revision,
    },
    /// The sum is no number of 64 bits; the counter stays what it is.
    Overflow {
        /// What it is.
        value: i64,
    },
    /// It is not what was expected, and stays what it is.
    Mismatch {
        /// What it is, if there is one.
        value: Option<i64>,
    },
    /// It was removed.
    Deleted {
        /// What it was.
        value: i64,
        /// The revision of that.
        revision: Revision,
    },
    /// There was nothing to remove.
    Absent,
}

/// A counter for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterView {
    /// Which.
    pub name: Name,
    /// What it is.
    pub value: i64,
    /// The revision at which it was last counted or set.
    pub modified: Revision,
    /// The owner of the session in which it came to be.
    pub owner: String,
}

impl CounterCommand {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        check_name(self.name())
    }

    /// Bytes of the texts in it.
    pub(crate) fn weight(&self) -> usize {
        self.name().as_str().len()
    }

    fn name(&self) -> &Name {
        match self {
            CounterCommand::Add { name, .. }
            | CounterCommand::Set { name, .. }
            | CounterCommand::Delete { name } => name,
        }
    }
}

/// Every counter.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    rows: Table<Name, Counter>,
    /// Follows from `rows`.
    shares: Shares,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counter {
    value: i64,
    modified: Revision,
    owner: String,
}

impl Counters {
    pub(crate) fn new(seed: u64) -> Counters {
        Counters { rows: Table::new(seed), shares: Shares::new(&LIMITS) }
    }

    pub(crate) fn add(
        &mut self,
        name: Name,
        by: i64,
        owner: &str,
        moment: (&mut Revision, &mut History),
    ) -> Result<CounterReply, Rejection> {
        let value = self.value(&name).unwrap_or(0);
        match value.checked_add(by) {
            Some(value) => self.put(name, value, owner, moment),
            None => Ok(CounterReply::Overflow { value }),
        }
    }

    pub(crate) fn set(
        &mut self,
        name: Name,
        (expect, to): (Option<i64>, i64),
        owner: &str,
        moment: (&mut Revision, &mut History),
    ) -> Result<CounterReply, Rejection> {
        match self.value(&name) {
            value if value == expect => self.put(name, to, owner, moment),
            value => Ok(CounterReply::Mismatch { value }),
        }
    }

    pub(crate) fn delete(
        &mut self,
        name: Name,
        (revision, history): (&mut Revision, &mut History),
    ) -> CounterReply {
        let Some(gone) = self.rows.remove(&name) else { return CounterReply::Absent };
        self.shares.give_back(&gone.owner, 1);
        *revision = revision.next();
        history.note(Change::Counter { name, value: None });
        CounterReply::Deleted { value: gone.value, revision: *revision }
    }

    pub(crate) fn view(&self, name: &Name) -> Option<CounterView> {
        self.rows.get(name).map(|counter| view(name, counter))
    }

    pub(crate) fn views<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&Name>,
    ) -> impl Iterator<Item = CounterView> + 'a {
        named_rows(&self.rows, prefix, after).map(|(name, counter)| view(name, counter))
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len()
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        self.rows.digest(how)
    }

    /// The same without what follows from the rest.
    pub(crate) fn rows(&self) -> Counters {
        Counters { rows: self.rows.clone(), shares: Shares::new(&LIMITS) }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Counters, RestoreError> {
        let rows: Table<Name, Counter> = Table::restore(seed, from)?;
        let mut shares = Shares::new(&LIMITS);
        rows.iter().for_each(|(_, counter)| shares.take(&counter.owner, 1));
        Ok(Counters { rows, shares })
    }

    fn value(&self, name: &Name) -> Option<i64> {
        self.rows.get(name).map(|counter| counter.value)
    }

    fn put(
        &mut self,
        name: Name,
        value: i64,
        owner: &str,
        (revision, history): (&mut Revision, &mut History),
    ) -> Result<CounterReply, Rejection> {
        let owner = match self.rows.get(&name) {
            Some(counter) => counter.owner.clone(),
            None => {
                self.shares.have_room(owner, 1)?;
                self.shares.take(owner, 1);
                owner.to_owned()
            }
        };
        *revision = revision.next();
        history.note(Change::Counter { name: name.clone(), value: Some(value) });
        self.rows.insert(name, Counter { value, modified: *revision, owner });
        Ok(CounterReply::Value { value, revision: *revision })
    }
}

fn view(name: &Name, counter: &Counter) -> CounterView {
    CounterView {
        name: name.clone(),
        value: counter.value,
        modified: counter.modified,
        owner: counter.owner.clone(),
    }
}
