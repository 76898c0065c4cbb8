//! Multi-Paxos as a value: ballots, acceptor, campaign (phase 1), proposer (phase 2), learner,
//! election and read barriers. It chooses one decree per slot, whatever fails.
//!
//! The one way in is [`Peer::step`]; the one way out is [`Output`]. There is no clock, file,
//! socket, task or randomness here: the driver is the world.
//!
//! A [`Peer`] is an acceptor and a learner always, and besides either follows, campaigns or leads:
//!
//! | word | from → to | durable before it leaves | source |
//! |---|---|---|---|
//! | [`Prepare`] | campaigner → all | the campaigner's own ballot | PMS §2.2, 1a |
//! | [`Promise`] | acceptor → campaigner | the promise, and every vote reported | PMS §2.2, 1b |
//! | [`Refused`] | acceptor → proposer | the promise it names | PMS §2.4 |
//! | [`Accept`] | leader → all | nothing: it runs beside the own disk | PMS §2.2, 2a |
//! | [`Accepted`] | acceptor → leader | the votes, and the promise they imply | PMS §2.2, 2b |
//! | [`Watermark`] | leader → all | nothing | PMS §2.3 |
//! | [`Heartbeat`], [`Alive`] | each → all, and back | nothing: hints | OmniPaxos |
//! | [`Ask`], [`Learned`] | learner → any, and back | nothing: chosen is chosen | PMS §2.3 |
//! | [`Trimmed`] | any → learner | nothing: what is trimmed is chosen | |
//! | [`Confirm`], [`Confirmed`] | leader → all, and back | nothing | Ongaro §6.4 |
//! | [`Fathom`], [`Fathomed`] | each → the leader, and back | nothing | Ongaro §6.4 |
//! | [`Vow`], [`Vowed`] | leader → all, back | nothing: starts are silent | Chandra et al. §5.2 |
//! | [`Release`], [`HandOver`] | leader → all | nothing | |
//! | [`Synced`] | a node → itself | what was written with it | |
//!
//! PMS is Lamport, *Paxos Made Simple*; PMMC van Renesse and Altinbuken, *Paxos Made Moderately
//! Complex*; OmniPaxos Ng, Haridi and Carbone, EuroSys'23; Ongaro his thesis.
//!
//! The driver owes a peer four things. It opens sealed words ([`Durably::synced`]) in the order of
//! their batches, also where a batch holds words and no write. It delivers words addressed to the
//! node itself back through `step`, soon. It delivers no word whose sender is not who the transport
//! says. And it answers each [`Fetch`] with a [`Fetched`], if need be an empty one.
//!
//! The log does not grow for ever. Whoever runs the machine above tells what durable snapshots
//! cover ([`Input::Covered`]); members tell each other with their heartbeats; and what a quorum's
//! snapshots and the own cover is trimmed, but for a tail. A member that the log cannot bring
//! further ([`Behind`]) is brought further by a snapshot ([`Input::Installed`]).
//!
//! [`Prepare`]: Message::Prepare
//! [`Promise`]: Message::Promise
//! [`Refused`]: Message::Refused
//! [`Accept`]: Message::Accept
//! [`Accepted`]: Message::Accepted
//! [`Watermark`]: Message::Watermark
//! [`Heartbeat`]: Message::Heartbeat
//! [`Alive`]: Message::Alive
//! [`Ask`]: Message::Ask
//! [`Learned`]: Message::Learned
//! [`Trimmed`]: Message::Trimmed
//! [`Confirm`]: Message::Confirm
//! [`Confirmed`]: Message::Confirmed
//! [`Synced`]: Message::Synced
//! [`Vow`]: Message::Vow
//! [`Vowed`]: Message::Vowed
//! [`Release`]: Message::Release
//! [`HandOver`]: Message::HandOver
//! [`Fathom`]: Message::Fathom
//! [`Fathomed`]: Message::Fathomed

mod acceptor;
mod admit;
mod ballot;
mod campaign;
mod catch_up;
mod chance;
mod config;
mod cover;
mod decree;
mod detector;
mod disk;
mod durable;
mod election;
mod handing;
mod ids;
mod learner;
mod lease;
mod limits;
mod links;
mod marks;
mod message;
mod nearby;
mod peer;
mod proposer;
mod reads;
mod time;
mod voice;
mod vow;

pub use ballot::Ballot;
pub use config::{CLOCKS_OFF_BY_ONE_IN, Config, ConfigError, Leasing, Members, Timing};
pub use decree::Decree;
pub use detector::{Detector, EWMA_FACTOR, PHI, Policy, WINDOW_SAMPLES};
pub use durable::{Durable, Durably, Record, Write};
pub use handing::Unfit;
pub use ids::{Epoch, Incarnation, Life, NodeId, Process, Slot};
pub use links::Heard;
pub use marks::{Forgotten, Mark, Marks};
pub use message::{Envelope, Held, Lane, Message, Page, Report, Span, Standing};
pub use peer::{
    Barrier, BarrierId, Behind, Bonds, Chosen, Fathomed, Fetch, Fetched, Input, Output, Peer, Role,
};
pub use time::Tick;
