//! C4: a follower takes for chosen only what was chosen, of whatever it was told or has voted for.

use std::collections::BTreeMap;

use synod_paxos::{Ballot, Decree, Life, NodeId, Role, Slot};
use synod_replica::Status;

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// A node takes `decree` for chosen in a slot where this was.
pub(super) fn holds(
    life: Life,
    slot: Slot,
    decree: &Decree,
    (at, chosen): &(Ballot, Decree),
) -> Checked {
    demand!(
        chosen == decree,
        "C4",
        "{life} takes {decree:?} for chosen in slot {slot}; chosen at {at} was {chosen:?}"
    );
    Ok(())
}

/// Up to which slot the reign of each node has been looked at.
#[derive(Debug, Default)]
pub(crate) struct Covered {
    upto: BTreeMap<NodeId, (Ballot, Slot)>,
}

impl Covered {
    /// A node has taken a step. What it leads with covers a slot as chosen: then a follower that
    /// voted at that ballot takes its own vote for the chosen decree. A reign that another has
    /// overtaken may so cover no slot that was chosen with another decree than its own.
    pub(crate) fn stepped(&mut self, ghost: &Ghost, node: NodeId, status: &Status) -> Checked {
        let Role::Leading { ballot, .. } = status.role else { return Ok(()) };
        let (of, upto) = self.upto.entry(node).or_insert((ballot, status.chosen));
        if *of != ballot {
            (*of, *upto) = (ballot, status.chosen);
        }
        while *upto < status.chosen {
            *upto = upto.next();
            let (Some(own), Some((at, chosen))) =
                (ghost.proposed(*upto, ballot), ghost.chosen(*upto))
            else {
                continue;
            };
            demand!(
                own == chosen,
                "C4",
                "{node} leads at {ballot} over slot {upto}, for which it proposed {own:?}; \
                 chosen at {at} was {chosen:?}"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Ballot, Slot};

    use crate::checks::agreement::{
        believed,
        stage::{ghost, life, name, value, vote},
    };

    /// Nobody may take for chosen another decree than a quorum voted for.
    #[test]
    fn a_belief_in_another_decree_is_caught() {
        let (mut ghost, low) = (ghost(), Ballot::first(life(1)));
        vote(&mut ghost, 1, low, &value("a")).unwrap();
        vote(&mut ghost, 2, low, &value("a")).unwrap();
        believed(&ghost, life(2), Slot::new(1), &value("a")).unwrap();
        assert_eq!(name(believed(&ghost, life(2), Slot::new(1), &value("b"))), "C4");
    }
}
