use serde::{Deserialize, Serialize};
use synod_paxos::Life;

/// Whose store this is. It is written when the store is formatted and checked at every start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster's name.
    pub cluster: String,
    /// Drawn when the cluster was made: tells two clusters of one name apart.
    pub cluster_id: u64,
    /// Which life of which node.
    pub life: Life,
}
