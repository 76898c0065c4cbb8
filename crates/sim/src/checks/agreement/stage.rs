//! Three nodes whose votes and words the tests of these checks make up.

use synod_paxos::{Ballot, Decree, Envelope, Life, Message, NodeId, Slot, Write};

use super::chosen;
use crate::{ghost::Ghost, violation::Checked};

pub(super) fn life(node: u16) -> Life {
    Life::first(NodeId::new(node))
}

pub(super) fn ghost() -> Ghost {
    Ghost::new(&[life(1), life(2), life(3)])
}

pub(super) fn value(text: &'static str) -> Decree {
    Decree::Value(bytes::Bytes::from_static(text.as_bytes()))
}

pub(super) fn accept(from: u16, ballot: Ballot, decree: Decree) -> Envelope {
    let message = Message::Accept { ballot, slot: Slot::new(1), decree, chosen_upto: Slot::ZERO };
    Envelope::of(life(from), NodeId::new(2), message)
}

pub(super) fn vote(ghost: &mut Ghost, node: u16, ballot: Ballot, decree: &Decree) -> Checked {
    let write = Write::Accepted { slot: Slot::new(1), ballot, decree: decree.clone() };
    match ghost.sync(life(node), &write) {
        Some((slot, ballot, decree)) => chosen(ghost, slot, ballot, decree),
        None => Ok(()),
    }
}

pub(super) fn name(checked: Checked) -> &'static str {
    checked.expect_err("this must be caught").invariant
}
