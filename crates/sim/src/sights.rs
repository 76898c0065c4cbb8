use std::ops::AddAssign;

/// How often rare things happened. Checks that hold in universes where nothing happens say nothing:
/// a run that never saw one of these was no test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sights {
    /// Nodes that lost their power.
    pub crashes: u64,
    /// Batches on their way to a disk that were there after a crash.
    pub survived: u64,
    /// Batches on their way to a disk that a crash lost.
    pub lost: u64,
    /// Ballots at which a node led.
    pub reigns: u64,
    /// No-ops that were chosen.
    pub noops: u64,
    /// Requests that took effect.
    pub effects: u64,
    /// Requests that came again after they took effect.
    pub repeats: u64,
    /// Requests that were settled as never.
    pub nevers: u64,
    /// Sessions that were fenced.
    pub fences: u64,
    /// Transactions committed.
    pub committed: u64,
    /// Transactions aborted.
    pub aborted: u64,
    /// Commits that met a verdict of abort in the log.
    pub overtaken: u64,
    /// Owners and participants that died.
    pub deaths: u64,
}

impl Sights {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, u64); 13] {
        [
            ("crashes", self.crashes),
            ("survived", self.survived),
            ("lost", self.lost),
            ("reigns", self.reigns),
            ("noops", self.noops),
            ("effects", self.effects),
            ("repeats", self.repeats),
            ("nevers", self.nevers),
            ("fences", self.fences),
            ("committed", self.committed),
            ("aborted", self.aborted),
            ("overtaken", self.overtaken),
            ("deaths", self.deaths),
        ]
    }
}

impl AddAssign for Sights {
    fn add_assign(&mut self, other: Sights) {
        self.crashes += other.crashes;
        self.survived += other.survived;
        self.lost += other.lost;
        self.reigns += other.reigns;
        self.noops += other.noops;
        self.effects += other.effects;
        self.repeats += other.repeats;
        self.nevers += other.nevers;
        self.fences += other.fences;
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.overtaken += other.overtaken;
        self.deaths += other.deaths;
    }
}
