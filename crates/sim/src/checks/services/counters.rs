//! S3: a counter is the sum of what was added, each once, and is set only from what it was.

use synod_machine::{CounterCommand, CounterReply, CounterView, Name};

use super::{Moment, past::Past};

/// Counters as the simplest model has them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) past: Past<CounterView>,
}

impl Counters {
    /// What a command comes to.
    pub(super) fn does(
        &mut self,
        command: &CounterCommand,
        moment: &mut Moment<'_>,
    ) -> CounterReply {
        match command {
            CounterCommand::Add { name, by } => {
                let value = self.value(name).unwrap_or(0);
                match value.checked_add(*by) {
                    Some(sum) => self.put(name, sum, moment),
                    None => CounterReply::Overflow { value },
                }
            }
            CounterCommand::Set { name, expect, to } => match self.value(name) {
                value if value == *expect => self.put(name, *to, moment),
                value => CounterReply::Mismatch { value },
            },
            CounterCommand::Delete { name } => match self.value(name) {
                Some(value) => {
                    let revision = moment.change();
                    self.past.set(name, revision, None);
                    CounterReply::Deleted { value, revision }
                }
                None => CounterReply::Absent,
            },
        }
    }

    fn value(&self, name: &Name) -> Option<i64> {
        self.past.get(name).map(|counter| counter.value)
    }

    fn put(&mut self, name: &Name, value: i64, moment: &mut Moment<'_>) -> CounterReply {
        let first = self.past.get(name).map(|counter| counter.owner.clone());
        let owner = first.unwrap_or_else(|| moment.client.to_owned());
        let modified = moment.change();
        self.past.set(
            name,
            modified,
            Some(CounterView { name: name.clone(), value, modified, owner }),
        );
        CounterReply::Value { value, revision: modified }
    }
}
