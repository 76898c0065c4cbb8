//! What an application links: keys, transactions and the participant's side of a Synod cluster.
//!
//! ```no_run
//! use synod_client::{Cas, Client, Config, machine::Expect};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(Config::load("client.toml".as_ref())?).await?;
//! let kv = client.kv();
//! let at = kv.put("epoch", "7").await?;
//! match kv.cas("epoch", Expect::Revision(at), "8").await? {
//!     Cas::Done(at) => println!("ours, at revision {at}"),
//!     Cas::Mismatch(now) => println!("somebody was faster: {now:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - **`Ok` means chosen by a quorum.** A "no" ([`Cas::Mismatch`], [`Outcome::Aborted`]) is a
//!   value; an [`Error`] is only "could not find out" or "could not be done".
//! - **Two failures, never one.** [`Error::NotApplied`]: repeat freely. [`Error::Unknown`]: it may
//!   have happened; [`Client::settle`] answers for good.
//! - **One deadline a call**, set by default; [`Client::within`] gives a handle with another. Until
//!   then the client finds the leader, reconnects and repeats by itself, each request under one
//!   name, so that it takes effect once.
//! - **Any future may be dropped at any moment.** What was already sent goes on in the background
//!   until its fate is known; nothing else is lost, blocked or half done.
//! - **What is held for a while says when it is lost.** A [`Lease`], a [`LockGuard`] and an
//!   [`Incumbency`] are lost here before the cluster can give them to another; a [`KvWatch`],
//!   [`Standings`] and a [`Subscription`] are never silent.
//!
//! A client knows no ballots and no slots: it asks whoever says that it leads.

mod acks;
mod apart;
mod ask;
mod backoff;
mod barrier;
mod book;
mod candidacy;
mod claim;
mod client;
mod config;
mod core;
mod counter;
mod cursor;
mod deadline;
mod directory;
mod ears;
mod election;
mod error;
mod fate;
mod fates;
mod feed;
mod guard;
mod hand;
mod incumbency;
mod insist;
mod journal;
mod kv;
mod leader;
mod lease;
mod leases;
mod lock;
mod locks;
mod moment;
mod multi;
mod names;
mod observe;
mod participant;
mod party;
mod phase2;
mod place;
mod reach;
mod read;
mod register;
mod renewal;
mod route;
mod scout;
mod serve;
mod session;
mod shard;
#[cfg(test)]
mod stage;
mod standby;
mod standing;
mod submit;
mod subscription;
mod survey;
mod tally;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod turn;
mod txn;
mod undecided;
mod watch;
mod wire;

pub use synod_machine as machine;
pub use synod_net as net;

pub use acks::Acks;
pub use barrier::{Arrived, Barrier};
pub use candidacy::{Campaign, Candidacy};
pub use claim::{Claim, Claimed, Unclaimed};
pub use client::Client;
pub use config::{Config, ConfigError, Endpoint};
pub use counter::{Counted, Counter, CounterSet};
pub use election::{Election, HandingOver};
pub use error::{ConnectError, Error, Reached, Refused, Unreached, Why};
pub use fates::Settled;
pub use guard::LockGuard;
pub use hand::{Acquired, Stood};
pub use incumbency::Incumbency;
pub use journal::{Committed, Journal, JournalPage};
pub use kv::{Cas, Kv, Page};
pub use leader::{LeaderWatch, Leading, leader_among};
pub use lease::Lease;
pub use lock::{LockBuilder, Locked};
pub use multi::{Multi, MultiBuilder};
pub use observe::{Standing, Standings};
pub use participant::Participant;
pub use read::{ReadBuilder, Stale, StaleRead};
pub use register::{Chosen, Register};
pub use serve::{Again, ResourceManager, Serving, Share, Stopped};
pub use shard::Shard;
pub use standing::Lost;
pub use subscription::{Delivered, GroupReader, Subscription};
pub use tally::{Spans, TxnTally};
pub use txn::{Outcome, Prepared, TxnBuilder, WhyAborted};
pub use watch::{KvWatch, Watched};
