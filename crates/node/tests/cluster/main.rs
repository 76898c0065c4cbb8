//! Whole nodes in one process: real QUIC on loopback, real certificates, real stores in directories
//! that vanish with the test.

#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod asker;
mod commands;
mod faults;
mod pages;
mod snapshots;
mod starting;
mod strangers;
mod world;
