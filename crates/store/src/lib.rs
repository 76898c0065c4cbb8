//! Durable facts in redb: the acceptor's log, its promise and who it is.
//!
//! A store knows no message and no time. [`Store::write`] returns when the disk has the facts; an
//! error of it is final, and the process must end.

mod error;
mod identity;
mod store;

pub use error::StoreError;
pub use identity::Identity;
pub use store::Store;
