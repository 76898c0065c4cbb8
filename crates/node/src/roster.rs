//! Who is who: certificates know names, the protocol knows numbers.

use synod_net::Name;
use synod_paxos::{Life, NodeId};

use crate::Config;

/// Every voter by name and number.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    me: Life,
    cluster: Name,
    nodes: Vec<(NodeId, Name)>,
}

impl Roster {
    pub(crate) fn new(config: &Config) -> Roster {
        let nodes = config.voters().iter().map(|voter| (voter.life.node, voter.name.clone()));
        Roster { me: config.life(), cluster: config.cluster().clone(), nodes: nodes.collect() }
    }

    /// This node's number.
    pub(crate) fn me(&self) -> NodeId {
        self.me.node
    }

    pub(crate) fn cluster(&self) -> &Name {
        &self.cluster
    }

    /// This node's name.
    pub(crate) fn own_name(&self) -> &Name {
        self.name(self.me.node).expect("the configuration lists this node")
    }

    pub(crate) fn name(&self, node: NodeId) -> Option<&Name> {
        self.nodes.iter().find(|(id, _)| *id == node).map(|(_, name)| name)
    }

    pub(crate) fn node(&self, name: &Name) -> Option<NodeId> {
        self.nodes.iter().find(|(_, other)| other == name).map(|(id, _)| *id)
    }

    /// The number of a node, as a client names it.
    pub(crate) fn named(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().find(|(_, other)| other.as_str() == name).map(|(id, _)| *id)
    }

    /// Everybody else.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (NodeId, &Name)> {
        let me = self.me.node;
        self.nodes.iter().filter(move |(id, _)| *id != me).map(|(id, name)| (*id, name))
    }
}
