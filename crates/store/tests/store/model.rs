//! A store as a naive person would write it, and the real one beside it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use synod_paxos::{Ballot, Decree, Durable, Mark, Record, Slot, Write};

use crate::{Way, accepted, chosen, chosen_upto, promised, trimmed, value};

/// The facts in plain collections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    promised: Option<Ballot>,
    trimmed: Slot,
    chosen_upto: Slot,
    log: BTreeMap<Slot, Record>,
    mark: Mark,
}

impl Model {
    pub(crate) fn write(&mut self, writes: &[Write]) {
        for write in writes.iter().cloned() {
            match write {
                Write::Promised { ballot } => self.promised = self.promised.max(Some(ballot)),
                Write::Accepted { slot, ballot, decree } => {
                    self.log.insert(slot, Record::Accepted { ballot, decree });
                }
                Write::Chosen { slot, decree } => {
                    self.log.insert(slot, Record::Chosen { decree });
                }
                Write::ChosenUpto { slot } => self.chosen_upto = slot.max(self.trimmed),
                Write::Trimmed { upto } => {
                    self.log = self.log.split_off(&upto.next());
                    self.trimmed = self.trimmed.max(upto);
                    self.chosen_upto = self.chosen_upto.max(upto);
                }
                Write::Marked { mark } => self.mark = mark,
            }
        }
    }

    /// What a store with these facts says when it is opened.
    pub(crate) fn durable(&self) -> Durable {
        let above = self.log.range(self.chosen_upto.next()..);
        let records = above.map(|(slot, record)| (*slot, record.clone())).collect();
        let Model { promised, trimmed, chosen_upto, mark, .. } = *self;
        Durable { promised, trimmed, chosen_upto, records, mark }
    }

    /// What a store with these facts says of its chosen prefix.
    pub(crate) fn prefix(&self) -> Vec<(Slot, Decree)> {
        let below = self.log.range(..=self.chosen_upto);
        below.map(|(slot, record)| (*slot, decree(record))).collect()
    }

    /// The last slot up to which there is a record in every slot: as far as a watermark may go.
    fn gapless_upto(&self) -> u64 {
        let trimmed = self.trimmed.get();
        let there = |slot: &u64| self.log.contains_key(&Slot::new(*slot));
        (trimmed + 1..).take_while(there).last().unwrap_or(trimmed)
    }
}

fn decree(record: &Record) -> Decree {
    match record {
        Record::Accepted { decree, .. } | Record::Chosen { decree } => decree.clone(),
        Record::Faulty => panic!("the model has no damage"),
    }
}

/// A write whose watermark, if it is one, is still to be brought within what is there.
fn any_write() -> impl Strategy<Value = Write> {
    let slot = 1_u64..12;
    let decree = prop_oneof![
        Just(Decree::Noop),
        "[a-z]{0,12}".prop_map(|text| value(&text)),
        (1_usize..20_000).prop_map(|length| value(&"x".repeat(length))),
    ];
    prop_oneof![
        (1_u64..9).prop_map(promised),
        (slot.clone(), 1_u64..9, decree.clone()).prop_map(|(s, r, d)| accepted(s, r, d)),
        (slot.clone(), decree).prop_map(|(s, d)| chosen(s, d)),
        slot.clone().prop_map(chosen_upto),
        slot.prop_map(trimmed),
        (0_u64..9).prop_map(|mark| Write::Marked { mark: Mark::new(mark) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..<_>::default() })]

    /// Whatever is written, in whatever batches, with the store closed and opened in between: it
    /// gives back what the naive model holds.
    #[test]
    fn the_store_is_the_naive_model(
        lives in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any_write(), 1..8), 1..5),
            1..4,
        ),
        way in prop_oneof![Just(Way::Plain), Just(Way::Ahead)],
    ) {
        let disk = way.formatted();
        let mut model = Model::default();
        for life in lives {
            let (mut store, durable) = way.open(&disk).unwrap();
            prop_assert_eq!(durable, model.durable());
            for batch in life {
                let batch = within(&model, batch);
                store.write(&batch).unwrap();
                model.write(&batch);
                let (first, last) = (model.trimmed.next(), model.chosen_upto);
                let prefix = store.chosen(first, last, usize::MAX).unwrap();
                prop_assert_eq!(prefix, model.prefix());
            }
        }
        let (_, durable) = way.open(&disk).unwrap();
        prop_assert_eq!(durable, model.durable());
    }
}

fn within(model: &Model, batch: Vec<Write>) -> Vec<Write> {
    let mut after = model.clone();
    let mut within = Vec::new();
    for write in batch {
        let write = match write {
            Write::ChosenUpto { slot } => chosen_upto(slot.get().min(after.gapless_upto())),
            // Nothing is written where the log is gone.
            Write::Accepted { slot, .. } | Write::Chosen { slot, .. } if slot <= after.trimmed => {
                continue;
            }
            other => other,
        };
        after.write(std::slice::from_ref(&write));
        within.push(write);
    }
    within
}
