//! Leases as others see them: by their ids, whoever holds them.

use synod_machine::{
    Answer, Command, LeaseCommand, LeaseId, LeaseView, Query, Rejection, Reply,
    door::{Call, Said},
    owner_name,
};

use crate::{
    ask::{Ended, Tries},
    client::{Client, nonsense},
    core::done,
    error::Error,
};

impl Client {
    /// A lease, if it has not ended.
    pub async fn lease_view(&self, lease: LeaseId) -> Result<Option<LeaseView>, Error> {
        match self.read(Query::Lease { lease }).await? {
            Answer::Lease(view) => Ok(view),
            _ => Err(nonsense()),
        }
    }

    /// Leases after `after` that have not ended, and whether there are more than `limit`.
    pub async fn leases(
        &self,
        after: Option<LeaseId>,
        limit: u32,
    ) -> Result<(Vec<LeaseView>, bool), Error> {
        match self.read(Query::Leases { after, limit }).await? {
            Answer::Leases { leases, more } => Ok((leases, more)),
            _ => Err(nonsense()),
        }
    }

    /// Renews a lease of this client by hand, once; whether it lives. It does so for its time to
    /// live from when this was called. A [`Lease`](crate::Lease) renews itself.
    pub async fn renew_lease(&self, lease: LeaseId) -> Result<bool, Error> {
        let call = || Call::Renew { lease };
        match self.core.route.ask_leader(&mut Tries::new(), call, self.deadline()).await {
            Ended::Said(Said::Kept) => Ok(true),
            Ended::Said(Said::Reply(Reply::Rejected(
                Rejection::LeaseEnded | Rejection::UnknownLease,
            ))) => Ok(false),
            ended => Err(self.core.no_answer(ended)),
        }
    }

    /// Ends a lease of this client, and all that hangs on it; whether there ever was one of this
    /// id. It may have ended before.
    pub async fn revoke_lease(&self, lease: LeaseId) -> Result<bool, Error> {
        self.end_lease(LeaseCommand::Revoke { lease }).await
    }

    /// Ends a lease, whosever it is, and all that hangs on it; whether there ever was one of this
    /// id. The role must be `admin`; who did it and why is on record before the effect.
    pub async fn break_lease(
        &self,
        lease: LeaseId,
        reason: impl Into<String>,
    ) -> Result<bool, Error> {
        let actor = owner_name(self.core.owner()).to_owned();
        self.end_lease(LeaseCommand::Break { lease, actor, reason: reason.into() }).await
    }

    async fn end_lease(&self, command: LeaseCommand) -> Result<bool, Error> {
        let command = Command::Lease(command);
        match self.submit(command, done).await {
            Ok(()) => Ok(true),
            Err(Error::Refused { why: crate::Refused::Log(Rejection::UnknownLease) }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
