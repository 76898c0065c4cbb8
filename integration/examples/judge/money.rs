//! Money moves between accounts at two shards, by atomic commit.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use fastrand::Rng;
use synod_client::{
    Client, Error, Outcome,
    machine::{Expect, Guard, Mutation, TxnId, Verdict, branch::Work},
};
use synod_sim::history::{append::Fate, bank::Transfer};

use crate::Common;

/// Who holds the accounts.
pub(crate) const SHARDS: [&str; 2] = ["east", "west"];

/// Owners of transactions.
pub(crate) const MOVERS: u64 = 4;

/// Accounts at each shard.
const ACCOUNTS: u64 = 6;

/// What stands in each at first.
const OPENING: i64 = 1_000;

/// A transfer, and its transaction where nobody said how it ended.
pub(crate) type Moved = (Transfer, Option<TxnId>);

fn key(account: u64) -> Bytes {
    Bytes::from(format!("a{account}"))
}

fn bytes(balance: i64) -> Bytes {
    Bytes::from(balance.to_string())
}

fn balance(bytes: &Bytes) -> i64 {
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}

/// Opens every account.
pub(crate) async fn open_accounts(client: &Client) -> BTreeMap<String, i64> {
    let mut opening = BTreeMap::new();
    for shard in SHARDS {
        let mut work = Work::default();
        for account in 0..ACCOUNTS {
            work.mutations.push(Mutation::Put { key: key(account), value: bytes(OPENING) });
            opening.insert(format!("{shard}/a{account}"), OPENING);
        }
        let ended = client.txn().ask(shard, work).commit().await.unwrap();
        assert!(matches!(ended, Outcome::Committed { .. }), "{ended:?}");
    }
    opening
}

/// Moves money until it is over.
pub(crate) async fn run(common: Common, number: u64, seed: u64) -> Vec<Moved> {
    let mut rng = Rng::with_seed(seed.wrapping_mul(2_000).wrapping_add(number));
    let mut all = Vec::new();
    while !common.is_over() {
        all.extend(transfer(&common, &mut rng).await);
        tokio::time::sleep(Duration::from_millis(rng.u64(0..30))).await;
    }
    all
}

/// One transfer; `None` when there was nothing to begin with.
async fn transfer(common: &Common, rng: &mut Rng) -> Option<Moved> {
    let amount = rng.i64(-20..=20);
    let (mut txn, mut moves) = (common.client.txn(), BTreeMap::new());
    for (shard, gain) in SHARDS.into_iter().zip([amount, -amount]) {
        let account = rng.u64(0..ACCOUNTS);
        let read = common.client.shard(shard).stale().get(key(account)).await;
        let held = read.ok()??.value;
        let work = Work {
            guards: vec![Guard { key: key(account), expect: Expect::Value(held.clone()) }],
            mutations: vec![Mutation::Put {
                key: key(account),
                value: bytes(balance(&held) + gain),
            }],
        };
        txn = txn.ask(shard, work);
        moves.insert(format!("{shard}/a{account}"), gain);
    }
    let (fate, unknown) = match txn.commit().await {
        Ok(Outcome::Committed { .. }) => (Fate::Committed(common.now()), None),
        Ok(Outcome::Aborted { .. }) => (Fate::Aborted, None),
        Err(Error::TxnUnknown { txn }) => (Fate::Unknown, Some(txn)),
        Err(Error::NotApplied { .. } | Error::NoAnswer { .. } | Error::SessionEnded { .. }) => {
            (Fate::Aborted, None)
        }
        Err(error) => panic!("a transfer: {error}"),
    };
    Some((Transfer { fate, moves }, unknown))
}

/// Asks the log about those of which nobody said how they ended: it must know by now.
pub(crate) async fn settle(common: &Common, moved: Vec<Moved>) -> Vec<Transfer> {
    let mut settled = Vec::new();
    for (mut transfer, unknown) in moved {
        if let Some(txn) = unknown {
            transfer.fate = match common.client.verdict(txn).await.unwrap() {
                Verdict::Committed => Fate::Committed(common.now()),
                Verdict::Aborted => Fate::Aborted,
                Verdict::InProgress | Verdict::Retired => Fate::Unknown,
            };
        }
        settled.push(transfer);
    }
    settled
}

/// What stands in each account, once nothing is in doubt there.
pub(crate) async fn balances(common: &Common) -> BTreeMap<String, i64> {
    let mut closing = BTreeMap::new();
    for name in SHARDS {
        let shard = common.client.shard(name);
        // A read waits for what is in doubt to end.
        for (key, entry) in shard.scan_all().await.unwrap() {
            let account = format!("{name}/{}", String::from_utf8_lossy(&key));
            closing.insert(account, balance(&entry.value));
        }
    }
    closing
}

pub(crate) fn summary(transfers: &[Transfer]) -> String {
    let count = |is: fn(&Fate) -> bool| transfers.iter().filter(|moved| is(&moved.fate)).count();
    let committed = count(|fate| matches!(fate, Fate::Committed(_)));
    let aborted = count(|fate| matches!(fate, Fate::Aborted));
    let unknown = count(|fate| matches!(fate, Fate::Unknown));
    format!("{committed} transfers committed, {aborted} aborted, {unknown} unknown")
}
