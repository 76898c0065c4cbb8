//! Long random histories, held against models that remember everything and are slow.

mod naive;
mod strategy;

use proptest::prelude::*;
use synod_machine::{Batch, Machine, RequestId, Seq, SessionId, TxnId};

use naive::Naive;
use strategy::{SESSIONS, TXNS, batches, wild_batch};

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Replies, keys and verdicts are those of a model that replays the whole history; the digest
    /// kept is the digest computed anew; what was stable stays.
    #[test]
    fn a_machine_is_its_history(history in batches()) {
        let (mut machine, mut naive) = (Machine::new(), Naive::default());
        let mut stable = std::collections::BTreeMap::new();
        for batch in history {
            let expected: Vec<_> =
                batch.requests.iter().map(|request| naive.apply(request)).collect();
            let bytes = postcard::to_stdvec(&batch).unwrap();
            let applied = machine.apply(postcard::from_bytes(&bytes).unwrap());
            let replies: Vec<_> =
                applied.into_iter().map(|applied| (applied.reply, applied.repeated)).collect();
            prop_assert_eq!(replies, expected, "{:?}", batch);
            prop_assert_eq!(machine.hash(), machine.hash_anew());
            prop_assert_eq!(machine.revision(), naive.revision());
            naive.agrees_on_keys(&machine)?;
            for session in 0..=SESSIONS + 1 {
                for n in 1..=TXNS {
                    let txn = TxnId { session: SessionId::new(session), n };
                    let verdict = machine.verdict(txn);
                    prop_assert_eq!(verdict, naive.verdict(txn), "{}", txn);
                    if verdict != synod_machine::Verdict::InProgress {
                        prop_assert_eq!(*stable.entry(txn).or_insert(verdict), verdict);
                    }
                }
                for seq in 1..10 {
                    let session = SessionId::new(session);
                    let id = RequestId { session, seq: Seq::new(seq) };
                    naive.agrees_on_request(&machine, id)?;
                }
            }
            naive.agrees_on_news(&machine)?;
        }
    }

    /// Two machines that applied the same batches are equal, wherever they were copied on the way.
    #[test]
    fn a_copy_goes_on_as_the_original_does(history in batches(), at in 0usize..20) {
        let mut machine = Machine::new();
        let mut copy = None;
        for (place, batch) in history.into_iter().enumerate() {
            if place == at {
                copy = Some(machine.clone());
            }
            let applied = machine.apply(batch.clone());
            if let Some(copy) = &mut copy {
                prop_assert_eq!(copy.apply(batch), applied);
                prop_assert_eq!(copy.hash(), machine.hash());
            }
        }
    }

    /// A machine that was written and read back goes on as the original does, and is written with
    /// the same bytes as one that never was.
    #[test]
    fn a_restored_machine_goes_on_as_the_original_does(history in batches(), at in 0usize..20) {
        let mut machine = Machine::new();
        let mut restored = None;
        for (place, batch) in history.into_iter().enumerate() {
            if place == at {
                restored = Some(Machine::restore(&machine.snapshot().to_bytes()).unwrap());
            }
            let applied = machine.apply(batch.clone());
            if let Some(restored) = &mut restored {
                prop_assert_eq!(restored.apply(batch), applied);
                prop_assert_eq!(restored.snapshot().to_bytes(), machine.snapshot().to_bytes());
            }
        }
    }

    /// Whatever a batch holds, it is applied: one reply a request, no panic, no drift of the
    /// digest.
    #[test]
    fn apply_is_total(history in prop::collection::vec(wild_batch(), 1..12)) {
        let mut machine = Machine::new();
        for batch in history {
            let requests = batch.requests.len();
            prop_assert_eq!(machine.apply(batch).len(), requests);
            prop_assert_eq!(machine.hash(), machine.hash_anew());
        }
    }

    /// Decoding is total, and what decodes can be applied: bytes of a batch with some of them
    /// changed, cut or doubled.
    #[test]
    fn damaged_batches_are_refused_or_applied(
        batch in wild_batch(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = postcard::to_stdvec(&batch).unwrap();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok((batch, _)) = postcard::take_from_bytes::<Batch>(&bytes) {
            let mut machine = Machine::new();
            machine.apply(batch);
            prop_assert_eq!(machine.hash(), machine.hash_anew());
        }
    }
}
