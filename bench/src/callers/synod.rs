use std::path::{Path, PathBuf};

use synod_client::{Client, Config};

use super::Used;
use crate::BenchError;

/// A cluster of this project.
#[derive(Debug)]
pub struct Synod {
    config: Config,
    client: Client,
    dir: Option<PathBuf>,
}

impl Synod {
    /// The cluster that a client's configuration names. `dir` should lie on the disk of the nodes'
    /// stores; without it the floor is not measured.
    pub async fn open(config: Config, dir: Option<PathBuf>) -> Result<Synod, BenchError> {
        let client = Client::connect(config.clone()).await?;
        Ok(Synod { config, client, dir })
    }

    /// For other questions than the load's.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    pub(super) async fn connect(&self) -> Result<Client, BenchError> {
        Ok(Client::connect(self.config.clone()).await?)
    }

    /// Of all nodes together. If one does not answer, nothing is known of the whole.
    pub(super) async fn used(&self) -> Option<Used> {
        let mut all = Used::default();
        for (_, status) in self.client.status_all().await {
            let spent = status.ok()?.spent;
            all.cpu_us = all.cpu_us.saturating_add(spent.cpu_us);
            all.resident_bytes = all.resident_bytes.max(spent.resident_bytes);
            let (sum, one) = (&mut all.stages, spent.stages);
            sum.batches = sum.batches.saturating_add(one.batches);
            sum.queue_us = sum.queue_us.saturating_add(one.queue_us);
            sum.sync_us = sum.sync_us.saturating_add(one.sync_us);
            sum.quorum_us = sum.quorum_us.saturating_add(one.quorum_us);
            sum.apply_us = sum.apply_us.saturating_add(one.apply_us);
        }
        Some(all)
    }
}
