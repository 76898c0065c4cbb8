//! The limits of a request, in one place: the door checks them before anything is proposed, and the
//! machine checks them again, since what is in the log may come from an older door.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::branch::Work;
use crate::door::Call;
use crate::{
    Batch, Command, Expect, Hold, Interest, Multi, Mutation, Name, Part, Proposal, Query, Request,
    Revision, TxnId, Verdict,
};

/// Keys are names: 4 KiB is already a long one, and every index holds them whole.
pub const KEY_BYTES_MAX: usize = 4 << 10;
/// A value is copied to every node and stays in memory there.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Guards, mutations and reads of one [`Multi`] together.
pub const MULTI_COMMANDS_MAX: usize = 128;
/// A request must fit a batch and a frame of 2 MiB with room to spare.
pub const REQUEST_BYTES_MAX: usize = 3 << 19;
/// Values that one reply carries: it must fit a frame of 2 MiB together with its keys.
pub const REPLY_BYTES_MAX: usize = 1 << 20;
/// Watches of one call. Whoever has more asks more calls, each of which is a stream of its own.
pub const WATCHES_MAX: usize = 256;
/// Participants of one transaction. Each adds a row that waits for its acknowledgement.
pub const PARTS_MAX: usize = 64;
/// Transactions named in one acknowledgement, question or wait.
pub const TXNS_MAX: usize = 4_096;
/// Names that are shown on one line: owners, addresses.
pub const NAME_BYTES_MAX: usize = 256;
/// Reasons that people give.
pub const REASON_BYTES_MAX: usize = 1_024;
/// The shortest silence that may end a session: shorter ones end by a pause of the scheduler.
pub const TTL_MS_MIN: u64 = 100;
/// The longest silence: a day. Whoever is away for longer has gone.
pub const TTL_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// The rates of any two machines' clocks differ by less than one part in so many: what a lease
/// relies on. Clocks of computers keep to some ten parts in a million, and the discipline of a time
/// service slews by 500 (RFC 5905, §13).
pub const CLOCK_RATES_DIFFER_BY: u64 = 64;

/// A request that breaks a limit or contradicts itself; nothing of it is done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// Too much of something.
    #[error("{got} {what}; at most {max} are allowed")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// As asked.
        got: u64,
        /// As allowed.
        max: u64,
    },
    /// Too little of something.
    #[error("{got} {what}; at least {min} are needed")]
    TooLittle {
        /// Of what.
        what: &'static str,
        /// As asked.
        got: u64,
        /// As needed.
        min: u64,
    },
    /// It contradicts itself.
    #[error("{0}")]
    Contradiction(&'static str),
}

impl From<Misuse> for crate::door::Refusal {
    fn from(misuse: Misuse) -> crate::door::Refusal {
        match misuse {
            Misuse::TooMuch { what, got, max } => {
                crate::door::Refusal::Limit { what: what.to_owned(), got, max }
            }
            Misuse::TooLittle { .. } | Misuse::Contradiction(_) => {
                crate::door::Refusal::Misuse(misuse.to_string())
            }
        }
    }
}

impl From<Misuse> for crate::Rejection {
    fn from(misuse: Misuse) -> crate::Rejection {
        crate::Rejection::Misuse(misuse.to_string())
    }
}

impl Request {
    /// Whether it keeps the limits and makes sense by itself, whatever the state.
    pub fn check(&self) -> Result<(), Misuse> {
        self.check_name()?;
        self.command.check()
    }

    /// Whether it is named as its command needs it.
    pub(crate) fn check_name(&self) -> Result<(), Misuse> {
        match self.id {
            Some(id) if id.seq.get() == 0 || id.session.get() == 0 => {
                Err(Misuse::Contradiction("sessions and requests are numbered from 1"))
            }
            Some(id) if self.acked > id.seq => {
                Err(Misuse::Contradiction("a request cannot be below what it acknowledges"))
            }
            None if self.command.must_be_named() => {
                Err(Misuse::Contradiction("this command needs a session and a number"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Batch {
    /// Bytes of the keys and values in it: what the limits of a batch are about.
    pub fn weight(&self) -> usize {
        self.requests.iter().fold(0, |sum, request| sum.saturating_add(request.command.weight()))
    }
}

impl Command {
    /// Whether a second copy of it would do harm, so that it must come with a request id.
    pub fn must_be_named(&self) -> bool {
        match self {
            Command::CloseSession
            | Command::Put { .. }
            | Command::Delete { .. }
            | Command::Cas { .. }
            | Command::Multi(_)
            | Command::RegisterParticipant { .. }
            | Command::Decide { outcome: Proposal::Commit { .. }, .. }
            | Command::Retire { .. }
            | Command::ForgetParticipant { .. }
            | Command::Lock(_)
            | Command::Claim(_)
            | Command::Register(_)
            | Command::Counter(_)
            | Command::Barrier(_)
            | Command::Journal(_)
            | Command::Election(_)
            | Command::Once(_) => true,
            Command::Lease(command) => command.must_be_named(),
            Command::OpenSession { .. }
            | Command::Settle { .. }
            | Command::Decide { outcome: Proposal::Abort { .. }, .. }
            | Command::Fence { .. }
            | Command::Ack { .. }
            | Command::LeaderStart { .. }
            | Command::Compact { .. } => false,
        }
    }

    /// Whether it keeps the limits and makes sense by itself, whatever the state.
    pub fn check(&self) -> Result<(), Misuse> {
        at_most("bytes of one request", self.weight(), REQUEST_BYTES_MAX)?;
        match self {
            Command::OpenSession { owner, ttl_ms } => {
                at_most("bytes of an owner's name", owner.len(), NAME_BYTES_MAX)?;
                between("milliseconds of a time to live", *ttl_ms, TTL_MS_MIN, TTL_MS_MAX)
            }
            Command::CloseSession
            | Command::Settle { .. }
            | Command::Fence { .. }
            | Command::Retire { .. }
            | Command::LeaderStart { .. }
            | Command::Compact { .. } => Ok(()),
            Command::Lease(command) => command.check(),
            Command::Lock(command) => command.check(),
            Command::Claim(command) => command.check(),
            Command::Register(command) => command.check(),
            Command::Counter(command) => command.check(),
            Command::Barrier(command) => command.check(),
            Command::Journal(command) => command.check(),
            Command::Election(command) => command.check(),
            Command::Once(once) => once.check(),
            Command::Put { key, value } => key_and_value(key, value),
            Command::Delete { key } => check_key(key),
            Command::Cas { key, expect, value } => {
                check_expect(expect)?;
                key_and_value(key, value)
            }
            Command::Multi(multi) => multi.check(),
            Command::RegisterParticipant { name, address, .. } => {
                check_participant(name.as_str())?;
                at_most("bytes of an address", address.len(), NAME_BYTES_MAX)
            }
            Command::Decide { txn, outcome } => {
                check_txn(*txn)?;
                outcome.check()
            }
            Command::Ack { participant, txns } => {
                check_participant(participant.as_str())?;
                at_most("transactions of one acknowledgement", txns.len(), TXNS_MAX)
            }
            Command::ForgetParticipant { txn, participant, actor, reason } => {
                check_txn(*txn)?;
                check_participant(participant.as_str())?;
                check_reason(actor, reason)
            }
        }
    }

    /// Bytes of the keys, values and texts in it.
    pub fn weight(&self) -> usize {
        match self {
            Command::OpenSession { owner, .. } => owner.len(),
            Command::CloseSession
            | Command::Settle { .. }
            | Command::Fence { .. }
            | Command::Retire { .. }
            | Command::LeaderStart { .. }
            | Command::Compact { .. } => 0,
            Command::Lease(command) => command.weight(),
            Command::Lock(command) => command.weight(),
            Command::Claim(command) => command.weight(),
            Command::Register(command) => command.weight(),
            Command::Counter(command) => command.weight(),
            Command::Barrier(command) => command.weight(),
            Command::Journal(command) => command.weight(),
            Command::Election(command) => command.weight(),
            Command::Once(once) => once.weight(),
            Command::Put { key, value } => key.len().saturating_add(value.len()),
            Command::Delete { key } => key.len(),
            Command::Cas { key, expect, value } => {
                key.len().saturating_add(value.len()).saturating_add(expect.weight())
            }
            Command::Multi(multi) => multi.weight(),
            Command::RegisterParticipant { name, address, .. } => {
                name.as_str().len().saturating_add(address.len())
            }
            Command::Decide { outcome, .. } => outcome.weight(),
            Command::Ack { txns, .. } => txns.len().saturating_mul(size_of::<TxnId>()),
            Command::ForgetParticipant { actor, reason, .. } => {
                actor.len().saturating_add(reason.len())
            }
        }
    }
}

impl Proposal {
    fn check(&self) -> Result<(), Misuse> {
        match self {
            Proposal::Commit { parts, multi } => {
                check_parts(parts)?;
                let Some(multi) = multi else { return Ok(()) };
                if !multi.reads.is_empty() {
                    return Err(Misuse::Contradiction("a commit answers a verdict, not reads"));
                }
                multi.check()
            }
            Proposal::Abort { cause } => match cause {
                crate::AbortCause::InDoubtGrace { participant }
                | crate::AbortCause::LostVote { participant } => {
                    check_participant(participant.as_str())
                }
                crate::AbortCause::Operator { actor, reason } => check_reason(actor, reason),
                crate::AbortCause::Owner | crate::AbortCause::Guard => Ok(()),
            },
        }
    }

    fn weight(&self) -> usize {
        match self {
            Proposal::Commit { parts, multi } => {
                let names = parts.iter().map(|part| part.participant.as_str().len()).sum::<usize>();
                names.saturating_add(multi.as_ref().map_or(0, Multi::weight))
            }
            Proposal::Abort { cause: crate::AbortCause::Operator { actor, reason } } => {
                actor.len().saturating_add(reason.len())
            }
            Proposal::Abort { .. } => 0,
        }
    }
}

impl Multi {
    /// Whether it keeps the limits and writes no key twice.
    pub fn check(&self) -> Result<(), Misuse> {
        let commands =
            [self.guards.len(), self.holds.len(), self.mutations.len(), self.reads.len()];
        let commands = commands.into_iter().fold(0, usize::saturating_add);
        at_most("commands of one multi", commands, MULTI_COMMANDS_MAX)?;
        for guard in &self.guards {
            check_key(&guard.key)?;
            check_expect(&guard.expect)?;
        }
        for hold in &self.holds {
            hold.check()?;
        }
        for key in &self.reads {
            check_key(key)?;
        }
        check_mutations(&self.mutations)
    }

    fn weight(&self) -> usize {
        let holds = self.holds.iter().map(Hold::weight);
        let guards = self.guards.iter().map(|guard| guard.key.len() + guard.expect.weight());
        let mutations = self.mutations.iter().map(Mutation::weight);
        let reads = self.reads.iter().map(Bytes::len);
        guards.chain(holds).chain(mutations).chain(reads).fold(0, usize::saturating_add)
    }
}

impl Hold {
    fn check(&self) -> Result<(), Misuse> {
        match self {
            Hold::Lock { name, .. } | Hold::Incumbent { election: name, .. } => check_name(name),
            Hold::Claim { name, owner } => {
                check_name(name)?;
                check_owner(owner)
            }
        }
    }

    fn weight(&self) -> usize {
        match self {
            Hold::Lock { name, .. } | Hold::Incumbent { election: name, .. } => name.as_str().len(),
            Hold::Claim { name, owner } => name.as_str().len().saturating_add(owner.len()),
        }
    }
}

impl Work {
    /// Whether it keeps the limits and writes no key twice: those of a [`Multi`] without reads.
    pub fn check(&self) -> Result<(), Misuse> {
        let commands = self.guards.len().saturating_add(self.mutations.len());
        at_most("commands of one branch", commands, MULTI_COMMANDS_MAX)?;
        for guard in &self.guards {
            check_key(&guard.key)?;
            check_expect(&guard.expect)?;
        }
        check_mutations(&self.mutations)?;
        let guards = self.guards.iter().map(|guard| guard.key.len() + guard.expect.weight());
        let mutations = self.mutations.iter().map(Mutation::weight);
        let weight = guards.chain(mutations).fold(0, usize::saturating_add);
        at_most("bytes of one branch", weight, REQUEST_BYTES_MAX)
    }
}

impl Mutation {
    /// The key that it writes.
    pub fn key(&self) -> &Bytes {
        match self {
            Mutation::Put { key, .. } | Mutation::Delete { key } => key,
        }
    }

    fn weight(&self) -> usize {
        match self {
            Mutation::Put { key, value } => key.len().saturating_add(value.len()),
            Mutation::Delete { key } => key.len(),
        }
    }
}

impl Expect {
    fn weight(&self) -> usize {
        match self {
            Expect::Value(value) => value.len(),
            Expect::Absent | Expect::Present | Expect::Revision(_) => 0,
        }
    }
}

impl Call {
    /// Whether it keeps the limits: what a door asks of every call before it does anything.
    pub fn check(&self) -> Result<(), Misuse> {
        match self {
            Call::Submit(request) => request.check(),
            Call::Read { query, .. } => query.check(),
            Call::Attend { participant, in_doubt, finished } => {
                check_participant(participant.as_str())?;
                at_most("branches in doubt", in_doubt.len(), TXNS_MAX)?;
                at_most("branches finished", finished.len(), TXNS_MAX)
            }
            Call::Watch { interest, .. } => interest.check(),
            Call::WatchAny { watches } => check_watches(watches),
            Call::KeepAlive { .. } | Call::Renew { .. } | Call::Status | Call::HandOver { .. } => {
                Ok(())
            }
        }
    }
}

/// Whether the watches of one call keep the limits.
pub fn check_watches(watches: &[(Interest, Revision)]) -> Result<(), Misuse> {
    at_most("watches", watches.len(), WATCHES_MAX)?;
    watches.iter().try_for_each(|(interest, _)| interest.check())
}

impl Interest {
    /// Whether it keeps the limits.
    pub fn check(&self) -> Result<(), Misuse> {
        match self {
            Interest::Keys { prefix } => check_page(prefix, None),
            Interest::Lock { name }
            | Interest::Claim { name }
            | Interest::Register { name }
            | Interest::Counter { name }
            | Interest::Barrier { name }
            | Interest::Journal { name }
            | Interest::Election { name } => check_name(name),
        }
    }
}

impl crate::participant_door::Call {
    /// Whether it keeps the limits: what a participant's door asks of every call. The work of a
    /// prepare is judged with a vote.
    pub fn check(&self) -> Result<(), Misuse> {
        use crate::participant_door::Call;
        match self {
            Call::Get { key, .. } => check_key(key),
            Call::Scan { prefix, after, .. } => check_page(prefix, after.as_ref()),
            Call::Prepare { txn, .. } => check_txn(*txn),
            Call::Finish { txn, verdict } => {
                check_txn(*txn)?;
                check_end(*verdict)
            }
            Call::InDoubt | Call::Info => Ok(()),
        }
    }
}

impl Query {
    /// Whether it keeps the limits.
    pub fn check(&self) -> Result<(), Misuse> {
        match self {
            Query::Get { key } => check_key(key),
            Query::List { prefix, after, .. } => check_page(prefix, after.as_ref()),
            Query::Verdicts { txns } => {
                at_most("transactions of one question", txns.len(), TXNS_MAX)
            }
            Query::Lock { name }
            | Query::Claim { name }
            | Query::Register { name }
            | Query::Counter { name }
            | Query::Barrier { name }
            | Query::Journal { name, .. }
            | Query::Offsets { name }
            | Query::Election { name } => check_name(name),
            Query::Locks { prefix, after, .. }
            | Query::Claims { prefix, after, .. }
            | Query::Registers { prefix, after, .. }
            | Query::Counters { prefix, after, .. }
            | Query::Barriers { prefix, after, .. }
            | Query::Journals { prefix, after, .. }
            | Query::Elections { prefix, after, .. } => {
                at_most("bytes of a prefix", prefix.len(), NAME_BYTES_MAX)?;
                after.as_ref().map_or(Ok(()), check_name)
            }
            Query::Changes { interest, .. } => interest.check(),
            Query::Txn { .. }
            | Query::Txns { .. }
            | Query::Participants
            | Query::Sessions { .. }
            | Query::Request { .. }
            | Query::Audit
            | Query::Census
            | Query::Lease { .. }
            | Query::Leases { .. } => Ok(()),
        }
    }
}

pub(crate) fn at_most(what: &'static str, got: usize, max: usize) -> Result<(), Misuse> {
    if got > max {
        return Err(Misuse::TooMuch { what, got: got as u64, max: max as u64 });
    }
    Ok(())
}

pub(crate) fn between(what: &'static str, got: u64, min: u64, max: u64) -> Result<(), Misuse> {
    if got > max {
        return Err(Misuse::TooMuch { what, got, max });
    }
    if got < min {
        return Err(Misuse::TooLittle { what, got, min });
    }
    Ok(())
}

fn check_key(key: &Bytes) -> Result<(), Misuse> {
    if key.is_empty() {
        return Err(Misuse::Contradiction("a key must have at least one byte"));
    }
    at_most("bytes of a key", key.len(), KEY_BYTES_MAX)
}

fn check_page(prefix: &Bytes, after: Option<&Bytes>) -> Result<(), Misuse> {
    at_most("bytes of a prefix", prefix.len(), KEY_BYTES_MAX)?;
    at_most("bytes of a key", after.map_or(0, Bytes::len), KEY_BYTES_MAX)
}

fn key_and_value(key: &Bytes, value: &Bytes) -> Result<(), Misuse> {
    check_key(key)?;
    at_most("bytes of a value", value.len(), VALUE_BYTES_MAX)
}

fn check_expect(expect: &Expect) -> Result<(), Misuse> {
    at_most("bytes of an expected value", expect.weight(), VALUE_BYTES_MAX)
}

/// Every key at most once: with two writes of one key at one revision, `version` would be a lie.
fn check_mutations(mutations: &[Mutation]) -> Result<(), Misuse> {
    let mut written = std::collections::BTreeSet::new();
    for mutation in mutations {
        match mutation {
            Mutation::Put { key, value } => key_and_value(key, value)?,
            Mutation::Delete { key } => check_key(key)?,
        }
        if !written.insert(mutation.key()) {
            return Err(Misuse::Contradiction("a key is written twice"));
        }
    }
    Ok(())
}

fn check_parts(parts: &[Part]) -> Result<(), Misuse> {
    at_most("participants of one transaction", parts.len(), PARTS_MAX)?;
    let mut named = std::collections::BTreeSet::new();
    for part in parts {
        check_participant(part.participant.as_str())?;
        if !named.insert(&part.participant) {
            return Err(Misuse::Contradiction("a participant is named twice"));
        }
    }
    Ok(())
}

fn check_participant(name: &str) -> Result<(), Misuse> {
    if name.is_empty() {
        return Err(Misuse::Contradiction("a participant must have a name"));
    }
    at_most("bytes of a participant's name", name.len(), NAME_BYTES_MAX)
}

/// The name of a lock or its like.
pub(crate) fn check_name(name: &Name) -> Result<(), Misuse> {
    if name.as_str().is_empty() {
        return Err(Misuse::Contradiction("a name must have at least one byte"));
    }
    at_most("bytes of a name", name.as_str().len(), NAME_BYTES_MAX)
}

/// For whom a name is claimed.
pub(crate) fn check_owner(owner: &str) -> Result<(), Misuse> {
    if owner.is_empty() {
        return Err(Misuse::Contradiction("an owner must have at least one byte"));
    }
    at_most("bytes of an owner's name", owner.len(), NAME_BYTES_MAX)
}

pub(crate) fn check_reason(actor: &str, reason: &str) -> Result<(), Misuse> {
    at_most("bytes of an actor's name", actor.len(), NAME_BYTES_MAX)?;
    at_most("bytes of a reason", reason.len(), REASON_BYTES_MAX)
}

/// What an owner may tell a branch. That a verdict is retired the log alone says: the branch would
/// wait for a person, whoever had told it so.
fn check_end(verdict: Verdict) -> Result<(), Misuse> {
    match verdict {
        Verdict::Committed | Verdict::Aborted => Ok(()),
        Verdict::InProgress | Verdict::Retired => {
            Err(Misuse::Contradiction("a branch ends by a commit or an abort, and by nothing else"))
        }
    }
}

fn check_txn(txn: TxnId) -> Result<(), Misuse> {
    if txn.n == 0 || txn.session.get() == 0 {
        return Err(Misuse::Contradiction("sessions and transactions are numbered from 1"));
    }
    // So that one past any number is a number.
    if txn.n == u64::MAX {
        return Err(Misuse::Contradiction("no transaction has the last number there is"));
    }
    Ok(())
}
