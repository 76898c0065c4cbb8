use std::{fs, os::unix::fs::PermissionsExt};

use redb::ReadableTable;
use synod_client::machine::branch::{Work, Write};

use super::{
    place::{FILE, JOURNAL_FILE},
    *,
};

const TXN: TxnId = TxnId { session: SessionId::new(3), n: 7 };

fn open(dir: &Path) -> (Store, Durable) {
    Store::open(dir, "east", 7).unwrap()
}

fn entry(value: &str) -> Entry {
    let at = Revision::new(5);
    Entry { value: value.to_owned().into(), create: at, modified: at, version: 1, lease: None }
}

#[test]
fn what_was_synced_is_there_after_a_restart_and_what_was_not_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, before) = open(dir.path());
    assert_eq!(before, Durable::default());
    let facts = [
        Write::Prepared { txn: TXN, work: Work::default() },
        Write::Key { key: "a".into(), entry: Some(entry("1")) },
        Write::Revision(Revision::new(5)),
        Write::Run { session: TXN.session, first: 1, last: Some(6) },
        Write::Floor { session: TXN.session, below: Some(1) },
        Write::SessionsBelow(SessionId::new(2)),
    ];
    let mut expected = Durable::default();
    let mut writing = store.write().unwrap();
    for fact in &facts {
        writing.put(fact).unwrap();
        expected.write(fact);
    }
    assert_eq!(writing.key(b"a").unwrap(), Some(entry("1")), "read inside the transaction");
    writing.sync().unwrap();
    let mut lost = store.write().unwrap();
    lost.put(&Write::Ended { txn: TXN }).unwrap();
    drop(lost);
    drop(store);
    let (store, after) = open(dir.path());
    assert_eq!(after, expected);
    assert_eq!(store.get(b"a").unwrap(), Some(entry("1")));
}

#[test]
fn what_is_removed_is_gone_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let rows = |there: bool| {
        let key = Write::Key { key: "a".into(), entry: there.then(|| entry("1")) };
        let run = Write::Run { session: TXN.session, first: 1, last: there.then_some(6) };
        let floor = Write::Floor { session: TXN.session, below: there.then_some(1) };
        let branch = match there {
            true => Write::Prepared { txn: TXN, work: Work::default() },
            false => Write::Ended { txn: TXN },
        };
        [key, run, floor, branch]
    };
    for there in [true, false] {
        let mut writing = store.write().unwrap();
        rows(there).iter().for_each(|fact| writing.put(fact).unwrap());
        writing.sync().unwrap();
    }
    drop(store);
    let (store, after) = open(dir.path());
    assert_eq!(after, Durable::default());
    assert_eq!((store.get(b"a").unwrap(), store.count().unwrap()), (None, 0));
}

#[test]
fn the_directory_of_another_shard_or_cluster_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    for (name, cluster) in [("west", 7), ("east", 8)] {
        let error = Store::open(dir.path(), name, cluster).err().unwrap();
        assert!(matches!(error, ShardError::Foreign { .. }), "{error}");
    }
    drop(open(dir.path()));
}

#[test]
fn a_second_process_on_one_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let error = Store::open(dir.path(), "east", 7).err().unwrap();
    assert!(matches!(error, ShardError::InUse { .. }), "{error}");
    drop(first);
}

#[test]
fn what_is_made_is_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("east");
    drop(open(&made));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&made), 0o700);
    assert_eq!(mode(&made.join(FILE)), 0o600);
    assert_eq!(mode(&made.join(JOURNAL_FILE)), 0o600);
}

/// Two first starts at once must not make two shards of one directory.
#[test]
fn the_directory_is_locked_before_anything_is_made_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let lock = place::lock(dir.path()).unwrap();
    let error = Store::open(dir.path(), "east", 7).err().unwrap();
    assert!(matches!(error, ShardError::InUse { .. }), "{error}");
    assert!(!dir.path().join(FILE).exists());
    drop(lock);
    drop(open(dir.path()));
}

#[test]
fn a_file_that_could_not_be_made_whole_has_no_name_yet() {
    let dir = tempfile::tempdir().unwrap();
    let full = || ShardError::DiskFull { path: dir.path().to_path_buf() };
    let error = place::make(dir.path(), |_, _| Err(full())).unwrap_err();
    assert!(matches!(error, ShardError::DiskFull { .. }), "{error}");
    assert!(!dir.path().join(FILE).exists());
    drop(open(dir.path()));
}

/// A crash while the file was made leaves a file of another name, and the shard is made anew.
#[test]
fn an_interrupted_first_start_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shard.redb.new"), b"half a header").unwrap();
    drop(open(dir.path()));
}

fn promise(store: &Store, n: u64) {
    let txn = TxnId { n, ..TXN };
    let mut writing = store.write().unwrap();
    writing.put(&Write::Prepared { txn, work: Work::default() }).unwrap();
    writing.sync().unwrap();
}

/// A shard that forgets what it promised breaks its transactions: it must not start from an older
/// copy of its file, be it a backup or what one changed bit makes of it.
#[test]
fn an_older_copy_of_the_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (file, journal) = (dir.path().join(FILE), dir.path().join(JOURNAL_FILE));
    let store = open(dir.path()).0;
    promise(&store, 1);
    drop(store);
    let backup = [fs::read(&file).unwrap(), fs::read(&journal).unwrap()];
    let store = open(dir.path()).0;
    promise(&store, 2);
    // As a kill leaves it, with its choice between the two newest commits in the tenth byte.
    let mut killed = [fs::read(&file).unwrap(), fs::read(&journal).unwrap()];
    drop(store);
    let newest = [fs::read(&file).unwrap(), fs::read(&journal).unwrap()];
    killed[0][9] ^= 1;
    let put_back = |[shard, synced]: &[Vec<u8>; 2]| {
        fs::write(&file, shard).unwrap();
        fs::write(&journal, synced).unwrap();
        Store::open(dir.path(), "east", 7)
    };
    let error = put_back(&backup).err().unwrap();
    assert!(matches!(error, ShardError::Older { .. }), "{error}");
    let newest_file = [newest[0].clone(), backup[1].clone()];
    for damaged in [&killed, &newest_file] {
        let error = put_back(damaged).err().unwrap();
        assert!(matches!(error, ShardError::Damaged { .. }), "{error}");
    }
    // The newest journal has all that the older file lacks.
    let newest_journal = [backup[0].clone(), newest[1].clone()];
    for whole in [&newest_journal, &newest] {
        assert_eq!(put_back(whole).unwrap().1.prepared.len(), 2);
    }
}

/// The mark is no part of the truth: torn or gone, the file stands for itself.
#[test]
fn a_torn_or_missing_mark_keeps_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("newest");
    for torn in [None, Some(&b"torn"[..]), Some(&[0xFF; 64])] {
        let store = open(dir.path()).0;
        promise(&store, 1);
        drop(store);
        match torn {
            Some(bytes) => fs::write(&mark, bytes).unwrap(),
            None => fs::remove_file(&mark).unwrap(),
        }
        assert_eq!(open(dir.path()).1.prepared.len(), 1);
    }
}

/// The journal may hold what was promised last: without it there is no shard, and none is made.
#[test]
fn a_shard_without_its_journal_is_not_started() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    fs::remove_file(dir.path().join(JOURNAL_FILE)).unwrap();
    for _ in 0..2 {
        let error = Store::open(dir.path(), "east", 7).err().unwrap().to_string();
        assert!(error.contains(JOURNAL_FILE), "{error}");
    }
}

/// A file that was cut to nothing is not taken for a shard that never was.
#[test]
fn an_empty_file_is_not_formatted_again() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    fs::write(dir.path().join(FILE), b"").unwrap();
    let error = Store::open(dir.path(), "east", 7).err().unwrap();
    assert!(matches!(error, ShardError::Damaged { .. }), "{error}");
}

#[test]
fn the_incarnation_stays_with_the_directory_and_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).0.incarnation();
    assert_eq!(open(dir.path()).0.incarnation(), first);
    fs::remove_file(dir.path().join(FILE)).unwrap();
    assert_ne!(open(dir.path()).0.incarnation(), first);
}

#[test]
fn a_scan_goes_through_pages_in_byte_order_within_its_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let mut writing = store.write().unwrap();
    for key in ["a", "sat/1", "sat/2", "sat/3", "sau"] {
        let key = Bytes::from_static(key.as_bytes());
        writing.put(&Write::Key { key, entry: Some(entry("x")) }).unwrap();
    }
    writing.sync().unwrap();
    let page = |after: Option<&[u8]>| {
        let (found, more) = store.scan(b"sat/", after, 2, 1 << 20).unwrap();
        (found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), more)
    };
    assert_eq!(page(None), (vec!["sat/1".into(), "sat/2".into()], true));
    assert_eq!(page(Some(b"sat/2")), (vec!["sat/3".into()], false));
}

#[test]
fn a_file_that_is_no_store_is_called_damaged_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let whole: Vec<u8> = b"no store at all, ".repeat(1_000);
    fs::write(dir.path().join(FILE), &whole).unwrap();
    let error = Store::open(dir.path(), "east", 7).err().unwrap();
    assert!(matches!(error, ShardError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), whole);
}

/// A file cut short at any page, or inside one: refused, or whole as it was. Never a shard that has
/// promised less.
#[test]
fn a_file_cut_short_anywhere_is_refused_or_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    let (store, _) = open(dir.path());
    (1..=3).for_each(|n| promise(&store, n));
    drop(store);
    let (whole, truth) = (fs::read(&file).unwrap(), open(dir.path()).1);
    let pages = (0..whole.len()).step_by(4_096).flat_map(|page| [page, page + 1, page + 2_000]);
    let mut refused = 0;
    for length in pages.chain([whole.len() - 1]).filter(|length| *length < whole.len()) {
        fs::write(&file, &whole[..length]).unwrap();
        match Store::open(dir.path(), "east", 7) {
            Ok((_, durable)) => assert_eq!(durable, truth, "cut at byte {length}"),
            Err(error) => {
                refused += 1;
                let named = matches!(error, ShardError::Damaged { .. } | ShardError::Older { .. });
                assert!(named, "cut at byte {length}: {error}");
            }
        }
    }
    assert!(refused > 10, "{refused} cuts only were of consequence");
}

/// A row of every kind that is not what was written: the shard ends by its name, before it serves.
/// The pages' checksums are right, so that only the row's own seal can tell.
#[test]
fn a_damaged_row_of_any_kind_is_named() {
    let facts = [
        Write::Prepared { txn: TXN, work: Work::default() },
        Write::Key { key: "a".into(), entry: Some(entry("1")) },
        Write::Revision(Revision::new(5)),
        Write::Run { session: TXN.session, first: 1, last: Some(6) },
        Write::Floor { session: TXN.session, below: Some(1) },
        Write::SessionsBelow(SessionId::new(2)),
    ];
    for table in [IDENTITY, PREPARED, RUNS, FLOORS, NUMBERS, KEYS] {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(dir.path());
        let mut writing = store.write().unwrap();
        facts.iter().for_each(|fact| writing.put(fact).unwrap());
        writing.sync().unwrap();
        flip_a_bit_of_each_row(&store, table);
        drop(store);
        let error = match Store::open(dir.path(), "east", 7) {
            Err(error) => error,
            // Keys are read when they are asked for, and judged then.
            Ok((store, _)) if table.name == KEYS.name => {
                assert!(store.scan(b"", None, 9, 1 << 20).is_err());
                store.get(b"a").unwrap_err()
            }
            Ok(_) => panic!("a damaged row of {} was believed", table.name),
        };
        assert!(matches!(error, ShardError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(table.name), "{error}");
    }
}

fn flip_a_bit_of_each_row(store: &Store, table: Definition) {
    let write = store.journaled.begin().unwrap();
    {
        let mut rows = write.open_table(table.table).unwrap();
        let all: Vec<(Vec<u8>, Vec<u8>)> = rows
            .range::<&[u8]>(..)
            .unwrap()
            .map(|row| row.map(|(key, row)| (key.value().to_vec(), row.value().to_vec())).unwrap())
            .collect();
        assert!(!all.is_empty(), "{} holds nothing", table.name);
        for (key, mut row) in all {
            let middle = row.len() / 2;
            row[middle] ^= 1;
            rows.insert(key.as_slice(), row.as_slice()).unwrap();
        }
    }
    store.journaled.commit(write).unwrap();
}

/// No link is followed to the file, and nothing behind it is touched.
#[test]
fn a_link_in_the_place_of_the_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let (file, elsewhere) = (dir.path().join(FILE), dir.path().join("elsewhere"));
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    let error = Store::open(dir.path(), "east", 7).err().unwrap();
    assert!(matches!(error, ShardError::Damaged { .. }), "{error}");
    assert!(fs::read(&elsewhere).unwrap() == before, "it was written through the link");
}

/// A file that may not be written is refused as such, not as a damaged one.
#[test]
fn a_file_that_may_not_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let file = dir.path().join(FILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    match Store::open(dir.path(), "east", 7) {
        Err(ShardError::Io { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
        }
        Err(error) => panic!("{error}"),
        // The superuser may write anything.
        Ok(_) => assert!(fs::OpenOptions::new().write(true).open(&file).is_ok()),
    }
}

/// The file of another shard, swapped in, is no file of this shard's journal; with its own journal
/// it is that shard's.
#[test]
fn another_shards_file_swapped_in_is_refused() {
    let (east, west) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(open(east.path()));
    drop(Store::open(west.path(), "west", 7).unwrap());
    let swapped = |file| {
        fs::copy(west.path().join(file), east.path().join(file)).unwrap();
        Store::open(east.path(), "east", 7).err().unwrap()
    };
    let error = swapped(FILE);
    assert!(error.to_string().contains("belongs to another file"), "{error}");
    let error = swapped(JOURNAL_FILE);
    assert!(matches!(error, ShardError::Foreign { .. }), "{error}");
}
