//! The replicated machine: an ordered history of batches in, replies out. Keys with revisions,
//! sessions with exactly-once replies, and the transaction verdicts that atomic commit rests on.
//!
//! It does not know that Paxos exists, who leads or where it runs. [`Machine::apply`] is a function
//! of the machine and the batch; two machines that applied the same batches are equal. A
//! [`Snapshot`] is the whole of it at one moment, and one state has one encoding.
//!
//! [`door`] says what a client and a node say to each other, [`participant_door`] what an owner and
//! a participant do; [`branch`] and [`owner`] are the other
//! two parts of atomic commit, the participant's and the owner's, as values of the same kind.

mod audit;
pub mod branch;
mod clock;
mod coding;
mod command;
pub mod door;
mod history;
mod ids;
mod keys;
mod leaves;
pub mod limits;
mod machine;
mod once;
mod order;
pub mod owner;
pub mod participant_door;
mod participants;
mod query;
mod reply;
mod runs;
mod services;
mod sessions;
mod table;
mod transactions;
mod txn;

pub use coding::RestoreError;
pub use command::{
    AbortCause, Batch, Command, Expect, FenceCause, FenceGuard, Guard, Hold, Multi, Mutation, Part,
    Proposal, Reign, Request, Timestamp, owner_name,
};
pub use history::{Change, Interest, Touched};
pub use ids::{
    BranchIncarnation, LeaseId, Name, ParticipantName, Position, RequestId, Revision, Seq,
    SessionId, TxnId,
};
pub use machine::{Applied, Machine, Snapshot, StateHash};
pub use once::{Keyed, Once};
pub use query::{
    Act, Answer, AuditEntry, Census, Entry, ParticipantView, Query, SessionView, TxnView,
};
pub use reply::{Counted, FirstReply, Never, Rejection, Reply};
pub use services::{
    barriers::{BarrierCommand, BarrierNews, BarrierReply, BarrierView, PARTIES_MAX},
    claims::{ClaimCommand, ClaimReply, ClaimView},
    counters::{CounterCommand, CounterReply, CounterView},
    elections::{
        Bar, CANDIDATES_MAX, CandidateView, ElectionCommand, ElectionReply, ElectionView,
        Incumbent, Office, Order, PROCLAIMED_BYTES_MAX, Pause, Report, Rules, Successor,
    },
    journals::{GROUPS_MAX, JournalCommand, JournalEntry, JournalReply, JournalView, TRIM_MAX},
    leases::{LeaseCommand, LeaseView},
    locks::{Holder, LockCommand, LockReply, LockView},
    registers::{REGISTER_BYTES_MAX, RegisterCommand, RegisterReply, RegisterView},
};
pub use transactions::Room;
pub use txn::{Outcome, Verdict};
