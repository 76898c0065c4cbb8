//! One seed, one universe: n replicas, a network that loses, doubles, delays and reorders, disks
//! that forget what was not synced, and checks that watch every step.
//!
//! It runs the real replica and the real store (or, for most universes, a model of it with the same
//! seam) in one thread and virtual time. The same seed gives the same universe on every machine.
//!
//! ```
//! use synod_sim::{Run, run};
//! let summary = run(&Run { seeds: 1, ..Run::default() }, |_| {});
//! assert!(summary.failures.is_empty());
//! ```

mod abreast;
mod checks;
mod child;
mod client;
mod clock;
mod disk;
mod drive;
mod errand;
mod event;
mod facts;
mod ghost;
pub mod history;
mod holder;
mod network;
mod node;
mod observer;
mod plan;
mod planted;
mod prize;

mod progress;
mod run;
mod script;
mod search;
mod shelf;
mod shrink;
mod sights;
mod story;
mod trace;
mod trade;
mod trouble;
mod txn;
mod violation;
mod weather;
mod world;

pub use planted::Plant;
pub use progress::Progress;
pub use run::{Failure, Replay, Run, Summary, replay, run};
pub use script::{NoScript, Script, Store};
pub use search::{PLACES, Place, Searched};
pub use shrink::shrink;
pub use sights::{Sight, Sights};
pub use story::Told;
pub use violation::Violation;
