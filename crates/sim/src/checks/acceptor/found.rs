//! B6: a start finds what was durable when the node stopped, and of a batch in flight all or
//! nothing.

use synod_paxos::{Durable, NodeId, Write};
use synod_store::StoreError;

use crate::{
    ghost::Ghost,
    violation::{Checked, Violation, demand},
};

/// A node starts with `found` on its disk. Which of the facts in flight have become durable is
/// returned.
pub(in crate::checks) fn by_a_start<'w>(
    ghost: &mut Ghost,
    node: NodeId,
    in_flight: &'w [Write],
    found: &Durable,
) -> Result<&'w [Write], Violation> {
    match ghost.recover(node, in_flight, found) {
        Ok(true) => Ok(in_flight),
        Ok(false) => Ok(&[]),
        Err(_) => Err(Violation {
            invariant: "B6",
            what: format!(
                "{node} finds {found:?}; durable was {:?}, and in flight {in_flight:?}",
                ghost.durable(node).durable()
            ),
        }),
    }
}

/// A disk is given a batch: what the node has asked for, and no more.
pub(crate) fn is_given(node: NodeId, writes: &[Write], asked: &[Write]) -> Checked {
    demand!(writes == asked, "B6", "{node} asked for {asked:?}, and its disk is given {writes:?}");
    Ok(())
}

/// The store fails although nothing is wrong with the disk under it.
pub(crate) fn store_failed(node: NodeId, error: &StoreError) -> Violation {
    Violation { invariant: "B6", what: format!("{node}: {error}") }
}
