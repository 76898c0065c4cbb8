//! Runs a replica: one owner, one select loop, one disk thread; health and metrics over HTTP.
//!
//! A [`Node`] is started from a [`Config`] and runs on the caller's runtime; one thread is enough.
//! It knows no rule of the protocol: it carries bytes between the mesh, the replica and the disk.

mod calls;
mod clock;
mod config;
mod disk;
mod door;
mod driver;
mod error;
mod health;
mod metrics;
mod node;
pub mod page;
mod pages;
mod quiet;
mod reign;
mod roster;
#[cfg(test)]
mod shaky;
mod shelf;
mod syncs;
mod usage;

pub use config::{Config, ConfigError, DoorKeys, DoorRole, LogFormat, LogLevel, Voter, check_many};
pub use error::{Fault, NodeError};
pub use metrics::DoorMetrics;
pub use node::{Node, format};
