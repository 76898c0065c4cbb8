use synod_client::{leader_among, machine::door::NodeStatus};

use crate::{answer::Answer, ask::Ask, fault::Fault, numbers::Count, shape::shape};

shape! {
    /// How the cluster is, as its nodes see it.
    Status {
        /// Its name.
        cluster: Option<String>,
        /// The node that leads, if one does.
        leader: Option<String>,
        /// The highest revision that a node has come to.
        revision: Count,
        /// How many nodes make a quorum.
        quorum: u32,
        /// Every node of the configuration.
        nodes: Vec<NodeRow>,
    }
}

shape! {
    /// How a node is.
    NodeRow {
        /// Its name.
        node: String,
        /// Whether it answers.
        up: bool,
        /// `leader`, `follower` or `candidate`.
        role: Option<String>,
        /// The revision of its state.
        revision: Option<Count>,
        /// Which build it runs.
        version: Option<String>,
        /// Why it does not answer.
        error: Option<String>,
    }
}

pub(crate) async fn status(ask: Ask) -> Result<Answer, Fault> {
    let heard = ask.client.status_all().await;
    let up: Vec<&NodeStatus> = heard.iter().filter_map(|(_, said)| said.as_ref().ok()).collect();
    let revision = up.iter().map(|status| status.revision.get()).max().unwrap_or_default();
    let nodes = heard.iter().map(|(node, said)| {
        let (node, said) = (node.clone(), said.as_ref());
        NodeRow {
            node,
            up: said.is_ok(),
            role: said.ok().map(|status| status.role.clone()),
            revision: said.ok().map(|status| Count(status.revision.get())),
            version: said.ok().map(|status| status.version.clone()),
            error: said.err().map(ToString::to_string),
        }
    });
    Ok(Answer::json(&Status {
        cluster: up.first().map(|status| status.cluster.clone()),
        leader: leader_among(up.iter().copied()).map(|status| status.node.clone()),
        revision: Count(revision),
        quorum: u32::try_from(heard.len() / 2 + 1).unwrap_or(u32::MAX),
        nodes: nodes.collect(),
    }))
}
