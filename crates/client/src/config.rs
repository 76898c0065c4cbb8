use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::IgnoredAny};
use synod_machine::limits::{TTL_MS_MAX, TTL_MS_MIN};
use synod_net::{
    Name,
    settings::{self, Row, SettingsError, TlsFiles},
};

/// When no `timeout_ms` is given: longer than any election.
const TIMEOUT_MS: u64 = 5_000;
/// A day. Whoever waits longer wants a queue.
const TIMEOUT_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// When no `session_ttl_ms` is given: an election and two lost keep-alives fit into it.
const SESSION_TTL_MS: u64 = 10_000;
/// Clusters have up to seven voters; the rest is room for nodes that are being replaced.
const ENDPOINTS_MAX: usize = 16;

/// Which cluster, where its nodes are, and who one is: the contents of a `client.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cluster's name.
    pub cluster: Name,
    /// Tells two clusters of one name apart.
    pub cluster_id: u64,
    /// The nodes; at least one.
    pub endpoints: Vec<Endpoint>,
    /// What proves the own identity.
    pub tls: TlsFiles,
    /// How long a call takes at most, if not told otherwise.
    pub timeout: Duration,
    /// The silence after which the cluster ends a session of this client.
    pub session_ttl: Duration,
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name; its certificate must say the same.
    pub name: Name,
    /// `host:port`, resolved at every attempt to connect.
    pub address: String,
}

/// Why a file is no configuration of a client. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read, or a key is unknown, missing or of the wrong type.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A key has a value that makes no sense.
    #[error("{}: {key}: {what}", .path.display())]
    Value {
        /// In which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
}

/// A whole file, as written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    cluster: String,
    cluster_id: String,
    #[serde(default = "timeout_ms")]
    timeout_ms: u64,
    #[serde(default = "session_ttl_ms")]
    session_ttl_ms: u64,
    tls: TlsFiles,
    endpoint: Vec<EndpointKeys>,
    /// A participant's file has these too; they are read by the participant.
    #[serde(default, rename = "shard", skip_serializing)]
    _shard: Option<IgnoredAny>,
    #[serde(default, rename = "http", skip_serializing)]
    _http: Option<IgnoredAny>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct EndpointKeys {
    name: String,
    address: String,
}

fn timeout_ms() -> u64 {
    TIMEOUT_MS
}

fn session_ttl_ms() -> u64 {
    SESSION_TTL_MS
}

impl Config {
    /// Reads a `client.toml`. Relative paths in it are relative to the file.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        Config::check(path, settings::read(path)?)
    }

    /// As [`Config::load`], of text that was read already; `path` is for messages and for what is
    /// relative to it.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        Config::check(path, settings::parse(path, text)?)
    }

    /// Every key of the file at `path`, with its effective value and where it comes from.
    pub fn describe(path: &Path) -> Result<Vec<Row>, ConfigError> {
        let (keys, written): (Keys, toml::Table) = (settings::read(path)?, settings::read(path)?);
        Ok(settings::describe(&keys, &written))
    }

    fn check(path: &Path, keys: Keys) -> Result<Config, ConfigError> {
        let wrong = |key: &str, what: String| ConfigError::Value {
            path: path.to_path_buf(),
            key: key.to_owned(),
            what,
        };
        let name = |key: &str, name: String| {
            Name::new(name).map_err(|error| wrong(key, error.to_string()))
        };
        let ms = |key: &str, ms: u64, min: u64, max: u64| {
            if (min..=max).contains(&ms) {
                return Ok(Duration::from_millis(ms));
            }
            Err(wrong(key, format!("{ms} ms; from {min} to {max} are allowed")))
        };
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for endpoint in keys.endpoint {
            let endpoint = check_endpoint(endpoint).map_err(|what| wrong("endpoint", what))?;
            if endpoints.iter().any(|other| other.name == endpoint.name) {
                return Err(wrong("endpoint", format!("{} is named twice", endpoint.name)));
            }
            endpoints.push(endpoint);
        }
        if !(1..=ENDPOINTS_MAX).contains(&endpoints.len()) {
            let what = format!("{} nodes; from 1 to {ENDPOINTS_MAX} are allowed", endpoints.len());
            return Err(wrong("endpoint", what));
        }
        Ok(Config {
            cluster: name("cluster", keys.cluster)?,
            cluster_id: parse_id(&keys.cluster_id).map_err(|what| wrong("cluster_id", what))?,
            endpoints,
            tls: keys.tls.below(path.parent().unwrap_or(Path::new(""))),
            timeout: ms("timeout_ms", keys.timeout_ms, 1, TIMEOUT_MS_MAX)?,
            session_ttl: ms("session_ttl_ms", keys.session_ttl_ms, TTL_MS_MIN, TTL_MS_MAX)?,
        })
    }
}

fn check_endpoint(keys: EndpointKeys) -> Result<Endpoint, String> {
    let name = Name::new(keys.name).map_err(|error| error.to_string())?;
    if settings::is_host_port(&keys.address) {
        return Ok(Endpoint { name, address: keys.address });
    }
    Err(format!("{name}: {:?} is not HOST:PORT, with a port above 0", keys.address))
}

fn parse_id(text: &str) -> Result<u64, String> {
    settings::cluster_id(text)
        .ok_or_else(|| format!("{text:?} is not a number above 0 in 1 to 16 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use synod_net::settings::Origin;

    use super::*;

    const SMALLEST: &str = r#"
        cluster = "catalog-eu"
        cluster_id = "00000000000000ff"
        [tls]
        ca = "certs/ca.crt"
        cert = "/etc/app.crt"
        key = "certs/app.key"
        [[endpoint]]
        name = "n1"
        address = "n1.example:7411"
    "#;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("/etc/synod/client.toml"), text)
    }

    fn said(from: &str, to: &str) -> String {
        assert!(SMALLEST.contains(from), "{from} is in the sample");
        parse(&SMALLEST.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_given_has_its_default_and_paths_are_relative_to_the_file() {
        let config = parse(SMALLEST).unwrap();
        assert_eq!(config.cluster_id, 255);
        assert_eq!(config.timeout, Duration::from_secs(5));
        assert_eq!(config.session_ttl, Duration::from_secs(10));
        assert_eq!(config.tls.ca, Path::new("/etc/synod/certs/ca.crt"));
        assert_eq!(config.tls.cert, Path::new("/etc/app.crt"));
    }

    /// The example names every key there is, and shows each default.
    #[test]
    fn the_commented_example_names_every_key_and_shows_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/client.toml");
        let example = Config::load(&path).unwrap();
        let defaults = parse(SMALLEST).unwrap();
        assert_eq!(example.timeout, defaults.timeout);
        assert_eq!(example.session_ttl, defaults.session_ttl);
        for row in Config::describe(&path).unwrap() {
            assert_eq!(row.origin, Origin::File, "the example does not show {}", row.key);
        }
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_place_and_the_nearest_one() {
        let said = said("cluster_id", "clusterid");
        assert!(said.contains("line 3") && said.contains("`cluster_id`"), "{said}");
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_with_its_key() {
        for (from, to, key) in [
            ("catalog-eu", "catalog eu", "cluster"),
            ("00000000000000ff", "0", "cluster_id"),
            ("00000000000000ff", "+f", "cluster_id"),
            ("00000000000000ff", "10000000000000000", "cluster_id"),
            ("n1.example:7411", "n1.example", "endpoint"),
            ("n1.example:7411", "n1.example:0", "endpoint"),
            ("[tls]", "timeout_ms = 0\n[tls]", "timeout_ms"),
            ("[tls]", "session_ttl_ms = 99\n[tls]", "session_ttl_ms"),
            ("[[endpoint]]", "[[endpoint]]\nname='n1'\naddress='a:1'\n[[endpoint]]", "endpoint"),
        ] {
            let said = said(from, to);
            assert!(said.starts_with(&format!("/etc/synod/client.toml: {key}: ")), "{said}");
        }
    }

    #[test]
    fn a_file_without_a_node_is_refused() {
        let (head, _) = SMALLEST.split_once("[[endpoint]]").unwrap();
        let head = head.replace("cluster =", "endpoint = []\ncluster =");
        assert!(parse(&head).unwrap_err().to_string().contains("0 nodes"));
    }

    /// A participant has one file for itself and for its client.
    #[test]
    fn the_table_of_a_shard_is_left_to_the_shard() {
        parse(&format!("{SMALLEST}\n[shard]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
    }
}
