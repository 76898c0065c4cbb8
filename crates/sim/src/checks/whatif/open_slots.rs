//! C4 at a copy: a reign that has a slot open ends when another decree turns out to be chosen.

use synod_paxos::{Ballot, Decree, Input, Life, Message, Role, Slot};

use super::bounds::Bounds;
use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

impl Bounds<'_> {
    /// A higher ballot may have chosen something else than this reign proposed in a slot; the reign
    /// ends with the word that says so, or the snapshot that covers it.
    pub(super) fn an_open_slot_ends_it(&self, ghost: &Ghost, ballot: Ballot) -> Checked {
        let node = self.node;
        let slot = self.peer.chosen_upto().next();
        let Some(own) = ghost.proposed(slot, ballot).filter(|_| ghost.chosen(slot).is_none())
        else {
            return Ok(());
        };
        let other = match own {
            Decree::Noop => Decree::Value("another".into()),
            Decree::Value(_) => Decree::Noop,
        };
        let Some(from) = ghost.nodes().find(|other| *other != node) else { return Ok(()) };
        let message = Message::Learned { decrees: vec![(slot, other)], chosen_upto: Slot::ZERO };
        let word = self.word(Life::first(from), message);
        for input in [word, Input::Installed(slot)] {
            let (copy, _) = self.given([input.clone()]);
            let leads_on = matches!(copy.role(), Role::Leading { ballot: at, .. } if at == ballot);
            demand!(
                !leads_on,
                "C4",
                "{node} would lead on at {ballot} over its open slot {slot} after {input:?}"
            );
        }
        Ok(())
    }
}
