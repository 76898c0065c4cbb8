//! A3: what is taken for chosen, a quorum has voted for at one ballot. And B5, of which this is the
//! proof: votes are counted here as sets of lives, so a vote that a node counts twice, or from
//! another life, has it take for chosen what is not.

use synod_paxos::{Ballot, Decree, Life, NodeId, Slot};

use crate::{
    ghost::Ghost,
    violation::{Checked, Violation, demand},
};

/// A node takes `decree` for chosen; what was chosen there, and at which ballot, is returned.
pub(super) fn is_believed<'g>(
    ghost: &'g Ghost,
    life: Life,
    slot: Slot,
    decree: &Decree,
) -> Result<&'g (Ballot, Decree), Violation> {
    ghost.chosen(slot).ok_or_else(|| Violation {
        invariant: "A3",
        what: format!(
            "{life} takes {decree:?} for chosen in slot {slot}, where no quorum has voted"
        ),
    })
}

/// A node takes all slots up to this one for chosen.
pub(in crate::checks) fn is_known_upto(ghost: &Ghost, node: NodeId, chosen: Slot) -> Checked {
    demand!(
        chosen <= ghost.upto(),
        "A3",
        "{node} takes slots up to {chosen} for chosen; quorums have voted up to {}",
        ghost.upto()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Ballot, Slot};

    use crate::checks::agreement::{
        believed,
        stage::{ghost, life, name, value, vote},
    };

    /// Nobody may take for chosen what no quorum voted for.
    #[test]
    fn a_belief_without_a_quorum_is_caught() {
        let (mut ghost, low) = (ghost(), Ballot::first(life(1)));
        vote(&mut ghost, 1, low, &value("a")).unwrap();
        assert_eq!(name(believed(&ghost, life(2), Slot::new(1), &value("a"))), "A3");
        vote(&mut ghost, 2, low, &value("a")).unwrap();
        believed(&ghost, life(2), Slot::new(1), &value("a")).unwrap();
    }
}
