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
