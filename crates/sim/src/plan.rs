use std::time::Duration;

use fastrand::Rng;
use synod_paxos::{CLOCKS_OFF_BY_ONE_IN, Leasing, Timing};
use synod_replica::Cadence;

use crate::{network::Shape, trouble::Trouble, weather::Weather};

/// Microseconds of a millisecond.
pub(crate) const MS: u64 = 1_000;

/// Microseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000;

/// One universe in so many runs the real store; a redb commit costs far more than a model's.
const REAL_STORE_ONE_IN: u64 = 8;

/// One universe in so many is troubled for long.
const LONG_ONE_IN: u64 = 16;

/// What a seed makes of its universe: how big, how troubled, how busy (swarm testing: each seed
/// leaves out some kinds of trouble, so that the others are not drowned in them).
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// 1, 3, 5 or 7.
    pub(crate) voters: u16,
    /// Whether the nodes' disks carry the real store.
    pub(crate) real_store: bool,
    /// When trouble ends.
    pub(crate) trouble_us: u64,
    /// How long everything may take after that to be well again.
    pub(crate) healing_us: u64,
    /// What the network does to words.
    pub(crate) network: Weather,
    /// How long nodes wait for one another.
    pub(crate) timing: Timing,
    /// In which shapes links break.
    pub(crate) shapes: Vec<Shape>,
    /// When nodes take snapshots, and how fast they fetch them.
    pub(crate) cadence: Cadence,
    /// Slots that stay below what snapshots cover.
    pub(crate) tail_slots: u64,
    /// How far a leader may propose above what it knows to be chosen.
    pub(crate) window_slots: u64,
    /// Bytes of requests that a leader lets wait, and of one batch.
    pub(crate) queue_bytes: (usize, usize),
    /// How many slots one page of a promise reports.
    pub(crate) page_slots: usize,
    /// How long a sync takes.
    pub(crate) sync_us: (u64, u64),
    /// How far the rates of processes' clocks are off at most, in parts of a million.
    pub(crate) drift_ppm: i64,
    /// The mean time between two troubles of a kind, for the kinds that this universe knows.
    pub(crate) gaps_us: Vec<(Trouble, u64)>,
    /// Clients with a session each.
    pub(crate) clients: u16,
    /// Keys that they share; few, so that they meet.
    pub(crate) keys: u16,
    /// Of twelve things that a client asks, so many are reads.
    pub(crate) reads: u8,
    /// The time a client thinks between two requests.
    pub(crate) think_us: (u64, u64),
    /// How long a client waits for an answer before it turns to another node.
    pub(crate) patience_us: (u64, u64),
    /// The time to live of sessions; short ones end while their clients live.
    pub(crate) ttl_ms: u64,
    /// How much longer than that a leader waits for a word of it.
    pub(crate) session_grace_ms: u64,
    /// How long a prepared branch waits before it asks the log to abort.
    pub(crate) grace_ms: u64,
    /// Owners of transactions.
    pub(crate) owners: u16,
    /// Participants of transactions.
    pub(crate) participants: u16,
    /// Who reads what transactions write.
    pub(crate) auditors: u16,
    /// Whether operators end transactions and sessions by force.
    pub(crate) operators: bool,
    /// Holders of leases and locks, who watch what changes.
    pub(crate) holders: u16,
    /// Whether they contend for offices, too.
    pub(crate) elections: bool,
    /// Whether operators take away what holders and patrons have.
    pub(crate) breaks: bool,
    /// Clients that use services and nothing else.
    pub(crate) patrons: u16,
    /// Who watches at one node each, what changes seldom.
    pub(crate) observers: u16,
    /// How often a node asks how current it is.
    pub(crate) look_every: Duration,
    /// Whether leaders ask for leases, and how long vows last.
    pub(crate) leasing: Leasing,
    /// Whether clients read at any node, and not from the leader alone.
    pub(crate) reading: bool,
}

/// One universe in so many has leaders with leases, and clients that read at any node.
const READERS_ONE_IN: u8 = 4;

/// How far the rates of clocks may be off for what a lease trusts: a part in 64.
pub(crate) const CLOCKS_OFF_PPM: i64 = 1_000_000 / CLOCKS_OFF_BY_ONE_IN as i64;

/// Universes of these places among so many have holders.
const HOLDERS_ONE_IN: u64 = 5;
/// Which of them.
const HOLDERS_AT: [u64; 2] = [2, 4];

/// Universes of these places among as many have patrons of services: with holders, and without.
const PATRONS_AT: [u64; 2] = [1, 4];

/// Of universes with holders or patrons one in so many has operators who take away what they have.
const BREAKS_ONE_IN: u64 = 3;

/// One universe in so many has operators who end what they take to be stuck.
const OPERATORS_ONE_IN: u64 = 16;
/// Which of them.
const OPERATORS_AT: u64 = 9;

/// Of universes with owners one in so many has auditors.
const AUDITORS_ONE_IN: u8 = 3;

/// Of universes with several nodes one in so many has older images of disks.
const IMAGES_ONE_IN: u8 = 6;

/// One universe in so many is hasty, unless its disks are slow.
const HASTY_ONE_IN: u64 = 4;

/// Nodes that wait for one another hardly longer than a word takes: reigns are short, overlap, and
/// come again to the same node before the words of the last one have arrived.
const HASTY: Timing = Timing {
    heartbeat: Duration::from_millis(5),
    suspect_min: Duration::from_millis(10),
    suspect_max: Duration::from_millis(250),
    disk_stall: Duration::from_millis(300),
};

impl Plan {
    /// The universe of `seed`.
    pub(crate) fn of(seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed ^ 0x5EED_0FA1_1AE5);
        let rng = &mut rng;
        let voters = [1, 3, 3, 3, 3, 5, 5, 7][rng.usize(0..8)];
        let slow_sync = rng.u64(0..4) == 0;
        let patience = rng.u64(50..400) * MS;
        let long = rng.u64(0..LONG_ONE_IN) == 0;
        let trouble_ms = if long { rng.u64(8_000..20_000) } else { rng.u64(1_500..6_000) };
        let hasty = !slow_sync && rng.u64(0..HASTY_ONE_IN) == 0;
        Plan {
            voters,
            real_store: seed.is_multiple_of(REAL_STORE_ONE_IN),
            trouble_us: trouble_ms * MS / if hasty { 3 } else { 1 },
            healing_us: 20 * SECOND,
            network: Weather::draw(rng),
            timing: if hasty { HASTY } else { Timing::default() },
            shapes: Shape::ALL.into_iter().filter(|_| rng.bool()).collect(),
            cadence: cadence(rng),
            tail_slots: [0, 0, 4, 40][rng.usize(0..4)],
            window_slots: [3, 30, 1_024][rng.usize(0..3)],
            queue_bytes: [(300, 200), (16 << 20, 1 << 20)][rng.usize(0..2)],
            page_slots: [1, 3, 4_096][rng.usize(0..3)],
            sync_us: if slow_sync { (2 * MS, 60 * MS) } else { (100, 5 * MS) },
            drift_ppm: [0, 200, 50_000][rng.usize(0..3)],
            gaps_us: troubles(rng),
            clients: rng.u16(1..=4),
            keys: rng.u16(1..=4),
            reads: rng.u8(2..=9),
            think_us: (0, rng.u64(1..60) * MS),
            patience_us: (patience / 2, patience),
            ttl_ms: if rng.u64(0..3) == 0 { rng.u64(100..900) } else { 10_000 },
            session_grace_ms: [50, 500][rng.usize(0..2)],
            grace_ms: rng.u64(50..1_500),
            owners: rng.u16(0..=3),
            participants: rng.u16(2..=4),
            auditors: 0,
            operators: seed % OPERATORS_ONE_IN == OPERATORS_AT,
            holders: holders(seed),
            elections: elections(seed),
            breaks: breaks(seed),
            patrons: patrons(seed),
            observers: if holders(seed) + patrons(seed) > 0 { voters } else { 0 },
            look_every: Duration::MAX,
            leasing: Leasing { asks: false, vow: Duration::ZERO },
            reading: false,
        }
        .with_readers(seed)
        .with_decay(seed)
        .with_auditors(seed)
        .with_images(seed)
    }

    /// One or two, in some of the universes that have owners.
    fn with_auditors(mut self, seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed ^ 0x00A0_D175);
        if self.owners > 0 && rng.u8(0..AUDITORS_ONE_IN) == 0 {
            self.auditors = rng.u16(1..=2);
        }
        self
    }

    /// Disks with the real store decay in most universes that have it: it has far more to lose than
    /// its model.
    fn with_decay(mut self, seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed ^ 0x000D_ECA1);
        let gap_us = rng.u64(300 * MS..SECOND);
        if self.real_store && rng.u8(0..4) > 0 {
            self.gaps_us.retain(|(trouble, _)| *trouble != Trouble::Rot);
            self.gaps_us.push((Trouble::Rot, gap_us));
        }
        self
    }

    /// In some universes leaders hold leases and clients read at any node. What else happens in a
    /// universe does not change with the draw, but for what follows from that.
    fn with_readers(mut self, seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed ^ 0x0004_EAD1_EA5E);
        if rng.u8(0..READERS_ONE_IN) != 0 {
            return self;
        }
        self.reading = true;
        self.look_every = Duration::from_millis(rng.u64(20..200));
        self.reads = self.reads.max(6);
        // A vow lasts as long as it takes to miss a leader, or as far as safety goes, any time.
        let vow = [self.timing.suspect_min * 9 / 10, Duration::from_millis(rng.u64(10..400))];
        self.leasing = Leasing { asks: rng.u8(0..8) != 0, vow: vow[rng.usize(0..2)] };
        // Beside holders of leases of their own clocks have to run as evenly as these may rely on.
        if self.drift_ppm > 200 || self.holders == 0 && self.drift_ppm > 0 {
            self.drift_ppm = CLOCKS_OFF_PPM;
        }
        self.gaps_us.push((Trouble::Transfer, rng.u64(100 * MS..1_500 * MS)));
        self
    }

    /// In some universes nodes are put on older images of all that they have. There vows last, as
    /// in all clusters: a node that starts needs the time to hear of what it has forgotten.
    fn with_images(mut self, seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed ^ 0x001A_6E50);
        if self.voters > 1 && rng.u8(0..IMAGES_ONE_IN) == 0 {
            self.gaps_us.push((Trouble::Image, rng.u64(100 * MS..800 * MS)));
            if self.leasing.vow.is_zero() {
                self.leasing.vow = self.timing.suspect_min * 9 / 10;
            }
        }
        self
    }

    /// Whether this universe knows this kind of trouble.
    pub(crate) fn knows(&self, trouble: Trouble) -> bool {
        self.gaps_us.iter().any(|(known, _)| *known == trouble)
    }
}

/// In half of the universes that have holders.
fn elections(seed: u64) -> bool {
    HOLDERS_AT.contains(&(seed % HOLDERS_ONE_IN)) && !(seed / HOLDERS_ONE_IN).is_multiple_of(2)
}

/// In a third of those, and of those that have patrons.
fn breaks(seed: u64) -> bool {
    (seed / HOLDERS_ONE_IN) % BREAKS_ONE_IN == 1
}

/// Two to four, where there are any: one alone meets nobody, and where there are elections there
/// are three at least.
fn holders(seed: u64) -> u16 {
    match HOLDERS_AT.contains(&(seed % HOLDERS_ONE_IN)) {
        true => Rng::with_seed(seed ^ 0x1EA5E).u16(2..=4).max(if elections(seed) { 3 } else { 2 }),
        false => 0,
    }
}

/// Two or three, where there are any.
fn patrons(seed: u64) -> u16 {
    match PATRONS_AT.contains(&(seed % HOLDERS_ONE_IN)) {
        true => Rng::with_seed(seed ^ 0x00FA_7205).u16(2..=3),
        false => 0,
    }
}

/// Snapshots that are taken so often that a log is trimmed many times in its universe; in one of
/// six none are.
fn cadence(rng: &mut Rng) -> Cadence {
    let every_bytes = [500, 1_000, 2_000, 5_000, 20_000, u64::MAX][rng.usize(0..6)];
    let every_ms = if rng.bool() { rng.u64(100..2_000) } else { 3_600_000 };
    Cadence {
        every_bytes,
        every: Duration::from_millis(if every_bytes == u64::MAX { 3_600_000 } else { every_ms }),
        pause: Duration::from_micros(rng.u64(0..3_000)),
    }
}

/// Each kind of trouble is on in half of the universes. Where links are cut, they are also mended.
fn troubles(rng: &mut Rng) -> Vec<(Trouble, u64)> {
    let mut gaps = Vec::new();
    for (trouble, _) in Trouble::ALL {
        let (least, most) = trouble.gap_us();
        if matches!(trouble, Trouble::Transfer | Trouble::Image) {
            continue;
        }
        let gap = rng.u64(least..most);
        let cut = gaps.iter().any(|(other, _)| *other == Trouble::Cut);
        let on = rng.bool();
        if trouble == Trouble::Mend && cut || trouble != Trouble::Mend && on {
            gaps.push((trouble, gap));
        }
    }
    gaps
}
