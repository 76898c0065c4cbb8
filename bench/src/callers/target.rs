use std::{path::PathBuf, str::FromStr};

use super::{Etcd, Pids, Service, ZooKeeper};
use crate::BenchError;

/// What a load is driven against besides Synod, as somebody types it:
/// `etcd=https://127.0.0.1:2379,tls=DIR,pids=12+13+14` or `zookeeper=127.0.0.1:2181`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// etcd's version 3, by gRPC.
    Etcd {
        /// Of the leader: all load goes there.
        host: String,
        /// The directory of `ca.crt`, `client.crt` and `client.key`, for mutual TLS.
        tls: Option<PathBuf>,
        /// Its servers, if they run here.
        pids: Pids,
    },
    /// ZooKeeper, by its own protocol, in plain text.
    ZooKeeper {
        /// Of the leader.
        host: String,
        /// Its servers, if they run here.
        pids: Pids,
    },
}

/// Why a text names no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no target: {why}")]
pub struct TargetError {
    text: String,
    why: &'static str,
}

impl Target {
    /// Reaches it.
    pub async fn open(self) -> Result<Service, BenchError> {
        Ok(match self {
            Target::Etcd { host, tls, pids } => {
                Service::Etcd(Etcd::open(host, tls.as_deref(), pids)?)
            }
            Target::ZooKeeper { host, pids } => {
                Service::ZooKeeper(ZooKeeper::open(host, pids).await?)
            }
        })
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let wrong = |why| TargetError { text: text.to_owned(), why };
        let (system, rest) = text.split_once('=').ok_or_else(|| wrong("write NAME=ADDRESS"))?;
        let mut parts = rest.split(',');
        let address = parts.next().unwrap_or_default();
        let (mut tls, mut pids) = (None, Pids::default());
        for part in parts {
            match part.split_once('=') {
                Some(("tls", dir)) => tls = Some(PathBuf::from(dir)),
                Some(("pids", list)) => {
                    let read: Result<_, _> = list.split('+').map(str::parse).collect();
                    pids = Pids(read.map_err(|_| wrong("pids are numbers with + between them"))?);
                }
                _ => return Err(wrong("tls=DIR and pids=P+P+P may follow the address")),
            }
        }
        match (system, address.split_once("://")) {
            ("etcd", Some(("https", host))) if tls.is_some() => {
                Ok(Target::Etcd { host: host.to_owned(), tls, pids })
            }
            ("etcd", Some(("https", _))) => Err(wrong("https needs tls=DIR")),
            ("etcd", Some(("http", host))) if tls.is_none() => {
                Ok(Target::Etcd { host: host.to_owned(), tls, pids })
            }
            ("etcd", _) => Err(wrong("etcd's address is http://HOST:PORT or https://HOST:PORT")),
            ("zookeeper", None) if tls.is_none() && address.contains(':') => {
                Ok(Target::ZooKeeper { host: address.to_owned(), pids })
            }
            ("zookeeper", _) => Err(wrong("zookeeper's address is HOST:PORT, in plain text")),
            _ => Err(wrong("etcd and zookeeper are")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_typed() {
        let etcd: Target = "etcd=https://127.0.0.1:2379,tls=/d,pids=1+2".parse().unwrap();
        let host = "127.0.0.1:2379".to_owned();
        let (tls, pids) = (Some(PathBuf::from("/d")), Pids(vec![1, 2]));
        assert_eq!(etcd, Target::Etcd { host: host.clone(), tls, pids });
        let zookeeper = "zookeeper=127.0.0.1:2379".parse();
        assert_eq!(zookeeper, Ok(Target::ZooKeeper { host, pids: Pids::default() }));
        for wrong in [
            "etcd",
            "etcd=127.0.0.1:2379",
            "etcd=https://h:1",
            "etcd=http://h:1,tls=/d",
            "etcd=http://h:1,pids=x",
            "etcd=http://h:1,x=y",
            "zookeeper=h",
            "zookeeper=h:1,tls=/d",
            "consul=h:1",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
