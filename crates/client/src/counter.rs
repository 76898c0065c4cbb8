use synod_machine::{
    Answer, Command, CounterCommand, CounterReply, CounterView, Name, Query, Reply, Revision,
};

use crate::{
    client::{Client, nonsense},
    error::Error,
};

/// A whole number of 64 bits that anybody who writes may count. Each call counts once, however
/// often it has to be sent.
///
/// ```no_run
/// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
/// use synod_client::Counted;
///
/// match client.counter("invoices").add(1).await? {
///     Counted::Value { value, .. } => println!("this is invoice {value}"),
///     Counted::Overflow(value) => println!("there are {value} already"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Counter {
    client: Client,
    name: Name,
}

/// What came of counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It was counted.
    Value {
        /// What it is since.
        value: i64,
        /// The revision of that.
        revision: Revision,
    },
    /// The sum is no number of 64 bits: it stays what it is.
    Overflow(i64),
}

/// What came of setting a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterSet {
    /// It was as expected; the revision of the new value.
    Done(Revision),
    /// It was not; what it is. Nothing was changed.
    Mismatch(Option<i64>),
}

impl Client {
    /// The counter of a name.
    pub fn counter(&self, name: impl Into<String>) -> Counter {
        Counter { client: self.clone(), name: Name::new(name) }
    }

    /// Counters whose names begin with `prefix` and come after `after`, in the order of names, and
    /// whether there are more than `limit`.
    pub async fn counters(
        &self,
        prefix: impl Into<String>,
        after: Option<Name>,
        limit: u32,
    ) -> Result<(Vec<CounterView>, bool), Error> {
        match self.read(Query::Counters { prefix: prefix.into(), after, limit }).await? {
            Answer::Counters { counters, more, .. } => Ok((counters, more)),
            _ => Err(nonsense()),
        }
    }
}

impl Counter {
    /// Counts up or down, from zero if there is no such counter.
    pub async fn add(&self, by: i64) -> Result<Counted, Error> {
        let counted = |reply| match reply {
            Reply::Counter(CounterReply::Value { value, revision }) => {
                Some(Counted::Value { value, revision })
            }
            Reply::Counter(CounterReply::Overflow { value }) => Some(Counted::Overflow(value)),
            _ => None,
        };
        self.submit(CounterCommand::Add { name: self.name.clone(), by }, counted).await
    }

    /// Sets it if it is as expected; `None` expects that there is none.
    pub async fn set(&self, expect: Option<i64>, to: i64) -> Result<CounterSet, Error> {
        let set = |reply| match reply {
            Reply::Counter(CounterReply::Value { revision, .. }) => {
                Some(CounterSet::Done(revision))
            }
            Reply::Counter(CounterReply::Mismatch { value }) => Some(CounterSet::Mismatch(value)),
            _ => None,
        };
        self.submit(CounterCommand::Set { name: self.name.clone(), expect, to }, set).await
    }

    /// Removes it; what it was, if it was there.
    pub async fn delete(&self) -> Result<Option<i64>, Error> {
        let deleted = |reply| match reply {
            Reply::Counter(CounterReply::Deleted { value, .. }) => Some(Some(value)),
            Reply::Counter(CounterReply::Absent) => Some(None),
            _ => None,
        };
        self.submit(CounterCommand::Delete { name: self.name.clone() }, deleted).await
    }

    /// What it is, if there is one.
    pub async fn get(&self) -> Result<Option<CounterView>, Error> {
        match self.client.read(Query::Counter { name: self.name.clone() }).await? {
            Answer::Counter { counter, .. } => Ok(counter),
            _ => Err(nonsense()),
        }
    }

    async fn submit<T: Send + 'static>(
        &self,
        command: CounterCommand,
        read: impl FnOnce(Reply) -> Option<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.client.submit(Command::Counter(command), read).await
    }
}
