use crate::{NodeId, Tick};

/// The lead is to be handed to another: it is asked whether it is there, and once it has answered,
/// nothing new is proposed until nothing that was proposed is open any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handing {
    pub(crate) to: NodeId,
    /// The round of heartbeats in which it is asked.
    pub(crate) asked: u64,
    /// Whether it has answered. Until then the leader goes on as ever: what it proposes meanwhile
    /// is chosen sooner here than there.
    pub(crate) answered: bool,
    /// It has until then to answer; and what is open then is left to the successor, as at any
    /// other end of a reign.
    pub(crate) until: Tick,
}

/// Why the lead is not handed to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not answer the leader.
    Silent,
    /// Its disk completes no syncs.
    DiskStalled,
    /// No quorum answers it.
    CutOff,
    /// It lacks so many slots of what is chosen.
    Behind(u64),
}
