use serde::{Deserialize, Serialize};

use crate::{
    BarrierReply, ClaimReply, CounterReply, ElectionReply, Entry, JournalReply, LeaseId, LockReply,
    RegisterReply, Revision, SessionId, Verdict,
};

/// What a command did. A "no" is a reply, not an error.
///
/// `Earlier` is the reply that a settle found. It is a [`FirstReply`], which holds none itself: so
/// replies do not nest, and no bytes decode to one deep enough to exhaust the stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reply<Earlier = Box<FirstReply>> {
    /// `OpenSession`: the new session.
    Session(SessionId),
    /// `CloseSession`, `RegisterParticipant`, `Ack`, `Retire`, `Fence`, `LeaderStart`,
    /// `ForgetParticipant`, `Compact`, and the end of a lease: it is so, as of this revision.
    Done(Revision),
    /// `Put`, or a `Cas` that held: the revision of the write.
    Written(Revision),
    /// `Delete`: whether the key was there, and the revision.
    Deleted {
        /// Whether it was there.
        existed: bool,
        /// The revision after it.
        revision: Revision,
    },
    /// A `Cas` that did not hold: what is there instead.
    Mismatch(Option<Entry>),
    /// `Multi`: all done.
    MultiDone {
        /// The revision of the writes (or of the state, when there were none).
        revision: Revision,
        /// What the `reads` found, in their order.
        reads: Vec<Option<Entry>>,
    },
    /// `Multi`: nothing done.
    MultiRefused {
        /// The first guard that failed, by its place.
        failed: u32,
        /// What the `reads` found, in their order.
        reads: Vec<Option<Entry>>,
    },
    /// `Settle`: it took effect, and this was its reply.
    SettledApplied(Earlier),
    /// `Settle`: it has not taken effect and never will.
    SettledNever,
    /// `Decide`: the verdict that stands, whoever proposed it.
    Verdict(Verdict),
    /// It could not be done at all; nothing changed.
    Rejected(Rejection),
    /// A new lease.
    Lease(LeaseId),
    /// `Lock`.
    Lock(LockReply),
    /// `Claim`.
    Claim(ClaimReply),
    /// `Register`.
    Register(RegisterReply),
    /// `Counter`.
    Counter(CounterReply),
    /// `Barrier`.
    Barrier(BarrierReply),
    /// `Journal`.
    Journal(JournalReply),
    /// `Election`.
    Election(ElectionReply),
}

/// The reply to anything but a settle that found one.
pub type FirstReply = Reply<Never>;

/// There is no such value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Never {}

impl Reply {
    /// The same reply, unless it tells an earlier one.
    pub fn into_first(self) -> Option<FirstReply> {
        self.telling(|_| Err(())).ok()
    }

    /// Bytes of the values in it.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Reply::SettledApplied(earlier) => earlier.own_weight(),
            reply => reply.own_weight(),
        }
    }
}

impl From<FirstReply> for Reply {
    fn from(first: FirstReply) -> Reply {
        let Ok(reply) = first.telling::<_, Never>(|never| match never {});
        reply
    }
}

impl<Earlier> Reply<Earlier> {
    /// The same reply, with what `how` makes of an earlier one that it tells.
    fn telling<Other, No>(
        self,
        how: impl FnOnce(Earlier) -> Result<Other, No>,
    ) -> Result<Reply<Other>, No> {
        Ok(match self {
            Reply::Session(session) => Reply::Session(session),
            Reply::Done(revision) => Reply::Done(revision),
            Reply::Written(revision) => Reply::Written(revision),
            Reply::Deleted { existed, revision } => Reply::Deleted { existed, revision },
            Reply::Mismatch(entry) => Reply::Mismatch(entry),
            Reply::MultiDone { revision, reads } => Reply::MultiDone { revision, reads },
            Reply::MultiRefused { failed, reads } => Reply::MultiRefused { failed, reads },
            Reply::SettledApplied(earlier) => Reply::SettledApplied(how(earlier)?),
            Reply::SettledNever => Reply::SettledNever,
            Reply::Verdict(verdict) => Reply::Verdict(verdict),
            Reply::Rejected(rejection) => Reply::Rejected(rejection),
            Reply::Lease(lease) => Reply::Lease(lease),
            Reply::Lock(lock) => Reply::Lock(lock),
            Reply::Claim(claim) => Reply::Claim(claim),
            Reply::Register(register) => Reply::Register(register),
            Reply::Counter(counter) => Reply::Counter(counter),
            Reply::Barrier(barrier) => Reply::Barrier(barrier),
            Reply::Journal(journal) => Reply::Journal(journal),
            Reply::Election(election) => Reply::Election(election),
        })
    }

    fn own_weight(&self) -> u64 {
        let of = |entry: &Option<Entry>| entry.as_ref().map_or(0, |entry| entry.value.len() as u64);
        match self {
            Reply::Mismatch(entry) => of(entry),
            Reply::Register(register) => register.weight(),
            Reply::MultiDone { reads, .. } | Reply::MultiRefused { reads, .. } => {
                reads.iter().map(of).fold(0, u64::saturating_add)
            }
            Reply::Session(_)
            | Reply::Done(_)
            | Reply::Written(_)
            | Reply::Deleted { .. }
            | Reply::SettledApplied(_)
            | Reply::SettledNever
            | Reply::Verdict(_)
            | Reply::Rejected(_)
            | Reply::Lease(_)
            | Reply::Lock(_)
            | Reply::Claim(_)
            | Reply::Counter(_)
            | Reply::Barrier(_)
            | Reply::Journal(_)
            | Reply::Election(_) => 0,
        }
    }
}

/// What the machine holds only so many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Counted {
    /// Sessions that have not ended.
    Sessions,
    /// Registered participants.
    Participants,
    /// Commits that some participant has not acknowledged.
    Commits,
    /// Sessions of one owner that have not ended.
    SessionsOfOwner,
    /// Leases that have not ended.
    Leases,
    /// Leases of one owner that have not ended.
    LeasesOfOwner,
    /// Leases that hold or await a lock, each as often as it does.
    Contenders,
    /// And of one owner.
    ContendersOfOwner,
    /// Names that are claimed.
    Claims,
    /// And of one owner.
    ClaimsOfOwner,
    /// Registers in which something was chosen.
    Registers,
    /// And by one owner.
    RegistersOfOwner,
    /// Bytes of the names and values of registers.
    RegisterBytes,
    /// And of one owner.
    RegisterBytesOfOwner,
    /// Counters.
    Counters,
    /// And of one owner.
    CountersOfOwner,
    /// Barriers that were not removed.
    Barriers,
    /// And of one owner.
    BarriersOfOwner,
    /// Parties that have arrived at a barrier.
    Arrivals,
    /// And of one owner.
    ArrivalsOfOwner,
    /// Journals.
    Journals,
    /// And of one owner.
    JournalsOfOwner,
    /// Entries of journals.
    JournalEntries,
    /// And of one owner.
    JournalEntriesOfOwner,
    /// Bytes of the entries of journals.
    JournalBytes,
    /// And of one owner.
    JournalBytesOfOwner,
    /// Groups of one journal that have an offset.
    GroupsOfJournal,
    /// Elections in which somebody stands, or that have rules or are paused.
    Elections,
    /// And of one owner.
    ElectionsOfOwner,
    /// Who stands for election, each as often as it does.
    Candidates,
    /// And of one owner.
    CandidatesOfOwner,
    /// And in one election.
    CandidatesOfElection,
    /// Keys that hang on one lease.
    KeysOfLease,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Counted::Sessions => "sessions",
            Counted::Participants => "participants",
            Counted::Commits => "unacknowledged commits",
            Counted::SessionsOfOwner => "sessions of this owner",
            Counted::Leases => "leases",
            Counted::LeasesOfOwner => "leases of this owner",
            Counted::Contenders => "contenders for locks",
            Counted::ContendersOfOwner => "contenders for locks of this owner",
            Counted::Claims => "claims",
            Counted::ClaimsOfOwner => "claims of this owner",
            Counted::Registers => "registers",
            Counted::RegistersOfOwner => "registers of this owner",
            Counted::RegisterBytes => "bytes of registers",
            Counted::RegisterBytesOfOwner => "bytes of registers of this owner",
            Counted::Counters => "counters",
            Counted::CountersOfOwner => "counters of this owner",
            Counted::Barriers => "barriers",
            Counted::BarriersOfOwner => "barriers of this owner",
            Counted::Arrivals => "parties at barriers",
            Counted::ArrivalsOfOwner => "parties of this owner at barriers",
            Counted::Journals => "journals",
            Counted::JournalsOfOwner => "journals of this owner",
            Counted::JournalEntries => "entries of journals",
            Counted::JournalEntriesOfOwner => "entries of this owner in journals",
            Counted::JournalBytes => "bytes of journals",
            Counted::JournalBytesOfOwner => "bytes of this owner in journals",
            Counted::GroupsOfJournal => "groups of this journal",
            Counted::Elections => "elections",
            Counted::ElectionsOfOwner => "elections of this owner",
            Counted::Candidates => "candidates",
            Counted::CandidatesOfOwner => "candidates of this owner",
            Counted::CandidatesOfElection => "candidates in this election",
            Counted::KeysOfLease => "keys of this lease",
        })
    }
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No such session was ever opened.
    #[error("no such session")]
    UnknownSession,
    /// The session has ended; so have its locks and undecided transactions.
    #[error("the session has ended")]
    SessionEnded,
    /// The reply of this request was forgotten because the client said it had it.
    #[error("the request was answered before and its reply has been forgotten")]
    ReplyForgotten,
    /// The request was settled as never; this late copy of it changes nothing.
    #[error("the request was settled as never applied")]
    SettledNever,
    /// The session has more requests open than replies are kept for.
    #[error("more than {limit} requests of one session are unanswered")]
    TooManyOpen {
        /// How many may be.
        limit: u64,
    },
    /// The command breaks a limit or contradicts itself; the text says which.
    #[error("{0}")]
    Misuse(String),
    /// No participant of this name is registered.
    #[error("participant {0} is not registered")]
    UnknownParticipant(String),
    /// The request is so old that whether it took effect is no longer known: its session ended
    /// and the replies of that session have been forgotten. Never a guess.
    #[error("the session ended so long ago that the reply of this request is forgotten")]
    Forgotten,
    /// The fence was proposed in an earlier reign, or the session has shown life since.
    #[error("the session has shown life, or another leader reigns")]
    FenceOverruled,
    /// A commit may be proposed only in the session that owns the transaction.
    #[error("only the owner's own session may propose to commit")]
    NotTheOwner,
    /// The log waits for no acknowledgement of this participant in this transaction.
    #[error("participant {0} is not being waited for in this transaction")]
    NotAwaited(String),
    /// More of something exists than the machine will hold.
    #[error("there are {limit} {what} already")]
    TooMany {
        /// Of what.
        what: Counted,
        /// How many there may be.
        limit: u64,
    },
    /// No such lease was ever granted.
    #[error("no such lease")]
    UnknownLease,
    /// The lease has ended, and with it all that hung on it.
    #[error("the lease has ended")]
    LeaseEnded,
    /// The lease is another client's.
    #[error("the lease was granted to another client")]
    ForeignLease,
    /// The expiry was proposed in an earlier reign, or the lease has been used since.
    #[error("the lease has shown life, or another leader reigns")]
    ExpiryOverruled,
    /// The claim is another client's.
    #[error("the claim was taken by another client")]
    ForeignClaim,
    /// Those who were first at the barrier wait for another number of parties.
    #[error("the barrier is for {of} parties")]
    OtherParties {
        /// For how many.
        of: u32,
    },
    /// Another command was given under this key.
    #[error("the key was used for another command")]
    KeyReused,
}
