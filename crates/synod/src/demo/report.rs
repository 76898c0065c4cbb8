//! The demo's report, `synod.demo/1`.

use serde::Serialize;

/// What a run showed. Within this schema fields are only added.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: &'static str,
    /// Nodes of the cluster.
    pub(crate) nodes: u16,
    pub(crate) seed: u64,
    /// How many there are.
    pub(crate) satellites: usize,
    /// How many were found exactly once, whole, in one of the catalogs.
    pub(crate) accounted: usize,
    /// Moves whose owner was told `committed`.
    pub(crate) committed: u64,
    /// Moves whose owner was told `aborted`.
    pub(crate) aborted: u64,
    /// Moves whose owner was not told, or died.
    pub(crate) unknown: u64,
    pub(crate) kills: Vec<Kill>,
    /// From asking for the first vote to hearing the verdict.
    pub(crate) commit_us: Quantiles,
    /// What one commit cannot cost less than here: owner to shard and back, a sync there, owner to
    /// leader and back, a quorum's round trip, a sync there. Measured in this run.
    pub(crate) floor_us: u64,
    /// Whether nodes that applied the same slots hold the same state.
    pub(crate) state_hashes_equal: bool,
    /// Branches that still wait for a verdict.
    pub(crate) in_doubt_at_end: u64,
    pub(crate) ok: bool,
}

/// One murder.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Kill {
    /// `leader`, `owner`, `shard` or `follower`.
    pub(crate) what: &'static str,
    /// Who that was.
    pub(crate) who: String,
    /// Since the start.
    pub(crate) at_ms: u64,
    /// Branches that were prepared without a verdict at that moment.
    pub(crate) in_doubt: u64,
    /// Until a move committed again.
    pub(crate) first_commit_after_ms: Option<u64>,
    /// Until none of those branches was in doubt any more.
    pub(crate) resolved_after_ms: Option<u64>,
}

/// Latency in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}
