//! A shard's pages of health and metrics.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use synod_node::page::{self, Found, Site};

use super::metrics::Metrics;

/// The thread that owns the shard comes round twenty times a second; one that has not for so long
/// is stuck at its disk.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// What the pages need.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) metrics: Metrics,
    /// The store's file.
    pub(super) file: PathBuf,
    pub(super) certificate_ends_at: i64,
    pub(super) registered: Registered,
}

/// Whether the cluster has been told where this shard is.
#[derive(Clone, Debug, Default)]
pub(super) struct Registered(Arc<AtomicBool>);

impl Registered {
    /// It has.
    pub(super) fn now(&self) {
        self.0.store(true, Relaxed);
    }
}

impl Site for Pages {
    const CHECKS: &'static [&'static str] = &["registered", "disk_free", "certificate"];

    async fn alive(&self) -> Found {
        let silent_for = self.metrics.silent_for();
        if silent_for < SILENT_MAX {
            return Ok(());
        }
        Err(format!("the disk thread has been at one thing for {silent_for:?}"))
    }

    async fn ready(&self, wanted: Vec<&'static str>) -> Result<Vec<(&'static str, Found)>, String> {
        self.alive().await?;
        Ok(wanted.into_iter().map(|name| (name, self.check(name))).collect())
    }

    async fn metrics(&self) -> Result<String, String> {
        let file = fs::metadata(&self.file)
            .map_err(|error| format!("{}: {error}", self.file.display()))?;
        self.metrics.store_size(file.len());
        self.metrics.text().map_err(|error| error.to_string())
    }

    fn refused(&self, reason: &'static str) {
        self.metrics.http_refused(reason);
    }
}

impl Pages {
    fn check(&self, name: &str) -> Found {
        match name {
            "registered" if self.registered.0.load(Relaxed) => Ok(()),
            "registered" => Err("the cluster has not been told where this shard is".to_owned()),
            "disk_free" => page::disk_free(&self.file),
            "certificate" => self.certificate(),
            unknown => Err(format!("there is no check {unknown}")),
        }
    }

    fn certificate(&self) -> Found {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left = self.certificate_ends_at.saturating_sub_unsigned(now);
        if left > 0 {
            return Ok(());
        }
        Err(format!("it ended {} s ago", left.saturating_neg()))
    }
}
