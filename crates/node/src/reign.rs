//! Who leads, as this node sees it, and since when: for status and metrics only.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use synod_paxos::NodeId;

/// What is remembered of leaders and of who was heard.
#[derive(Debug, Default)]
pub(crate) struct ReignWatch {
    heard: BTreeMap<NodeId, Instant>,
    leader: Option<NodeId>,
    leading_since: Option<Instant>,
    takeover: Option<Duration>,
}

/// What an observation brought to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Another node leads than before.
    Leader(NodeId),
    /// This node leads, and serves; with the span since the leader before it was last heard.
    TookOver(Option<Duration>),
}

impl ReignWatch {
    /// A word of `node` arrived.
    pub(crate) fn heard(&mut self, node: NodeId) {
        self.heard.insert(node, Instant::now());
    }

    /// Whether `node` was heard within `span`.
    pub(crate) fn heard_within(&self, node: NodeId, span: Duration) -> bool {
        self.heard.get(&node).is_some_and(|at| at.elapsed() <= span)
    }

    /// Takes in who leads now (`leader`) and whether this node (`me`) does and serves.
    pub(crate) fn observe(
        &mut self,
        me: NodeId,
        leader: Option<NodeId>,
        serving: bool,
    ) -> Option<Change> {
        if leader != Some(me) || !serving {
            self.leading_since = None;
        }
        match leader {
            Some(node) if node == me && serving => self.took_over(me),
            Some(node) if node != me && self.leader != leader => {
                self.leader = leader;
                Some(Change::Leader(node))
            }
            // A leader that is gone stays on record until there is another one.
            Some(_) | None => None,
        }
    }

    fn took_over(&mut self, me: NodeId) -> Option<Change> {
        if self.leading_since.is_some() {
            return None;
        }
        self.leading_since = Some(Instant::now());
        let before = self.leader.replace(me).filter(|node| *node != me);
        let silence = before.and_then(|node| self.heard.get(&node)).map(Instant::elapsed);
        self.takeover = silence.or(self.takeover);
        Some(Change::TookOver(silence))
    }

    /// How long this node has led and served; zero while it does not.
    pub(crate) fn leading_for(&self) -> Duration {
        self.leading_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The span of the last takeover by this node.
    pub(crate) fn takeover(&self) -> Option<Duration> {
        self.takeover
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A takeover is measured from the last word of the leader before, and once.
    #[test]
    fn a_takeover_is_counted_once_and_from_the_silence_before_it() {
        let (me, other) = (NodeId::new(1), NodeId::new(2));
        let mut watch = ReignWatch::default();
        watch.heard(other);
        assert_eq!(watch.observe(me, Some(other), false), Some(Change::Leader(other)));
        assert_eq!(watch.observe(me, Some(other), false), None);
        assert_eq!(watch.observe(me, None, false), None);
        assert_eq!(watch.observe(me, Some(me), false), None, "leads, and does not serve yet");
        assert!(matches!(watch.observe(me, Some(me), true), Some(Change::TookOver(Some(_)))));
        assert_eq!(watch.observe(me, Some(me), true), None);
        assert!(watch.takeover().is_some());
    }

    /// The first leader of all takes over from nobody.
    #[test]
    fn the_first_reign_has_no_takeover() {
        let me = NodeId::new(1);
        let mut watch = ReignWatch::default();
        assert_eq!(watch.observe(me, Some(me), true), Some(Change::TookOver(None)));
        assert_eq!(watch.takeover(), None);
    }
}
