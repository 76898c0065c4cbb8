use synod_machine::branch::Room;

use super::{
    Searched,
    breadth::search,
    commit::{self, Commit},
    lease::{self, Leases},
    log::{self, Log},
    stage::Stage,
};

/// Something to search through, by name.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// What may happen in it.
    pub about: &'static str,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Log(log::Bounds),
    Commit(commit::Bounds),
    Lease(lease::Bounds),
}

/// Three nodes of which two campaign, each once or one of them twice; one slot.
const THREE: log::Bounds = log::Bounds {
    nodes: 3,
    slots: 1,
    campaigns: 2,
    campaigners: 0b011,
    proposals: 2,
    crashes: 0,
    damages: 0,
    trims: 0,
    losses: 0,
    page_slots: 4,
    syncs_waiting_max: 0,
    askers: 0b111,
    heartbeats: false,
    refusals: false,
    late: false,
};

/// Two of three nodes campaign, each once or one of them twice. The clock of the first is slow, and
/// so its lease is long; those of the others are fast, and so what they vow is short.
const LEASED: lease::Bounds = lease::Bounds {
    vow_steps: 1,
    clocks: &[0b110],
    campaigns: 2,
    campaigners: 0b011,
    beats: 0,
    transfers: 0,
    hand_overs: 0,
    crashes: 0,
};

/// One transaction of one owner, and nothing that goes wrong.
const ONE: commit::Bounds = commit::Bounds {
    txns: &[1],
    parties: 2,
    room: None,
    forgetful_log: false,
    conflict: false,
    crashes: 0,
    deaths: 0,
    syncs_waiting_max: 0,
    fences: 0,
    reigns: 0,
    retires: 0,
    repeats: 0,
    months: 0,
    strangers: false,
    late: false,
};

/// One participant that forgets a session as soon as something of it is applied.
const FORGETS: commit::Bounds = commit::Bounds {
    parties: 1,
    room: Some(Room { runs_of_one: 1, sessions: 0 }),
    late: true,
    crashes: 1,
    ..ONE
};

/// Everything there is to search, the smallest first.
pub const PLACES: &[Place] = &[
    log("duel", "3 nodes, 2 campaigns, 1 slot, 2 decrees", THREE),
    log(
        "refusals",
        "the same with refusals, any word at any later time, any number of times",
        log::Bounds { refusals: true, late: true, ..THREE },
    ),
    log(
        "slots",
        "3 nodes, 2 campaigns, 2 slots, 3 decrees, heartbeats",
        log::Bounds { slots: 2, proposals: 3, heartbeats: true, ..THREE },
    ),
    log(
        "ballots",
        "3 nodes, 3 campaigns of any of them, 1 slot, 3 decrees",
        log::Bounds { campaigns: 3, campaigners: 0b111, proposals: 3, ..THREE },
    ),
    log(
        "crash",
        "3 nodes, 2 campaigns, 1 slot, 2 decrees, 1 crash",
        log::Bounds { crashes: 1, ..THREE },
    ),
    log(
        "unsynced",
        "the same, with a sync under way at any node",
        log::Bounds { crashes: 1, syncs_waiting_max: 1, ..THREE },
    ),
    log(
        "overlap",
        "3 nodes, 2 campaigns, 1 slot, 2 decrees, and each node goes on while it syncs",
        log::Bounds { syncs_waiting_max: 2, ..THREE },
    ),
    log(
        "damage",
        "3 nodes, 2 campaigns, 1 slot, 2 decrees, 2 crashes, of which 1 leaves a record unreadable",
        log::Bounds { crashes: 2, damages: 1, ..THREE },
    ),
    log(
        "pages",
        "3 nodes, 2 campaigns, 2 slots, 3 decrees, promises in pages of one report",
        log::Bounds { slots: 2, proposals: 3, page_slots: 1, ..THREE },
    ),
    log(
        "trim",
        "3 nodes, 2 campaigns, 1 slot, 2 decrees, 1 trim, 1 crash that may lose the snapshots",
        log::Bounds { trims: 1, crashes: 1, losses: 1, ..THREE },
    ),
    log(
        "trim-slots",
        "the same with 2 slots and no crash",
        log::Bounds { trims: 1, slots: 2, ..THREE },
    ),
    log(
        "five",
        "5 nodes of which 1 and 3 campaign, 2 campaigns, 1 slot, 2 decrees; node 1 asks",
        log::Bounds { nodes: 5, campaigners: 0b101, askers: 0b1, ..THREE },
    ),
    log(
        "unsynced-slots",
        "3 nodes, 2 campaigns, 2 slots, 2 decrees, 1 crash, a sync under way at any node",
        log::Bounds { slots: 2, crashes: 1, syncs_waiting_max: 1, ..THREE },
    ),
    log(
        "ballots-slots",
        "3 nodes, 3 campaigns of two of them, 2 slots, 3 decrees, nobody asks",
        log::Bounds { campaigns: 3, slots: 2, proposals: 3, askers: 0, ..THREE },
    ),
    lease(
        "lease",
        "3 nodes, 2 campaigns, vows of 2 steps of time, clocks slow and fast in every mix",
        lease::Bounds { vow_steps: 2, clocks: &[0, 1, 2, 3, 4, 5, 6, 7], ..LEASED },
    ),
    lease(
        "lease-beat",
        "the same with vows of 1 step, the first clock slow, 1 beat",
        lease::Bounds { beats: 1, ..LEASED },
    ),
    lease("lease-crash", "the same, 1 restart and no beat", lease::Bounds { crashes: 1, ..LEASED }),
    lease(
        "lease-transfer",
        "the same, 1 transfer and no restart",
        lease::Bounds { transfers: 1, ..LEASED },
    ),
    lease(
        "lease-hand-over",
        "the same, 1 lead handed over and no transfer",
        lease::Bounds { hand_overs: 1, ..LEASED },
    ),
    lease(
        "lease-three",
        "the same with 3 campaigns, 1 transfer",
        lease::Bounds { campaigns: 3, transfers: 1, ..LEASED },
    ),
    commit("commit", "1 transaction, 2 participants", ONE),
    commit(
        "commit-late",
        "the same, any word at any later time, any number of times",
        commit::Bounds { late: true, ..ONE },
    ),
    commit(
        "commit-crash",
        "1 transaction, 1 crash of a participant, syncs under way, the owner may die",
        commit::Bounds { crashes: 1, syncs_waiting_max: 1, deaths: 1, ..ONE },
    ),
    commit(
        "commit-late-crash",
        "1 transaction, 1 crash of a participant, a fence, any word at any later time",
        commit::Bounds { crashes: 1, fences: 1, late: true, ..ONE },
    ),
    commit(
        "commit-month",
        "1 transaction, 1 crash, the owner may die, a fence, a month passes",
        commit::Bounds { crashes: 1, deaths: 1, fences: 1, months: 1, ..ONE },
    ),
    commit(
        "commit-rules",
        "1 transaction, the owner may die, a fence, a reign, a retire, a repeat, a stranger",
        commit::Bounds {
            deaths: 1,
            fences: 1,
            reigns: 1,
            retires: 1,
            repeats: 1,
            strangers: true,
            ..ONE
        },
    ),
    commit(
        "commit-rules-crash",
        "the same with 1 crash",
        commit::Bounds {
            crashes: 1,
            deaths: 1,
            fences: 1,
            reigns: 1,
            retires: 1,
            repeats: 1,
            strangers: true,
            ..ONE
        },
    ),
    commit("commit-two", "2 transactions of one owner", commit::Bounds { txns: &[2], ..ONE }),
    commit(
        "commit-two-retire",
        "2 transactions of one owner, a fence, a retire",
        commit::Bounds { txns: &[2], fences: 1, retires: 1, ..ONE },
    ),
    commit(
        "commit-conflict",
        "2 transactions of two owners that write the same key, 1 crash",
        commit::Bounds { txns: &[1, 1], conflict: true, crashes: 1, ..ONE },
    ),
    commit(
        "commit-forgets-session",
        "2 transactions of two owners, 1 participant that remembers no session, any word at any \
         later time, 1 crash",
        commit::Bounds { txns: &[1, 1], ..FORGETS },
    ),
    commit(
        "commit-forgets-numbers",
        "the same with 2 transactions of one owner, of which no number is remembered",
        commit::Bounds { txns: &[2], room: Some(Room { runs_of_one: 0, sessions: 1 }), ..FORGETS },
    ),
    commit(
        "commit-log-forgets",
        "2 transactions of one owner, 1 participant, a log that remembers none of their numbers, a \
         fence",
        commit::Bounds { txns: &[2], parties: 1, forgetful_log: true, fences: 1, ..ONE },
    ),
];

const fn log(name: &'static str, about: &'static str, bounds: log::Bounds) -> Place {
    Place { name, about, what: What::Log(bounds) }
}

const fn commit(name: &'static str, about: &'static str, bounds: commit::Bounds) -> Place {
    Place { name, about, what: What::Commit(bounds) }
}

const fn lease(name: &'static str, about: &'static str, bounds: lease::Bounds) -> Place {
    Place { name, about, what: What::Lease(bounds) }
}

impl Place {
    /// The place of this name.
    pub fn named(name: &str) -> Option<&'static Place> {
        PLACES.iter().find(|place| place.name == name)
    }

    /// Searches through all of it, or through the nearest `worlds_max` worlds.
    pub fn search(&self, worlds_max: usize, progress: impl FnMut(&Searched)) -> Searched {
        match self.what {
            What::Log(bounds) => search(&mut Stage::new(Log(bounds)), worlds_max, progress),
            What::Commit(bounds) => search(&mut Stage::new(Commit(bounds)), worlds_max, progress),
            What::Lease(bounds) => search(&mut Leases::new(bounds), worlds_max, progress),
        }
    }
}
