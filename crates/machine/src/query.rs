use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    BarrierView, BranchIncarnation, Change, ClaimView, CounterView, ElectionView, Holder, Interest,
    JournalEntry, JournalView, LeaseId, LeaseView, LockView, Name, Office, Order, ParticipantName,
    Position, RegisterView, RequestId, Revision, SessionId, TxnId, Verdict,
};

/// A key as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// The revision at which the key came to be.
    pub create: Revision,
    /// The revision at which it was last set.
    pub modified: Revision,
    /// How often it was set since it came to be; the first time counts.
    pub version: u64,
    /// The lease on which it hangs, if it does.
    pub lease: Option<LeaseId>,
}

/// A question that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// One key.
    Get {
        /// Which.
        key: Bytes,
    },
    /// Keys in byte order.
    List {
        /// That begin with this.
        prefix: Bytes,
        /// And come after this one.
        after: Option<Bytes>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// Verdicts, in the order asked.
    Verdicts {
        /// Of these.
        txns: Vec<TxnId>,
    },
    /// One transaction with its participants.
    Txn {
        /// Which.
        txn: TxnId,
    },
    /// Transactions whose decision is recorded and not yet acknowledged by all.
    Txns {
        /// That come after this one.
        after: Option<TxnId>,
        /// At most so many.
        limit: u32,
    },
    /// Every registered participant.
    Participants,
    /// Sessions that have not ended.
    Sessions {
        /// That come after this one.
        after: Option<SessionId>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// Whether a request took effect, as far as the log knows by now.
    Request {
        /// Which.
        request: RequestId,
    },
    /// What was done by force or without being asked for, newest last.
    Audit,
    /// How much is held, and how much has been forgotten.
    Census,
    /// One lease.
    Lease {
        /// Which.
        lease: LeaseId,
    },
    /// Leases that have not ended.
    Leases {
        /// That come after this one.
        after: Option<LeaseId>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// One lock.
    Lock {
        /// Which.
        name: Name,
    },
    /// Locks that are held, in the order of names.
    Locks {
        /// That begin with this.
        prefix: String,
        /// And come after this one.
        after: Option<Name>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// What has changed.
    Changes {
        /// Of what.
        interest: Interest,
        /// After this revision.
        after: Revision,
    },
    /// One claim.
    Claim {
        /// Which.
        name: Name,
    },
    /// Claims, in the order of names.
    Claims {
        /// That begin with this.
        prefix: String,
        /// And come after this one.
        after: Option<Name>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// One register.
    Register {
        /// Which.
        name: Name,
    },
    /// Registers, in the order of names.
    Registers {
        /// That begin with this.
        prefix: String,
        /// And come after this one.
        after: Option<Name>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// One counter.
    Counter {
        /// Which.
        name: Name,
    },
    /// Counters, in the order of names.
    Counters {
        /// That begin with this.
        prefix: String,
        /// And come after this one.
        after: Option<Name>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// One barrier.
    Barrier {
        /// Which.
        name: Name,
    },
    /// Barriers, in the order of names.
    Barriers {
        /// That begin with this.
        prefix: String,
        /// And come after this one.
        after: Option<Name>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// Entries of one journal.
    Journal {
        /// Which.
        name: Name,
        /// After this one.
        after: Position,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// Journals, in the order of names.
    Journals {
        /// That begin with this.
        prefix: String,
        /// And come after this one.
        after: Option<Name>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
    /// Where the groups of a journal stand.
    Offsets {
        /// Of which.
        name: Name,
    },
    /// One election.
    Election {
        /// Which.
        name: Name,
    },
    /// Elections, in the order of names.
    Elections {
        /// That begin with this.
        prefix: String,
        /// And come after this one.
        after: Option<Name>,
        /// At most so many (and at most 1 MiB).
        limit: u32,
    },
}

/// What a [`Query`] finds. `revision` is the state's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// `Get`.
    Key {
        /// The state's revision.
        revision: Revision,
        /// The key, if it is there.
        entry: Option<Entry>,
    },
    /// `List`.
    Keys {
        /// The state's revision.
        revision: Revision,
        /// Keys in byte order.
        entries: Vec<(Bytes, Entry)>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Verdicts`.
    Verdicts(Vec<Verdict>),
    /// `Txn`.
    Txn(TxnView),
    /// `Txns`.
    Txns {
        /// In the order of ids.
        txns: Vec<TxnView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Participants`.
    Participants(Vec<ParticipantView>),
    /// `Sessions`.
    Sessions {
        /// In the order of ids.
        sessions: Vec<SessionView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Request`: its reply, if it took effect.
    Request(Option<crate::Reply>),
    /// `Audit`.
    Audit(Vec<AuditEntry>),
    /// `Census`.
    Census(Census),
    /// `Lease`, if it has not ended.
    Lease(Option<LeaseView>),
    /// `Leases`.
    Leases {
        /// In the order of ids.
        leases: Vec<LeaseView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Lock`.
    Lock {
        /// The state's revision.
        revision: Revision,
        /// The lock, if somebody holds it.
        lock: Option<LockView>,
    },
    /// `Locks`.
    Locks {
        /// The state's revision.
        revision: Revision,
        /// In the order of names.
        locks: Vec<LockView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Changes`: exactly those after the revision asked for and up to `upto`, in order, whole
    /// revisions. There may be more after `upto`.
    Changes {
        /// By revision.
        changes: Vec<(Revision, Vec<Change>)>,
        /// Up to here nothing is missing.
        upto: Revision,
    },
    /// `Changes`: some of those asked for are forgotten.
    Gap {
        /// What came up to this revision is forgotten.
        forgotten: Revision,
    },
    /// `Claim`.
    Claim {
        /// The state's revision.
        revision: Revision,
        /// The claim, if the name is claimed.
        claim: Option<ClaimView>,
    },
    /// `Claims`.
    Claims {
        /// The state's revision.
        revision: Revision,
        /// In the order of names.
        claims: Vec<ClaimView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Register`.
    Register {
        /// The state's revision.
        revision: Revision,
        /// The register, if anything was chosen in it.
        register: Option<RegisterView>,
    },
    /// `Registers`.
    Registers {
        /// The state's revision.
        revision: Revision,
        /// In the order of names.
        registers: Vec<RegisterView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Counter`.
    Counter {
        /// The state's revision.
        revision: Revision,
        /// The counter, if there is one.
        counter: Option<CounterView>,
    },
    /// `Counters`.
    Counters {
        /// The state's revision.
        revision: Revision,
        /// In the order of names.
        counters: Vec<CounterView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Barrier`.
    Barrier {
        /// The state's revision.
        revision: Revision,
        /// The barrier, if there is one.
        barrier: Option<BarrierView>,
    },
    /// `Barriers`.
    Barriers {
        /// The state's revision.
        revision: Revision,
        /// In the order of names.
        barriers: Vec<BarrierView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Journal`.
    Journal {
        /// The state's revision.
        revision: Revision,
        /// The journal, if anything was ever appended to it. What was asked for up to its
        /// `trimmed` is gone.
        journal: Option<JournalView>,
        /// In the order of positions.
        entries: Vec<JournalEntry>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Journals`.
    Journals {
        /// The state's revision.
        revision: Revision,
        /// In the order of names.
        journals: Vec<JournalView>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// `Offsets`: each group and the position up to which it has done.
    Offsets {
        /// The state's revision.
        revision: Revision,
        /// In the order of names.
        offsets: Vec<(Name, Position)>,
    },
    /// `Election`.
    Election {
        /// The state's revision.
        revision: Revision,
        /// The election, if anything is to be remembered of it.
        election: Option<Box<ElectionView>>,
    },
    /// `Elections`.
    Elections {
        /// The state's revision.
        revision: Revision,
        /// In the order of names.
        elections: Vec<ElectionView>,
        /// Whether the limit cut the list.
        more: bool,
    },
}

/// Something done by force, or that a person should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Counted from 1; a gap at the front says how many older entries were let go.
    pub number: u64,
    /// The stamp of the batch.
    pub at_ms: u64,
    /// What.
    pub act: Act,
}

/// What an [`AuditEntry`] tells of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// `ForgetParticipant`.
    Forgot {
        /// Which transaction.
        txn: TxnId,
        /// Whose acknowledgement is waited for no longer.
        participant: ParticipantName,
        /// Who said so.
        actor: String,
        /// And why.
        reason: String,
    },
    /// A person proposed to abort, and it was.
    Aborted {
        /// Which transaction.
        txn: TxnId,
        /// Who said so.
        actor: String,
        /// And why.
        reason: String,
    },
    /// A person ended a session.
    Fenced {
        /// Which.
        session: SessionId,
    },
    /// A participant votes from another store than before. What it had promised is lost unless
    /// the old store comes back.
    Replaced {
        /// Its name.
        participant: ParticipantName,
        /// The store it voted from.
        was: BranchIncarnation,
        /// The store it votes from now.
        is: BranchIncarnation,
        /// Commits that the old store had not acknowledged.
        unacked: u64,
    },
    /// A person ended another's lease.
    LeaseBroken {
        /// Which.
        lease: LeaseId,
        /// Whose it was.
        owner: String,
        /// Who said so.
        actor: String,
        /// And why.
        reason: String,
    },
    /// A person took a lock away.
    LockBroken {
        /// Which.
        name: Name,
        /// From whom.
        holder: Holder,
        /// Who said so.
        actor: String,
        /// And why.
        reason: String,
    },
    /// A person took a claim away.
    ClaimBroken {
        /// As it stood.
        claim: ClaimView,
        /// Who said so.
        actor: String,
        /// And why.
        reason: String,
    },
    /// A person ordered something in an election.
    ElectionOrdered {
        /// In which.
        name: Name,
        /// What.
        order: Order,
        /// As it stood before.
        office: Office,
        /// Who said so.
        actor: String,
        /// And why.
        reason: String,
    },
}

/// How much the machine holds, and how much it has forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Keys.
    pub keys: u64,
    /// Sessions that have not ended.
    pub sessions: u64,
    /// Ended sessions whose replies are still known.
    pub sessions_ended: u64,
    /// Replies and tombstones.
    pub replies: u64,
    /// Commits that some participant has not acknowledged.
    pub commits_unacked: u64,
    /// Recorded aborts.
    pub aborts: u64,
    /// Runs of committed numbers.
    pub runs: u64,
    /// Replies of ended sessions that were forgotten.
    pub replies_forgotten: u64,
    /// Runs of committed numbers that were forgotten because there were too many.
    pub runs_forgotten: u64,
    /// Sessions past the horizon: what they committed is answered with `Retired`.
    pub sessions_retired: u64,
    /// Leases that have not ended.
    pub leases: u64,
    /// Who holds or awaits a lock, each as often as it does.
    pub contenders: u64,
    /// Revisions whose changes are known.
    pub history: u64,
    /// Names that are claimed.
    pub claims: u64,
    /// Registers in which something was chosen.
    pub registers: u64,
    /// Counters.
    pub counters: u64,
    /// Barriers that were not removed.
    pub barriers: u64,
    /// Parties that have arrived at a barrier, each as often as it has.
    pub arrivals: u64,
    /// Journals.
    pub journals: u64,
    /// Entries of journals.
    pub journal_entries: u64,
    /// Elections in which somebody stands, or that have rules or are paused.
    pub elections: u64,
    /// Who stands, each as often as it does.
    pub candidates: u64,
}

/// A transaction for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnView {
    /// Which.
    pub txn: TxnId,
    /// Its verdict.
    pub verdict: Verdict,
    /// Participants of a recorded commit, and whether each has acknowledged.
    pub parts: Vec<(ParticipantName, bool)>,
    /// When it was decided, in stamps of the log; `None` when no record is kept.
    pub decided_at_ms: Option<u64>,
    /// Why it was aborted, when that is recorded.
    pub cause: Option<crate::AbortCause>,
}

/// A participant for owners to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantView {
    /// Its name.
    pub name: ParticipantName,
    /// The store it votes from.
    pub incarnation: BranchIncarnation,
    /// Where owners reach it.
    pub address: String,
    /// Commits that it has not acknowledged.
    pub unacked: u64,
}

/// A session for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Which.
    pub session: SessionId,
    /// Who.
    pub owner: String,
    /// Milliseconds of silence that end it.
    pub ttl_ms: u64,
    /// How many of its requests have reached the log, repeats and refused ones too: signs of life.
    pub renewals: u64,
}
