//! Writes that a device acknowledged and never made, or made in another place.

use synod_paxos::Write;
use synod_store::StoreError;

use crate::{
    Way, accepted, chosen_upto,
    disk::{Coin, Disk, Trouble},
    model::Model,
    value,
};

const WAY: Way = Way::Ahead;

/// A life in which redb takes facts over now and then, and takes one batch itself.
fn script() -> impl Iterator<Item = Vec<Write>> {
    (1..=36).map(|slot| {
        let length = match slot {
            20 => 200_000,
            _ if slot % 5 == 0 => 4_000,
            _ => 300,
        };
        vec![accepted(slot, 1, value(&"x".repeat(length))), chosen_upto(slot)]
    })
}

/// What is found after a kill and after a loss of power: the truth or damage. Only where nothing
/// was written to the log after the record that is lost, and its count has not reached the disk,
/// nothing tells it from one that a crash tore.
fn never_goes_back(disk: &Disk, truth: &Model, coin: &mut Coin, story: &str) -> usize {
    let killed = disk.after_kill();
    let cut = disk.after_power_cut(coin);
    let without_a_trace = disk.second().lost_the_last_write() == Some(true);
    let mut refused = 0;
    for (restarted, may_go_back) in [(killed, false), (cut, without_a_trace)] {
        match WAY.open(&restarted) {
            Ok((_, durable)) => {
                assert!(durable == truth.durable() || may_go_back, "{story}: {durable:?}");
            }
            Err(StoreError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("{story}: {error}"),
        }
    }
    refused
}

/// Every other write of a life by itself: lost, or made elsewhere in its file.
fn each_write(trouble: impl Fn(usize) -> Trouble) {
    let mut refused = 0;
    for write in (0..).step_by(2) {
        let disk = WAY.formatted();
        let (mut store, _) = WAY.open(&disk).unwrap();
        disk.trouble_at(write, trouble(write));
        let (mut model, mut coin) = (Model::default(), Coin::new(write as u64));
        let mut later = 0;
        for batch in script() {
            let story = format!("write {write}, {later} batches later");
            match store.write(&batch) {
                Ok(()) => model.write(&batch),
                Err(StoreError::Damaged { .. } | StoreError::SyncFailed { .. }) => break,
                Err(error) => panic!("{story}: {error}"),
            }
            later += usize::from(!disk.trouble_is_ahead());
            if matches!(later, 1 | 4) {
                refused += never_goes_back(&disk, &model, &mut coin, &story);
            }
            if later == 4 {
                break;
            }
        }
        if disk.trouble_is_ahead() {
            assert!(write > 100, "{write} writes are no life");
            break;
        }
    }
    assert!(refused > 25, "only {refused} lost writes were of consequence");
}

#[test]
fn a_lost_write_never_takes_the_store_back_in_time() {
    each_write(|_| Trouble::Lost);
}

#[test]
fn a_misdirected_write_never_takes_the_store_back_in_time() {
    each_write(|write| Trouble::Elsewhere(512 * (1 + write % 61)));
}

/// What redb wrote itself, for the log cannot hold it, is missed when its commit is lost: the log
/// has a later record.
#[test]
fn a_lost_commit_that_passed_the_log_by_is_missed() {
    let disk = WAY.formatted();
    let (mut store, _) = WAY.open(&disk).unwrap();
    store.write(&[accepted(1, 1, value("small")), chosen_upto(1)]).unwrap();
    let before = disk.bytes();
    store.write(&[accepted(2, 1, value(&"x".repeat(200_000))), chosen_upto(2)]).unwrap();
    disk.tamper(|file| file[..before.len()].copy_from_slice(&before));
    let damaged = disk.after_kill();
    damaged.third().tamper(Vec::clear);
    assert!(WAY.refused(&damaged).contains("in the middle of its write-ahead log"));
}
