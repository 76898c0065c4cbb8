use fastrand::Rng;

/// Microseconds of a millisecond.
pub(crate) const MS: u64 = 1_000;

/// Microseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000;

/// One universe in so many runs the real store; a redb commit costs far more than a model's.
const REAL_STORE_ONE_IN: u64 = 8;

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
    /// How far a leader may propose above what it knows to be chosen.
    pub(crate) window_slots: u64,
    /// How long a sync takes.
    pub(crate) sync_us: (u64, u64),
    /// The mean time between two troubles of a kind, for the kinds that this universe knows.
    pub(crate) gaps_us: Vec<(Trouble, u64)>,
    /// Clients with a session each.
    pub(crate) clients: u16,
    /// Keys that they share; few, so that they meet.
    pub(crate) keys: u16,
    /// The time a client thinks between two requests.
    pub(crate) think_us: (u64, u64),
    /// How long a client waits for an answer before it turns to another node.
    pub(crate) patience_us: (u64, u64),
    /// The time to live of sessions; short ones end while their clients live.
    pub(crate) ttl_ms: u64,
    /// How long a prepared branch waits before it asks the log to abort.
    pub(crate) grace_ms: u64,
    /// Owners of transactions.
    pub(crate) owners: u16,
    /// Participants of transactions.
    pub(crate) participants: u16,
}

/// What the network does to each word.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) delay_us: (u64, u64),
    /// Of a thousand words, so many are lost.
    pub(crate) lost: u64,
    /// Of a thousand words, so many come twice.
    pub(crate) doubled: u64,
    /// Of a thousand words, so many come long after those that followed them.
    pub(crate) late: u64,
    pub(crate) late_us: u64,
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// A node loses its power.
    Crash,
    /// All nodes lose their power at once.
    Blackout,
    /// A node loses its power in the middle of what it says.
    MidSentence,
    /// A node stands still for a while; its clock goes on.
    Pause,
    /// A node's disk takes very long over its syncs for a while.
    Stall,
    /// Some links break, in one direction or both.
    Cut,
    /// All links are whole again.
    Mend,
    /// A node's wall clock jumps.
    Clock,
    /// An owner of transactions dies and another takes its place.
    Owner,
    /// A participant loses its power.
    Participant,
}

impl Trouble {
    const ALL: [Trouble; 10] = [
        Trouble::Crash,
        Trouble::Blackout,
        Trouble::MidSentence,
        Trouble::Pause,
        Trouble::Stall,
        Trouble::Cut,
        Trouble::Mend,
        Trouble::Clock,
        Trouble::Owner,
        Trouble::Participant,
    ];

    /// The bounds between which a universe draws the mean gap.
    fn gap_us(self) -> (u64, u64) {
        match self {
            Trouble::Crash | Trouble::MidSentence => (200 * MS, 2 * SECOND),
            Trouble::Blackout | Trouble::Clock => (SECOND, 4 * SECOND),
            Trouble::Pause | Trouble::Stall => (300 * MS, 3 * SECOND),
            Trouble::Cut => (150 * MS, 1_500 * MS),
            Trouble::Mend => (100 * MS, 1_000 * MS),
            Trouble::Owner | Trouble::Participant => (300 * MS, 2 * SECOND),
        }
    }
}

impl Plan {
    /// The universe of `seed`.
    pub(crate) fn of(seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed ^ 0x5EED_0FA1_1AE5);
        let rng = &mut rng;
        let voters = [1, 3, 3, 3, 3, 5, 5, 7][rng.usize(0..8)];
        let slow_sync = rng.u64(0..4) == 0;
        let patience = rng.u64(50..400) * MS;
        Plan {
            voters,
            real_store: seed.is_multiple_of(REAL_STORE_ONE_IN),
            trouble_us: rng.u64(1_500..4_000) * MS,
            healing_us: 20 * SECOND,
            network: Weather::draw(rng),
            window_slots: [3, 30, 1_024][rng.usize(0..3)],
            sync_us: if slow_sync { (2 * MS, 60 * MS) } else { (100, 5 * MS) },
            gaps_us: troubles(rng),
            clients: rng.u16(1..=4),
            keys: rng.u16(1..=4),
            think_us: (0, rng.u64(1..60) * MS),
            patience_us: (patience / 2, patience),
            ttl_ms: if rng.u64(0..4) == 0 { rng.u64(300..900) } else { 10_000 },
            grace_ms: rng.u64(50..1_500),
            owners: rng.u16(0..=3),
            participants: rng.u16(2..=4),
        }
    }
}

impl Weather {
    /// A network on which nothing goes wrong.
    pub(crate) fn fair() -> Weather {
        Weather { delay_us: (100, 1_000), lost: 0, doubled: 0, late: 0, late_us: 0 }
    }

    fn draw(rng: &mut Rng) -> Weather {
        let most = [500, 2 * MS, 10 * MS, 40 * MS][rng.usize(0..4)];
        let mut of_a_thousand = |most| if rng.bool() { rng.u64(0..most) } else { 0 };
        Weather {
            delay_us: (100, most),
            lost: of_a_thousand(100),
            doubled: of_a_thousand(100),
            late: of_a_thousand(50),
            late_us: 300 * MS,
        }
    }
}

/// Each kind of trouble is on in two of three universes. Where links are cut, they are also mended.
fn troubles(rng: &mut Rng) -> Vec<(Trouble, u64)> {
    let mut gaps = Vec::new();
    for trouble in Trouble::ALL {
        let (least, most) = trouble.gap_us();
        let gap = rng.u64(least..most);
        let cut = gaps.iter().any(|(other, _)| *other == Trouble::Cut);
        let on = rng.u64(0..3) > 0;
        if trouble == Trouble::Mend && cut || trouble != Trouble::Mend && on {
            gaps.push((trouble, gap));
        }
    }
    gaps
}
