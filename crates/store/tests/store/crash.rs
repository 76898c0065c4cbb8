//! The power is cut at every operation of a run, and every un-synced sector survives by coin.

use synod_paxos::{Decree, Durable, Mark, Slot, Write};
use synod_store::Store;

use crate::{
    Way, accepted, chosen, chosen_upto,
    disk::{Coin, Disk, Trouble},
    model::Model,
    promised, trimmed, value,
};

const SEEDS: u64 = 3;

/// Facts of every kind, payloads of one page and of many, and replacements of both.
fn script() -> Vec<Vec<Write>> {
    let long = value(&"long".repeat(5_000));
    vec![
        vec![promised(1), accepted(1, 1, value("a"))],
        vec![accepted(2, 1, long.clone()), accepted(3, 1, Decree::Noop), chosen_upto(1)],
        vec![promised(2), Write::Marked { mark: Mark::new(1) }],
        vec![accepted(2, 2, value("b")), accepted(4, 2, long.clone()), chosen_upto(2)],
        vec![chosen(3, long.clone()), chosen_upto(3)],
        vec![trimmed(2), accepted(5, 2, long)],
        vec![trimmed(4)],
    ]
}

/// Writes the script until it is through or the power is gone; returns the model of what was
/// acknowledged, and of that with the batch that was under way.
fn run(way: Way, disk: &Disk) -> (Model, Model) {
    let (mut acknowledged, mut at_most) = (Model::default(), Model::default());
    let Ok((mut store, _)) = way.open(disk) else {
        return (acknowledged, at_most);
    };
    for batch in script() {
        at_most.write(&batch);
        if store.write(&batch).is_err() {
            break;
        }
        acknowledged = at_most.clone();
    }
    (acknowledged, at_most)
}

/// All of what was acknowledged, and all or nothing of the batch that was under way, whichever
/// operation the power was cut at, and whatever un-synced sectors survived. And again when the
/// power is cut during the repair.
#[test]
fn a_power_cut_at_any_operation_tears_no_batch() {
    tears_no_batch(Way::Plain);
}

/// The same behind a write-ahead log.
#[test]
fn a_power_cut_at_any_operation_tears_no_batch_of_a_log() {
    tears_no_batch(Way::Ahead);
}

/// The process is killed at every operation, and the power is cut while the next one repairs what
/// it finds: that need not have been synced.
#[test]
fn a_power_cut_after_a_kill_tears_no_batch() {
    for way in Way::ALL {
        let formatted = way.formatted();
        let mut kills = 0;
        loop {
            let disk = formatted.after_kill();
            disk.trouble_at(kills, Trouble::PowerCut);
            let (acknowledged, at_most) = run(way, &disk);
            if disk.trouble_is_ahead() {
                break;
            }
            for seed in 0..2 * SEEDS {
                let mut coin = Coin::new(kills as u64 * SEEDS + seed);
                let story = format!("{way:?}, killed at operation {kills}, seed {seed}");
                let disk = cut_the_repair(way, &disk.restarted(), &mut coin);
                let allowed = [acknowledged.durable(), at_most.durable()];
                found_one_of(&allowed, way, &disk, &story);
            }
            kills += 1;
        }
        assert!(kills > 50, "the script is too short to mean anything: {kills} operations");
    }
}

fn tears_no_batch(way: Way) {
    let formatted = way.formatted();
    let mut cuts = 0;
    loop {
        let disk = formatted.after_kill();
        disk.trouble_at(cuts, Trouble::PowerCut);
        let (acknowledged, at_most) = run(way, &disk);
        if disk.trouble_is_ahead() {
            break;
        }
        for seed in 0..SEEDS {
            let mut coin = Coin::new(cuts as u64 * SEEDS + seed);
            let story = format!("{way:?}, cut at operation {cuts}, seed {seed}");
            let disk = disk.after_power_cut(&mut coin);
            let disk = cut_the_repair(way, &disk, &mut coin);
            let allowed = [acknowledged.durable(), at_most.durable()];
            let store = found_one_of(&allowed, way, &disk, &story);
            if seed == 0 {
                goes_on(store, way, &disk, &story);
            }
        }
        cuts += 1;
    }
    assert!(cuts > 50, "the script is too short to mean anything: {cuts} operations");
}

/// Opens, and cuts the power once at some operation of that.
fn cut_the_repair(way: Way, disk: &Disk, coin: &mut Coin) -> Disk {
    disk.trouble_at((coin.draw() % 24) as usize, Trouble::PowerCut);
    drop(way.open(disk));
    disk.after_power_cut(coin)
}

fn found_one_of(allowed: &[Durable], way: Way, disk: &Disk, story: &str) -> Store {
    let (store, durable) = way.open(disk).unwrap_or_else(|error| panic!("{story}: {error}"));
    assert!(allowed.contains(&durable), "{story}: found {durable:?}");
    store
}

/// It is a store like any other.
fn goes_on(mut store: Store, way: Way, disk: &Disk, story: &str) {
    store.write(&[accepted(9, 9, value("after"))]).unwrap();
    drop(store);
    let (_, after) = way.open(disk).unwrap();
    assert_eq!(after.records.last().map(|(slot, _)| *slot), Some(Slot::new(9)), "{story}");
}

/// A store that was not closed (`kill -9`: everything written is there, nothing was closed) opens
/// with all that was acknowledged.
#[test]
fn a_store_that_was_not_closed_opens_whole() {
    for way in Way::ALL {
        let disk = way.formatted();
        let (mut store, _) = way.open(&disk).unwrap();
        let mut model = Model::default();
        for batch in script() {
            store.write(&batch).unwrap();
            model.write(&batch);
            let (_, durable) = way.open(&disk.after_kill()).unwrap();
            assert_eq!(durable, model.durable(), "{way:?}");
        }
    }
}

/// Many lives of one store, each ended by a power cut at some operation, some of them at the start:
/// what was acknowledged in any life stays.
#[test]
fn many_lives_lose_nothing() {
    for seed in 0..LIVES_SEEDS {
        for way in Way::ALL {
            let mut coin = Coin::new(seed);
            let mut disk = way.formatted();
            let mut model = Model::default();
            for life in 0..LIVES {
                disk.trouble_at((coin.draw() % 90) as usize, Trouble::PowerCut);
                let at_most = live(way, &disk, &mut model, &mut coin);
                disk = disk.after_power_cut(&mut coin);
                let story = format!("{way:?}, seed {seed}, life {life}");
                let (_, durable) =
                    way.open(&disk).unwrap_or_else(|error| panic!("{story}: {error}"));
                if durable == at_most.durable() {
                    model = at_most;
                }
                assert_eq!(durable, model.durable(), "{story}");
            }
        }
    }
}

const LIVES_SEEDS: u64 = 4;
const LIVES: usize = 12;

/// Writes batches of all sizes until the power is gone; `model` is what was acknowledged, and what
/// is returned is that with the batch that was under way.
fn live(way: Way, disk: &Disk, model: &mut Model, coin: &mut Coin) -> Model {
    let Ok((mut store, _)) = way.open(disk) else { return model.clone() };
    for _ in 0..100 {
        let (slot, round) = (1 + coin.draw() % 40, 1 + coin.draw() % 1_000);
        let length = 1 << (coin.draw() % 18);
        let decree = value(&"x".repeat(length));
        let batch =
            [promised(round), accepted(slot, round, decree), chosen(slot + 1, Decree::Noop)];
        let mut at_most = model.clone();
        at_most.write(&batch);
        if store.write(&batch).is_err() {
            return at_most;
        }
        *model = at_most;
    }
    panic!("a hundred batches took fewer than ninety operations");
}
