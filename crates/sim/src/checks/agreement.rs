//! A: at most one decree is chosen per slot, for ever, and only one that somebody asked for.

pub(super) mod asked_for;
pub(crate) mod believed;
mod binding;
mod no_noop;
mod one_decree;
mod one_value;
#[cfg(test)]
mod stage;
pub(super) mod voted_for;

use synod_paxos::{Ballot, Decree, Envelope, Life, Message, Slot, Write};

use crate::{ghost::Ghost, violation::Checked};

/// A word leaves: a proposal must be its owner's, the only one at its ballot, and what is chosen.
pub(crate) fn spoken(ghost: &mut Ghost, envelope: &Envelope) -> Checked {
    match &envelope.message {
        Message::Accept { ballot, slot, decree, .. } => {
            proposed(ghost, envelope.from, *slot, *ballot, decree)
        }
        _ => Ok(()),
    }
}

/// A fact is asked for: the vote of a proposer for its own decree is a proposal as well, and any
/// other vote is for what was proposed.
pub(crate) fn asked(ghost: &mut Ghost, life: Life, write: &Write) -> Checked {
    let Write::Accepted { slot, ballot, decree } = write else { return Ok(()) };
    match ballot.owner() == life {
        true => proposed(ghost, life, *slot, *ballot, decree),
        false => one_decree::is_voted_for(ghost, life, *slot, *ballot, decree),
    }
}

fn proposed(ghost: &mut Ghost, by: Life, slot: Slot, ballot: Ballot, decree: &Decree) -> Checked {
    one_decree::is_proposed(ghost, by, slot, ballot, decree)?;
    binding::is_proposed(ghost, slot, ballot, decree)
}

/// A quorum has voted at one ballot.
pub(crate) fn chosen(ghost: &mut Ghost, slot: Slot, ballot: Ballot, decree: Decree) -> Checked {
    if let Some(first) = ghost.chosen(slot) {
        no_noop::holds(slot, (ballot, &decree), first)?;
        one_value::holds(slot, (ballot, &decree), first)?;
    }
    binding::is_chosen(ghost, slot, ballot, &decree)?;
    ghost.choose(slot, ballot, decree);
    Ok(())
}

/// A node takes `decree` for chosen: some quorum must have voted for it at one ballot.
pub(crate) fn believed(ghost: &Ghost, life: Life, slot: Slot, decree: &Decree) -> Checked {
    let chosen = voted_for::is_believed(ghost, life, slot, decree)?;
    believed::holds(life, slot, decree, chosen)
}
