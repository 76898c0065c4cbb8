//! The parts of a command's way one by one, for what each takes: time (`cargo bench -p
//! synod-micro`), instructions (the example `instructions`, under callgrind) and allocations (the
//! test `allocations`).
//!
//! Each [`Part`] is made once and done again and again; the three measurements do the same work.

mod part;
mod trio;

pub use part::{Kind, Part};
pub use trio::Trio;

/// Why a part cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MicroError {
    /// Three nodes are no members.
    #[error("three nodes are no members")]
    Members,
    /// Nobody leads, or nobody answers.
    #[error("nobody answers")]
    Silent,
    /// What is measured was refused.
    #[error("what is measured was refused")]
    Refused,
    /// What was encoded is not what is decoded.
    #[error("what was encoded is not what is decoded")]
    Garbled,
    /// A store does not write.
    #[error(transparent)]
    Store(#[from] synod_store::StoreError),
    /// A directory for it cannot be made.
    #[error("a directory: {0}")]
    Dir(#[from] std::io::Error),
}
