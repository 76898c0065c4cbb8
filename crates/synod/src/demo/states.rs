//! What the nodes say of themselves at the end: whether they agree, and what a commit costs at
//! least.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use synod_bench::{BenchError, floor::SyncFloor};
use synod_client::{Client, leader_among, machine::door::NodeStatus};
use tokio::time::sleep;

use super::scene::SHARDS;
use crate::exit::{Code, Failure};

/// A smoothed round trip forgets what it was under load after so many.
const ROUND_TRIPS: usize = 32;
/// Syncs for a median.
const SYNCS: usize = 33;

/// Whether the nodes' states agree wherever they can be compared, after waiting until all have
/// applied the same.
pub(super) async fn agree(client: &Client, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    loop {
        let heard = client.status_all().await;
        let nodes = heard.len();
        let statuses: Vec<_> = heard.into_iter().filter_map(|(_, said)| said.ok()).collect();
        let level = statuses.len() == nodes
            && statuses.windows(2).all(|pair| pair[0].applied_slot == pair[1].applied_slot);
        if level || Instant::now() > until {
            return level && same_hashes(&statuses);
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
/// trip to a quorum and a sync there. Measured when the moves have ended: what waits in queues, at
/// the disk or for a processor, is above the floor.
pub(super) async fn floor_us(client: &Client, dir: &Path) -> Result<u64, Failure> {
    let shard = client.shard(SHARDS[0]);
    for _ in 0..ROUND_TRIPS {
        // Each answer counts towards the smoothed round trip; what it says does not matter.
        let _ = tokio::join!(client.leading(), shard.in_doubt());
    }
    let heard = client.status_all().await;
    let statuses: Vec<_> = heard.into_iter().filter_map(|(_, said)| said.ok()).collect();
    let peers = leader_among(&statuses).map_or(&[][..], |leader| &leader.peers);
    let mut rtts: Vec<_> = peers.iter().filter_map(|peer| peer.rtt_us).collect();
    rtts.sort_unstable();
    // The leader is one of the quorum; the slowest that it must wait for is this one.
    let quorum_rtt = match peers.len().div_ceil(2) {
        0 => 0,
        others => rtts.get(others - 1).copied().unwrap_or_default(),
    };
    let sync = sync_us(dir).map_err(|e| Failure::new(Code::Machine, "SYN-DEMO-002", e))?;
    let shard_rtt = shard.rtt_us().await.unwrap_or_default();
    let client_rtt = client.rtt_us().unwrap_or_default();
    Ok((shard_rtt + sync) + (client_rtt + quorum_rtt + sync))
}

/// The median of some bare syncs where the stores are. Nobody else has anything to do meanwhile.
fn sync_us(dir: &Path) -> Result<u64, BenchError> {
    let mut floor = SyncFloor::new(dir)?;
    for _ in 0..SYNCS {
        floor.sync()?;
    }
    Ok(floor.quantiles().p50)
}
