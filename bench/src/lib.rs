//! Load and latency, against the floor measured in the same run.
//!
//! A figure on a shared machine means little alone. Every measurement here is taken beside its
//! floor (a client's round trip, a quorum's round trip, a sync in the very directory), interleaved
//! with the load, and reported as a ratio of medians.

pub mod assertion;
pub mod bare;
pub mod callers;
pub mod commits;
pub mod disk;
pub mod document;
pub mod door;
pub mod endurance;
pub mod environment;
pub mod floor;
pub mod growth;
pub mod held;
mod hogs;
pub mod load;
pub mod page;
mod processors;
mod quantiles;
pub mod reads;
pub mod rtt;
pub mod services;
pub mod snapshots;
pub mod stage;
pub mod takeover;
pub mod transfer;
pub mod trial;
pub mod wan;

pub use quantiles::Quantiles;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The cluster that is measured did not do as told.
    #[error("{0}")]
    Cluster(String),
    /// A request failed where none may.
    #[error(transparent)]
    Client(#[from] synod_client::Error),
    /// A file or process of the measurement failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What came of it.
        source: std::io::Error,
    },
}

impl BenchError {
    /// Names what was tried when an i/o error came.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> BenchError {
        let what = what.into();
        move |source| BenchError::Io { what, source }
    }
}
