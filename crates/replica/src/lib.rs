//! The whole node as one steppable value: Paxos below, the machine above, and the seam between them
//! where the real bugs live. Pure, so that the simulator can be its world.

mod replica;

pub use replica::{ClientId, Config, Input, Output, Replica, Response, Status};
