//! B7: what is damaged, trimmed or lost is never *empty*: no promise is silent about a slot in
//! which its speaker had something, and none calls faulty what never was.

use synod_paxos::{Ballot, Life, NodeId, Page, Record, Slot};

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// What is trimmed is told as chosen, or as lost.
pub(super) fn tells_what_is_trimmed(ghost: &Ghost, from: Life, page: &Page) -> Checked {
    let trimmed = ghost.trimmed_before(from.node);
    demand!(
        page.chosen_upto.max(page.lost_upto) >= trimmed,
        "B7",
        "{from} reports only up to {} as chosen, and has trimmed up to {trimmed}",
        page.chosen_upto.max(page.lost_upto)
    );
    Ok(())
}

/// A promise tells of a slot that cannot be read.
pub(super) fn has_decayed(ghost: &Ghost, from: Life, slot: Slot, promised: Ballot) -> Checked {
    demand!(
        ghost.decayed(from.node, slot),
        "B7",
        "{from} reports slot {slot} as faulty to {promised}; on its disk it never was"
    );
    Ok(())
}

/// A promise leaves out no vote below its ballot and no slot that cannot be read: silence is a
/// report of *empty*.
pub(super) fn is_complete(ghost: &Ghost, node: NodeId, promised: Ballot, page: &Page) -> Checked {
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

/// A node promises, and tells up to where it knows what is chosen: no further than it does. Who
/// takes its word for more leaves slots alone that nobody can tell the decrees of.
pub(in crate::checks) fn is_known_upto(node: NodeId, upto: Slot, knows: Slot) -> Checked {
    demand!(upto <= knows, "B7", "{node} tells of {upto} as known, and knows up to {knows}");
    Ok(())
}
