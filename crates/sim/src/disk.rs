use fastrand::Rng;
use synod_paxos::{Decree, Durable, Slot, Write};
use synod_store::{Identity, Store, StoreError};

use crate::{
    drive::{Decay, Drive, File},
    facts::Facts,
};

/// How many calls one batch of the real store makes at most; a cut falls among the first of them
/// or after the last.
const CALLS_OF_A_BATCH: u64 = 40;

/// How many it makes when it goes into the log alone, as most do.
const CALLS_OF_AN_APPEND: u64 = 4;

/// How many calls the opening of the real store makes at most, or nearly.
const CALLS_OF_AN_OPENING: u64 = 60;

/// How much the write-ahead log of the real store holds, of one node or another: little, so that it
/// is often full, and so little that many a record fills most of it.
const WAL_BYTES: [u64; 3] = [64 << 10, 16 << 10, 8 << 10];

/// Of the decays of a model one in so many is of all of it.
const ALL_DECAYS_ONE_IN: u8 = 8;

/// Bytes of decrees that are read at once when a node starts.
const PAGE_BYTES: usize = 1 << 20;

/// One node's disk. Either way, a batch in flight when the node stops is there as a whole
/// afterwards or not at all.
#[derive(Debug)]
pub(crate) struct Disk {
    kind: Kind,
    /// Whether there is no room for more.
    full: bool,
    /// Whether the next batch of a model fails.
    fails: bool,
    /// Whether something on it has decayed.
    decayed: bool,
    /// Whether a model has decayed beyond use.
    refused: bool,
}

#[derive(Debug)]
enum Kind {
    /// The facts as values: fast.
    Model(Facts),
    /// The real store, as production has it, on a drive in memory; the store is `None` while the
    /// node is down.
    Real { drive: Drive, identity: Box<Identity>, store: Option<Box<Store>> },
}

/// What a node finds when it starts.
#[derive(Debug)]
pub(crate) enum Opened {
    /// What the peer must remember.
    Ready(Durable),
    /// The disk is full, or failed: the process ends, and may be started again.
    NotNow,
    /// What is on the disk has decayed, and the store names it: this node is gone for good.
    Gone(String),
}

/// What came of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// It is durable.
    Durable,
    /// There was no room, and nothing of it is there.
    Full,
    /// The disk failed: nobody knows what it holds, and the process must end.
    Failed,
}

/// How a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The machine loses its power, and what was not synced by the toss of a coin.
    Power,
    /// Only the process ends.
    Process,
}

/// What happened to the disk of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rotten {
    /// The record of this slot.
    Record(Slot),
    /// All of it.
    All,
    /// This, in files of the real store.
    InFiles(Vec<(File, Decay)>),
    /// There is nothing on it.
    Nothing,
}

impl Disk {
    /// An empty disk of the model kind.
    pub(crate) fn model() -> Disk {
        Disk::new(Kind::Model(Facts::default()))
    }

    /// An empty disk with the real store on it.
    pub(crate) fn real(identity: Identity) -> Result<Disk, StoreError> {
        let drive = Drive::default();
        let (home, wal) = drive.attach();
        let wal_bytes = WAL_BYTES[identity.life.node.get() as usize % WAL_BYTES.len()];
        Store::format_ahead_on(home, wal, wal_bytes, &identity)?;
        Ok(Disk::new(Kind::Real { drive, identity: Box::new(identity), store: None }))
    }

    fn new(kind: Kind) -> Disk {
        Disk { kind, full: false, fails: false, decayed: false, refused: false }
    }

    /// A copy of what is durable, on a disk of its own: none where something has decayed.
    pub(crate) fn image(&self) -> Option<Disk> {
        if self.decayed || self.refused {
            return None;
        }
        let kind = match &self.kind {
            Kind::Model(facts) => Kind::Model(facts.clone()),
            Kind::Real { drive, identity, .. } => {
                Kind::Real { drive: drive.image(), identity: identity.clone(), store: None }
            }
        };
        Some(Disk::new(kind))
    }

    /// Starts from what is durable.
    pub(crate) fn open(&mut self) -> Result<Opened, StoreError> {
        let durable = match &mut self.kind {
            Kind::Model(_) if self.refused => return Ok(Opened::Gone("damaged".into())),
            Kind::Model(facts) => {
                facts.open();
                facts.durable()
            }
            Kind::Real { drive, identity, store } => {
                let (home, wal) = drive.attach();
                match Store::open_ahead_on(home, wal, identity) {
                    Ok((opened, durable)) => {
                        *store = Some(Box::new(opened));
                        durable
                    }
                    Err(StoreError::DiskFull { .. }) if self.full => return Ok(Opened::NotNow),
                    Err(_) if drive.has_failed() => return Ok(Opened::NotNow),
                    Err(StoreError::Damaged { what, .. }) if self.decayed => {
                        return Ok(Opened::Gone(what));
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(Opened::Ready(durable))
    }

    /// The chosen log after `applied`, as far as a state needs it; nothing where it begins later.
    pub(crate) fn log(
        &self,
        durable: &Durable,
        applied: Slot,
    ) -> Result<Vec<(Slot, Decree)>, StoreError> {
        let mut log = Vec::new();
        if applied < durable.trimmed {
            return Ok(log);
        }
        let mut next = applied.next();
        while next <= durable.chosen_upto {
            let page = self.chosen(next, durable.chosen_upto, PAGE_BYTES)?.unwrap_or_default();
            let last = page.last().map(|(slot, _)| *slot);
            next = last.expect("a readable watermark has every slot below it").next();
            log.extend(page);
        }
        Ok(log)
    }

    /// Makes all of `writes` durable as one.
    pub(crate) fn write(&mut self, writes: &[Write], rng: &mut Rng) -> Result<Wrote, StoreError> {
        if writes.is_empty() {
            return Ok(Wrote::Durable);
        }
        match &mut self.kind {
            Kind::Model(facts) => {
                let fails = std::mem::take(&mut self.fails);
                if self.full && !fails {
                    return Ok(Wrote::Full);
                }
                if !fails || rng.bool() {
                    writes.iter().for_each(|write| facts.apply(write));
                }
                Ok(if fails { Wrote::Failed } else { Wrote::Durable })
            }
            Kind::Real { drive, store, .. } => {
                let wrote = store.as_mut().expect("only a running node writes").write(writes);
                let failed = drive.has_failed();
                match wrote {
                    Ok(()) => Ok(Wrote::Durable),
                    Err(StoreError::DiskFull { .. }) if self.full => Ok(Wrote::Full),
                    Err(_) if failed || self.full || self.decayed => Ok(Wrote::Failed),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// The node stops, with `in_flight` on its way to the disk.
    pub(crate) fn stop(&mut self, how: Stop, in_flight: &[Write], rng: &mut Rng) {
        match &mut self.kind {
            Kind::Model(facts) => {
                if rng.bool() && !self.full {
                    in_flight.iter().for_each(|write| facts.apply(write));
                }
            }
            Kind::Real { drive, store, .. } => {
                let most = if rng.bool() { CALLS_OF_AN_APPEND } else { CALLS_OF_A_BATCH };
                drive.cut_after(rng.u64(0..most));
                if let Some(mut store) = store.take() {
                    // Whether it says that it succeeded is of no interest: nobody hears it.
                    let _ = store.write(in_flight);
                }
                match how {
                    Stop::Power => drive.lose_power(rng),
                    Stop::Process => drive.lose_process(),
                }
            }
        }
    }

    /// One of the next calls fails, once.
    pub(crate) fn fail_next(&mut self, rng: &mut Rng) {
        self.fails = true;
        if let Kind::Real { drive, .. } = &self.kind {
            drive.fail_after(rng.u64(0..CALLS_OF_A_BATCH / 4), rng.fork());
        }
    }

    /// Whatever was to go wrong with it does not any more.
    pub(crate) fn heal(&mut self) {
        self.fails = false;
        self.set_full(false);
        if let Kind::Real { drive, .. } = &self.kind {
            drive.stop_failing();
        }
    }

    /// The machine starts and loses its power before it has read everything; false where a start
    /// takes no time.
    pub(crate) fn open_in_vain(&mut self, rng: &mut Rng) -> bool {
        if let Kind::Real { drive, identity, .. } = &self.kind {
            let (home, wal) = drive.attach();
            drive.cut_after(rng.u64(0..CALLS_OF_AN_OPENING));
            // Whether it succeeds is of no interest: nobody hears it.
            drop(Store::open_ahead_on(home, wal, identity));
            drive.lose_power(rng);
            return true;
        }
        false
    }

    /// From now on there is no room for more, or there is again.
    pub(crate) fn set_full(&mut self, full: bool) {
        self.full = full;
        if let Kind::Real { drive, .. } = &self.kind {
            drive.set_full(full);
        }
    }

    /// Something on it decays.
    pub(crate) fn rot(&mut self, rng: &mut Rng) -> Rotten {
        self.decayed = true;
        match &mut self.kind {
            Kind::Model(_) if rng.u8(0..ALL_DECAYS_ONE_IN) == 0 => {
                self.refused = true;
                Rotten::All
            }
            Kind::Model(facts) => facts.rot(rng).map_or(Rotten::Nothing, Rotten::Record),
            Kind::Real { drive, .. } => match drive.decay(rng) {
                decays if decays.is_empty() => Rotten::Nothing,
                decays => Rotten::InFiles(decays),
            },
        }
    }

    /// Chosen decrees from `first` to at most `upto`, gapless; `None` when the first is damaged.
    pub(crate) fn chosen(
        &self,
        first: Slot,
        upto: Slot,
        bytes_max: usize,
    ) -> Result<Option<Vec<(Slot, Decree)>>, StoreError> {
        match &self.kind {
            Kind::Model(facts) => Ok(facts.chosen(first, upto, bytes_max)),
            Kind::Real { store, .. } => {
                let store = store.as_ref().expect("only a running node reads");
                match store.chosen(first, upto, bytes_max) {
                    // After a full disk it reads again when it has written again.
                    Err(StoreError::DiskFull { .. }) => Ok(Some(Vec::new())),
                    Err(StoreError::Faulty { .. }) if self.decayed => Ok(None),
                    Err(_) if self.decayed => Ok(Some(Vec::new())),
                    found => found.map(Some),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Ballot, Life, Mark, NodeId};

    use super::*;

    const LIFE: Life = Life::first(NodeId::new(1));

    fn real() -> Disk {
        let identity = Identity { cluster: "universe".into(), cluster_id: 1, life: LIFE };
        let mut disk = Disk::real(identity).unwrap();
        disk.open().unwrap();
        disk
    }

    /// Facts as an acceptor may ask for them: promises rise, the watermark follows what stands.
    #[derive(Clone, Default)]
    struct Facility {
        round: u64,
        upto: u64,
        next: u64,
        trims: bool,
    }

    impl Facility {
        fn write(&mut self, rng: &mut Rng) -> Write {
            let decree = match rng.u8(0..4) {
                0 => Decree::Noop,
                _ => Decree::Value(vec![rng.u8(..); rng.usize(0..300)].into()),
            };
            match rng.u8(0..7) {
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
                5 if self.trims => Write::Trimmed { upto: Slot::new(rng.u64(0..=self.upto)) },
                _ => Write::Marked { mark: Mark::new(rng.u64(..)) },
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
        match &disk.kind {
            Kind::Model(facts) => facts,
            Kind::Real { .. } => panic!("the other one"),
        }
    }

    fn facts_of(disk: &mut Disk) -> Durable {
        match disk.open().unwrap() {
            Opened::Ready(durable) => {
                let log = disk.log(&durable, durable.trimmed).unwrap();
                assert_eq!(log.len() as u64, durable.chosen_upto.distance_from(durable.trimmed));
                durable
            }
            other => panic!("{other:?}"),
        }
    }

    /// Both disks, what was asked of them, and how often what was in flight survived.
    struct Pair {
        rng: Rng,
        store: Disk,
        facts: Disk,
        facility: Facility,
        survived: u64,
        lost: u64,
    }

    impl Pair {
        fn new(seed: u64) -> Pair {
            let facility = Facility { trims: true, ..Facility::default() };
            let rng = Rng::with_seed(seed);
            Pair { rng, store: real(), facts: Disk::model(), facility, survived: 0, lost: 0 }
        }

        fn next_batch(&mut self) -> Vec<Write> {
            self.facility.batch(model(&self.facts), &mut self.rng)
        }

        fn write(&mut self, writes: &[Write]) -> Wrote {
            let wrote = self.store.write(writes, &mut self.rng).unwrap();
            if wrote == Wrote::Durable {
                self.facts.write(writes, &mut self.rng).unwrap();
            }
            wrote
        }

        fn read(&mut self) {
            let upto = Slot::new(self.facility.upto);
            let first = Slot::new(self.rng.u64(1..=self.facility.upto.max(1)));
            let bytes_max = self.rng.usize(0..1_000);
            let found = self.store.chosen(first, upto, bytes_max).unwrap();
            assert_eq!(found, self.facts.chosen(first, upto, bytes_max).unwrap());
        }

        /// The node stops with these facts in flight and starts again: all of them are there, or
        /// none.
        fn restart(&mut self, in_flight: &[Write]) {
            let how = if self.rng.bool() { Stop::Power } else { Stop::Process };
            self.store.stop(how, in_flight, &mut self.rng);
            self.store.heal();
            if self.rng.bool() {
                assert!(self.store.open_in_vain(&mut self.rng));
            }
            let found = facts_of(&mut self.store);
            let without = model(&self.facts).durable();
            let mut after = model(&self.facts).clone();
            in_flight.iter().for_each(|write| after.apply(write));
            let with = after.durable();
            assert!(found == with || found == without, "{how:?}: {found:?}");
            if with != without {
                *(if found == with { &mut self.survived } else { &mut self.lost }) += 1;
            }
            if found == with {
                self.facts.kind = Kind::Model(after);
            }
            self.facility.upto = found.chosen_upto.get();
        }
    }

    /// The model and the real store, handed the same facts and the same ends, give back the same:
    /// what was synced, and a batch in flight as a whole or not at all; over several lives, and
    /// when the power goes while the store is being opened.
    #[test]
    fn the_model_gives_back_what_the_real_store_does() {
        let (mut survived, mut lost) = (0, 0);
        for seed in 0..20 {
            let mut pair = Pair::new(seed);
            for _ in 0..4 {
                for _ in 0..pair.rng.usize(1..12) {
                    let writes = pair.next_batch();
                    assert_eq!(pair.write(&writes), Wrote::Durable, "seed {seed}");
                    pair.read();
                }
                let in_flight = pair.next_batch();
                pair.restart(&in_flight);
            }
            survived += pair.survived;
            lost += pair.lost;
        }
        assert!(survived > 9 && lost > 9, "{survived} batches survived, {lost} were lost");
    }

    /// After a call that failed the store takes no more, and the next life finds the batch as a
    /// whole or not at all; and so it stays when the power goes after that.
    #[test]
    fn a_failed_call_ends_the_life_and_loses_nothing_durable() {
        let (mut failed, mut survived, mut lost) = (0, 0, 0);
        for seed in 0..24 {
            let mut pair = Pair::new(seed);
            for _ in 0..3 {
                let mut rng = pair.rng.fork();
                pair.store.fail_next(&mut rng);
                for _ in 0..8 {
                    let writes = pair.next_batch();
                    if pair.write(&writes) == Wrote::Failed {
                        failed += 1;
                        pair.restart(&writes);
                        break;
                    }
                }
            }
            pair.restart(&[]);
            survived += pair.survived;
            lost += pair.lost;
        }
        assert!(failed > 24 && survived > 4 && lost > 9, "{failed} {survived} {lost}");
    }

    /// A full disk refuses a batch as a whole and takes it when there is room again.
    #[test]
    fn a_full_disk_refuses_whole_batches() {
        let mut refused = 0;
        for seed in 0..6 {
            let mut pair = Pair::new(seed);
            // What is trimmed would be room.
            pair.facility.trims = false;
            for round in 0..60 {
                pair.store.set_full(round % 20 > 10);
                let before = pair.facility.clone();
                let writes = pair.next_batch();
                match pair.write(&writes) {
                    Wrote::Durable => pair.read(),
                    Wrote::Full => {
                        // Nothing stands of what was refused, nor builds upon it.
                        pair.facility = before;
                        refused += 1;
                    }
                    Wrote::Failed => {
                        pair.restart(&writes);
                    }
                }
            }
            pair.restart(&[]);
        }
        assert!(refused > 9, "{refused}");
    }
}
