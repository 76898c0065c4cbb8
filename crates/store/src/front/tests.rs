use std::{
    io,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use redb::StorageBackend;
use synod_paxos::{Decree, Life, Mark, NodeId, Slot, Write};

use super::*;
use crate::{
    Identity,
    medium::{Handle, Medium},
    open,
    wal::tests::Shared,
};

/// A storage that fails every sync, or every read, once it is told to.
#[derive(Clone, Debug)]
struct Failing(Shared, Arc<AtomicBool>, Arc<AtomicBool>);

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.2.load(Ordering::Relaxed) {
            return Err(io::Error::other("trouble"));
        }
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.1.load(Ordering::Relaxed) {
            return Err(io::Error::other("trouble"));
        }
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

/// A store with a log of so many bytes; its database's syncs fail when told to.
fn failing(wal_bytes: u64) -> (Failing, Arc<Base>, Front<Vec<Write>>) {
    let (home, _, base, front) = failing_on(wal_bytes);
    (home, base, front)
}

/// The same, with what lies between its database and the storage.
fn failing_on(wal_bytes: u64) -> (Failing, Arc<Medium>, Arc<Base>, Front<Vec<Write>>) {
    let life = Life::first(NodeId::new(1));
    let identity = Identity { cluster: "orbit".into(), cluster_id: 7, life };
    let home = Failing(Shared::new(), Arc::default(), Arc::default());
    let wal = [Shared::new(), Shared::new()];
    let path = Path::new("given");
    open::format_ahead(path, home.clone(), wal.clone(), wal_bytes, &identity).unwrap();
    let opened = open::open_ahead(path, home.clone(), wal, &identity).unwrap();
    let medium = Arc::clone(&opened.medium);
    let base = Base::new(path.to_owned(), opened.medium, opened.database, open::CACHE_BYTES);
    (home, medium, Arc::new(base), opened.front.unwrap())
}

/// redb fails while it takes facts over beside. The next batch is refused, and so is every one
/// after it: the log alone still worked, and once took the second as if all were well.
#[test]
fn a_failure_beside_is_final_for_every_batch_after_it() {
    let (home, base, mut front) = failing(1 << 20);
    front.get_help(&base).unwrap();

    home.1.store(true, Ordering::Relaxed);
    let decree = Decree::Value(vec![7; front.wal.much() as usize].into());
    let much = Write::Chosen { slot: Slot::new(1), decree };
    front.write(&base, Cow::Owned(vec![much])).unwrap();
    front.write(&base, Cow::Owned(vec![Write::Marked { mark: Mark::new(1) }])).unwrap();
    assert!(front.taking.is_some(), "redb is at it");
    let failed = front.wait();
    assert!(matches!(failed, Err(StoreError::SyncFailed { .. })), "{failed:?}");
    for sequence in 2..4 {
        let again =
            front.write(&base, Cow::Owned(vec![Write::Marked { mark: Mark::new(sequence) }]));
        assert!(matches!(again, Err(StoreError::SyncFailed { .. })), "{again:?}");
    }
}

/// The same of a batch that no log can hold, and that redb is given itself: whether it is durable
/// is not known, and the number of its record is not given out to another.
#[test]
fn a_failure_of_redb_itself_is_final_for_every_batch_after_it() {
    let (home, base, mut front) = failing(1);

    home.1.store(true, Ordering::Relaxed);
    let decree = Decree::Value(vec![7; 128 << 10].into());
    let huge = Write::Chosen { slot: Slot::new(1), decree };
    let failed = front.write(&base, Cow::Owned(vec![huge]));
    assert!(matches!(failed, Err(StoreError::SyncFailed { .. })), "{failed:?}");
    let again = front.write(&base, Cow::Owned(vec![Write::Marked { mark: Mark::new(1) }]));
    assert!(matches!(again, Err(StoreError::SyncFailed { .. })), "{again:?}");
}

/// A read fails, and only whoever wanted to read hears of it: nothing is taken in any more, though
/// the log would still take it.
#[test]
fn a_failed_read_is_final_for_every_batch_after_it() {
    let (home, medium, base, mut front) = failing_on(1 << 20);
    front.write(&base, Cow::Owned(vec![Write::Marked { mark: Mark::new(1) }])).unwrap();

    home.2.store(true, Ordering::Relaxed);
    Handle(medium).read(0, &mut [0; 8]).unwrap_err();
    home.2.store(false, Ordering::Relaxed);
    for sequence in 2..4 {
        let refused =
            front.write(&base, Cow::Owned(vec![Write::Marked { mark: Mark::new(sequence) }]));
        assert!(matches!(refused, Err(StoreError::SyncFailed { .. })), "{refused:?}");
    }
}

/// Behind a batch that no log holds stands a record that says nothing. An open takes it over as any
/// other: what the log holds begins where the next record goes.
#[test]
fn an_open_takes_over_a_record_that_says_nothing() {
    let life = Life::first(NodeId::new(1));
    let identity = Identity { cluster: "orbit".into(), cluster_id: 7, life };
    let (path, home) = (Path::new("given"), Shared::new());
    let wal = [Shared::new(), Shared::new()];
    open::format_ahead(path, home.clone(), wal.clone(), 1, &identity).unwrap();
    let open = || open::open_ahead(path, home.clone(), wal.clone(), &identity).unwrap();
    let opened = open();
    let base = Base::new(path.to_owned(), opened.medium, opened.database, open::CACHE_BYTES);
    let mut front = opened.front.unwrap();
    let decree = Decree::Value(vec![7; 128 << 10].into());
    let huge = Write::Chosen { slot: Slot::new(1), decree };
    front.write(&base, Cow::Owned(vec![huge])).unwrap();
    assert!(front.wal.held() > 0);
    let last = front.wal.last();
    drop((front, base));

    let front = open().front.unwrap();
    assert_eq!((front.wal.held(), front.wal.last()), (0, last));
    assert_eq!(front.below.reached(), last);
}
