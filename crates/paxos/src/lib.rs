//! Multi-Paxos as a value: ballots, acceptor, campaign (phase 1), proposer (phase 2), learner,
//! election and read barriers. It chooses one decree per slot, whatever fails.
//!
//! The one way in is [`Peer::step`]; the one way out is [`Output`]. There is no clock, file, socket,
//! task or randomness here: the driver is the world.

mod acceptor;
mod admit;
mod ballot;
mod campaign;
mod catch_up;
mod chance;
mod config;
mod decree;
mod detector;
mod disk;
mod durable;
mod election;
mod ids;
mod learner;
mod limits;
mod links;
mod message;
mod peer;
mod proposer;
mod reads;
mod time;
mod voice;

pub use ballot::Ballot;
pub use config::{Config, ConfigError, Members, Timing};
pub use decree::Decree;
pub use detector::{Detector, EWMA_FACTOR, PHI, Policy, WINDOW_SAMPLES};
pub use durable::{Durable, Durably, Record, Write};
pub use ids::{Epoch, Incarnation, Life, NodeId, Slot};
pub use links::Heard;
pub use message::{Envelope, Held, Lane, Message, Page, Report, Span, Standing};
pub use peer::{Barrier, BarrierId, Chosen, Fetch, Fetched, Input, Output, Peer, Role};
pub use time::Tick;
