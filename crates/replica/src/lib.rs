//! The whole node as one steppable value: Paxos below, the machine above, and the seam between them
//! where the real bugs live. Pure, so that the simulator can be its world.
//!
//! [`Replica::step`] is the one way in, [`Output`] the one way out. One room for each thing that a
//! call may wait for: to be proposed (`queue`), to be chosen and applied (`proposed`), for the
//! reign to be confirmed (`reads`), for the own state to have come far enough (`nearby`), for the
//! fate of a session or a lease (`silences`), for news of a branch (`attendants`), for something to
//! change (`watchers`); `calls` knows where each waits and until when. `reign` says whether this
//! node may serve, `state` is what all nodes compute alike, and `checkpoints` whether they did;
//! `snapshots` is what lets the log be trimmed, and a node that was away for long come back.

mod attendants;
mod batch;
mod calls;
mod checkpoints;
mod config;
mod leased;
mod nearby;
mod proposed;
mod queue;
mod reads;
mod reign;
mod replica;
mod seam;
mod silences;
mod snapshots;
mod stages;
mod state;
mod watchers;

pub use batch::BATCH_VERSION;
pub use checkpoints::Tally;
pub use config::Config;
pub use leased::{Lapsed, Leased};
pub use reign::Takeover;
pub use replica::{Replica, Restored, Status, Unread};
pub use seam::{Carried, Checkpoint, ClientId, Input, Output, Response, ShelfJob, ShelfNews, Word};
pub use snapshots::{Cadence, Shelved};
pub use stages::Passed;
