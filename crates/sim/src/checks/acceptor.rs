//! B: an acceptor's word is its disk's.

use std::collections::BTreeMap;

use synod_paxos::{
    Ballot, Durable, Envelope, Life, Message, NodeId, Page, Record, Report, Slot, Write,
};

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// What each process has promised, on its disk or not yet.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// The life of the process, and its last promise.
    last: BTreeMap<NodeId, (u64, Ballot)>,
}

impl Promises {
    /// A node, in the `boot`th life of its process, has taken a step: what it promises is no less
    /// than it was, and no less than what its disk was asked to keep.
    pub(crate) fn stepped(
        &mut self,
        ghost: &Ghost,
        node: NodeId,
        boot: u64,
        promised: Ballot,
    ) -> Checked {
        let before = match self.last.insert(node, (boot, promised)) {
            Some((at, before)) if at == boot => before,
            Some(_) | None => Ballot::ZERO,
        };
        let before = before.max(ghost.asked(node).promised());
        demand!(
            promised >= before,
            "B1",
            "{node} in its life {boot} promises {promised} after {before}"
        );
        Ok(())
    }
}

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
            if let Some(Record::Accepted { ballot: at, decree: first }) = before.record(*slot) {
                demand!(ballot >= at, "B4", "{life}, slot {slot}: votes at {ballot} after {at}");
                demand!(
                    ballot > at || decree == first,
                    "B4",
                    "{life}, slot {slot} at {ballot}: votes for {decree:?} after {first:?}"
                );
            }
            demand!(
                *ballot >= before.promised(),
                "B2",
                "{life} votes in slot {slot} at {ballot} after it promised {}",
                before.promised()
            );
        }
        Write::Chosen { .. }
        | Write::ChosenUpto { .. }
        | Write::Trimmed { .. }
        | Write::Marked { .. } => {}
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
            let promised = ghost.promised_before(from.node);
            demand!(
                *ballot >= promised || slots.is_empty(),
                "B2",
                "{from} tells of votes at {ballot} when it has promised {promised}, durably so"
            );
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
    let holds = envelope.marks.holds.unwrap_or_default();
    demand!(
        durable.mark() >= holds,
        "B8",
        "{from} says that its disk holds {holds:?}, with only {:?} durable",
        durable.mark()
    );
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

#[cfg(test)]
mod tests {
    use synod_paxos::{Decree, Span};

    use super::*;

    const ME: Life = Life::first(NodeId::new(1));
    const OTHER: Life = Life::first(NodeId::new(2));

    /// In memory a promise that falls is seen at once, on the disk or not; another process begins
    /// with what the disk was asked for.
    #[test]
    fn a_promise_that_falls_in_memory_is_seen() {
        let (low, high) = (Ballot::of(1, OTHER), Ballot::of(2, OTHER));
        let (mut ghost, mut promises) = (Ghost::new(&[ME, OTHER]), Promises::default());
        ghost.ask(ME.node, &Write::Promised { ballot: low });
        promises.stepped(&ghost, ME.node, 1, high).unwrap();
        promises.stepped(&ghost, ME.node, 1, high).unwrap();
        let falls = promises.stepped(&ghost, ME.node, 1, low).unwrap_err();
        assert_eq!(falls.invariant, "B1");
        promises.stepped(&ghost, ME.node, 2, low).unwrap();
        let forgets = promises.stepped(&ghost, ME.node, 3, Ballot::ZERO).unwrap_err();
        assert_eq!(forgets.invariant, "B1");
    }

    /// A vote and a higher promise may be of one sync, for the vote came first. What is said of a
    /// vote when a higher promise is durable is seen, also where that vote was once cast.
    #[test]
    fn a_vote_spoken_of_below_a_durable_promise_is_seen() {
        let (low, high, slot) = (Ballot::of(1, OTHER), Ballot::of(2, OTHER), Slot::new(1));
        let mut ghost = Ghost::new(&[ME, OTHER]);
        let vote = Write::Accepted { slot, ballot: low, decree: Decree::Noop };
        ghost.begin_sync(ME.node);
        for write in [vote, Write::Promised { ballot: high }] {
            ghost.sync(ME, &write);
        }
        let accepted = |slots| {
            let message = Message::Accepted { ballot: low, slots, chosen_upto: Slot::ZERO };
            Envelope::of(ME, OTHER.node, message)
        };
        let votes = accepted(vec![Span { first: slot, last: slot }]);
        spoken(&ghost, &votes).unwrap();
        ghost.begin_sync(ME.node);
        assert_eq!(spoken(&ghost, &votes).unwrap_err().invariant, "B2");
        spoken(&ghost, &accepted(Vec::new())).unwrap();
    }
}
