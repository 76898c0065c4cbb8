//! The whole node as one steppable value: Paxos below, the machine above, and the seam between them
//! where the real bugs live. Pure, so that the simulator can be its world.

mod config;
mod replica;
mod seam;

pub use config::Config;
pub use replica::{Replica, Status};
pub use seam::{Checkpoint, ClientId, Input, Output, Response, Word};
