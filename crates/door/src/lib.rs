//! Serves the client library over HTTP/1.1 and JSON, to programs in any language.
//!
//! The door is a client of the cluster and no part of it: what comes in over HTTP goes the way of
//! every other client's request, so there is no second path into the log. Each caller is served in
//! a session of its own. What the door promises, its limits and its trust: `docs/http.md`,
//! `docs/security.md`.
//!
//! One table, `routes`, says what there is: requests are matched, checked and read by it, and
//! [`openapi`] writes the document from it.
//!
//! ```
//! let document = synod_door::openapi();
//! assert!(document.contains(r#""operationId": "lockAcquire""#));
//! ```

mod answer;
mod ask;
mod barriers;
mod body;
mod caller;
mod claims;
mod counters;
mod desk;
mod door;
mod elections;
mod fault;
mod gate;
mod heading;
mod journals;
mod kv;
mod leases;
mod limits;
mod line;
mod locks;
mod multi;
mod numbers;
mod octets;
mod openapi;
mod query;
mod registers;
mod requests;
mod route;
mod routes;
mod shape;
mod status;
mod tally;
#[cfg(test)]
mod tests;
mod token;
mod txns;
mod watch;

pub use door::{Config, Door, DoorError, Trust};
pub use limits::Limits;
pub use openapi::openapi;
pub use tally::{Cut, Tally};
pub use token::TokenError;
