//! One file a verb: what it asks, and how it shows the answer.

pub(crate) mod ask;
pub(crate) mod barrier;
pub(crate) mod bench;
pub(crate) mod cert;
pub(crate) mod check_config;
pub(crate) mod claim;
pub(crate) mod counter;
pub(crate) mod election;
pub(crate) mod init;
pub(crate) mod journal;
pub(crate) mod kv;
pub(crate) mod leader;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod register;
pub(crate) mod request;
pub(crate) mod shard;
pub(crate) mod sim;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod txn;
