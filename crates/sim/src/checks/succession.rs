//! C4 and E2 at a reign that another may have overtaken: it covers no slot that was chosen with
//! another decree than its own, and confirms no read that came when it was over.

use std::collections::BTreeMap;

use synod_paxos::{Ballot, NodeId, Role, Slot};
use synod_replica::{ClientId, Status};

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// Which reigns are over, and what each may still say.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    /// The highest ballot that a quorum has promised.
    promised: Option<Ballot>,
    /// Up to which slot the reign of a node has been looked at.
    covered: BTreeMap<NodeId, (Ballot, Slot)>,
    /// Reads under way, each with what a quorum had promised when it came.
    reads: BTreeMap<ClientId, Option<Ballot>>,
}

impl Succession {
    /// A quorum has promised `ballot`: nothing is chosen below it any more that is not voted for.
    pub(crate) fn promised(&mut self, ballot: Ballot) {
        self.promised = self.promised.max(Some(ballot));
    }

    /// A node has taken a step. What it leads with covers a slot as chosen: then a follower that
    /// voted at that ballot takes its own vote for the chosen decree.
    pub(crate) fn stepped(&mut self, ghost: &Ghost, node: NodeId, status: &Status) -> Checked {
        let Role::Leading { ballot, .. } = status.role else { return Ok(()) };
        let (of, upto) = self.covered.entry(node).or_insert((ballot, status.chosen));
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

    /// A linearizable read arrives at a node, or the renewal of a lease: of what is confirmed in a
    /// reign that is over the next one, which counts from its own beginning, knows nothing.
    pub(crate) fn reads(&mut self, client: ClientId) {
        self.reads.insert(client, self.promised);
    }

    /// A node answers somebody. If it was a read, a quorum had confirmed this reign after the read
    /// came: then no quorum can have promised a higher ballot before.
    pub(crate) fn answers(&mut self, client: ClientId, status: &Status, is_told: bool) -> Checked {
        let Some(promised) = self.reads.remove(&client).filter(|_| is_told) else { return Ok(()) };
        let Role::Leading { ballot, .. } = status.role else { return Ok(()) };
        demand!(
            promised <= Some(ballot),
            "E2",
            "a read is answered at {ballot}; when it came, a quorum had promised {promised:?}"
        );
        Ok(())
    }
}
