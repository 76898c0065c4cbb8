//! B1: a promise never falls, neither what is asked of the disk nor what a process has in memory.

use std::collections::BTreeMap;

use synod_paxos::{Ballot, Life, NodeId};

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

/// A promise is asked for, after the disk was asked to keep another.
pub(super) fn is_asked(life: Life, ballot: Ballot, promised: Ballot) -> Checked {
    demand!(ballot >= promised, "B1", "{life} promises {ballot} after {promised}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use synod_paxos::Write;

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
}
