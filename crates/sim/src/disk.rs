use fastrand::Rng;
use synod_paxos::{Decree, Durable, Slot, Write};
use synod_store::{Identity, Store, StoreError};

use crate::{facts::Facts, platter::Platter};

/// How many calls one batch of the real store makes at most; a power cut falls among the first of
/// them or after the last.
const CALLS_OF_A_BATCH: u64 = 40;

/// Bytes of decrees that are read at once when a node starts.
const PAGE_BYTES: usize = 1 << 20;

/// One node's disk. Either way, a batch in flight when the node crashes is there as a whole
/// afterwards or not at all.
#[derive(Debug)]
pub(crate) enum Disk {
    /// The facts as values: fast.
    Model(Facts),
    /// The real store on a platter in memory; the store is `None` while the node is down.
    Real { platter: Platter, identity: Identity, store: Option<Store> },
}

impl Disk {
    /// An empty disk of the model kind.
    pub(crate) fn model() -> Disk {
        Disk::Model(Facts::default())
    }

    /// An empty disk with the real store on it.
    pub(crate) fn real(identity: Identity) -> Result<Disk, StoreError> {
        let platter = Platter::default();
        Store::format_on(platter.clone(), &identity)?;
        Ok(Disk::Real { platter, identity, store: None })
    }

    /// Starts from what is durable: what the peer must remember, and the chosen log below it.
    pub(crate) fn open(&mut self) -> Result<(Durable, Vec<(Slot, Decree)>), StoreError> {
        let durable = match self {
            Disk::Model(facts) => facts.durable(),
            Disk::Real { platter, identity, store } => {
                let (opened, durable) = Store::open_on(platter.clone(), identity)?;
                *store = Some(opened);
                durable
            }
        };
        let mut log = Vec::new();
        let mut next = Slot::ZERO.next();
        while next <= durable.chosen_upto {
            let page = self.chosen(next, durable.chosen_upto, PAGE_BYTES)?;
            let last = page.last().map(|(slot, _)| *slot);
            next = last.expect("a readable watermark has every slot below it").next();
            log.extend(page);
        }
        Ok((durable, log))
    }

    /// Makes all of `writes` durable as one.
    pub(crate) fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        match self {
            Disk::Model(facts) => writes.iter().for_each(|write| facts.apply(write)),
            Disk::Real { store, .. } => {
                store.as_mut().expect("only a running node writes").write(writes)?;
            }
        }
        Ok(())
    }

    /// The machine loses its power, with `in_flight` on its way to the disk.
    pub(crate) fn crash(&mut self, in_flight: &[Write], rng: &mut Rng) {
        match self {
            Disk::Model(facts) => {
                if rng.bool() {
                    in_flight.iter().for_each(|write| facts.apply(write));
                }
            }
            Disk::Real { platter, store, .. } => {
                platter.cut_after(rng.u64(0..CALLS_OF_A_BATCH));
                if let Some(mut store) = store.take() {
                    // Whether it says that it succeeded is of no interest: nobody hears it.
                    let _ = store.write(in_flight);
                }
                platter.crash(rng);
            }
        }
    }

    /// Chosen decrees from `first` to at most `upto`, gapless.
    pub(crate) fn chosen(
        &self,
        first: Slot,
        upto: Slot,
        bytes_max: usize,
    ) -> Result<Vec<(Slot, Decree)>, StoreError> {
        match self {
            Disk::Model(facts) => Ok(facts.chosen(first, upto, bytes_max)),
            Disk::Real { store, .. } => {
                store.as_ref().expect("only a running node reads").chosen(first, upto, bytes_max)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Ballot, Life, NodeId};

    use super::*;

    const LIFE: Life = Life::first(NodeId::new(1));

    fn real() -> Disk {
        let identity = Identity { cluster: "universe".into(), cluster_id: 1, life: LIFE };
        let mut disk = Disk::real(identity).unwrap();
        disk.open().unwrap();
        disk
    }

    /// Facts as an acceptor may ask for them: promises rise, the watermark follows what stands.
    #[derive(Default)]
    struct Facility {
        round: u64,
        upto: u64,
        next: u64,
    }

    impl Facility {
        fn write(&mut self, rng: &mut Rng) -> Write {
            let decree = match rng.u8(0..4) {
                0 => Decree::Noop,
                _ => Decree::Value(vec![rng.u8(..); rng.usize(0..300)].into()),
            };
            match rng.u8(0..6) {
                0 => {
                    self.round += rng.u64(0..3);
                    Write::Promised { ballot: Ballot::of(self.round, LIFE) }
                }
                1..=3 => {
                    self.next += rng.u64(0..=1);
                    let slot = Slot::new(rng.u64(self.upto + 1..=self.next.max(self.upto + 1)));
                    Write::Accepted { slot, ballot: Ballot::of(self.round, LIFE), decree }
                }
                4 => Write::Chosen { slot: Slot::new(self.upto + 1), decree },
                _ => Write::Probe { sequence: rng.u64(..) },
            }
        }

        /// A batch, which ends with the watermark over what stands gapless, now and then.
        fn batch(&mut self, model: &Facts, rng: &mut Rng) -> Vec<Write> {
            let mut writes: Vec<Write> = (0..rng.usize(1..6)).map(|_| self.write(rng)).collect();
            let mut after = model.clone();
            writes.iter().for_each(|write| after.apply(write));
            if rng.bool() && after.record(Slot::new(self.upto + 1)).is_some() {
                self.upto += 1;
                self.next = self.next.max(self.upto);
                writes.push(Write::ChosenUpto { slot: Slot::new(self.upto) });
            }
            writes
        }
    }

    fn model(disk: &Disk) -> &Facts {
        match disk {
            Disk::Model(facts) => facts,
            Disk::Real { .. } => panic!("the other one"),
        }
    }

    /// The model and the real store, handed the same facts and crashes, give back the same: what
    /// was synced, and a batch in flight as a whole or not at all.
    #[test]
    fn the_model_gives_back_what_the_real_store_does() {
        let (mut survived, mut lost) = (0, 0);
        for seed in 0..24 {
            let rng = &mut Rng::with_seed(seed);
            let (mut store, mut facts) = (real(), Disk::model());
            let mut facility = Facility::default();
            for _ in 0..rng.usize(1..12) {
                let writes = facility.batch(model(&facts), rng);
                store.write(&writes).unwrap();
                facts.write(&writes).unwrap();
                let upto = Slot::new(facility.upto);
                let first = Slot::new(rng.u64(1..=facility.upto.max(1)));
                let bytes_max = rng.usize(0..1_000);
                assert_eq!(
                    store.chosen(first, upto, bytes_max).unwrap(),
                    facts.chosen(first, upto, bytes_max).unwrap(),
                    "seed {seed}"
                );
            }
            let in_flight = facility.batch(model(&facts), rng);
            store.crash(&in_flight, rng);
            let (found, log) = store.open().unwrap();
            let without = model(&facts).durable();
            facts.write(&in_flight).unwrap();
            let with = model(&facts).durable();
            assert!(found == with || found == without, "seed {seed}: {found:?}");
            if with != without {
                *(if found == with { &mut survived } else { &mut lost }) += 1;
            }
            assert_eq!(log.len() as u64, found.chosen_upto.get(), "seed {seed}");
        }
        assert!(survived > 0 && lost > 0, "{survived} batches survived, {lost} were lost");
    }
}
