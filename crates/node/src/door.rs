//! Who may ask for what: checked once, here, before anything is queued or proposed.
//!
//! The table is exhaustive over calls and commands: a new command without a row does not compile.

use synod_machine::{
    AbortCause, ClaimCommand, Command, ElectionCommand, FenceCause, LeaseCommand, LockCommand,
    Machine, ParticipantName, Proposal, Query,
    door::{Ask, Call, Refusal},
    owner_name,
};
use synod_net::{Identity, Role, Who};

/// What a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs<'a> {
    /// Any client.
    Client,
    /// `read`, or a role that may more.
    Read,
    /// `read`, or a participant: its verdicts.
    ReadOrParticipant,
    /// `write`, or a role that may more.
    Write,
    /// `write`, or a participant: sessions.
    WriteOrParticipant,
    /// The participant of this name and nobody else: another's word would free or commit what only
    /// this one knows to be durable.
    Own(&'a ParticipantName),
    /// `admin`, under its own name: what it does is written down with who did it.
    Admin(Option<&'a str>),
    /// Nobody: a leader proposes it of its own accord.
    Leader,
}

/// Whether `from` may ask this, and whether it keeps the limits of a request. The machine says who
/// opened a session and who was granted a lease, as far as this node knows; of one that it does not
/// know the log will judge.
pub(crate) fn admit(from: &Identity, ask: &Ask, machine: &Machine) -> Result<(), Refusal> {
    let Who::Client { name, role } = &from.who else {
        return Err(refused("node", "client"));
    };
    allow(name.as_str(), *role, needs(&ask.call))?;
    own_session(name.as_str(), &ask.call, machine)?;
    own_lease(name.as_str(), &ask.call, machine)?;
    match &ask.call {
        Call::Submit(request) => Ok(request.check()?),
        Call::Read { query, .. } => Ok(query.check()?),
        Call::Attend { in_doubt, finished, .. } => {
            within("transactions waited for", in_doubt.len())?;
            within("transactions finished", finished.len())
        }
        Call::Watch { .. } | Call::WatchAny { .. } => Ok(ask.call.check()?),
        Call::KeepAlive { .. } | Call::Renew { .. } | Call::Status | Call::HandOver { .. } => {
            Ok(())
        }
    }
}

/// A session speaks with one voice: what another client said in it would be taken for its owner's
/// word, and a commit for its owner's decision.
fn own_session(name: &str, call: &Call, machine: &Machine) -> Result<(), Refusal> {
    let session = match call {
        Call::Submit(request) => {
            if let Command::OpenSession { owner, .. } = &request.command
                && owner_name(owner) != name
            {
                let why = format!("a session of {name} is opened by {name}, not by {owner:?}");
                return Err(Refusal::Misuse(why));
            }
            request.id.map(|id| id.session)
        }
        Call::KeepAlive { session } => Some(*session),
        Call::Read { .. }
        | Call::Attend { .. }
        | Call::Renew { .. }
        | Call::Watch { .. }
        | Call::WatchAny { .. }
        | Call::HandOver { .. }
        | Call::Status => None,
    };
    match session.and_then(|session| Some((session, machine.session_owner(session)?))) {
        Some((session, owner)) if owner_name(owner) != name => {
            Err(Refusal::ForeignSession { session })
        }
        Some(_) | None => Ok(()),
    }
}

/// Whoever could renew another's lease could hold up all that waits for its end. What uses a lease
/// in the log is judged there.
fn own_lease(name: &str, call: &Call, machine: &Machine) -> Result<(), Refusal> {
    let Call::Renew { lease } = call else { return Ok(()) };
    match machine.lease_owner(*lease) {
        Some(owner) if owner_name(owner) != name => Err(Refusal::ForeignLease { lease: *lease }),
        Some(_) | None => Ok(()),
    }
}

fn within(what: &str, got: usize) -> Result<(), Refusal> {
    let max = synod_machine::limits::TXNS_MAX;
    if got <= max {
        return Ok(());
    }
    Err(Refusal::Limit { what: what.to_owned(), got: got as u64, max: max as u64 })
}

fn needs(call: &Call) -> Needs<'_> {
    match call {
        Call::Submit(request) => command_needs(&request.command),
        Call::KeepAlive { .. } => Needs::WriteOrParticipant,
        Call::Read { query, .. } => query_needs(query),
        Call::Attend { participant, .. } => Needs::Own(participant),
        Call::Status => Needs::Client,
        Call::HandOver { .. } => Needs::Admin(None),
        Call::Renew { .. } => Needs::Write,
        Call::Watch { .. } | Call::WatchAny { .. } => Needs::Read,
    }
}

fn command_needs(command: &Command) -> Needs<'_> {
    match command {
        Command::OpenSession { .. } | Command::CloseSession => Needs::WriteOrParticipant,
        Command::Put { .. }
        | Command::Delete { .. }
        | Command::Cas { .. }
        | Command::Multi(_)
        | Command::Settle { .. }
        | Command::Retire { .. } => Needs::Write,
        Command::Decide { outcome, .. } => match outcome {
            Proposal::Commit { .. } => Needs::Write,
            Proposal::Abort { cause } => abort_needs(cause),
        },
        Command::RegisterParticipant { name, .. } => Needs::Own(name),
        Command::Ack { participant, .. } => Needs::Own(participant),
        Command::Fence { cause, guard, .. } => match (cause, guard) {
            (FenceCause::Operator, None) => Needs::Admin(None),
            (FenceCause::Operator, Some(_))
            | (FenceCause::Expired | FenceCause::Closed | FenceCause::Overrun, _) => Needs::Leader,
        },
        Command::LeaderStart { .. } => Needs::Leader,
        Command::ForgetParticipant { actor, .. } => Needs::Admin(Some(actor)),
        Command::Lease(command) => match command {
            LeaseCommand::Grant { .. } | LeaseCommand::Revoke { .. } => Needs::Write,
            LeaseCommand::Expire { .. } => Needs::Leader,
            LeaseCommand::Break { actor, .. } => Needs::Admin(Some(actor)),
        },
        Command::Lock(command) => match command {
            LockCommand::Acquire { .. } | LockCommand::Release { .. } => Needs::Write,
            LockCommand::Break { actor, .. } => Needs::Admin(Some(actor)),
        },
        Command::Claim(command) => match command {
            ClaimCommand::Take { .. } | ClaimCommand::Release { .. } => Needs::Write,
            ClaimCommand::Break { actor, .. } => Needs::Admin(Some(actor)),
        },
        Command::Register(_) | Command::Counter(_) | Command::Barrier(_) | Command::Journal(_) => {
            Needs::Write
        }
        // What is done by force has no key.
        Command::Once(_) => Needs::Write,
        Command::Election(command) => match command {
            ElectionCommand::Order { actor, .. } => Needs::Admin(Some(actor)),
            ElectionCommand::Stand { .. }
            | ElectionCommand::Report { .. }
            | ElectionCommand::Proclaim { .. }
            | ElectionCommand::Leave { .. } => Needs::Write,
        },
        // It takes from all who watch.
        Command::Compact { .. } => Needs::Admin(None),
    }
}

fn abort_needs(cause: &AbortCause) -> Needs<'_> {
    match cause {
        AbortCause::InDoubtGrace { participant } => Needs::Own(participant),
        AbortCause::Operator { actor, .. } => Needs::Admin(Some(actor)),
        AbortCause::Owner | AbortCause::Guard | AbortCause::LostVote { .. } => Needs::Write,
    }
}

fn query_needs(query: &Query) -> Needs<'_> {
    match query {
        // And who is registered under its own name, before it registers itself.
        Query::Verdicts { .. } | Query::Participants => Needs::ReadOrParticipant,
        Query::Get { .. }
        | Query::List { .. }
        | Query::Txn { .. }
        | Query::Txns { .. }
        | Query::Sessions { .. }
        | Query::Request { .. }
        | Query::Audit
        | Query::Census
        | Query::Lease { .. }
        | Query::Leases { .. }
        | Query::Lock { .. }
        | Query::Locks { .. }
        | Query::Changes { .. }
        | Query::Claim { .. }
        | Query::Claims { .. }
        | Query::Register { .. }
        | Query::Registers { .. }
        | Query::Counter { .. }
        | Query::Counters { .. }
        | Query::Barrier { .. }
        | Query::Barriers { .. }
        | Query::Journal { .. }
        | Query::Journals { .. }
        | Query::Offsets { .. }
        | Query::Election { .. }
        | Query::Elections { .. } => Needs::Read,
    }
}

fn allow(name: &str, role: Role, needs: Needs<'_>) -> Result<(), Refusal> {
    let (read, write, participant) = match role {
        Role::Read => (true, false, false),
        Role::Participant => (false, false, true),
        Role::Write | Role::Admin => (true, true, false),
    };
    let (may, would_do) = match needs {
        Needs::Client => (true, String::new()),
        Needs::Read => (read, "read".to_owned()),
        Needs::ReadOrParticipant => (read || participant, "read".to_owned()),
        Needs::Write => (write, "write".to_owned()),
        Needs::WriteOrParticipant => (write || participant, "write".to_owned()),
        Needs::Own(own) => (participant && own.as_str() == name, format!("participant {own}")),
        Needs::Admin(None) => (role == Role::Admin, "admin".to_owned()),
        Needs::Admin(Some(actor)) if role == Role::Admin && actor != name => {
            return Err(Refusal::Misuse(format!(
                "the actor of this command must be {name}, who asks for it, not {actor}"
            )));
        }
        Needs::Admin(Some(_)) => (role == Role::Admin, "admin".to_owned()),
        Needs::Leader => {
            return Err(Refusal::Misuse("only a leader proposes this, by itself".to_owned()));
        }
    };
    if may { Ok(()) } else { Err(refused(&spoken(name, role), &would_do)) }
}

fn refused(has: &str, needs: &str) -> Refusal {
    Refusal::Role { has: has.to_owned(), needs: needs.to_owned() }
}

fn spoken(name: &str, role: Role) -> String {
    match role {
        Role::Read => "read".to_owned(),
        Role::Write => "write".to_owned(),
        Role::Admin => "admin".to_owned(),
        Role::Participant => format!("participant {name}"),
    }
}

#[cfg(test)]
mod tests;
