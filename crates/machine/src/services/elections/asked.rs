//! What can be asked of elections, and what is answered.

use serde::{Deserialize, Serialize};

use crate::limits::{Misuse, at_most, check_name, check_reason};
use crate::{LeaseId, Name, Revision};

/// What an incumbent has others know: an address, seldom more.
pub const PROCLAIMED_BYTES_MAX: usize = 1_024;

/// What can be done with elections: of those who would do something, one at a time does (Burrows,
/// *The Chubby Lock Service*, 2006, §2.1, on primaries; its sequencer is the token).
///
/// A candidate stands on a lease and leaves with it. The incumbent is the candidate that was
/// granted the office; it keeps it until it leaves, whoever else comes. Each grant has a token,
/// which grows for ever: what the incumbent writes to must refuse a smaller one after a larger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ElectionCommand {
    /// Stands for election: `Incumbent` or `Waiting`. Whoever stands already is told where, and
    /// what it says of itself counts from now.
    Stand {
        /// In which.
        name: Name,
        /// On which lease of the client whose session asks.
        lease: LeaseId,
        /// What people call the candidate.
        candidate: Name,
        /// Of those who may, the one with the highest is granted, and the first of those alike.
        priority: i32,
        /// How it is with the candidate.
        report: Option<Report>,
    },
    /// How it is with a candidate: `Done`, or `Absent` when it does not stand.
    Report {
        /// In which election.
        name: Name,
        /// On which lease it stands.
        lease: LeaseId,
        /// How it is.
        report: Report,
    },
    /// The incumbent has all know something: `Done`, or `NotIncumbent`.
    Proclaim {
        /// Of which election.
        name: Name,
        /// On which lease it stands.
        lease: LeaseId,
        /// The token of its grant.
        token: Revision,
        /// What.
        value: String,
    },
    /// Stands no longer, as incumbent or not: `Left` or `Absent`. Whatever the incumbent does must
    /// have ended: the next one is granted by this very command.
    Leave {
        /// In which.
        name: Name,
        /// On which lease.
        lease: LeaseId,
    },
    /// A person orders something.
    Order {
        /// Of which election.
        name: Name,
        /// What.
        order: Order,
        /// Who says so.
        actor: String,
        /// And why.
        reason: String,
    },
}

/// How it is with a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Report {
    /// It has come so far in what it follows.
    At(u64),
    /// It must not become the incumbent as it is: a primary that was, before it is rewound.
    NotNow,
}

/// What a person orders.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Order {
    /// Nobody is granted until it is resumed; the incumbent stays. A switchover is off.
    Pause,
    /// The best of those who may is granted again.
    Resume,
    /// Who may be granted, from now on. How far the candidates have come is counted anew.
    Rules(Rules),
    /// The incumbent is to leave for another: `HandingOver`. Nothing is taken from it: it is told,
    /// ends what it does and leaves, and only then the other is granted.
    Switchover {
        /// For this candidate; else for the best of those who may.
        to: Option<Name>,
    },
    /// The switchover is off.
    Cancel,
}

/// Who may be granted. A candidate that breaks one waits; the incumbent is held to none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rules {
    /// Whoever is no further than so much behind the furthest position that was reported since the
    /// last grant; the incumbent's counts, too.
    pub lag_max: Option<u64>,
    /// Whoever has come so far.
    pub position_min: Option<u64>,
    /// Whoever has reported in the last so many milliseconds of the log's time.
    pub fresh_ms: Option<u64>,
}

/// What became of an [`ElectionCommand`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ElectionReply {
    /// It is the incumbent.
    Incumbent {
        /// What whatever it writes to is to be shown.
        token: Revision,
    },
    /// It stands and waits; a grant comes as a [`Change::Election`](crate::Change::Election) after
    /// this revision.
    Waiting {
        /// The revision at which it is so.
        at: Revision,
        /// Who is the incumbent, if anybody is.
        office: Office,
        /// Why it cannot be granted as it is.
        bar: Option<Bar>,
    },
    /// It is so, as of this revision.
    Done {
        /// Which.
        revision: Revision,
    },
    /// It stands no longer.
    Left {
        /// The revision of that.
        revision: Revision,
        /// The token under which it was the incumbent; `None` if it waited.
        token: Option<Revision>,
    },
    /// The incumbent is told to leave.
    HandingOver {
        /// For whom.
        to: Successor,
        /// The revision since which it is so.
        revision: Revision,
    },
    /// It is not the incumbent under that token.
    NotIncumbent {
        /// Who is.
        office: Office,
    },
    /// Nobody is granted as it is: of the candidate that was meant, or of the election.
    Barred {
        /// Why not.
        bar: Bar,
    },
    /// There is no such candidate; or nobody who could leave, or nobody else to leave for.
    Absent,
}

/// How an election stands, as everybody who observes it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Office {
    /// Who holds it.
    pub incumbent: Option<Incumbent>,
    /// For whom the incumbent is to leave.
    pub successor: Option<Successor>,
    /// Whether nobody is granted.
    pub paused: bool,
}

/// Who was granted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incumbent {
    /// What people call it.
    pub candidate: Name,
    /// On which lease.
    pub lease: LeaseId,
    /// Of whom.
    pub owner: String,
    /// The revision of the grant.
    pub token: Revision,
    /// When it was granted, by the stamp of the batch.
    pub since_ms: u64,
    /// What it has all know.
    pub proclaimed: Option<String>,
}

/// Whom an incumbent is to leave for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Successor {
    /// What people call it.
    pub candidate: Name,
    /// On which lease.
    pub lease: LeaseId,
}

/// Why a candidate is not granted though nobody else is the incumbent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Bar {
    /// Nobody is, until an operator resumes the election.
    #[error("the election is paused")]
    Paused,
    /// It says so itself.
    #[error("it says that it must not be granted as it is")]
    NotNow,
    /// The rules ask how far it has come.
    #[error("it has not reported how far it has come")]
    Unreported,
    /// It has not reported for too long.
    #[error("its last report is {age_ms} ms old")]
    Stale {
        /// Of the log's time.
        age_ms: u64,
    },
    /// It has not come far enough.
    #[error("it is at {position}, and must have come to {min}")]
    Below {
        /// How far it has come.
        position: u64,
        /// How far it must have.
        min: u64,
    },
    /// It is too far behind.
    #[error("it is at {position}, more than allowed behind {furthest}")]
    Behind {
        /// How far it has come.
        position: u64,
        /// How far somebody has.
        furthest: u64,
    },
}

/// An election for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElectionView {
    /// Which.
    pub name: Name,
    /// As observers see it.
    pub office: Office,
    /// Who may be granted.
    pub rules: Rules,
    /// Who paused it, why, and when by the stamp of the batch.
    pub pause: Option<Pause>,
    /// The furthest position that counts for the rules.
    pub furthest: Option<u64>,
    /// Who stands: the incumbent, then the others in the order in which they would be granted.
    pub candidates: Vec<CandidateView>,
}

/// Who paused an election.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who said so.
    pub actor: String,
    /// And why.
    pub reason: String,
    /// When, by the stamp of the batch.
    pub since_ms: u64,
}

/// A candidate for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateView {
    /// What people call it.
    pub candidate: Name,
    /// On which lease.
    pub lease: LeaseId,
    /// Of whom.
    pub owner: String,
    /// The highest is granted first.
    pub priority: i32,
    /// The revision at which it came.
    pub at: Revision,
    /// How it is with it, and when it said so by the stamp of the batch.
    pub report: Option<(Report, u64)>,
    /// Why it could not be granted as it is.
    pub bar: Option<Bar>,
}

impl ElectionCommand {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        check_name(self.name())?;
        match self {
            ElectionCommand::Stand { candidate, .. } => check_name(candidate),
            ElectionCommand::Proclaim { value, .. } => {
                at_most("bytes of what is proclaimed", value.len(), PROCLAIMED_BYTES_MAX)
            }
            ElectionCommand::Order { order, actor, reason, .. } => {
                if let Order::Switchover { to: Some(to) } = order {
                    check_name(to)?;
                }
                check_reason(actor, reason)
            }
            ElectionCommand::Report { .. } | ElectionCommand::Leave { .. } => Ok(()),
        }
    }

    /// Bytes of the texts in it.
    pub(crate) fn weight(&self) -> usize {
        let texts = match self {
            ElectionCommand::Stand { candidate, .. } => candidate.as_str().len(),
            ElectionCommand::Proclaim { value, .. } => value.len(),
            ElectionCommand::Order { order, actor, reason, .. } => {
                let to = match order {
                    Order::Switchover { to: Some(to) } => to.as_str().len(),
                    _ => 0,
                };
                to.saturating_add(actor.len()).saturating_add(reason.len())
            }
            ElectionCommand::Report { .. } | ElectionCommand::Leave { .. } => 0,
        };
        self.name().as_str().len().saturating_add(texts)
    }

    /// The lease that it uses.
    pub fn lease(&self) -> Option<LeaseId> {
        match self {
            ElectionCommand::Stand { lease, .. }
            | ElectionCommand::Report { lease, .. }
            | ElectionCommand::Proclaim { lease, .. }
            | ElectionCommand::Leave { lease, .. } => Some(*lease),
            ElectionCommand::Order { .. } => None,
        }
    }

    fn name(&self) -> &Name {
        match self {
            ElectionCommand::Stand { name, .. }
            | ElectionCommand::Report { name, .. }
            | ElectionCommand::Proclaim { name, .. }
            | ElectionCommand::Leave { name, .. }
            | ElectionCommand::Order { name, .. } => name,
        }
    }
}
