//! Whom a load asks: Synod, or what somebody would take instead of it.

mod etcd;
mod pids;
mod synod;
mod target;
mod wire;
mod zookeeper;

use std::path::Path;

use bytes::Bytes;
use synod_client::{
    Client, Error, MultiBuilder, Outcome,
    machine::{Mutation, Position, branch::Work, door::Stages},
};

pub use etcd::Etcd;
pub use pids::Pids;
pub use synod::Synod;
pub use target::{Target, TargetError};
pub use zookeeper::ZooKeeper;

use crate::BenchError;

/// A system that is there to be asked.
#[derive(Debug)]
pub enum Service {
    /// A cluster of this project.
    Synod(Synod),
    /// One of etcd.
    Etcd(Etcd),
    /// One of ZooKeeper.
    ZooKeeper(ZooKeeper),
}

/// A connection to one. Clones share it.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Synod(Client),
    Etcd(etcd::Connection),
    ZooKeeper(zookeeper::Connection),
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Done,
    NotApplied,
    Unknown,
    Refused,
}

/// What the processes of a system have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) cpu_us: u64,
    /// Of the largest process.
    pub(crate) resident_bytes: u64,
    /// Where Synod's batches have spent their time.
    pub(crate) stages: Stages,
}

impl Service {
    /// Its word in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Service::Synod(_) => "synod",
            Service::Etcd(etcd) if etcd.is_secure() => "etcd-tls",
            Service::Etcd(_) => "etcd",
            Service::ZooKeeper(_) => "zookeeper",
        }
    }

    /// Clients that share a connection, as tasks of one application do; alike for all.
    pub(crate) fn per_connection(&self) -> usize {
        64
    }

    /// Where the floor's syncs are made, if its floor is measured.
    pub(crate) fn floor_dir(&self) -> Option<&Path> {
        match self {
            Service::Synod(synod) => synod.dir(),
            Service::Etcd(_) | Service::ZooKeeper(_) => None,
        }
    }

    /// A client of Synod for other questions than the load's.
    pub(crate) fn client(&self) -> Option<&Client> {
        match self {
            Service::Synod(synod) => Some(synod.client()),
            Service::Etcd(_) | Service::ZooKeeper(_) => None,
        }
    }

    pub(crate) async fn connect(&self) -> Result<Caller, BenchError> {
        match self {
            Service::Synod(synod) => Ok(Caller::Synod(synod.connect().await?)),
            Service::Etcd(etcd) => Ok(Caller::Etcd(etcd.connect().await?)),
            Service::ZooKeeper(zookeeper) => Ok(Caller::ZooKeeper(zookeeper.connect().await?)),
        }
    }

    /// What its servers have used so far, if that can be known.
    pub(crate) async fn spent(&self) -> Option<Used> {
        match self {
            Service::Synod(synod) => synod.used().await,
            Service::Etcd(etcd) => etcd.pids().used(),
            Service::ZooKeeper(zookeeper) => zookeeper.pids().used(),
        }
    }

    pub(crate) async fn close(self) {
        if let Service::Synod(synod) = self {
            synod.client().close().await;
        }
    }
}

impl Caller {
    pub(crate) fn client(&self) -> Option<&Client> {
        match self {
            Caller::Synod(client) => Some(client),
            Caller::Etcd(_) | Caller::ZooKeeper(_) => None,
        }
    }

    pub(crate) async fn put(&self, key: String, value: Bytes) -> Result<Answered, BenchError> {
        match self {
            Caller::Synod(client) => Ok(Answered::of(client.kv().put(key, value).await)?.0),
            Caller::Etcd(etcd) => etcd.put(&key, &value).await,
            Caller::ZooKeeper(zookeeper) => zookeeper.put(&key, &value).await,
        }
    }

    /// Linearizable.
    pub(crate) async fn get(&self, key: String) -> Result<Answered, BenchError> {
        match self {
            Caller::Synod(client) => Ok(Answered::of(client.kv().get(key).await)?.0),
            Caller::Etcd(etcd) => etcd.get(&key).await,
            Caller::ZooKeeper(zookeeper) => zookeeper.get(&key).await,
        }
    }

    /// The entry's position is told with it.
    pub(crate) async fn append(
        &self,
        journal: &str,
        value: Bytes,
    ) -> Result<(Answered, Option<Position>), BenchError> {
        let Caller::Synod(client) = self else {
            return Err(BenchError::Cluster("only synod has journals".to_owned()));
        };
        Answered::of(client.journal(journal).append(value).await)
    }

    /// Sets a key at each participant, all or none. One that aborts counts as refused.
    pub(crate) async fn commit(
        &self,
        key: &str,
        value: &Bytes,
        participants: &[String],
    ) -> Result<Answered, BenchError> {
        let Caller::Synod(client) = self else {
            return Err(BenchError::Cluster("only synod has transactions over shards".to_owned()));
        };
        let put = Mutation::Put { key: Bytes::from(key.to_owned()), value: value.clone() };
        let work = Work { guards: Vec::new(), mutations: vec![put] };
        let txn = client.txn();
        let txn = participants.iter().fold(txn, |txn, name| txn.ask(name, work.clone()));
        let (answered, outcome) = Answered::of(txn.commit().await)?;
        let aborted = matches!(outcome, Some(Outcome::Aborted { .. }));
        Ok(if aborted { Answered::Refused } else { answered })
    }

    /// Sets so many keys of the log, all or none.
    pub(crate) async fn multi(
        &self,
        key: &str,
        value: &Bytes,
        at_once: u16,
    ) -> Result<Answered, BenchError> {
        let Caller::Synod(client) = self else {
            return Err(BenchError::Cluster("only synod has transactions here".to_owned()));
        };
        let put = |multi: MultiBuilder, nth| multi.put(format!("{key}/{nth}"), value.clone());
        let multi = (0..at_once).fold(client.kv().multi(), put);
        Ok(Answered::of(multi.await)?.0)
    }

    pub(crate) async fn close(&self) {
        if let Caller::Synod(client) = self {
            client.close().await;
        }
    }
}

impl Answered {
    /// What a result of Synod's client counts as, and what it brought. A wrong request, or a
    /// cluster that cannot be reached at all, ends the measurement.
    pub(crate) fn of<T>(result: Result<T, Error>) -> Result<(Answered, Option<T>), BenchError> {
        match result {
            Ok(done) => Ok((Answered::Done, Some(done))),
            Err(Error::NotApplied { .. } | Error::SessionEnded { .. }) => {
                Ok((Answered::NotApplied, None))
            }
            Err(Error::Unknown { .. } | Error::TxnUnknown { .. } | Error::NoAnswer { .. }) => {
                Ok((Answered::Unknown, None))
            }
            Err(Error::Refused { .. } | Error::LeaseLost { .. }) => Ok((Answered::Refused, None)),
            Err(error) => Err(error.into()),
        }
    }
}
