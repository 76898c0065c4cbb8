use std::{net::SocketAddr, path::PathBuf};

use synod_net::{CredentialsError, Identity, IdentityError, Name, Who, settings::SettingsError};

/// What is wrong with a node's configuration: where, and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read, is not TOML, or a key of it is unknown, missing or of another type.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The cluster's id is not what `synod init` writes.
    #[error(
        "{}: cluster_id = {found:?} is not a number above 0 in 1 to 16 hexadecimal digits",
        .path.display()
    )]
    ClusterId {
        /// Which file.
        path: PathBuf,
        /// What stands there.
        found: String,
    },
    /// Something that must be a name is none.
    #[error("{}: {key}: {source}", .path.display())]
    Name {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// Why.
        source: IdentityError,
    },
    /// A peer's address is not `HOST:PORT`.
    #[error(
        "{}: peer {id}: address = {found:?} is not HOST:PORT, with a port above 0",
        .path.display()
    )]
    Address {
        /// Which file.
        path: PathBuf,
        /// Whose.
        id: u16,
        /// What stands there.
        found: String,
    },
    /// An even number of voters tolerates no more failures than one less.
    #[error(
        "{}: {found} [[peer]] tables; a cluster has 1, 3, 5 or 7 voters, and each of them, this \
         node included, has one", .path.display()
    )]
    VotersCount {
        /// Which file.
        path: PathBuf,
        /// How many there are.
        found: usize,
    },
    /// Two voters have something in common that must differ.
    #[error("{}: two [[peer]] tables have {key} = {value}: {one} and {two}", .path.display())]
    Twice {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// Its value in both.
        value: String,
        /// One of them.
        one: String,
        /// The other.
        two: String,
    },
    /// This node is not among the voters.
    #[error(
        "{}: node.id = {id}, and no [[peer]] has this id; every voter is listed, this node \
         included (listed: {})", .path.display(), ids(.listed)
    )]
    OwnIdAbsent {
        /// Which file.
        path: PathBuf,
        /// The id that is missing.
        id: u16,
        /// The ids that are there.
        listed: Vec<u16>,
    },
    /// This node's entry among the voters has another name.
    #[error(
        "{}: node.name = {own}, but the [[peer]] with id {id} is named {listed}",
        .path.display()
    )]
    OwnNameDiffers {
        /// Which file.
        path: PathBuf,
        /// This node.
        id: u16,
        /// Its name as `node.name`.
        own: Name,
        /// Its name among the voters.
        listed: Name,
    },
    /// The health page would be shown to everybody.
    #[error(
        "{}: http.listen = {found} is not a loopback address, and health and metrics are served \
         without encryption; if that is meant, set http.expose_plaintext_beyond_loopback = true",
        .path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// What stands there.
        found: SocketAddr,
    },
    /// The door's keys contradict each other.
    #[error("{}: door.{what}", .path.display())]
    Door {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A number is outside of what makes sense.
    #[error("{}: {key} = {found}; {min} to {max} are allowed", .path.display())]
    Range {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What stands there.
        found: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// Two numbers contradict each other.
    #[error("{}: {smaller} = {small} must be at most {larger} = {large}", .path.display())]
    Order {
        /// Which file.
        path: PathBuf,
        /// The key that must be smaller.
        smaller: &'static str,
        /// Its value.
        small: u64,
        /// The key that must be larger.
        larger: &'static str,
        /// Its value.
        large: u64,
    },
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The certificate is somebody else's.
    #[error(
        "{}: is the certificate of {}, and this is node {node} of cluster {cluster}; check \
         tls.cert and tls.key", .cert.display(), spoken(.found)
    )]
    ForeignCertificate {
        /// Which certificate.
        cert: PathBuf,
        /// Whose it is.
        found: Box<Identity>,
        /// The cluster it should be of.
        cluster: Name,
        /// The node it should be of.
        node: Name,
    },
    /// Two nodes' files do not describe one cluster.
    #[error("{} and {} differ in {what}: {one} and {two}", .path.display(), .other.display())]
    Differ {
        /// One file.
        path: PathBuf,
        /// The other file.
        other: PathBuf,
        /// In what.
        what: String,
        /// The value in the first file.
        one: String,
        /// The value in the other file.
        two: String,
    },
    /// Two nodes' files claim the same thing.
    #[error("{} and {} both have {what} = {value}", .path.display(), .other.display())]
    Shared {
        /// One file.
        path: PathBuf,
        /// The other file.
        other: PathBuf,
        /// What only one node can have.
        what: &'static str,
        /// Its value.
        value: String,
    },
}

fn ids(listed: &[u16]) -> String {
    let listed: Vec<String> = listed.iter().map(u16::to_string).collect();
    listed.join(", ")
}

fn spoken(identity: &Identity) -> String {
    match &identity.who {
        Who::Node(name) => format!("node {name} of cluster {}", identity.cluster),
        Who::Client { name, .. } => format!("client {name} of cluster {}", identity.cluster),
    }
}
