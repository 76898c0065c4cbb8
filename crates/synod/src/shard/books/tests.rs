use std::{
    collections::BTreeSet,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use synod_client::machine::{
    Entry, Expect, Guard, Mutation, SessionId, TxnId, Verdict,
    branch::Work,
    participant_door::{Freshness, NoReason, Vote},
};

use super::{disk::Disk, *};

impl Books {
    /// Steps, and syncs whether or not somebody waits for it.
    fn step_all(&mut self, now: Moment, steps: Vec<Input>) -> Result<Outcome, ShardError> {
        let mut outcome = self.step(now, steps)?;
        let (_, synced) = self.sync()?;
        outcome.words.extend(synced.words);
        Ok(outcome)
    }
}

const DISK: &str = "(a disk in memory)";
const CLUSTER: u64 = 7;
const GRACE_MS: u64 = 1_000;
const NOW: Moment = Moment(0);
/// A small log, which is full now and then.
const WAL_BYTES: u64 = 64 << 10;
/// The files of a disk.
const FILE: usize = 0;
const WAL: usize = 1;
/// Transactions of the script below.
const TXNS: u64 = 6;

fn formatted() -> Disk {
    let disk = Disk::default();
    Store::format_on(disk.files(), WAL_BYTES, Path::new(DISK), "east", CLUSTER).unwrap();
    disk
}

fn open(disk: &Disk) -> Result<Books, ShardError> {
    let path = PathBuf::from(DISK);
    let (store, durable) = Store::open_on(disk.files(), path, "east", CLUSTER)?;
    Ok(Books::open(store, &durable, ParticipantName::new("east"), GRACE_MS, NOW))
}

fn txn(n: u64) -> TxnId {
    TxnId { session: SessionId::new(1), n }
}

/// Two keys that belong together.
fn work(n: u64) -> Work {
    let put = |half: &str| Mutation::Put {
        key: format!("{n}/{half}").into(),
        value: format!("value of {n}").into(),
    };
    Work { guards: Vec::new(), mutations: vec![put("left"), put("right")] }
}

fn prepare(n: u64) -> Input {
    Input::Prepare { asker: Asker(n), txn: txn(n), work: work(n) }
}

fn finish(n: u64, verdict: Verdict) -> Input {
    Input::Finish { asker: Some(Asker(n)), txn: txn(n), verdict }
}

fn said(outcome: Outcome) -> Vec<(u64, Said)> {
    let said = |word| match word {
        Word::Said { to, said } => Some((to.0, said)),
        Word::Acknowledge(_) => None,
    };
    outcome.words.into_iter().filter_map(said).collect()
}

fn key(books: &mut Books, key: &str) -> Option<Entry> {
    let call = Call::Get { key: key.to_owned().into(), freshness: Freshness::Finished };
    match books.sync().unwrap().0.read(NOW, &call).unwrap() {
        Said::Key { entry, .. } => entry,
        other => panic!("{other:?} is no key"),
    }
}

fn in_doubt(books: &Books) -> Vec<u64> {
    books.branches().in_doubt(NOW).iter().map(|row| row.txn.n).collect()
}

fn is_yes(said: &Said) -> bool {
    matches!(said, Said::Vote(Vote::Yes { .. }))
}

/// A branch that voted keeps its locks over a restart, until its verdict comes.
#[test]
fn a_restart_keeps_what_is_prepared_and_its_locks() {
    let disk = formatted();
    let mut books = open(&disk).unwrap();
    assert!(is_yes(&said(books.step_all(NOW, vec![prepare(1)]).unwrap())[0].1));
    drop(books);
    let mut books = open(&disk).unwrap();
    assert_eq!(in_doubt(&books), [1]);
    let rival = Input::Prepare { asker: Asker(2), txn: txn(2), work: work(1) };
    let refused = said(books.step_all(NOW, vec![rival.clone()]).unwrap());
    let locked = |by, key: &str| NoReason::Locked { by, key: key.to_owned().into() };
    let reason = locked(txn(1), "1/left");
    assert_eq!(refused, [(2, Said::Vote(Vote::No { reason }))]);
    let done = said(books.step_all(NOW, vec![finish(1, Verdict::Committed)]).unwrap());
    assert_eq!(done, [(1, Said::Finished)]);
    assert!(key(&mut books, "1/left").is_some());
    drop(books);
    let mut books = open(&disk).unwrap();
    assert_eq!(in_doubt(&books), [0u64; 0]);
    let again = Input::Prepare { asker: Asker(3), txn: txn(3), work: work(1) };
    assert!(is_yes(&said(books.step_all(NOW, vec![again]).unwrap())[0].1));
}

/// Many votes, one sync.
#[test]
fn votes_that_gather_share_a_sync() {
    let syncs_of = |votes: std::ops::Range<u64>| {
        let disk = formatted();
        let mut books = open(&disk).unwrap();
        let before = disk.syncs();
        let outcome = books.step_all(NOW, votes.clone().map(prepare).collect()).unwrap();
        assert_eq!(said(outcome).len() as u64, votes.end - votes.start);
        disk.syncs() - before
    };
    assert_eq!((syncs_of(1..2), syncs_of(1..101)), (1, 1));
}

/// Nobody waits for the end of a branch: it is durable with the next vote, by one sync, and until
/// then nobody hears that it is. Its locks are let go of at once, for whoever takes them now is
/// durable no earlier.
#[test]
fn an_end_shares_the_sync_of_the_next_vote() {
    let disk = formatted();
    let mut books = open(&disk).unwrap();
    books.step_all(NOW, vec![prepare(1)]).unwrap();
    let (before, now) = (disk.syncs(), Instant::now());
    let early = books.step(NOW, vec![finish(1, Verdict::Committed)]).unwrap();
    assert!(early.words.is_empty(), "{:?}", early.words);
    assert!(!books.due_in(now, Duration::MAX).is_zero(), "nobody waits for it");
    let rival = Input::Prepare { asker: Asker(2), txn: txn(2), work: work(1) };
    let voted = books.step(NOW, vec![rival]).unwrap();
    assert!(voted.words.is_empty(), "{:?}", voted.words);
    assert!(books.due_in(now, Duration::MAX).is_zero(), "a vote is waited for");
    let (_, synced) = books.sync().unwrap();
    assert_eq!(disk.syncs() - before, 1);
    let acknowledged = synced.words.contains(&Word::Acknowledge(txn(1)));
    assert!(acknowledged, "{:?}", synced.words);
    let said = said(synced);
    assert_eq!(said[0], (1, Said::Finished));
    assert!(is_yes(&said[1].1), "{said:?}");
}

/// An end with no vote after it is durable soon; and there is nothing to be durable after that.
#[test]
fn an_end_alone_is_soon_durable() {
    let disk = formatted();
    let mut books = open(&disk).unwrap();
    books.step_all(NOW, vec![prepare(1)]).unwrap();
    let most = Duration::from_secs(9);
    assert_eq!(books.due_in(Instant::now(), most), most);
    books.step(NOW, vec![finish(1, Verdict::Committed)]).unwrap();
    assert!(books.due_in(Instant::now(), most) <= LINGER);
    assert!(books.due_in(Instant::now() + LINGER, most).is_zero());
    books.sync().unwrap();
    assert_eq!(books.due_in(Instant::now(), most), most);
    assert!(open(&disk.crash(0)).unwrap().branches.in_doubt(NOW).is_empty());
}

/// Whoever is told of a key is told what is durable, and of all that has ended.
#[test]
fn a_read_sees_an_end_that_was_not_synced() {
    let disk = formatted();
    let mut books = open(&disk).unwrap();
    books.step_all(NOW, vec![prepare(1)]).unwrap();
    books.step(NOW, vec![finish(1, Verdict::Committed)]).unwrap();
    let read = key(&mut books, "1/left");
    assert!(read.is_some());
    assert_eq!(key(&mut open(&disk.crash(0)).unwrap(), "1/left"), read);
}

/// What was said by the time that the disk failed.
#[derive(Default)]
struct Promised {
    yes: Vec<u64>,
    finished: Vec<u64>,
}

/// Prepares and ends branches, several at once, until the disk fails.
fn script(disk: &Disk, promised: &mut Promised) -> Result<(), ShardError> {
    let mut books = open(disk)?;
    let mut step = |steps| {
        for (asker, said) in said(books.step_all(NOW, steps)?) {
            match said {
                Said::Vote(Vote::Yes { .. }) => promised.yes.push(asker),
                Said::Finished => promised.finished.push(asker),
                other => panic!("{other:?} in a script without conflicts"),
            }
        }
        Ok::<(), ShardError>(())
    };
    step(vec![prepare(1), prepare(2)])?;
    step(vec![finish(1, Verdict::Committed), prepare(3), prepare(4)])?;
    step(vec![finish(2, Verdict::Aborted), prepare(5)])?;
    step(vec![finish(3, Verdict::Committed), finish(4, Verdict::Committed), prepare(6)])
}

/// After a crash: every vote that was spoken stands with its locks, unless its verdict was carried
/// out; what was said to be finished is; and no transaction is half there.
fn check(disk: &Disk, promised: &Promised, context: &str) {
    let mut books = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let prepared = in_doubt(&books);
    for n in 1..=TXNS {
        let halves =
            [key(&mut books, &format!("{n}/left")), key(&mut books, &format!("{n}/right"))];
        let there = halves.iter().flatten().count();
        assert!(there == 0 || there == 2, "{context}: half of {n} is there");
        let committed = there == 2;
        assert!(!(committed && prepared.contains(&n)), "{context}: {n} is both");
        if promised.yes.contains(&n) {
            let ended = committed || n == 2;
            assert!(prepared.contains(&n) || ended, "{context}: the vote of {n} is forgotten");
        }
        if promised.finished.contains(&n) {
            assert_eq!(committed, n != 2, "{context}: the end of {n} is forgotten");
            assert!(!prepared.contains(&n), "{context}: {n} is prepared again");
        }
    }
}

/// Wherever the power goes, and whatever the disk keeps of what was not synced.
#[test]
fn no_vote_and_no_end_is_forgotten_wherever_the_power_goes() {
    let whole = formatted();
    let first = whole.operations() + 1;
    script(&whole, &mut Promised::default()).unwrap();
    let mut cut_short = 0;
    for operation in first..=whole.operations() {
        let disk = formatted();
        disk.fails_at(operation, ErrorKind::Other);
        let mut promised = Promised::default();
        // The last operations are those of closing: by then everything has been said.
        cut_short += u64::from(script(&disk, &mut promised).is_err());
        for remains in [0, u64::MAX, 0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA] {
            let context = format!("operation {operation}, remains {remains:x}");
            check(&disk.crash(remains), &promised, &context);
        }
    }
    assert!(cut_short >= 4, "{cut_short} operations only");
}

/// A full disk is named, and nothing that was said before is lost.
#[test]
fn a_full_disk_ends_the_shard_by_name() {
    let disk = formatted();
    let mut books = open(&disk).unwrap();
    let mut yes = Vec::new();
    disk.full_from_now_on(FILE);
    let error = loop {
        let n = 1 + yes.len() as u64;
        match books.step_all(NOW, vec![prepare(n)]) {
            Ok(_) => yes.push(n),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ShardError::DiskFull { .. }), "{error}");
    assert!(yes.len() > 3, "the log had room");
    assert_eq!(in_doubt(&open(&disk.crash(u64::MAX)).unwrap()), yes);
}

/// A bit flipped in a stopped shard's promise is found and named, and nothing is served.
#[test]
fn a_damaged_promise_is_named_and_nothing_is_served() {
    let disk = formatted();
    open(&disk).unwrap().step_all(NOW, vec![prepare(1)]).unwrap();
    // An open has redb take the log over.
    drop(open(&disk).unwrap());
    let places = disk.find(FILE, b"value of 1");
    assert!(!places.is_empty());
    for place in places {
        disk.flip(FILE, place * 8);
    }
    let Err(error) = open(&disk) else { panic!("a damaged promise was believed") };
    assert!(matches!(error, ShardError::Damaged { .. }), "{error}");
}

/// A disk on which the newest record, and with it a vote, was changed after a kill: it is never a
/// shard that has not voted.
#[test]
fn a_damaged_newest_record_is_not_taken_for_a_torn_one() {
    const ALL: u64 = u64::MAX;
    let disk = formatted();
    let mut books = open(&disk).unwrap();
    books.step_all(NOW, vec![prepare(1)]).unwrap();
    let before = disk.crash(ALL);
    books.step_all(NOW, vec![prepare(2)]).unwrap();
    assert!(before.differences(&disk.crash(ALL), FILE).is_empty(), "redb was written to");
    let mut changed = before.differences(&disk.crash(ALL), WAL);
    // The zeros that fill up a record's last sector are not of it.
    let zeros: BTreeSet<usize> = disk.find(WAL, &[0]).into_iter().collect();
    while changed.last().is_some_and(|last| zeros.contains(last)) {
        changed.pop();
    }
    assert!(changed.len() > 50, "{} bytes only", changed.len());
    for byte in changed.iter().step_by(3) {
        let damaged = disk.crash(ALL);
        damaged.flip(WAL, byte * 8);
        let Err(error) = open(&damaged) else { panic!("byte {byte} unsaid a vote") };
        assert!(matches!(error, ShardError::Damaged { .. }), "{error}");
    }
}

/// A key that cannot be read is not a key that is absent: no vote rests on it.
#[test]
fn a_key_that_cannot_be_read_ends_the_shard_without_a_vote() {
    let disk = formatted();
    let mut books = open(&disk).unwrap();
    books.store.spoil(b"k");
    let guard = Guard { key: "k".into(), expect: Expect::Absent };
    let work = Work { guards: vec![guard], mutations: Vec::new() };
    let input = Input::Prepare { asker: Asker(1), txn: txn(1), work };
    let error = books.step_all(NOW, vec![input]).unwrap_err();
    assert!(matches!(error, ShardError::Damaged { .. }), "{error}");
}
