//! B: an acceptor's word is its disk's.

use synod_paxos::{
    Ballot, Durable, Envelope, Life, Message, NodeId, Page, Record, Report, Slot, Write,
};

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// A fact is asked for, after all that were asked for before it.
pub(crate) fn asked(ghost: &Ghost, life: Life, write: &Write) -> Checked {
    let before = ghost.asked(life.node);
    match write {
        Write::Promised { ballot } => demand!(
            *ballot >= before.promised(),
            "B1",
            "{life} promises {ballot} after {}",
            before.promised()
        ),
        Write::Accepted { slot, ballot, decree } => {
            demand!(
                *ballot >= before.promised(),
                "B2",
                "{life} votes in slot {slot} at {ballot} after it promised {}",
                before.promised()
            );
            if let Some(Record::Accepted { ballot: at, decree: first }) = before.record(*slot) {
                demand!(ballot >= at, "B4", "{life}, slot {slot}: votes at {ballot} after {at}");
                demand!(
                    ballot > at || decree == first,
                    "B4",
                    "{life}, slot {slot} at {ballot}: votes for {decree:?} after {first:?}"
                );
            }
        }
        Write::Chosen { .. }
        | Write::ChosenUpto { .. }
        | Write::Trimmed { .. }
        | Write::Probe { .. } => {}
    }
    Ok(())
}

/// All facts of one step are asked for: no vote stands above the promise.
pub(crate) fn asked_all(ghost: &Ghost, life: Life, writes: &[Write]) -> Checked {
    let promised = ghost.asked(life.node).promised();
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

/// A word leaves: what it says of the speaker's promises and votes is durable.
pub(crate) fn spoken(ghost: &Ghost, envelope: &Envelope) -> Checked {
    let from = envelope.from;
    let durable = ghost.durable(from.node);
    match &envelope.message {
        Message::Prepare { ballot, .. } => demand!(
            durable.promised() >= *ballot,
            "B3",
            "{from} opens its ballot {ballot} with only {} durable",
            durable.promised()
        ),
        Message::Promise { ballot, page } => {
            demand!(
                durable.promised() >= *ballot,
                "B3",
                "{from} speaks a promise of {ballot} with only {} durable",
                durable.promised()
            );
            let trimmed = ghost.trimmed_before(from.node);
            demand!(
                page.chosen_upto.max(page.lost_upto) >= trimmed,
                "B7",
                "{from} reports only up to {} as chosen, and has trimmed up to {trimmed}",
                page.chosen_upto.max(page.lost_upto)
            );
            reported(ghost, from, *ballot, page)?;
            complete(ghost, from.node, *ballot, page)?;
        }
        Message::Refused { ballot, promised } => demand!(
            durable.promised() >= *promised,
            "B3",
            "{from} refuses {ballot} for a promise of {promised} with only {} durable",
            durable.promised()
        ),
        Message::Accepted { ballot, slots, .. } => {
            for span in slots {
                for slot in (span.first.get()..=span.last.get()).map(Slot::new) {
                    demand!(
                        ghost.voted(from, slot, *ballot),
                        "B3",
                        "{from} speaks a vote in slot {slot} at {ballot} that is not durable"
                    );
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Every report of a promise is a durable fact: votes with their ballots, and nothing chosen that
/// was only learned.
fn reported(ghost: &Ghost, from: Life, promised: Ballot, page: &Page) -> Checked {
    for (slot, report) in &page.reports {
        match report {
            Report::Accepted { ballot, decree } => {
                demand!(
                    ghost.voted(from, *slot, *ballot),
                    "B3",
                    "{from} reports a vote in slot {slot} at {ballot} that was never durable"
                );
                demand!(
                    ghost.proposed(*slot, *ballot) == Some(decree),
                    "B3",
                    "{from} reports {decree:?} in slot {slot}, not what {ballot} proposed"
                );
            }
            Report::Held { ballot } => demand!(
                ghost.voted(from, *slot, *ballot),
                "B3",
                "{from} reports a vote in slot {slot} at {ballot} that was never durable"
            ),
            Report::Chosen { decree } => super::agreement::believed(ghost, from, *slot, decree)?,
            Report::Faulty => demand!(
                ghost.decayed(from.node, *slot),
                "B7",
                "{from} reports slot {slot} as faulty to {promised}; on its disk it never was"
            ),
        }
    }
    Ok(())
}

/// A promise leaves out no vote below its ballot and no slot that cannot be read: silence is a
/// report of *empty*.
fn complete(ghost: &Ghost, node: NodeId, promised: Ballot, page: &Page) -> Checked {
    let upto = page.upto.unwrap_or(Slot::new(u64::MAX));
    let first = page.first.max(page.chosen_upto.max(page.lost_upto).next());
    for (slot, record) in ghost.durable(node).records_from(first) {
        let told = match record {
            Record::Accepted { ballot, .. } => *ballot < promised,
            Record::Faulty => true,
            Record::Chosen { .. } => false,
        };
        if slot > upto || !told {
            continue;
        }
        demand!(
            page.reports.iter().any(|(reported, _)| *reported == slot),
            "B7",
            "{node} promises {promised} and is silent about slot {slot}, where it has {record:?}"
        );
    }
    Ok(())
}

/// A node starts: it finds what was durable when it stopped, in flight or not. Which of the facts
/// in flight have become durable is returned.
pub(crate) fn recovered<'w>(
    ghost: &mut Ghost,
    node: NodeId,
    in_flight: &'w [Write],
    found: &Durable,
) -> Result<&'w [Write], crate::violation::Violation> {
    match ghost.recover(node, in_flight, found) {
        Ok(true) => Ok(in_flight),
        Ok(false) => Ok(&[]),
        Err(_) => Err(crate::violation::Violation {
            invariant: "B6",
            what: format!(
                "{node} finds {found:?}; durable was {:?}, and in flight {in_flight:?}",
                ghost.durable(node).durable()
            ),
        }),
    }
}
