//! What must hold in one file, and between the files of one cluster.

use std::path::Path;

use synod_net::{Name, settings};
use synod_paxos::{Members, NodeId};

use super::{Config, ConfigError, DoorKeys, HttpKeys, Keys, Voter};

/// Frames on the log lane end at 2 MiB: a batch and its envelope must fit one.
const BATCH_BYTES_LIMIT: u64 = 3 << 19;
/// Acceptors vote this far above their own watermark and no further.
const WINDOW_SLOTS_LIMIT: u64 = 16_384;
/// A month: whoever wants none by age has one by bytes before that.
const EVERY_S_LIMIT: u64 = 31 * 24 * 3_600;
/// Slower than one chunk in four seconds, and peers give up.
const RATE_MIN: u64 = 64 << 10;
const RATE_LIMIT: u64 = 1 << 34;
/// A log longer than this is a burden at every start.
const TAIL_SLOTS_LIMIT: u64 = 1_000_000;
/// A window above this would not fit in the memory of a small machine.
const WINDOW_BYTES_LIMIT: u64 = 1 << 30;
/// Longer than any sane network or disk; keeps sums of spans far from overflow.
const SPAN_MS_LIMIT: u64 = 600_000;

/// Checks a file's keys against each other.
pub(super) fn whole(path: &Path, keys: Keys, written: toml::Table) -> Result<Config, ConfigError> {
    let cluster = name(path, "cluster", &keys.cluster)?;
    let own = name(path, "node.name", &keys.node.name)?;
    let cluster_id = cluster_id(path, &keys.cluster_id)?;
    let voters = keys.peer.iter().map(|peer| Voter::of(peer, path));
    let voters = voters.collect::<Result<Vec<Voter>, ConfigError>>()?;
    distinct(path, &voters)?;
    addresses(path, &voters)?;
    let members = Members::new(voters.iter().map(|voter| voter.life).collect());
    let members = members
        .map_err(|_| ConfigError::VotersCount { path: path.to_owned(), found: voters.len() })?;
    let life = own_entry(path, &keys, &own, &voters)?.life;
    keys.http.check(path)?;
    keys.door.as_ref().map_or(Ok(()), |door| door.check(path))?;
    ranges(path, &keys)?;
    let path = path.to_owned();
    Ok(Config { path, keys, written, cluster, cluster_id, name: own, members, voters, life })
}

fn name(path: &Path, key: &str, text: &str) -> Result<Name, ConfigError> {
    Name::new(text).map_err(|source| ConfigError::Name {
        path: path.to_owned(),
        key: key.to_owned(),
        source,
    })
}

fn cluster_id(path: &Path, text: &str) -> Result<u64, ConfigError> {
    let found = || ConfigError::ClusterId { path: path.to_owned(), found: text.to_owned() };
    settings::cluster_id(text).ok_or_else(found)
}

fn distinct(path: &Path, voters: &[Voter]) -> Result<(), ConfigError> {
    for (place, two) in voters.iter().enumerate() {
        for one in &voters[..place] {
            let shared = if one.life.node == two.life.node {
                Some(("id", two.life.node.get().to_string()))
            } else if one.name == two.name {
                Some(("name", format!("{:?}", two.name.as_str())))
            } else if one.address == two.address {
                Some(("address", format!("{:?}", two.address)))
            } else {
                None
            };
            if let Some((key, value)) = shared {
                let (one, two) = (describe(one), describe(two));
                return Err(ConfigError::Twice { path: path.to_owned(), key, value, one, two });
            }
        }
    }
    Ok(())
}

fn describe(voter: &Voter) -> String {
    format!("{} (id {}, {})", voter.name, voter.life.node.get(), voter.address)
}

fn addresses(path: &Path, voters: &[Voter]) -> Result<(), ConfigError> {
    match voters.iter().find(|voter| !settings::is_host_port(&voter.address)) {
        None => Ok(()),
        Some(voter) => Err(ConfigError::Address {
            path: path.to_owned(),
            id: voter.life.node.get(),
            found: voter.address.clone(),
        }),
    }
}

fn own_entry<'a>(
    path: &Path,
    keys: &Keys,
    own: &Name,
    voters: &'a [Voter],
) -> Result<&'a Voter, ConfigError> {
    let id = keys.node.id;
    let Some(entry) = voters.iter().find(|voter| voter.life.node == NodeId::new(id)) else {
        let listed = keys.peer.iter().map(|peer| peer.id).collect();
        return Err(ConfigError::OwnIdAbsent { path: path.to_owned(), id, listed });
    };
    if entry.name != *own {
        return Err(ConfigError::OwnNameDiffers {
            path: path.to_owned(),
            id,
            own: own.clone(),
            listed: entry.name.clone(),
        });
    }
    Ok(entry)
}

impl HttpKeys {
    /// What must hold of them in the file at `path`.
    pub fn check(&self, path: &Path) -> Result<(), ConfigError> {
        if !self.listen.ip().is_loopback() && !self.expose_plaintext_beyond_loopback {
            return Err(ConfigError::Exposed { path: path.to_owned(), found: self.listen });
        }
        let connections = u64::try_from(self.connections_max).unwrap_or(u64::MAX);
        range(path, ("http.connections_max", connections, 1, 65_536))
    }
}

impl DoorKeys {
    /// Who may come is said in so many words, and what has no meaning is not said.
    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let wrong = |what| Err(ConfigError::Door { path: path.to_owned(), what });
        match (self.tls, self.plain_role) {
            (false, _) if !self.listen.ip().is_loopback() => wrong(
                "listen: without certificates it may only be loopback; tls = true serves others",
            ),
            (false, None) => {
                wrong("plain_role: says what callers without a certificate may do, and is missing")
            }
            (true, Some(_)) => {
                wrong("plain_role: with tls = true every caller's certificate says what it may do")
            }
            (true, None) if self.plain_token_file.is_some() => {
                wrong("plain_token_file: with tls = true every caller shows a certificate")
            }
            (false, Some(_)) | (true, None) => {
                let connections = u64::try_from(self.connections_max).unwrap_or(u64::MAX);
                range(path, ("door.connections_max", connections, 1, 65_536))
            }
        }
    }
}

fn range(
    path: &Path,
    (key, found, min, max): (&'static str, u64, u64, u64),
) -> Result<(), ConfigError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(ConfigError::Range { path: path.to_owned(), key, found, min, max })
}

fn ranges(path: &Path, keys: &Keys) -> Result<(), ConfigError> {
    let (timing, limits, snapshots) = (&keys.timing, &keys.limits, &keys.snapshots);
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let spans = [
        ("timing.heartbeat_ms", timing.heartbeat_ms, 1, SPAN_MS_LIMIT),
        ("timing.suspect_min_ms", timing.suspect_min_ms, 1, SPAN_MS_LIMIT),
        ("timing.suspect_max_ms", timing.suspect_max_ms, 1, SPAN_MS_LIMIT),
        ("timing.disk_stall_ms", timing.disk_stall_ms, 1, SPAN_MS_LIMIT),
        ("timing.session_grace_ms", timing.session_grace_ms, 0, SPAN_MS_LIMIT),
        ("timing.stop_within_ms", timing.stop_within_ms, 1, SPAN_MS_LIMIT),
        ("limits.batch_bytes_max", wide(limits.batch_bytes_max), 4_096, BATCH_BYTES_LIMIT),
        ("limits.window_slots", limits.window_slots, 1, WINDOW_SLOTS_LIMIT),
        ("limits.window_bytes", wide(limits.window_bytes), 4_096, WINDOW_BYTES_LIMIT),
        ("limits.queue_bytes_max", wide(limits.queue_bytes_max), 4_096, WINDOW_BYTES_LIMIT),
        ("limits.requests_max", wide(limits.requests_max), 1, 1_000_000),
        ("limits.requests_per_client_max", wide(limits.requests_per_client_max), 1, 1_000_000),
        ("snapshots.every_bytes", snapshots.every_bytes, 1_024, 1 << 40),
        ("snapshots.every_s", snapshots.every_s, 1, EVERY_S_LIMIT),
        ("snapshots.tail_slots", snapshots.tail_slots, 0, TAIL_SLOTS_LIMIT),
        ("snapshots.write_bytes_per_s", snapshots.write_bytes_per_s, RATE_MIN, RATE_LIMIT),
        ("snapshots.transfer_bytes_per_s", snapshots.transfer_bytes_per_s, RATE_MIN, RATE_LIMIT),
    ];
    spans.into_iter().try_for_each(|span| range(path, span))?;
    order(
        path,
        [
            ("timing.heartbeat_ms", timing.heartbeat_ms),
            ("timing.suspect_min_ms", timing.suspect_min_ms),
            ("timing.suspect_max_ms", timing.suspect_max_ms),
        ],
    )?;
    order(
        path,
        [
            ("limits.batch_bytes_max", wide(limits.batch_bytes_max)),
            ("limits.window_bytes", wide(limits.window_bytes)),
        ],
    )
}

fn order<const N: usize>(path: &Path, rising: [(&'static str, u64); N]) -> Result<(), ConfigError> {
    for pair in rising.windows(2) {
        let [(smaller, small), (larger, large)] = [pair[0], pair[1]];
        if small > large {
            let path = path.to_owned();
            return Err(ConfigError::Order { path, smaller, small, larger, large });
        }
    }
    Ok(())
}

/// Checks that `configs` are files of different nodes of one cluster: one cluster id, one list of
/// voters, and nothing claimed twice.
pub fn check_many(configs: &[Config]) -> Result<(), ConfigError> {
    for (place, two) in configs.iter().enumerate() {
        for one in &configs[..place] {
            agree(one, two)?;
            apart(one, two)?;
        }
    }
    Ok(())
}

fn agree(one: &Config, two: &Config) -> Result<(), ConfigError> {
    let differ = |what: String, a: String, b: String| {
        let (path, other) = (one.path.clone(), two.path.clone());
        Err(ConfigError::Differ { path, other, what, one: a, two: b })
    };
    if one.cluster != two.cluster {
        return differ("cluster".into(), one.cluster.to_string(), two.cluster.to_string());
    }
    if one.cluster_id != two.cluster_id {
        let hex = |config: &Config| format!("{:016x}", config.cluster_id);
        return differ("cluster_id".into(), hex(one), hex(two));
    }
    let sorted = |config: &Config| {
        let mut voters = config.voters.clone();
        voters.sort_by_key(|voter| voter.life);
        voters
    };
    let (ours, theirs) = (sorted(one), sorted(two));
    if ours.len() != theirs.len() {
        let count = |voters: &[Voter]| voters.len().to_string();
        return differ("the number of voters".into(), count(&ours), count(&theirs));
    }
    match ours.iter().zip(&theirs).find(|(our, their)| our != their) {
        None => Ok(()),
        Some((our, their)) => {
            differ(format!("voter {}", our.life.node.get()), spell(our), spell(their))
        }
    }
}

fn spell(voter: &Voter) -> String {
    let incarnation = voter.life.incarnation;
    format!("{} with incarnation {incarnation}", describe(voter))
}

fn apart(one: &Config, two: &Config) -> Result<(), ConfigError> {
    let shared = |what, value: String| {
        let (path, other) = (one.path.clone(), two.path.clone());
        Err(ConfigError::Shared { path, other, what, value })
    };
    if one.life.node == two.life.node {
        return shared("node.id", one.life.node.get().to_string());
    }
    if one.data() == two.data() {
        return shared("node.data", one.data().display().to_string());
    }
    Ok(())
}
