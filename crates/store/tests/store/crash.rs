//! The power is cut at every operation of a run, and every un-synced sector survives by coin.

use synod_paxos::{Decree, Slot, Write};
use synod_store::Store;

use crate::{
    accepted, chosen, chosen_upto,
    disk::{Coin, Disk, Trouble},
    identity,
    model::Model,
    promised, value,
};

const SEEDS: u64 = 5;

/// Facts of every kind, payloads of one page and of many, and replacements of both.
fn script() -> Vec<Vec<Write>> {
    let long = value(&"long".repeat(5_000));
    vec![
        vec![promised(1), accepted(1, 1, value("a"))],
        vec![accepted(2, 1, long.clone()), accepted(3, 1, Decree::Noop), chosen_upto(1)],
        vec![promised(2), Write::Probe { sequence: 1 }],
        vec![accepted(2, 2, value("b")), accepted(4, 2, long.clone()), chosen_upto(2)],
        vec![chosen(3, long), chosen_upto(3)],
    ]
}

fn formatted() -> Vec<u8> {
    let disk = Disk::default();
    Store::format_on(disk.clone(), &identity()).unwrap();
    disk.bytes()
}

/// Writes the script until it is through or the power is gone; returns the model of what was
/// acknowledged, and of that with the batch that was under way.
fn run(disk: &Disk) -> (Model, Model) {
    let (mut acknowledged, mut at_most) = (Model::default(), Model::default());
    let Ok((mut store, _)) = Store::open_on(disk.clone(), &identity()) else {
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
    let formatted = formatted();
    let mut cuts = 0;
    loop {
        let disk = Disk::with(formatted.clone());
        disk.trouble_at(cuts, Trouble::PowerCut);
        let (acknowledged, at_most) = run(&disk);
        if disk.trouble_is_ahead() {
            break;
        }
        for seed in 0..SEEDS {
            let mut coin = Coin::new(seed);
            let story = format!("cut at operation {cuts}, seed {seed}");
            let disk = Disk::with(disk.after_power_cut(&mut coin));
            let disk = cut_the_repair(disk, &mut coin);
            check(&disk, &story, &[acknowledged.durable(), at_most.durable()]);
        }
        cuts += 1;
    }
    assert!(cuts > 50, "the script is too short to mean anything: {cuts} operations");
}

/// Opens, and cuts the power once at some operation of that.
fn cut_the_repair(disk: Disk, coin: &mut Coin) -> Disk {
    disk.trouble_at((coin.draw() % 24) as usize, Trouble::PowerCut);
    drop(Store::open_on(disk.clone(), &identity()));
    Disk::with(disk.after_power_cut(coin))
}

fn check(disk: &Disk, story: &str, allowed: &[synod_paxos::Durable]) {
    let (mut store, durable) = Store::open_on(disk.clone(), &identity())
        .unwrap_or_else(|error| panic!("{story}: {error}"));
    assert!(allowed.contains(&durable), "{story}: found {durable:?}");
    // It is a store like any other, and goes on.
    store.write(&[accepted(9, 9, value("after"))]).unwrap();
    drop(store);
    let (_, after) = Store::open_on(disk.clone(), &identity()).unwrap();
    assert_eq!(after.records.last().map(|(slot, _)| *slot), Some(Slot::new(9)), "{story}");
}

/// A store that was not closed (`kill -9`: everything written is there, nothing was closed) opens
/// with all that was acknowledged.
#[test]
fn a_store_that_was_not_closed_opens_whole() {
    let disk = Disk::with(formatted());
    let (mut store, _) = Store::open_on(disk.clone(), &identity()).unwrap();
    let mut model = Model::default();
    for batch in script() {
        store.write(&batch).unwrap();
        model.write(&batch);
        let image = Disk::with(disk.bytes());
        let (_, durable) = Store::open_on(image, &identity()).unwrap();
        assert_eq!(durable, model.durable());
    }
}
