//! Every limit of the protocol that is not configuration.

/// How far above its own watermark an acceptor votes, and how far a promise may report. It is the
/// same on all nodes, for the one bounds what the other may say; sixteen default windows.
pub(crate) const AHEAD_SLOTS_MAX: u64 = 16_384;

/// Bytes of decrees above the watermark that an acceptor holds; four default windows.
pub(crate) const AHEAD_BYTES_MAX: usize = 64 << 20;

/// Bytes of decrees in one page of a promise or of learned decrees. One decree alone may be larger;
/// either way it fits a frame of the mesh (2 MiB).
pub(crate) const PAGE_BYTES_MAX: usize = 1 << 20;

/// Reports or decrees in one page, so that a page of no-ops is bounded too.
pub(crate) const PAGE_SLOTS_MAX: usize = 4_096;

/// Runs of votes that a `Prepare` names as held. One run is usual; what is not named is sent again.
pub(crate) const HELD_RUNS_MAX: usize = 64;

/// Chosen decrees kept in memory to answer peers that lag a little; older ones are in the store.
pub(crate) const RECENT_SLOTS_MAX: usize = 1_024;

/// Bytes of them.
pub(crate) const RECENT_BYTES_MAX: usize = 4 << 20;

/// Accepts sent again in one go, so that a retry is never a storm.
pub(crate) const RESEND_SLOTS_MAX: usize = 64;

/// Bytes of them.
pub(crate) const RESEND_BYTES_MAX: usize = 1 << 20;

/// Slots trimmed in one write: some hundred microseconds of it. One such write goes with a
/// heartbeat, so trimming keeps up with ten thousand slots a second and more.
pub(crate) const TRIM_SLOTS_MAX: u64 = 512;

/// Slots that whoever is handed the lead may lack: few enough that it has fetched them before
/// anybody misses a leader.
pub(crate) const HEIR_LACKS_MAX: u64 = 64;

/// No honest log is this long; a slot above it in a message is noise. Sums of two such never wrap.
pub(crate) const SLOT_MAX: u64 = 1 << 62;

/// No honest campaign reaches this round; a ballot above it in a message is noise.
pub(crate) const ROUND_MAX: u64 = 1 << 62;

/// Rounds of heartbeats whose answers still count as a sign of life, at least; as many as fit into
/// the longest silence, where that is more.
pub(crate) const ROUNDS_LIVE_MIN: u64 = 8;

/// No honest disk is written to this often; a mark above it in a message is noise.
pub(crate) const MARK_MAX: u64 = 1 << 62;
