//! B: an acceptor's word is its disk's.

mod durable;
pub(crate) mod found;
pub(super) mod never_empty;
pub(super) mod never_falls;
mod no_vote_below;
pub(crate) mod older_disk;
mod replaced;

use synod_paxos::{Ballot, Envelope, Life, Message, Page, Report, Write};

use super::agreement::believed;
use crate::{ghost::Ghost, violation::Checked};

/// A fact is asked for, after all that were asked for before it.
pub(crate) fn asked(ghost: &Ghost, life: Life, write: &Write) -> Checked {
    let before = ghost.asked(life.node);
    match write {
        Write::Promised { ballot } => never_falls::is_asked(life, *ballot, before.promised()),
        Write::Accepted { slot, ballot, decree } => {
            replaced::holds(life, *slot, (*ballot, decree), before.record(*slot))?;
            no_vote_below::is_asked(life, *slot, *ballot, before.promised())
        }
        Write::Marked { mark } => older_disk::rises(life, *mark, before.mark()),
        Write::Chosen { .. } | Write::ChosenUpto { .. } | Write::Trimmed { .. } => Ok(()),
    }
}

/// All facts of one step are asked for.
pub(crate) fn asked_all(ghost: &Ghost, life: Life, writes: &[Write]) -> Checked {
    older_disk::ends_with_its_mark(life, writes)?;
    no_vote_below::are_asked(ghost, life, writes)
}

/// A word leaves: what it says of the speaker's promises and votes is durable.
pub(crate) fn spoken(ghost: &Ghost, envelope: &Envelope) -> Checked {
    let from = envelope.from;
    let durable = ghost.durable(from.node);
    match &envelope.message {
        Message::Prepare { ballot, .. } => durable::opens(from, *ballot, durable.promised())?,
        Message::Promise { ballot, page } => {
            durable::promises(from, *ballot, durable.promised())?;
            never_empty::tells_what_is_trimmed(ghost, from, page)?;
            reported(ghost, from, *ballot, page)?;
            never_empty::is_complete(ghost, from.node, *ballot, page)?;
        }
        Message::Refused { ballot, promised } => {
            durable::refuses(from, *ballot, *promised, durable.promised())?;
        }
        Message::Accepted { ballot, slots, .. } => {
            no_vote_below::is_spoken(ghost, from, *ballot, slots)?;
            durable::votes(ghost, from, *ballot, slots)?;
        }
        _ => {}
    }
    older_disk::holds_no_less(envelope, durable.mark())?;
    older_disk::holds_no_more(envelope, durable.mark())
}

/// Every report of a promise is a durable fact: votes with their ballots, and nothing chosen that
/// was only learned.
fn reported(ghost: &Ghost, from: Life, promised: Ballot, page: &Page) -> Checked {
    for (slot, report) in &page.reports {
        match report {
            Report::Accepted { ballot, decree } => {
                durable::reports(ghost, from, *slot, *ballot)?;
                durable::reports_its_decree(ghost, from, *slot, *ballot, decree)?;
            }
            Report::Held { ballot } => durable::reports(ghost, from, *slot, *ballot)?,
            Report::Chosen { decree } => believed(ghost, from, *slot, decree)?,
            Report::Faulty => never_empty::has_decayed(ghost, from, *slot, promised)?,
        }
    }
    Ok(())
}
