use std::time::Duration;

use crate::{Life, NodeId, Policy, limits::PAGE_SLOTS_MAX};

/// The voters of a cluster: who they are and how many make a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members(Vec<Life>);

/// Why a list of voters cannot be a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Clusters have 1, 3, 5 or 7 voters; an even number tolerates no more than one less.
    VotersCount(usize),
    /// Two voters carry one node id.
    Twice(NodeId),
    /// The node that this configuration is for is not among the voters.
    NotAMember(NodeId),
}

impl Members {
    /// The voters, which must be 1, 3, 5 or 7 distinct nodes.
    pub fn new(mut voters: Vec<Life>) -> Result<Members, ConfigError> {
        if !matches!(voters.len(), 1 | 3 | 5 | 7) {
            return Err(ConfigError::VotersCount(voters.len()));
        }
        voters.sort();
        match voters.windows(2).find(|pair| pair[0].node == pair[1].node) {
            Some(pair) => Err(ConfigError::Twice(pair[0].node)),
            None => Ok(Members(voters)),
        }
    }

    /// Every voter, in the order of node ids.
    pub fn iter(&self) -> impl Iterator<Item = Life> + '_ {
        self.0.iter().copied()
    }

    /// How many voters there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many voters make a majority quorum; any two quorums share a voter.
    pub fn quorum(&self) -> usize {
        self.0.len() / 2 + 1
    }

    /// Whether this very life (node *and* incarnation) may vote.
    pub fn contains(&self, life: Life) -> bool {
        self.0.binary_search(&life).is_ok()
    }
}

/// How long things may take. Only liveness rests on these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The time between two heartbeat rounds.
    pub heartbeat: Duration,
    /// A peer that answered within this span is never suspected. Well above a round trip, or
    /// campaigns meet each other before they are heard of.
    pub suspect_min: Duration,
    /// A peer silent for this span is always suspected.
    pub suspect_max: Duration,
    /// A disk with a sync under way for this long is not alive.
    pub disk_stall: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(20),
            suspect_min: Duration::from_millis(100),
            suspect_max: Duration::from_millis(1_000),
            disk_stall: Duration::from_millis(1_000),
        }
    }
}

/// How a leader comes to answer reads without asking anybody. Safety rests on it: on `vow` being
/// the same at all members, for ever, and on the rates of clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leasing {
    /// Whether this node asks for vows when it leads. What it vows itself, and keeps silent after a
    /// start, does not depend on it: the others may ask.
    pub asks: bool,
    /// How long a vow lasts, on the clock of whoever gives it.
    pub vow: Duration,
}

/// The rate of a clock is off by less than one part in so many.
pub const CLOCKS_OFF_BY_ONE_IN: u32 = 64;

/// The finest that a clock is read here.
const TICK: Duration = Duration::from_micros(1);

impl Leasing {
    /// How long vows of real clusters last: no longer than it takes to miss a leader (see
    /// [`Timing::suspect_min`]), so that a takeover is not held up by them.
    pub const VOW: Duration = Duration::from_millis(90);

    /// How long a lease runs, on the clock of the leader, from before its round left. The slowest
    /// clock shows so much while the fastest shows a vow less a tick: with ρ the bound of their
    /// rates, a vow is at least a lease × (1 + ρ) / (1 − ρ), and a tick.
    pub fn term(&self) -> Duration {
        let part = CLOCKS_OFF_BY_ONE_IN;
        self.vow.saturating_sub(TICK) * (part - 1) / (part + 1)
    }
}

/// Everything a peer is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which life this peer is.
    pub life: Life,
    /// Who votes.
    pub members: Members,
    /// How long things may take.
    pub timing: Timing,
    /// How silence is judged.
    pub detector: Policy,
    /// Slots that may be proposed above the chosen watermark (PMMC's `WINDOW`).
    pub window_slots: u64,
    /// Bytes that may be in flight above the chosen watermark.
    pub window_bytes: usize,
    /// Reports in one page of a promise.
    pub page_slots: usize,
    /// Slots below what snapshots cover that are kept all the same: whoever was away for a moment
    /// catches up from the log.
    pub tail_slots: u64,
    /// So long after it last asked how current it is, a node asks again, also when nobody reads.
    pub look_every: Duration,
    /// How a leader comes to answer reads without asking.
    pub leasing: Leasing,
}

impl Config {
    /// A configuration with default timing and windows.
    pub fn new(life: Life, members: Members) -> Result<Config, ConfigError> {
        if !members.contains(life) {
            return Err(ConfigError::NotAMember(life.node));
        }
        Ok(Config {
            life,
            members,
            timing: Timing::default(),
            detector: Policy::default(),
            window_slots: 1_024,
            window_bytes: 16 << 20,
            page_slots: PAGE_SLOTS_MAX,
            tail_slots: 1_024,
            look_every: Duration::from_millis(100),
            leasing: Leasing { asks: false, vow: Leasing::VOW },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two halves of an even number are no two quorums that meet, and who is there twice would be
    /// counted twice.
    #[test]
    fn an_even_number_of_voters_or_one_twice_is_no_cluster() {
        let life = |id| Life::first(NodeId::new(id));
        for count in [0, 2, 4, 6, 8, 9] {
            let refused = Members::new((1..=count).map(life).collect());
            assert_eq!(refused, Err(ConfigError::VotersCount(usize::from(count))));
        }
        let twice = Members::new(vec![life(1), life(2), life(1)]);
        assert_eq!(twice, Err(ConfigError::Twice(NodeId::new(1))));
        let members = Members::new(vec![life(1), life(2), life(3)]).unwrap();
        let refused = Config::new(life(4), members).err();
        assert_eq!(refused, Some(ConfigError::NotAMember(NodeId::new(4))));
    }
}
