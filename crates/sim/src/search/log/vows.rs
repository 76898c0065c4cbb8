//! B and C at one node: its word is its disk's, and what it takes for chosen it has.

use synod_paxos::{Ballot, Decree, Envelope, Life, Message, Page, Record, Report, Slot, Write};

use super::{Fact, named};
use crate::{
    facts::Facts,
    violation::{Checked, demand},
};

/// A fact is asked for, after all of `before`.
pub(super) fn asked(life: Life, before: &Facts, write: &Write) -> Checked {
    let promised = before.promised();
    match write {
        Write::Promised { ballot } => {
            demand!(*ballot >= promised, "B1", "{life} promises {ballot} after {promised}");
        }
        Write::Accepted { slot, ballot, decree } => {
            demand!(
                *ballot >= promised,
                "B2",
                "{life} votes in slot {slot} at {ballot} after it promised {promised}"
            );
            if let Some(Record::Accepted { ballot: at, decree: first }) = before.record(*slot) {
                demand!(
                    ballot > at || ballot == at && decree == first,
                    "B4",
                    "{life}, slot {slot}: votes for {decree:?} at {ballot} after {first:?} at {at}"
                );
            }
        }
        Write::Chosen { .. }
        | Write::ChosenUpto { .. }
        | Write::Trimmed { .. }
        | Write::Marked { .. } => {}
    }
    Ok(())
}

/// All facts of one step are asked for: no vote stands above the promise.
pub(super) fn asked_all(life: Life, asked: &Facts, writes: &[Write]) -> Checked {
    let promised = asked.promised();
    for write in writes {
        if let Write::Accepted { slot, ballot, .. } = write {
            demand!(
                *ballot <= promised,
                "B2",
                "{life} votes in slot {slot} at {ballot} and has promised only {promised}"
            );
        }
    }
    Ok(())
}

/// What a node takes for chosen by writing it down.
pub(super) fn believed(before: &Facts, write: &Write, claims: &mut Vec<Fact>) -> Checked {
    match write {
        Write::Chosen { slot, decree } => claims.push(Fact::Believes(*slot, named(decree))),
        Write::ChosenUpto { slot } => {
            for below in (before.chosen_upto().next().get()..=slot.get()).map(Slot::new) {
                let decree = before.record(below).and_then(decree_of);
                demand!(
                    decree.is_some(),
                    "C3",
                    "all up to {slot} is said to be chosen, and nothing stands in {below}"
                );
                claims.extend(decree.map(|decree| Fact::Believes(below, named(decree))));
            }
        }
        Write::Promised { .. }
        | Write::Accepted { .. }
        | Write::Trimmed { .. }
        | Write::Marked { .. } => {}
    }
    Ok(())
}

/// A word leaves: what it says of the speaker's promises and votes is durable.
pub(super) fn spoken(life: Life, disk: &Facts, envelope: &Envelope) -> Checked {
    let promised = disk.promised();
    match &envelope.message {
        Message::Prepare { ballot, .. } => demand!(
            promised >= *ballot,
            "B3",
            "{life} opens its ballot {ballot} with only {promised} durable"
        ),
        Message::Promise { ballot, page } => {
            demand!(
                promised >= *ballot,
                "B3",
                "{life} speaks a promise of {ballot} with only {promised} durable"
            );
            reported(life, disk, *ballot, page)?;
        }
        Message::Refused { ballot, promised: named } => demand!(
            promised >= *named,
            "B3",
            "{life} refuses {ballot} for a promise of {named} with only {promised} durable"
        ),
        Message::Accepted { ballot, slots, .. } => {
            for span in slots {
                for slot in (span.first.get()..=span.last.get()).map(Slot::new) {
                    demand!(
                        voted(disk, slot, *ballot),
                        "B3",
                        "{life} speaks a vote in slot {slot} at {ballot} that is not durable"
                    );
                }
            }
        }
        Message::Accept { ballot, .. } => {
            demand!(ballot.owner() == life, "A2", "{life} proposes at {ballot}, another's");
        }
        Message::Watermark { .. }
        | Message::Heartbeat { .. }
        | Message::Alive { .. }
        | Message::Ask { .. }
        | Message::Trimmed { .. }
        | Message::Learned { .. }
        | Message::Confirm { .. }
        | Message::Confirmed { .. }
        | Message::Fathom { .. }
        | Message::Fathomed { .. }
        | Message::Vow { .. }
        | Message::Vowed { .. }
        | Message::Release { .. }
        | Message::HandOver { .. }
        | Message::Synced { .. } => {}
    }
    Ok(())
}

/// A node starts: what its disk has promised it has promised.
pub(super) fn recovered(life: Life, disk: &Facts, promised: Ballot) -> Checked {
    let durable = disk.promised();
    demand!(promised >= durable, "B1", "{life} starts at {promised}; durable is {durable}");
    Ok(())
}

/// A promise reports what stands on the disk, slot by slot: silence is a report of *empty*.
fn reported(life: Life, disk: &Facts, promised: Ballot, page: &Page) -> Checked {
    let (trimmed, chosen_upto) = (disk.trimmed(), page.chosen_upto.max(page.lost_upto));
    demand!(
        chosen_upto >= trimmed,
        "B7",
        "{life} promises {promised}, chosen up to {chosen_upto}, having trimmed up to {trimmed}"
    );
    let first = page.first.max(chosen_upto.next());
    let upto = page.upto.unwrap_or(Slot::new(u64::MAX));
    for (slot, record) in disk.records_from(first).take_while(|(slot, _)| *slot <= upto) {
        let report = page.reports.iter().find(|(reported, _)| *reported == slot);
        let honest = match (record, report.map(|(_, report)| report)) {
            (
                Record::Accepted { ballot, decree },
                Some(Report::Accepted { ballot: at, decree: of }),
            ) => ballot == at && decree == of,
            (Record::Accepted { ballot, .. }, Some(Report::Held { ballot: at })) => ballot == at,
            (
                Record::Accepted { decree, .. } | Record::Chosen { decree },
                Some(Report::Chosen { decree: of }),
            ) => decree == of,
            (Record::Faulty, Some(Report::Faulty)) => true,
            (_, _) => false,
        };
        demand!(
            honest,
            "B7",
            "{life} promises {promised}, reports {report:?} in slot {slot}; {record:?} stands there"
        );
    }
    for (slot, report) in &page.reports {
        let stands = disk.record(*slot).is_some();
        demand!(stands, "B3", "{life} reports {report:?} in slot {slot}; nothing is durable there");
    }
    Ok(())
}

fn voted(disk: &Facts, slot: Slot, ballot: Ballot) -> bool {
    match disk.record(slot) {
        Some(Record::Accepted { ballot: at, .. }) => *at >= ballot,
        // Chosen meanwhile, or damaged after the vote.
        Some(Record::Chosen { .. } | Record::Faulty) => true,
        None => false,
    }
}

fn decree_of(record: &Record) -> Option<&Decree> {
    match record {
        Record::Accepted { decree, .. } | Record::Chosen { decree } => Some(decree),
        Record::Faulty => None,
    }
}
