//! Clients that read and write a few keys, and remember what they saw.

use bytes::Bytes;
use fastrand::Rng;
use synod_client::{
    Cas, Error, Settled,
    machine::{Expect, Reply},
};
use synod_sim::history::{Operation, Saw};

use crate::Common;

/// Few, so that clients meet.
const KEYS: u64 = 4;

/// What a client was about to do.
#[derive(Clone, Debug)]
enum Act {
    Get,
    Put(Bytes),
    /// Sets the key to the second if it holds the first.
    Cas(Option<Bytes>, Bytes),
    Delete,
}

/// Does one thing after the other until it is over; what was seen.
pub(crate) async fn run(common: Common, number: u64, seed: u64) -> Vec<Operation> {
    let mut rng = Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(number));
    let (mut seen, mut last) = (Vec::new(), None);
    for count in 0_u64.. {
        if common.is_over() {
            break;
        }
        let key = Bytes::from(format!("k{}", rng.u64(0..KEYS)));
        let value = Bytes::from(format!("{number}.{count}"));
        let act = match rng.u8(0..10) {
            0..4 => Act::Get,
            4..7 => Act::Put(value),
            7..9 => Act::Cas(last.clone(), value),
            _ => Act::Delete,
        };
        let operation = perform(&common, number, key, act).await;
        if let Some(Saw::Held(held)) = operation.as_ref().and_then(|done| done.saw.first()) {
            last.clone_from(held);
        }
        seen.extend(operation);
        tokio::time::sleep(std::time::Duration::from_millis(rng.u64(0..20))).await;
    }
    seen
}

/// Reads every key once.
pub(crate) async fn read_all(common: &Common) -> Vec<Operation> {
    let mut seen = Vec::new();
    for key in 0..KEYS {
        let key = Bytes::from(format!("k{key}"));
        let operation = perform(common, u64::MAX, key, Act::Get).await;
        seen.push(operation.expect("all is well again, and the deadline long"));
    }
    seen
}

/// Does one thing. `None` when it certainly had no effect and saw nothing.
async fn perform(common: &Common, number: u64, key: Bytes, act: Act) -> Option<Operation> {
    let (kv, asked) = (common.client.kv(), common.now());
    let done = match &act {
        Act::Get => kv.get(key.clone()).await.map(Reply::Mismatch),
        Act::Put(value) => kv.put(key.clone(), value.clone()).await.map(Reply::Written),
        Act::Cas(held, value) => {
            let expect = held.clone().map_or(Expect::Absent, Expect::Value);
            match kv.cas(key.clone(), expect, value.clone()).await {
                Ok(Cas::Done(revision)) => Ok(Reply::Written(revision)),
                Ok(Cas::Mismatch(entry)) => Ok(Reply::Mismatch(entry)),
                Err(error) => Err(error),
            }
        }
        Act::Delete => {
            let existed = kv.delete(key.clone()).await;
            existed.map(|existed| Reply::Deleted { existed, revision: Default::default() })
        }
    };
    let reply = match done {
        Ok(reply) => Some(reply),
        // Some never ask: for the judge it may have happened at any time since, or never.
        Err(Error::Unknown { .. }) if number % 2 == 1 => None,
        Err(Error::Unknown { request }) => match common.client.settle(request).await {
            Ok(Settled::Applied(reply)) => Some(reply),
            Ok(Settled::Never) => return None,
            Err(_) => None,
        },
        Err(Error::NotApplied { .. } | Error::NoAnswer { .. } | Error::SessionEnded { .. }) => {
            return None;
        }
        Err(error) => panic!("client {number}: {error}"),
    };
    let answered = reply.is_some().then(|| common.now());
    Some(told(number, key, (asked, answered), &act, reply))
}

fn told(
    client: u64,
    key: Bytes,
    (asked, answered): (u64, Option<u64>),
    act: &Act,
    reply: Option<Reply>,
) -> Operation {
    let held = |expected: &Option<Bytes>| Saw::Held(expected.clone());
    match (act, reply) {
        (Act::Get | Act::Cas(..), Some(Reply::Mismatch(entry))) => {
            let between = (asked, answered.unwrap_or(u64::MAX));
            Operation::read(client, key, between, entry.map(|entry| entry.value))
        }
        (Act::Put(value), _) => Operation::put(client, key, asked, answered, value.clone()),
        (Act::Cas(expected, value), _) => {
            Operation::cas(client, key, asked, answered, held(expected), value.clone())
        }
        (Act::Delete, Some(Reply::Deleted { existed, .. })) => {
            Operation::delete(client, key, asked, answered, Some(existed))
        }
        (Act::Delete, _) => Operation::delete(client, key, asked, answered, None),
        (Act::Get, reply) => panic!("a read cannot end in {reply:?}"),
    }
}
