//! A counter is the sum of what was counted since it was last set.

use proptest::prelude::*;
use synod_machine::{
    Answer, Change, Command, Counted, CounterCommand, CounterReply, CounterView, Interest, LeaseId,
    Machine, Name, Query, Rejection, Reply, Revision, Timestamp,
};

use crate::model::{
    Ledger, Model, a_client_fills_its_own_share, a_restored_one_goes_on, histories, is_its_history,
    leases, watches_are_told,
};
use crate::{OWNERS, names, place};

/// Everything that ever happened to a counter: its step, or `None` when it was removed.
#[derive(Default)]
struct Counters {
    ledger: Ledger,
    steps: Vec<(Name, Option<Step>)>,
}

#[derive(Clone, Copy)]
struct Step {
    by: u64,
    at: Revision,
    set: Option<i64>,
    add: i64,
}

impl Counters {
    /// The steps of the present life of a counter.
    fn steps(&self, name: &Name) -> Vec<Step> {
        let of_name = self.steps.iter().filter(|(of, _)| of == name).map(|(_, step)| *step);
        of_name.rev().map_while(|step| step).collect()
    }

    fn view(&self, name: &Name) -> Option<CounterView> {
        let steps = self.steps(name);
        let (last, first) = (steps.first()?, steps.last()?);
        let set = steps.iter().position(|step| step.set.is_some());
        let from = set.and_then(|place| steps[place].set).unwrap_or(0);
        let added = steps[..set.unwrap_or(steps.len())].iter().map(|step| i128::from(step.add));
        let value = i64::try_from(i128::from(from) + added.sum::<i128>());
        let value = value.expect("what would overflow is refused");
        let owner = OWNERS[place(first.by)].to_owned();
        Some(CounterView { name: name.clone(), value, modified: last.at, owner })
    }

    fn step(&mut self, name: &Name, by: u64, set: Option<i64>, add: i64) -> Reply {
        let at = self.ledger.next();
        self.steps.push((name.clone(), Some(Step { by, at, set, add })));
        let value = self.view(name).expect("it was counted").value;
        self.ledger.note(Change::Counter { name: name.clone(), value: Some(value) });
        Reply::Counter(CounterReply::Value { value, revision: at })
    }
}

impl Model for Counters {
    fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn serve(&mut self, by: u64, command: &Command, _: Timestamp) -> Reply {
        let Command::Counter(command) = command else {
            panic!("the model does not know {command:?}")
        };
        match command {
            CounterCommand::Add { name, by: add } => {
                let value = self.view(name).map_or(0, |counter| counter.value);
                let sum = i128::from(value) + i128::from(*add);
                if i64::try_from(sum).is_err() {
                    return Reply::Counter(CounterReply::Overflow { value });
                }
                self.step(name, by, None, *add)
            }
            CounterCommand::Set { name, expect, to } => {
                let value = self.view(name).map(|counter| counter.value);
                if value != *expect {
                    return Reply::Counter(CounterReply::Mismatch { value });
                }
                self.step(name, by, Some(*to), 0)
            }
            CounterCommand::Delete { name } => {
                let Some(CounterView { value, .. }) = self.view(name) else {
                    return Reply::Counter(CounterReply::Absent);
                };
                let revision = self.ledger.next();
                self.steps.push((name.clone(), None));
                self.ledger.note(Change::Counter { name: name.clone(), value: None });
                Reply::Counter(CounterReply::Deleted { value, revision })
            }
        }
    }

    fn lease_ends(&mut self, _: LeaseId, _: Timestamp) -> bool {
        false
    }

    fn agrees(&self, machine: &Machine, _: Timestamp) -> Result<(), TestCaseError> {
        let revision = self.ledger.now();
        for name in names() {
            let counter = self.view(&name);
            let answer = machine.query(&Query::Counter { name });
            prop_assert_eq!(answer, Answer::Counter { revision, counter });
        }
        let counters: Vec<_> = names().iter().filter_map(|name| self.view(name)).collect();
        prop_assert_eq!(machine.census().counters, counters.len() as u64);
        let all = Query::Counters { prefix: String::new(), after: None, limit: 9 };
        let expected = Answer::Counters { revision, counters, more: false };
        prop_assert_eq!(machine.query(&all), expected);
        Ok(())
    }
}

fn commands() -> impl Strategy<Value = Command> {
    let name = || prop::sample::select(names().to_vec());
    let number = || prop::sample::select(vec![-1, 0, 1, 2, i64::MAX, i64::MIN, i64::MAX - 1]);
    let counters = prop_oneof![
        5 => (name(), number()).prop_map(|(name, by)| CounterCommand::Add { name, by }),
        3 => (name(), prop::option::of(number()), number())
            .prop_map(|(name, expect, to)| CounterCommand::Set { name, expect, to }),
        1 => name().prop_map(|name| CounterCommand::Delete { name }),
    ];
    prop_oneof![1 => leases(), 6 => counters.prop_map(Command::Counter)]
}

fn interests() -> Vec<Interest> {
    names().map(|name| Interest::Counter { name }).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// It is what was counted, and what it cannot be is refused and changes nothing.
    #[test]
    fn counters_are_what_the_history_says(history in histories(commands())) {
        is_its_history::<Counters>(history)?;
    }

    #[test]
    fn watches_of_counters_are_told_everything_once(
        history in histories(commands()), restored in any::<bool>(),
    ) {
        watches_are_told::<Counters>(history, &interests(), restored)?;
    }

    #[test]
    fn restored_counters_go_on_as_the_original_do(
        history in histories(commands()), at in 0usize..30,
    ) {
        a_restored_one_goes_on(history, at)?;
    }
}

#[test]
fn a_client_fills_its_own_share_of_counters_only() {
    let full = Rejection::TooMany { what: Counted::CountersOfOwner, limit: 65_536 };
    let add = |number: u64| {
        Command::Counter(CounterCommand::Add { name: Name::new(number.to_string()), by: 1 })
    };
    a_client_fills_its_own_share(65_536, add, &full);
}
