//! What the nodes say of themselves at the end: whether they agree, and what a commit costs at
//! least.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use synod_client::{Client, leader_among, machine::door::NodeStatus};
use tokio::time::sleep;

use super::scene::SHARDS;

/// Whether the nodes' states agree wherever they can be compared, after waiting until all have
/// applied the same.
pub(super) async fn agree(client: &Client, patience: Duration) -> (bool, Vec<NodeStatus>) {
    let until = Instant::now() + patience;
    loop {
        let heard = client.status_all().await;
        let nodes = heard.len();
        let statuses: Vec<_> = heard.into_iter().filter_map(|(_, said)| said.ok()).collect();
        let level = statuses.len() == nodes
            && statuses.windows(2).all(|pair| pair[0].applied_slot == pair[1].applied_slot);
        if level || Instant::now() > until {
            return (level && same_hashes(&statuses), statuses);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn same_hashes(statuses: &[NodeStatus]) -> bool {
    let mut seen = BTreeMap::new();
    let mut same = statuses.iter().all(|status| status.hashes_differed == 0);
    let mut compared = 0;
    for (slot, hash) in statuses.iter().flat_map(|status| &status.state_hashes) {
        if let Some(other) = seen.insert(*slot, *hash) {
            compared += 1;
            same &= other == *hash;
        }
    }
    same && (compared > 0 || statuses.len() == 1)
}

/// One commit cannot cost less: to a shard and back, a sync there; to the leader and back, a round
/// trip to a quorum beside a sync here. All as measured by those who did it.
pub(super) async fn floor_us(client: &Client, statuses: &[NodeStatus]) -> u64 {
    let Some(leader) = leader_among(statuses) else { return 0 };
    let mut peers: Vec<_> = leader.peers.iter().filter_map(|peer| peer.rtt_us).collect();
    peers.sort_unstable();
    // The leader is one of the quorum; the slowest that it must wait for is this one.
    let quorum_rtt = match leader.peers.len().div_ceil(2) {
        0 => 0,
        others => peers.get(others - 1).copied().unwrap_or_default(),
    };
    let (sync, _) = leader.sync_us;
    let shard_rtt = client.shard(SHARDS[0]).rtt_us().await.unwrap_or_default();
    let client_rtt = client.rtt_us().unwrap_or_default();
    (shard_rtt + sync) + (client_rtt + quorum_rtt + sync)
}
