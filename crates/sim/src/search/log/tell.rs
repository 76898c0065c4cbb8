//! What happens, in the words of the field.

use bytes::Bytes;
use synod_paxos::{Decree, Message, Page, Report};

use super::{Deed, Fact, Word, core::Core, decree as numbered};
use crate::search::stage::{Effects, Event};

/// What happens to the node at `place`.
pub(super) fn event(place: usize, event: Event<&Word, Deed>) -> String {
    let me = format!("n{}", place + 1);
    match event {
        Event::Hear(Word::Said(word)) => {
            format!("{me} hears from {}: {}", word.from, said(&word.message))
        }
        Event::Hear(Word::Snapshot(upto)) => format!("{me} is handed a snapshot of slot {upto}"),
        Event::Do(Deed::Trim) => format!("{me} has a snapshot and trims"),
        Event::Do(Deed::Lose) => format!("{me} crashes, and its snapshots are lost"),
        Event::Do(Deed::Sync) => format!("{me} completes a sync"),
        Event::Do(Deed::Campaign) => format!("{me} campaigns"),
        Event::Do(Deed::Propose(number)) => {
            format!("{me} is asked for {}", decree(&numbered(number)))
        }
        Event::Do(Deed::Crash(None)) => format!("{me} crashes and starts again"),
        Event::Do(Deed::Crash(Some(slot))) => {
            format!("{me} crashes and starts again; slot {slot} has become unreadable")
        }
    }
}

/// What came of it.
pub(super) fn effects(core: &Core, effects: &Effects<Word, Fact>) -> Vec<String> {
    let mut lines = vec![core.tell()];
    for fact in effects.facts.iter().chain(&effects.claims) {
        match fact {
            Fact::Proposed(..) => {}
            Fact::Settled(upto) => lines.push(format!("takes all up to slot {upto} for chosen")),
            Fact::Voted(slot, ballot, of) => {
                let of = name(of.as_ref());
                lines.push(format!("its vote for {of} in slot {slot} at {ballot} is durable"));
            }
            Fact::Believes(slot, of) => {
                lines.push(format!("takes {} in slot {slot} for chosen", name(of.as_ref())));
            }
        }
    }
    for (place, word) in &effects.words {
        let word = match word {
            Word::Said(envelope) => said(&envelope.message),
            Word::Snapshot(upto) => format!("a snapshot of slot {upto}"),
        };
        lines.push(format!("to n{}: {word}", place + 1));
    }
    lines
}

fn said(message: &Message) -> String {
    match message {
        Message::Prepare { ballot, first, holds } => {
            format!("Prepare {ballot} from slot {first}, holds {}", holds.len())
        }
        Message::Promise { ballot, page } => format!("Promise {ballot}: {}", reported(page)),
        Message::Refused { ballot, promised } => format!("Refused {ballot}: promised {promised}"),
        Message::Accept { ballot, slot, decree: of, chosen_upto } => {
            format!("Accept {ballot} slot {slot} = {}, chosen up to {chosen_upto}", decree(of))
        }
        Message::Accepted { ballot, slots, .. } => {
            let runs = slots.iter().map(|span| format!("{}..={}", span.first, span.last));
            format!("Accepted {ballot} slots {}", runs.collect::<Vec<_>>().join(", "))
        }
        Message::Watermark { ballot, chosen_upto } => {
            format!("Watermark {ballot}: chosen up to {chosen_upto}")
        }
        Message::Heartbeat { standing, .. } => match standing.reign {
            Some(reign) => format!("Heartbeat of {reign}: chosen up to {}", standing.chosen_upto),
            None => "Heartbeat".to_owned(),
        },
        Message::Learned { decrees, .. } => {
            let all = decrees.iter().map(|(slot, of)| format!("slot {slot} = {}", decree(of)));
            format!("Learned {}", all.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn reported(page: &Page) -> String {
    let reports = page.reports.iter().map(|(slot, report)| match report {
        Report::Accepted { ballot, decree: of } => {
            format!("slot {slot} = {} at {ballot}", decree(of))
        }
        Report::Held { ballot } => format!("slot {slot} as you hold it at {ballot}"),
        Report::Chosen { decree: of } => format!("slot {slot} = {}, chosen", decree(of)),
        Report::Faulty => format!("slot {slot} is unreadable"),
    });
    let reports: Vec<String> = reports.collect();
    let all = if reports.is_empty() { "nothing".to_owned() } else { reports.join(", ") };
    let end = page.upto.map(|upto| format!(", up to slot {upto}")).unwrap_or_default();
    format!("from slot {}: {all}{end}; chosen up to {}", page.first, page.chosen_upto)
}

fn decree(decree: &Decree) -> String {
    name(super::named(decree).as_ref())
}

fn name(decree: Option<&Bytes>) -> String {
    decree.map_or("no-op".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}
