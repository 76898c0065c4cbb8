use std::collections::BTreeMap;

use bytes::Bytes;
use fastrand::Rng;
use synod_machine::{
    Entry, Expect, Guard, Mutation, ParticipantName, Revision, TxnId, branch::Work,
};

/// Accounts at each participant; few, so that transfers meet.
pub(crate) const ACCOUNTS: u16 = 3;

/// What stands in each account at first.
pub(crate) const OPENING_BALANCE: i64 = 100;

/// The revision at which the accounts were opened.
pub(super) const OPENING: Revision = Revision::new(1);

/// The name of the participant at `place`.
pub(crate) fn participant_name(place: usize) -> ParticipantName {
    ParticipantName::new(format!("bank {place}"))
}

/// The keys of a participant at first.
pub(super) fn opening() -> BTreeMap<Bytes, Entry> {
    let value = bytes_of(OPENING_BALANCE);
    let entry = Entry { value, create: OPENING, modified: OPENING, version: 1 };
    (0..ACCOUNTS).map(|account| (account_key(account), entry.clone())).collect()
}

/// One account's share of a transfer, as seen when the owner looked: it holds only if nobody else
/// moves the same account meanwhile.
pub(super) fn share(keys: &BTreeMap<Bytes, Entry>, amount: i64, rng: &mut Rng) -> Work {
    let key = account_key(rng.u16(0..ACCOUNTS));
    let Some(entry) = keys.get(&key) else { return Work::default() };
    let balance = balance(&entry.value).unwrap_or_default();
    let guards = vec![Guard { key: key.clone(), expect: Expect::Revision(entry.modified) }];
    let mutations = vec![Mutation::Put { key, value: bytes_of(balance + amount) }];
    Work { guards, mutations }
}

/// A word on paper: whatever stands there, it can be written.
pub(super) fn note(txn: TxnId) -> Work {
    let value = Bytes::from(format!("a note of {txn}"));
    let mutations = vec![Mutation::Put { key: Bytes::from_static(b"note"), value }];
    Work { guards: Vec::new(), mutations }
}

/// All that stands in the accounts of a participant.
pub(super) fn total(keys: &BTreeMap<Bytes, Entry>) -> i64 {
    let accounts = (0..ACCOUNTS).filter_map(|account| keys.get(&account_key(account)));
    accounts.filter_map(|entry| balance(&entry.value)).sum()
}

fn account_key(account: u16) -> Bytes {
    Bytes::from(format!("account {account}"))
}

fn bytes_of(balance: i64) -> Bytes {
    Bytes::copy_from_slice(&balance.to_le_bytes())
}

fn balance(value: &Bytes) -> Option<i64> {
    Some(i64::from_le_bytes(value.as_ref().try_into().ok()?))
}
