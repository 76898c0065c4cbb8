use std::collections::BTreeMap;

use bytes::Bytes;
use fastrand::Rng;
use synod_machine::{
    Entry, Expect, Guard, Mutation, ParticipantName, Revision, TxnId,
    branch::Work,
    participant_door::{Call, Freshness, Said},
};

use crate::checks::books::{self, Intent, Standing};

/// Accounts at each participant; few, so that transfers meet.
const ACCOUNTS: u16 = 3;

/// What stands in each account at first.
const OPENING_BALANCE: i64 = 100;

/// Lists at each participant.
const LISTS: u16 = 2;

/// What their keys begin with.
const LIST: &str = "list ";

/// The revision at which the accounts were opened.
pub(super) const OPENING: Revision = Revision::new(1);

/// The name of the participant at `place`.
pub(crate) fn participant_name(place: usize) -> ParticipantName {
    ParticipantName::new(format!("bank {place}"))
}

/// The keys of a participant at first.
pub(super) fn opening() -> BTreeMap<Bytes, Entry> {
    let value = bytes_of(OPENING_BALANCE);
    let entry = Entry { value, create: OPENING, modified: OPENING, version: 1, lease: None };
    (0..ACCOUNTS).map(|account| (account_key(account), entry.clone())).collect()
}

/// One share in so many hangs on an account that it does not move.
const WITNESSES_ONE_IN: u8 = 4;

/// One account's share of a transfer, as seen when the owner looked: it holds only if nobody else
/// moves the same account meanwhile, and perhaps another one.
pub(super) fn share(
    place: usize,
    keys: &BTreeMap<Bytes, Entry>,
    amount: i64,
    rng: &mut Rng,
    work: &mut Work,
    intent: &mut Intent,
) {
    let account = rng.u16(0..ACCOUNTS);
    let key = account_key(account);
    let Some(entry) = keys.get(&key) else { return };
    let balance = balance(&entry.value).unwrap_or_default();
    work.guards.push(Guard { key: key.clone(), expect: Expect::Revision(entry.modified) });
    work.mutations.push(Mutation::Put { key, value: bytes_of(balance + amount) });
    intent.moves.insert(account_name(place, account), amount);
    let witness = account_key((account + 1) % ACCOUNTS);
    if rng.u8(0..WITNESSES_ONE_IN) == 0
        && let Some(entry) = keys.get(&witness)
    {
        work.guards.push(Guard { key: witness, expect: Expect::Revision(entry.modified) });
    }
}

/// Appends the transaction's number to a list, which nobody else may do meanwhile.
pub(super) fn append(
    place: usize,
    keys: &BTreeMap<Bytes, Entry>,
    txn: TxnId,
    rng: &mut Rng,
    work: &mut Work,
    intent: &mut Intent,
) {
    let list = rng.u16(0..LISTS);
    let key = list_key(list);
    let entry = keys.get(&key);
    let expect = entry.map_or(Expect::Absent, |entry| Expect::Revision(entry.modified));
    let so_far = entry.map(|entry| entry.value.as_ref()).unwrap_or_default();
    let value = Bytes::from([so_far, &books::number(txn).to_le_bytes()].concat());
    work.guards.push(Guard { key: key.clone(), expect });
    work.mutations.push(Mutation::Put { key, value });
    intent.lists.insert(list_name(place, list));
}

/// A read of a list, or of all that come after one or none.
pub(super) fn question(freshness: Freshness, rng: &mut Rng) -> Call {
    if rng.bool() {
        return Call::Get { key: list_key(rng.u16(0..LISTS)), freshness };
    }
    let prefix = Bytes::from_static(LIST.as_bytes());
    let after = rng.bool().then(|| list_key(0));
    Call::Scan { prefix, after, limit: u32::from(LISTS), freshness }
}

/// How fresh a read must be; `None` of what is none.
pub(super) fn freshness(call: &Call) -> Option<Freshness> {
    match call {
        Call::Get { freshness, .. } | Call::Scan { freshness, .. } => Some(*freshness),
        _ => None,
    }
}

/// The answer to a read where these keys stand.
pub(super) fn answer(call: &Call, revision: Revision, keys: &BTreeMap<Bytes, Entry>) -> Said {
    let all = |prefix: &Bytes, after: Option<&Bytes>| {
        let wanted = |(key, _): &(&Bytes, &Entry)| {
            key.starts_with(prefix) && after.is_none_or(|after| *key > after)
        };
        let entries = keys.iter().filter(wanted);
        entries.map(|(key, entry)| (key.clone(), entry.clone())).collect()
    };
    match call {
        Call::Get { key, .. } => Said::Key { revision, entry: keys.get(key).cloned() },
        Call::Scan { prefix, after, .. } => {
            Said::Keys { revision, entries: all(prefix, after.as_ref()), more: false }
        }
        other => unreachable!("auditors read, and do not ask {other:?}"),
    }
}

/// The lists of the participant at `place` as an answer shows them.
pub(super) fn lists_of(place: usize, call: &Call, said: &Said) -> Vec<(String, Vec<u64>)> {
    let shown: BTreeMap<&Bytes, &Entry> = match (call, said) {
        (Call::Get { key, .. }, Said::Key { entry, .. }) => {
            entry.iter().map(|entry| (key, entry)).collect()
        }
        (_, Said::Keys { entries, .. }) => {
            entries.iter().map(|(key, entry)| (key, entry)).collect()
        }
        _ => BTreeMap::new(),
    };
    let asked = |key: &Bytes| match call {
        Call::Get { key: asked, .. } => key == asked,
        Call::Scan { after, .. } => after.as_ref().is_none_or(|after| key > after),
        _ => false,
    };
    let lists = (0..LISTS).map(|list| (list, list_key(list))).filter(|(_, key)| asked(key));
    let read = |(list, key): (u16, Bytes)| {
        let entry = shown.get(&key);
        (list_name(place, list), entry.map(|entry| numbers(&entry.value)).unwrap_or_default())
    };
    lists.map(read).collect()
}

/// A word on paper: whatever stands there, it can be written.
pub(super) fn note(txn: TxnId) -> Work {
    let value = Bytes::from(format!("a note of {txn}"));
    let mutations = vec![Mutation::Put { key: Bytes::from_static(b"note"), value }];
    Work { guards: Vec::new(), mutations }
}

/// Adds what stands at the participant at `place`.
pub(super) fn read(place: usize, keys: &BTreeMap<Bytes, Entry>, standing: &mut Standing) {
    for account in 0..ACCOUNTS {
        let balance = keys.get(&account_key(account)).and_then(|entry| balance(&entry.value));
        standing.accounts.insert(account_name(place, account), balance.unwrap_or_default());
    }
    for list in 0..LISTS {
        if let Some(entry) = keys.get(&list_key(list)) {
            standing.lists.insert(list_name(place, list), numbers(&entry.value));
        }
    }
}

fn account_name(place: usize, account: u16) -> String {
    format!("account {account} of bank {place}")
}

fn list_name(place: usize, list: u16) -> String {
    format!("list {list} of bank {place}")
}

fn list_key(list: u16) -> Bytes {
    Bytes::from(format!("{LIST}{list}"))
}

fn numbers(value: &Bytes) -> Vec<u64> {
    let eights = value.as_chunks::<8>().0.iter();
    eights.map(|eight| u64::from_le_bytes(*eight)).collect()
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
