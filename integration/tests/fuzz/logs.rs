//! What a log carries, and what is left of it: batches and states.

use synod_client::machine::{Batch, Machine, Request, Timestamp};
use synod_paxos::{Decree, Durable, Slot};
use synod_replica::{BATCH_VERSION, Replica, Restored};

use crate::{
    doors::{bytes_of, requests},
    hunt::{Judged, grown, hunt},
    words::config,
};

fn batches() -> Vec<Vec<u8>> {
    let batch = |requests| bytes_of(&(BATCH_VERSION, Batch { stamp: Timestamp(1_000), requests }));
    let grown = grown::<Request>().into_iter().map(|bytes| postcard::from_bytes(&bytes).unwrap());
    let all = requests().into_iter().chain(grown).map(|request| batch(vec![request]));
    let mut all: Vec<_> = all.collect();
    all.push(batch(requests()));
    all
}

/// Whatever was chosen, every node applies it alike: a replica that finds these bytes in its log
/// has the state of a machine that was given the batch that they are, or nothing if they are none;
/// its kept digest is the one computed anew, and it survives being written down.
#[test]
fn batches_in_the_log() {
    let (corpus, opened) = (batches(), batches().swap_remove(0));
    let decoded = |bytes: &[u8]| match postcard::take_from_bytes::<(u8, Batch)>(bytes) {
        Ok(((BATCH_VERSION, batch), [])) => Some(batch),
        _ => None,
    };
    hunt("batches", 4, &corpus, |bytes| {
        let decrees = [opened.clone(), bytes.to_vec(), bytes.to_vec()];
        let mut model = Machine::new();
        for batch in decrees.iter().filter_map(|bytes| decoded(bytes)) {
            model.apply(batch);
        }
        let log = decrees
            .into_iter()
            .enumerate()
            .map(|(place, bytes)| (Slot::new(place as u64 + 1), Decree::Value(bytes.into())));
        let durable = Durable { chosen_upto: Slot::new(3), ..Durable::default() };
        let replica = Replica::recover(config(), durable, Restored::default(), log, 1);
        let machine = replica.machine();
        assert_eq!(machine.hash(), model.hash());
        assert_eq!(machine.hash(), machine.hash_anew());
        let restored = Machine::restore(&machine.snapshot().to_bytes()).unwrap();
        assert_eq!(restored.hash(), machine.hash());
        if decoded(bytes).is_some() { Judged::Taken } else { Judged::Refused }
    });
}

/// Bytes that are no state are refused; what is restored has one encoding, and that is read back to
/// the same. (Bytes that a long run made have another one: a number of seven bits in two bytes.)
#[test]
fn states() {
    let mut machine = Machine::new();
    machine.apply(Batch { stamp: Timestamp(1_000), requests: requests() });
    let corpus = [machine.snapshot().to_bytes(), Machine::new().snapshot().to_bytes()];
    hunt("states", 4, &corpus, |bytes| match Machine::restore(bytes) {
        Ok(restored) => {
            assert_eq!(restored.hash(), restored.hash_anew());
            let written = restored.snapshot().to_bytes();
            let again = Machine::restore(&written).unwrap();
            assert_eq!(again.hash(), restored.hash());
            assert_eq!(again.snapshot().to_bytes(), written, "one state has one encoding");
            assert!(written.len() <= bytes.len(), "nothing came to it: {}", bytes.len());
            Judged::Taken
        }
        Err(_) => Judged::Refused,
    });
}
