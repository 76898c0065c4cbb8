use crate::plan::{MS, SECOND};

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// A node loses its power.
    Crash,
    /// A node's process ends, and its machine goes on.
    Kill,
    /// All nodes lose their power at once.
    Blackout,
    /// A node loses its power in the middle of what it says.
    MidSentence,
    /// A node loses its power after a sync, before what relies on it is said.
    AfterSync,
    /// A node stands still for a while, and its clock with it or not.
    Pause,
    /// A node is woken late for a while.
    Lag,
    /// A node's wall clock jumps.
    Clock,
    /// A node's disk takes very long over its syncs for a while.
    Stall,
    /// A node's disk is slow for a while.
    Slow,
    /// A call of a node's disk fails.
    Fail,
    /// There is no room on a node's disk for a while.
    Full,
    /// Something on a node's disk decays.
    Rot,
    /// Some links break, in one direction or both.
    Cut,
    /// All links are whole again.
    Mend,
    /// A client, owner or participant cannot be reached, or cannot reach, for a while.
    Stray,
    /// An owner of transactions dies and another takes its place.
    Owner,
    /// A participant loses its power, at once or between a sync and its words.
    Participant,
    /// A client, owner or participant stands still for a while.
    Doze,
    /// A participant's disk takes very long over its syncs for a while, fails, or has no room.
    Vault,
    /// The leader hears nobody, nobody hears it, and it is slow to notice; those who ask it do not.
    Forsaken,
    /// Words on some links do not get on for a while, and then come all at once.
    Jam,
    /// The leader stands still, or is told to let another lead, and perhaps hears nobody after.
    Transfer,
    /// A copy is made of all that a node has, or put in the place of it.
    Image,
}

impl Trouble {
    /// Every kind, with its name.
    pub(crate) const ALL: [(Trouble, &str); 24] = [
        (Trouble::Crash, "crash"),
        (Trouble::Kill, "kill"),
        (Trouble::Blackout, "blackout"),
        (Trouble::MidSentence, "mid-sentence"),
        (Trouble::AfterSync, "after-sync"),
        (Trouble::Pause, "pause"),
        (Trouble::Lag, "lag"),
        (Trouble::Clock, "clock"),
        (Trouble::Stall, "stall"),
        (Trouble::Slow, "slow"),
        (Trouble::Fail, "fail"),
        (Trouble::Full, "full"),
        (Trouble::Rot, "rot"),
        (Trouble::Cut, "cut"),
        (Trouble::Mend, "mend"),
        (Trouble::Stray, "stray"),
        (Trouble::Owner, "owner"),
        (Trouble::Participant, "participant"),
        (Trouble::Doze, "doze"),
        (Trouble::Vault, "vault"),
        (Trouble::Forsaken, "forsaken"),
        (Trouble::Jam, "jam"),
        (Trouble::Transfer, "transfer"),
        (Trouble::Image, "image"),
    ];

    /// The bounds between which a universe draws the mean gap.
    pub(crate) fn gap_us(self) -> (u64, u64) {
        match self {
            Trouble::Crash | Trouble::Kill => (300 * MS, 3 * SECOND),
            Trouble::MidSentence | Trouble::AfterSync => (200 * MS, 2 * SECOND),
            Trouble::Blackout | Trouble::Clock => (SECOND, 4 * SECOND),
            Trouble::Pause | Trouble::Stall | Trouble::Lag => (300 * MS, 3 * SECOND),
            Trouble::Slow | Trouble::Full | Trouble::Fail => (500 * MS, 4 * SECOND),
            Trouble::Rot => (300 * MS, 3 * SECOND),
            Trouble::Cut => (150 * MS, 1_500 * MS),
            Trouble::Mend => (100 * MS, 1_000 * MS),
            Trouble::Owner | Trouble::Participant => (300 * MS, 2 * SECOND),
            Trouble::Stray | Trouble::Doze | Trouble::Vault => (300 * MS, 3 * SECOND),
            Trouble::Forsaken => (300 * MS, 2 * SECOND),
            Trouble::Jam | Trouble::Transfer | Trouble::Image => (150 * MS, 1_500 * MS),
        }
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Trouble> {
        Trouble::ALL.into_iter().find(|(_, known)| *known == name).map(|(trouble, _)| trouble)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Trouble::ALL[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list has every kind at its own place.
    #[test]
    fn every_kind_stands_at_its_place() {
        for (place, (trouble, name)) in Trouble::ALL.into_iter().enumerate() {
            assert_eq!((trouble as usize, trouble.name()), (place, name));
        }
    }
}
