//! Bytes from outside, mutated without end: whatever they are, decoding them ends in a value or a
//! reason, and a value that decodes is one that its reader can live with.
//!
//! A short run with a fixed seed is part of `cargo test`. A long one, of one target or of all:
//!
//! ```text
//! SYNOD_FUZZ_RUNS=10000000 cargo test --release -p synod-integration --test fuzz \
//!     [TARGET] -- --nocapture
//! ```
//!
//! `SYNOD_FUZZ_SEED` chooses another sequence. A failure prints the bytes and both numbers.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(clippy::print_stdout, reason = "a long run tells how it went")]

#[path = "fuzz/certificates.rs"]
mod certificates;
#[path = "fuzz/doors.rs"]
mod doors;
#[path = "fuzz/frames.rs"]
mod frames;
#[path = "fuzz/hunt.rs"]
mod hunt;
#[path = "fuzz/logs.rs"]
mod logs;
#[path = "fuzz/stores.rs"]
mod stores;
#[path = "fuzz/texts.rs"]
mod texts;
#[path = "fuzz/words.rs"]
mod words;
