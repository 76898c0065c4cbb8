use std::collections::BTreeMap;

use synod_machine::Timestamp;
use synod_paxos::{Durably, Envelope, Life, Members, NodeId, Tick, Write};
use synod_replica::{ClientId, Config, Replica};

use crate::{disk::Disk, planted::Plant};

/// When wall clocks begin, in milliseconds since 1970.
const WALL_MS: u64 = 1_800_000_000_000;

/// One machine of the universe: a disk that outlives its processes, and a process now and then.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) life: Life,
    pub(crate) disk: Disk,
    /// How many processes there have been.
    pub(crate) boot: u64,
    pub(crate) up: Option<Up>,
    /// Facts that were on their way to the disk when the last process died.
    pub(crate) in_flight: Vec<Write>,
    /// The process does nothing before this moment.
    pub(crate) paused_until_us: u64,
    /// No sync ends before this moment.
    pub(crate) stalled_until_us: u64,
    /// How far the wall clock is off, in milliseconds.
    pub(crate) wall_off_ms: i64,
    /// Lose the power in the middle of the next words.
    pub(crate) cut_short: bool,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) replica: Replica,
    pub(crate) started_us: u64,
    /// What has gathered while a sync is under way.
    pub(crate) gathered: Durably,
    /// The sync under way.
    pub(crate) syncing: Option<Batch>,
    /// The earliest wake that is in the queue of events.
    pub(crate) wake_us: Option<u64>,
    /// Whether the news that the disk is free is in the queue of events.
    pub(crate) free_told: bool,
    /// Whose call each is.
    pub(crate) calls: BTreeMap<ClientId, (crate::event::Caller, u64)>,
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
    pub(crate) fn new(life: Life, disk: Disk) -> Node {
        Node {
            life,
            disk,
            boot: 0,
            up: None,
            in_flight: Vec::new(),
            paused_until_us: 0,
            stalled_until_us: 0,
            wall_off_ms: 0,
            cut_short: false,
        }
    }

    /// What a replica on this machine is told.
    pub(crate) fn config(&self, members: &Members) -> Config {
        let paxos = synod_paxos::Config::new(self.life, members.clone());
        Config::new(paxos.expect("every machine of the universe is a voter"))
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
    pub(crate) fn new(replica: Replica, now_us: u64) -> Up {
        Up {
            replica,
            started_us: now_us,
            gathered: Durably::default(),
            syncing: None,
            wake_us: None,
            free_told: false,
            calls: BTreeMap::new(),
        }
    }

    /// The process's own clock.
    pub(crate) fn tick(&self, now_us: u64) -> Tick {
        Tick::from_micros(now_us - self.started_us)
    }

    /// When the process wants to be woken, in the universe's time.
    pub(crate) fn wants_wake_us(&self) -> Option<u64> {
        self.replica.wake_at().map(|tick| self.started_us.saturating_add(tick.micros()))
    }
}
