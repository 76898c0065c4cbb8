//! Framed bytes between authenticated names over QUIC: identities, certificates, the mesh between
//! nodes, and the door for clients. It knows no ballot, no command and no file of a store.

mod answers;
mod authority;
mod bundle;
mod bye;
mod call;
mod channel;
mod counters;
mod credentials;
mod desk;
mod dialling;
mod expect;
mod files;
mod frame;
mod guests;
mod hello;
mod identity;
mod knock;
mod limits;
mod link;
mod listener;
mod mesh;
mod penalty;
mod promptly;
mod queue;
mod reading;
mod relay;
mod reply;
mod reset;
mod server;
pub mod settings;
mod strikes;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod web;

pub use authority::{Authority, AuthorityError, Leaf};
pub use channel::{AskError, Channel, Dialer};
pub use counters::Counters;
pub use credentials::{Credentials, CredentialsError, Root};
pub use identity::{Identity, IdentityError, Name, Role, Who};
pub use mesh::{Event, Lane, Mesh, MeshConfig, PeerAddress};
pub use relay::{Conditions, Relay};
pub use reply::Reply;
pub use server::{Asked, NetError, Server};
pub use transport::Congestion;
pub use web::{WebDoor, WebError, WebStream};
