use hyper::StatusCode;
use serde_json::json;
use synod_client::{
    Counted, CounterSet,
    machine::{CounterView, Name},
};

use crate::{
    answer::Answer,
    ask::Ask,
    fault::Fault,
    numbers::{Count, Whole},
    shape::shape,
};

shape! {
    /// By how much to count.
    Addition {
        /// Up, or down if it is below zero; 1 if nothing is said.
        by: Option<Whole>,
    }
}

shape! {
    /// What a counter is to be.
    Setting {
        /// What it must be before; without, there must be none.
        expect: Option<Whole>,
        /// What it is to be.
        to: Whole,
    }
}

shape! {
    /// A counter.
    CounterRow {
        /// Which.
        counter: String,
        /// What it is, as text: it may be any number of 64 bits.
        value: Whole,
    }
}

shape! {
    /// What a counter is since a request.
    CounterNow {
        /// What it is, as text.
        value: Whole,
        /// The revision since which it is.
        revision: Count,
    }
}

shape! {
    /// Counters in the order of their names.
    CounterRows {
        /// Those that there are.
        counters: Vec<CounterRow>,
        /// After which the list goes on, if there are more: give it as `after`.
        next: Option<String>,
    }
}

shape! {
    /// A counter is gone.
    CounterGone {
        /// What it was, if it was there.
        value: Option<Whole>,
    }
}

impl CounterRow {
    fn new(view: &CounterView) -> CounterRow {
        CounterRow { counter: view.name.to_string(), value: Whole(view.value) }
    }
}

pub(crate) async fn add(ask: Ask) -> Result<Answer, Fault> {
    let Addition { by } = ask.document()?;
    match ask.client.counter(ask.text("name")?).add(by.map_or(1, |by| by.0)).await? {
        Counted::Value { value, revision } => {
            let now = CounterNow { value: Whole(value), revision: Count(revision.get()) };
            Ok(Answer::json(&now).at(revision))
        }
        Counted::Overflow(value) => {
            let said = "the sum is no number of 64 bits; nothing was changed";
            let fault = Fault::new(StatusCode::CONFLICT, "overflow", said);
            Err(fault.with("present", json!({ "value": Whole(value) })))
        }
    }
}

pub(crate) async fn set(ask: Ask) -> Result<Answer, Fault> {
    let Setting { expect, to } = ask.document()?;
    let counter = ask.client.counter(ask.text("name")?);
    match counter.set(expect.map(|expect| expect.0), to.0).await? {
        CounterSet::Done(revision) => {
            let now = CounterNow { value: to, revision: Count(revision.get()) };
            Ok(Answer::json(&now).at(revision))
        }
        CounterSet::Mismatch(value) => {
            let said = "the counter is not as expected; nothing was changed";
            let present = value.map(|value| json!({ "value": Whole(value) }));
            let fault = Fault::new(StatusCode::PRECONDITION_FAILED, "mismatch", said);
            Err(fault.with("present", present.unwrap_or_default()))
        }
    }
}

pub(crate) async fn get(ask: Ask) -> Result<Answer, Fault> {
    match ask.client.counter(ask.text("name")?).get().await? {
        Some(view) => Ok(Answer::json(&CounterRow::new(&view))),
        None => Err(Fault::absent("there is no such counter")),
    }
}

pub(crate) async fn delete(ask: Ask) -> Result<Answer, Fault> {
    let value = ask.client.counter(ask.text("name")?).delete().await?;
    Ok(Answer::json(&CounterGone { value: value.map(Whole) }))
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let prefix = ask.query.text("prefix").unwrap_or_default();
    let after = ask.query.text("after").map(Name::new);
    let (views, more) = ask.client.counters(prefix, after, ask.limit()).await?;
    let next = views.last().map(|view| view.name.to_string()).filter(|_| more);
    Ok(Answer::json(&CounterRows { counters: views.iter().map(CounterRow::new).collect(), next }))
}
