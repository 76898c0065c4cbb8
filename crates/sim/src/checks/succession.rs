//! E2 at a reign that another may have overtaken: it confirms no read that came when it was over.
//! And L2 of leases, the same of renewals: the next reign counts from later than what is confirmed.

use std::collections::BTreeMap;

use synod_paxos::{Ballot, Role};
use synod_replica::{ClientId, Status};

use crate::violation::{Checked, demand};

/// Which reigns are over, and what each may still say.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    /// The highest ballot that a quorum has promised.
    promised: Option<Ballot>,
    /// Reads under way, each with what a quorum had promised when it came.
    reads: BTreeMap<ClientId, Option<Ballot>>,
}

impl Succession {
    /// A quorum has promised `ballot`: nothing is chosen below it any more that is not voted for.
    pub(crate) fn promised(&mut self, ballot: Ballot) {
        self.promised = self.promised.max(Some(ballot));
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
