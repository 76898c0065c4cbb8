use hyper::StatusCode;
use serde_json::json;
use synod_client::{
    Committed,
    machine::{JournalEntry, JournalView, Name, Position},
};

use crate::{
    answer::Answer,
    ask::{self, Ask},
    fault::Fault,
    numbers::Count,
    octets,
    shape::shape,
};

shape! {
    /// Where an entry stands.
    Appended {
        /// From 1, without gaps.
        position: Count,
    }
}

shape! {
    /// One entry.
    JournalLine {
        /// Where it stands.
        position: Count,
        /// What was appended.
        value: Option<String>,
        /// What was appended, where that is no text.
        value_base64: Option<String>,
        /// Who did.
        by: String,
        /// When, in milliseconds since 1970.
        at_ms: Count,
    }
}

shape! {
    /// Some entries of a journal, as they are at one moment.
    JournalLines {
        /// In the order of positions.
        entries: Vec<JournalLine>,
        /// Whether there are more after the last one.
        more: bool,
        /// The position of the last entry there is.
        last: Count,
        /// Entries up to this position are gone: who asked for some of them has missed them.
        trimmed: Count,
    }
}

shape! {
    /// A journal as others see it.
    JournalRow {
        /// Which.
        journal: String,
        /// The position of the last entry there is.
        last: Count,
        /// Entries up to this position are gone.
        trimmed: Count,
    }
}

shape! {
    /// Journals in the order of their names.
    JournalRows {
        /// Those to which anything was ever appended.
        journals: Vec<JournalRow>,
        /// After which the list goes on, if there are more: give it as `after`.
        next: Option<String>,
    }
}

shape! {
    /// Up to where.
    Upto {
        /// This position, and all before it.
        position: Count,
    }
}

shape! {
    /// Where the groups of readers stand.
    Offsets {
        /// In the order of their names.
        groups: Vec<OffsetRow>,
    }
}

shape! {
    /// Where a group of readers stands.
    OffsetRow {
        /// Which.
        group: String,
        /// It has done with all up to here.
        position: Count,
    }
}

impl JournalLine {
    fn new(entry: &JournalEntry) -> JournalLine {
        let (value, value_base64) = octets::both(&entry.value);
        JournalLine {
            position: Count(entry.position.get()),
            value,
            value_base64,
            by: entry.by.clone(),
            at_ms: Count(entry.appended_at_ms),
        }
    }
}

impl JournalRow {
    fn new(view: &JournalView) -> JournalRow {
        let (last, trimmed) = (Count(view.last.get()), Count(view.trimmed.get()));
        JournalRow { journal: view.name.to_string(), last, trimmed }
    }
}

pub(crate) async fn append(ask: Ask) -> Result<Answer, Fault> {
    let position = ask.client.journal(ask.text("name")?).append(ask.body.clone()).await?;
    let appended = Appended { position: Count(position.get()) };
    Ok(Answer::json_with(StatusCode::CREATED, &appended))
}

pub(crate) async fn read(ask: Ask) -> Result<Answer, Fault> {
    let after = Position::new(ask.query.number("after").unwrap_or_default());
    let wait = ask.query.number("wait_ms").map(|ms| ask::wait("wait_ms", ms)).transpose()?;
    let name = ask.text("name")?;
    let page = match wait {
        None => ask.client.journal(name).read(after, ask.limit()).await?,
        Some(wait) => ask.client.within(wait).journal(name).wait(after, ask.limit()).await?,
    };
    let view = page.journal.as_ref();
    Ok(Answer::json(&JournalLines {
        entries: page.entries.iter().map(JournalLine::new).collect(),
        more: page.more,
        last: Count(view.map_or(0, |view| view.last.get())),
        trimmed: Count(view.map_or(0, |view| view.trimmed.get())),
    }))
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let prefix = ask.query.text("prefix").unwrap_or_default();
    let after = ask.query.text("after").map(Name::new);
    let (views, more) = ask.client.journals(prefix, after, ask.limit()).await?;
    let next = views.last().map(|view| view.name.to_string()).filter(|_| more);
    Ok(Answer::json(&JournalRows { journals: views.iter().map(JournalRow::new).collect(), next }))
}

pub(crate) async fn trim(ask: Ask) -> Result<Answer, Fault> {
    let Upto { position } = ask.document()?;
    match ask.client.journal(ask.text("name")?).trim(Position::new(position.0)).await? {
        Some(upto) => Ok(Answer::json(&Upto { position: Count(upto.get()) })),
        None => Err(absent()),
    }
}

pub(crate) async fn offsets(ask: Ask) -> Result<Answer, Fault> {
    let offsets = ask.client.journal(ask.text("name")?).offsets().await?.into_iter();
    let row = |(group, position): (Name, Position)| OffsetRow {
        group: group.to_string(),
        position: Count(position.get()),
    };
    Ok(Answer::json(&Offsets { groups: offsets.map(row).collect() }))
}

pub(crate) async fn commit(ask: Ask) -> Result<Answer, Fault> {
    let Upto { position } = ask.document()?;
    let (journal, group) = (ask.client.journal(ask.text("name")?), ask.text("group")?);
    let refused = |said: &str, position: Position| {
        let present = json!({ "position": position.get() });
        Err(Fault::new(StatusCode::CONFLICT, "offset", said).with("present", present))
    };
    match journal.commit(group, Position::new(position.0)).await? {
        Committed::Done => Ok(Answer::json(&Upto { position })),
        Committed::Behind(at) => refused("the group stands further on, and stays there", at),
        Committed::Beyond(last) => refused("there is no such entry yet", last),
        Committed::Absent => Err(absent()),
    }
}

pub(crate) async fn forget(ask: Ask) -> Result<Answer, Fault> {
    let (journal, group) = (ask.client.journal(ask.text("name")?), ask.text("group")?);
    match journal.forget(group).await? {
        Some(position) => Ok(Answer::json(&Upto { position: Count(position.get()) })),
        None => Err(Fault::absent("there is no such group")),
    }
}

fn absent() -> Fault {
    Fault::absent("nothing was ever appended to this journal")
}
