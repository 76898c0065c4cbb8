//! Who leads, as this node sees it: what changed since the last look, for the log and the metrics.

use synod_paxos::NodeId;

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct ReignWatch {
    /// The last leader known: one that is gone stays on record until there is another.
    leader: Option<NodeId>,
    serving: bool,
}

/// What a look brought to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Another node leads than before.
    Leader(NodeId),
    /// This node leads, and serves.
    Serves,
    /// This node does not any more.
    Ceased,
}

impl ReignWatch {
    /// Takes in who leads now, and whether this node (`me`) does and serves.
    pub(crate) fn observe(
        &mut self,
        me: NodeId,
        leader: Option<NodeId>,
        serving: bool,
    ) -> Option<Change> {
        if serving != self.serving {
            self.serving = serving;
            self.leader = if serving { Some(me) } else { self.leader };
            return Some(if serving { Change::Serves } else { Change::Ceased });
        }
        match leader.filter(|node| *node != me && self.leader != leader) {
            Some(node) => {
                self.leader = leader;
                Some(Change::Leader(node))
            }
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of leader is counted once, whoever it is and however long nobody leads between.
    #[test]
    fn each_change_of_leader_is_seen_once() {
        let (me, other) = (NodeId::new(1), NodeId::new(2));
        let mut watch = ReignWatch::default();
        assert_eq!(watch.observe(me, Some(other), false), Some(Change::Leader(other)));
        assert_eq!(watch.observe(me, Some(other), false), None);
        assert_eq!(watch.observe(me, None, false), None);
        assert_eq!(watch.observe(me, Some(other), false), None, "the same leader is back");
        assert_eq!(watch.observe(me, Some(me), false), None, "leads, and does not serve yet");
        assert_eq!(watch.observe(me, Some(me), true), Some(Change::Serves));
        assert_eq!(watch.observe(me, Some(me), true), None);
        assert_eq!(watch.observe(me, None, false), Some(Change::Ceased));
        assert_eq!(watch.observe(me, Some(other), false), Some(Change::Leader(other)));
    }
}
