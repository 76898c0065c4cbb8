use std::{fs, os::unix::fs::PermissionsExt};

use redb::ReadableTable;
use synod_client::machine::branch::{Work, Write};

use super::{
    place::{COUNT_FILE, FILE, WAL_FILE},
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
    let (mut store, before) = open(dir.path());
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
    for fact in &facts {
        store.put(fact);
        expected.write(fact);
    }
    assert_eq!(store.key(&"a".into()).unwrap(), Some(entry("1")), "read inside the transaction");
    store.sync().unwrap();
    store.put(&Write::Ended { txn: TXN });
    drop(store);
    let (store, after) = open(dir.path());
    assert_eq!(after, expected);
    assert_eq!(store.get(b"a").unwrap(), Some(entry("1")));
}

/// Nobody knows a new store, nor one of a build that wrote no such row; what the cluster said of it
/// last outlives the process.
#[test]
fn a_store_is_introduced_once_and_until_the_cluster_knows_another() {
    let dir = tempfile::tempdir().unwrap();
    for introduced in [true, true, false, true] {
        let (mut store, durable) = open(dir.path());
        assert_eq!(durable, Durable::default());
        store.set_introduced(introduced).unwrap();
        drop(store);
        assert_eq!(open(dir.path()).0.introduced(), introduced);
    }
    let other = tempfile::tempdir().unwrap();
    let (mut store, _) = open(other.path());
    assert!(!store.introduced());
    store.put(&Write::Revision(Revision::new(5)));
    store.sync().unwrap();
    drop(store);
    assert!(!open(other.path()).0.introduced());
}

#[test]
fn what_is_removed_is_gone_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path());
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
        rows(there).iter().for_each(|fact| store.put(fact));
        store.sync().unwrap();
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
    assert_eq!(mode(&made.join(WAL_FILE)), 0o600);
    assert_eq!(mode(&made.join(COUNT_FILE)), 0o600);
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

fn promise(store: &mut Store, n: u64) {
    let txn = TxnId { n, ..TXN };
    store.put(&Write::Prepared { txn, work: Work::default() });
    store.sync().unwrap();
}

/// A shard that forgets what it promised breaks its transactions: it must not start from an older
/// copy of its files, be it a backup or what one changed bit makes of them.
#[test]
fn an_older_copy_of_the_files_is_refused_or_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let paths = [FILE, WAL_FILE, COUNT_FILE].map(|file| dir.path().join(file));
    let copy = || paths.each_ref().map(|path| fs::read(path).unwrap());
    let mut store = open(dir.path()).0;
    promise(&mut store, 1);
    drop(store);
    let backup = copy();
    let mut store = open(dir.path()).0;
    promise(&mut store, 2);
    drop(store);
    // An open has redb take the log over, and changes which of its two commits is the newer: the
    // tenth byte says so.
    drop(open(dir.path()));
    let newest = copy();
    let mut flipped = newest.clone();
    flipped[0][9] ^= 1;
    let put_back = |files: [&[Vec<u8>; 3]; 3]| {
        for ((path, files), place) in paths.iter().zip(files).zip(0..) {
            fs::write(path, &files[place]).unwrap();
        }
        Store::open(dir.path(), "east", 7)
    };
    let error = put_back([&backup, &backup, &newest]).err().unwrap();
    assert!(error.to_string().contains("lost its last records"), "{error}");
    // The newest log has all that an older file lacks, and an older log lacks nothing that the
    // newest file has not.
    for whole in [[&backup, &newest, &newest], [&newest, &newest, &backup], [&newest; 3]] {
        assert_eq!(put_back(whole).unwrap().1.prepared.len(), 2);
    }
    match put_back([&flipped, &newest, &newest]) {
        Ok((_, durable)) => assert_eq!(durable.prepared.len(), 2),
        Err(error) => assert!(matches!(error, ShardError::Damaged { .. }), "{error}"),
    }
}

/// The log may hold what was promised last: without it there is no shard, and none is made.
#[test]
fn a_shard_without_its_log_is_not_started() {
    for missing in [WAL_FILE, COUNT_FILE] {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        fs::remove_file(dir.path().join(missing)).unwrap();
        for _ in 0..2 {
            let error = Store::open(dir.path(), "east", 7).err().unwrap().to_string();
            assert!(error.contains(missing), "{error}");
        }
    }
}

/// Nor is one made over the log that is left of another, which may hold what was promised last.
/// (Its log was emptied, and a shard began that knew nothing.)
#[test]
fn a_log_without_its_shard_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    fs::remove_file(dir.path().join(FILE)).unwrap();
    let log = fs::read(dir.path().join(WAL_FILE)).unwrap();
    let error = Store::open(dir.path(), "east", 7).err().unwrap();
    assert!(error.to_string().contains("its write-ahead log is"), "{error}");
    assert_eq!(fs::read(dir.path().join(WAL_FILE)).unwrap(), log);
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
    for file in [FILE, WAL_FILE, COUNT_FILE] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    assert_ne!(open(dir.path()).0.incarnation(), first);
}

#[test]
fn a_scan_goes_through_pages_in_byte_order_within_its_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path());
    for key in ["a", "sat/1", "sat/2", "sat/3", "sau"] {
        let key = Bytes::from_static(key.as_bytes());
        store.put(&Write::Key { key, entry: Some(entry("x")) });
    }
    store.sync().unwrap();
    let page = |after: Option<&[u8]>| {
        let (found, more) = store.scan(b"sat/", after, 2, 1 << 20).unwrap();
        (found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), more)
    };
    assert_eq!(page(None), (vec!["sat/1".into(), "sat/2".into()], true));
    assert_eq!(page(Some(b"sat/2")), (vec!["sat/3".into()], false));
}

/// Two rows that a page has no room for are two pages, and a row that is larger than a page is one
/// by itself. (A page ended behind the row that made it too large, and its answer fitted no frame.)
#[test]
fn a_page_holds_no_more_bytes_than_it_may_unless_its_first_row_does() {
    const PAGE: usize = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path());
    let (first, second) = (Bytes::from_static(b"a"), Bytes::from(vec![b'b'; 60]));
    for (key, length) in [(&first, 1_048_500), (&second, PAGE), (&"c".into(), 1)] {
        let entry = Some(entry(&"x".repeat(length)));
        store.put(&Write::Key { key: key.clone(), entry });
        store.sync().unwrap();
    }
    let page = |after: Option<&Bytes>| {
        let after = after.map(|after| &after[..]);
        let (found, more) = store.scan(b"", after, 9, PAGE).unwrap();
        (found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), more)
    };
    assert_eq!(page(None), (vec![first.clone()], true));
    assert_eq!(page(Some(&first)), (vec![second.clone()], true));
    assert_eq!(page(Some(&second)), (vec!["c".into()], false));
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
    let (mut store, _) = open(dir.path());
    (1..=3).for_each(|n| promise(&mut store, n));
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
                let named = matches!(error, ShardError::Damaged { .. });
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
    for table in
        [PREPARED, RUNS, FLOORS, NUMBERS, KEYS].map(|table| table.name).into_iter().chain(["facts"])
    {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = open(dir.path());
        facts.iter().for_each(|fact| store.put(fact));
        store.sync().unwrap();
        drop(store);
        // An open has redb take the log over.
        drop(open(dir.path()));
        flip_a_bit_of_each_row(&dir.path().join(FILE), table);
        let error = match Store::open(dir.path(), "east", 7) {
            Err(error) => error,
            // Keys are read when they are asked for, and judged then.
            Ok((store, _)) if table == KEYS.name => {
                assert!(store.scan(b"", None, 9, 1 << 20).is_err());
                store.get(b"a").unwrap_err()
            }
            Ok(_) => panic!("a damaged row of {table} was believed"),
        };
        assert!(matches!(error, ShardError::Damaged { .. }), "{error}");
        let named = if table == "facts" { "identity" } else { table };
        assert!(error.to_string().contains(named), "{error}");
    }
}

/// Behind the store's back, and with right checksums of redb's pages.
fn flip_a_bit_of_each_row(file: &Path, table: &'static str) {
    let database = redb::Database::open(file).unwrap();
    let write = database.begin_write().unwrap();
    if table == "facts" {
        let definition = redb::TableDefinition::<&str, &[u8]>::new(table);
        let mut rows = write.open_table(definition).unwrap();
        let mut row = rows.get("identity").unwrap().unwrap().value().to_vec();
        row[3] ^= 1;
        rows.insert("identity", row.as_slice()).unwrap();
    } else {
        let definition = redb::TableDefinition::<&[u8], &[u8]>::new(table);
        let mut rows = write.open_table(definition).unwrap();
        let all: Vec<(Vec<u8>, Vec<u8>)> = rows
            .range::<&[u8]>(..)
            .unwrap()
            .map(|row| row.map(|(key, row)| (key.value().to_vec(), row.value().to_vec())).unwrap())
            .collect();
        assert!(!all.is_empty(), "{table} holds nothing");
        for (key, mut row) in all {
            let middle = row.len() / 2;
            row[middle] ^= 1;
            rows.insert(key.as_slice(), row.as_slice()).unwrap();
        }
    }
    write.commit().unwrap();
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

/// Another shard's log, swapped in, is no log of this shard; and its file is that shard's.
#[test]
fn another_shards_files_swapped_in_are_refused() {
    let (east, west) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(open(east.path()));
    drop(Store::open(west.path(), "west", 7).unwrap());
    let swapped = |file| {
        fs::copy(west.path().join(file), east.path().join(file)).unwrap();
        Store::open(east.path(), "east", 7).err().unwrap()
    };
    let error = swapped(WAL_FILE);
    assert!(error.to_string().contains("belongs to another store"), "{error}");
    let error = swapped(FILE);
    assert!(matches!(error, ShardError::Foreign { .. }), "{error}");
}

/// Every start makes sure of the shard's names, also of that of its directory, where it may.
#[test]
fn a_shard_starts_in_a_place_that_it_may_not_look_at() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("east");
    drop(open(&dir));
    let mode = |mode| fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o300);
    let (_, durable) = open(&dir);
    mode(0o700);
    assert_eq!(durable, Durable::default());
}
