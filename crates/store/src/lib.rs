//! Durable facts in redb: the acceptor's log, its promise and whose it is.
//!
//! A store knows no message and no time. [`Store::write`] returns when the disk has the facts. Any
//! error of it but a full disk is final, and the process must end.
//!
//! Every record carries a CRC that is bound to its place (slot and ballot), and the header of a
//! slot lies apart from its payload, so that damage is named and never served: a record that cannot
//! be read is *faulty*, neither a vote nor the absence of one (Alagappan et al., *Protocol-Aware
//! Recovery*, FAST '18).
//!
//! [`Rows`] is the same for rows of other tables than the acceptor's: a shard's.
//!
//! Beside the log stand the snapshots that let it be trimmed ([`Shelf`]): bytes of a state,
//! whatever it is, in files of sealed chunks, each file whole or not there.
//!
//! ```
//! use synod_paxos::{Ballot, Life, NodeId, Write};
//! use synod_store::{Identity, Store};
//!
//! let place = tempfile::tempdir()?;
//! let dir = place.path().join("n1");
//! let life = Life::first(NodeId::new(1));
//! let identity = Identity { cluster: "orbit".into(), cluster_id: 7, life };
//! Store::format(&dir, &identity)?;
//!
//! let (mut store, _) = Store::open(&dir, &identity)?;
//! store.write(&[Write::Promised { ballot: Ballot::first(life) }])?;
//! drop(store);
//!
//! let (_, durable) = Store::open(&dir, &identity)?;
//! assert_eq!(durable.promised, Some(Ballot::first(life)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base;
mod batch;
mod blocks;
mod cause;
mod chunks;
mod dir;
mod directory;
mod error;
mod facts;
mod front;
mod held;
mod identity;
mod medium;
mod open;
mod record;
mod room;
mod rows;
mod scan;
mod seal;
mod shelf;
mod store;
mod tables;
mod wal;

pub use chunks::Chunks;
pub use dir::{Dir, DirFile, PlainDir};
pub use error::StoreError;
pub use identity::Identity;
pub use room::is_about_room;
pub use rows::{Row, Rows, Shape};
pub use shelf::{Chunk, Draft, Received, Shelf};
pub use store::Store;
