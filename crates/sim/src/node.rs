use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use fastrand::Rng;
use synod_machine::Timestamp;
use synod_paxos::{Durably, Envelope, Life, Mark, Members, NodeId, Tick, Write};
use synod_replica::{ClientId, Config, Replica, ShelfJob};

use crate::{clock::Clock, disk::Disk, event::Caller, plan::Plan, planted::Plant, shelf::Shelf};

/// When wall clocks begin, in milliseconds since 1970.
const WALL_MS: u64 = 1_800_000_000_000;

/// One machine of the universe: a disk that outlives its processes, and a process now and then.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) life: Life,
    pub(crate) disk: Disk,
    pub(crate) shelf: Shelf,
    /// How many processes there have been.
    pub(crate) boot: u64,
    pub(crate) up: Option<Up>,
    /// Facts that were on their way to the disk when the last process died.
    pub(crate) in_flight: Vec<Write>,
    /// The process does nothing before this moment.
    pub(crate) paused_until_us: u64,
    /// No sync ends before this moment.
    pub(crate) stalled_until_us: u64,
    /// Before this moment a sync takes many times as long.
    pub(crate) slow_until_us: u64,
    /// Before this moment it is woken late.
    pub(crate) lags_until_us: u64,
    /// And by so much.
    pub(crate) lags_by_us: u64,
    /// How far the wall clock is off, in milliseconds.
    pub(crate) wall_off_ms: i64,
    /// How fast the clocks of its processes run.
    pub(crate) fast_ppm: i64,
    /// When to lose the power next.
    pub(crate) cut: Option<Cut>,
    /// Its disk has decayed beyond use, or is not its own any more: it never starts again.
    pub(crate) gone: bool,
    /// A copy of all that it had at some moment.
    pub(crate) image: Option<Box<Image>>,
    /// Whether it was put on such a copy and has not noticed.
    pub(crate) is_older: bool,
}

/// A copy of what was durable at one moment.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) disk: Disk,
    pub(crate) shelf: Shelf,
    /// How much had been written.
    pub(crate) mark: Mark,
}

/// A moment within a step at which a node loses its power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// In the middle of the next words.
    MidSentence,
    /// After the next sync, and before the words that rely on it.
    AfterSync,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) replica: Replica,
    pub(crate) clock: Clock,
    pub(crate) started_us: u64,
    /// What has gathered while a sync is under way.
    pub(crate) gathered: Durably,
    /// The facts in it, in the order in which steps asked for them.
    pub(crate) asked: Vec<Write>,
    /// The sync under way.
    pub(crate) syncing: Option<Batch>,
    /// Since when the last sync has been under way.
    pub(crate) syncing_since_us: u64,
    /// The disk was full the last time: when to offer it the same again.
    pub(crate) full_until_us: Option<u64>,
    /// The tick that it had read when it stood still, for the reads that it takes up when it goes
    /// on at this moment: a driver reads its clock before it takes up what has come.
    pub(crate) stood_still_at: Option<(Tick, u64)>,
    /// Whether it held a lease for reads before its last step, by its clock at that moment.
    pub(crate) had_lease: bool,
    /// The earliest wake that is in the queue of events.
    pub(crate) wake_us: Option<u64>,
    /// Whether the news that the disk is free is in the queue of events.
    pub(crate) free_told: bool,
    /// Whether this process has asked for a chunk of a snapshot.
    pub(crate) has_fetched: bool,
    /// What the shelf is to do; it is at work on the first.
    pub(crate) jobs: VecDeque<ShelfJob>,
    /// Whose call each is.
    pub(crate) calls: BTreeMap<ClientId, (Caller, u64)>,
    /// How much each of the others has told it to be on its disk.
    pub(crate) told: BTreeMap<NodeId, Mark>,
}

/// Facts on their way to the disk, with the words that rely on them.
#[derive(Debug)]
pub(crate) enum Batch {
    /// As it should be: nobody knows the words yet.
    Sealed(Durably),
    /// Opened too early by a planted bug; what is left is spoken after the sync.
    Opened(Vec<Write>, Vec<Envelope>),
}

impl Batch {
    /// A batch that is about to be synced, and the words that a planted bug speaks before that.
    pub(crate) fn new(durably: Durably, plant: Option<Plant>) -> (Batch, Vec<Envelope>) {
        let Some(plant) = plant.filter(|plant| plant.opens_words()) else {
            return (Batch::Sealed(durably), Vec::new());
        };
        let writes = durably.writes().to_vec();
        let (early, late) = durably.synced().into_iter().partition(|word| plant.speaks_early(word));
        (Batch::Opened(writes, late), early)
    }

    /// The facts.
    pub(crate) fn writes(&self) -> &[Write] {
        match self {
            Batch::Sealed(durably) => durably.writes(),
            Batch::Opened(writes, _) => writes,
        }
    }

    /// The words, now that the facts are durable.
    pub(crate) fn synced(self) -> Vec<Envelope> {
        match self {
            Batch::Sealed(durably) => durably.synced(),
            Batch::Opened(_, words) => words,
        }
    }
}

impl Node {
    /// A machine with this disk, switched off.
    pub(crate) fn new(life: Life, disk: Disk, fast_ppm: i64) -> Node {
        Node {
            life,
            disk,
            shelf: Shelf::new(),
            boot: 0,
            up: None,
            in_flight: Vec::new(),
            paused_until_us: 0,
            stalled_until_us: 0,
            slow_until_us: 0,
            lags_until_us: 0,
            lags_by_us: 0,
            wall_off_ms: 0,
            fast_ppm,
            cut: None,
            gone: false,
            image: None,
            is_older: false,
        }
    }

    /// What a replica on this machine is told.
    pub(crate) fn config(&self, members: &Members, plan: &Plan) -> Config {
        let paxos = synod_paxos::Config::new(self.life, members.clone());
        let mut config = Config::new(paxos.expect("every machine of the universe is a voter"));
        config.paxos.window_slots = plan.window_slots;
        config.paxos.page_slots = plan.page_slots;
        config.paxos.timing = plan.timing;
        config.session_grace = Duration::from_millis(plan.session_grace_ms);
        config.paxos.tail_slots = plan.tail_slots;
        config.paxos.look_every = plan.look_every;
        config.paxos.leasing = plan.leasing;
        config.cadence = plan.cadence;
        (config.queue_bytes_max, config.batch_bytes_max) = plan.queue_bytes;
        config
    }

    /// Whether there is room on its disk for more, and beside it for snapshots.
    pub(crate) fn set_full(&mut self, full: bool) {
        self.disk.set_full(full);
        self.shelf.set_full(full);
    }

    /// One of the next calls of its disk fails, or of what its snapshots stand on.
    pub(crate) fn fail_next(&mut self, rng: &mut Rng) {
        match rng.bool() {
            true => self.disk.fail_next(rng),
            false => self.shelf.fail_next(rng),
        }
    }

    /// Trouble has ended, except for what cannot be undone.
    pub(crate) fn heal(&mut self, now_us: u64) {
        // Until now it may have stood still.
        self.paused_until_us = self.paused_until_us.min(now_us);
        self.stalled_until_us = 0;
        self.slow_until_us = 0;
        self.lags_until_us = 0;
        self.cut = None;
        self.disk.heal();
        self.shelf.heal();
        if let Some(up) = &mut self.up {
            up.full_until_us = up.full_until_us.map(|_| 0);
            up.clock.go_on(now_us);
        }
    }

    /// The node's number.
    pub(crate) fn id(&self) -> NodeId {
        self.life.node
    }

    /// What the wall clock shows.
    pub(crate) fn wall(&self, now_us: u64) -> Timestamp {
        Timestamp((WALL_MS + now_us / 1_000).saturating_add_signed(self.wall_off_ms))
    }
}

impl Up {
    /// A process begun at `now_us`.
    pub(crate) fn new(replica: Replica, now_us: u64, fast_ppm: i64) -> Up {
        Up {
            replica,
            clock: Clock::new(now_us, fast_ppm),
            started_us: now_us,
            gathered: Durably::default(),
            asked: Vec::new(),
            syncing: None,
            syncing_since_us: now_us,
            full_until_us: None,
            stood_still_at: None,
            had_lease: false,
            wake_us: None,
            free_told: false,
            has_fetched: false,
            jobs: VecDeque::new(),
            calls: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Whether nothing is on its way to the disk, and there was room the last time.
    pub(crate) fn disk_is_free(&self) -> bool {
        self.syncing.is_none() && self.full_until_us.is_none()
    }

    /// The process's own clock.
    pub(crate) fn tick(&self, now_us: u64) -> Tick {
        self.clock.tick(now_us)
    }

    /// When the process wants to be woken, in the universe's time.
    pub(crate) fn wants_wake_us(&self) -> Option<u64> {
        self.replica.wake_at().map(|tick| self.clock.moment_us(tick))
    }
}
