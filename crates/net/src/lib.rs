//! Framed bytes between authenticated names over QUIC: identities, certificates, the mesh between
//! nodes, and the door for clients. It knows no ballot, no command and no file of a store.

mod authority;
mod bye;
mod channel;
mod counters;
mod credentials;
mod frame;
mod identity;
mod link;
mod listener;
mod mesh;
mod queue;
mod relay;
mod server;
pub mod settings;
mod tls;

pub use authority::{Authority, AuthorityError};
pub use channel::{AskError, Channel, Dialer};
pub use counters::Counters;
pub use credentials::{Credentials, CredentialsError};
pub use identity::{Identity, IdentityError, Name, Role, Who};
pub use mesh::{Event, Lane, Mesh, MeshConfig, PeerAddress};
pub use relay::{Conditions, Relay};
pub use server::{Asked, NetError, Reply, Server};
