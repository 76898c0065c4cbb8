//! Framed bytes between authenticated names over QUIC: identities, certificates, the mesh between
//! nodes, and the door for clients. It knows no ballot, no command and no file of a store.

mod authority;
mod channel;
mod credentials;
mod identity;
mod mesh;
mod server;

pub use authority::{Authority, AuthorityError};
pub use channel::{AskError, Channel, Dialer};
pub use credentials::{Credentials, CredentialsError};
pub use identity::{Identity, IdentityError, Name, Role, Who};
pub use mesh::{Counters, Event, Lane, Mesh, MeshConfig, PeerAddress};
pub use server::{Asked, NetError, Reply, Server};
