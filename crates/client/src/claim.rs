use synod_machine::{
    Answer, ClaimCommand, ClaimReply, ClaimView, Command, LeaseId, Name, Query, Reply, Revision,
    owner_name,
};

use crate::{
    client::{Client, nonsense},
    error::Error,
};

/// A name that one owner may have at a time: of an account, an address, a number.
///
/// It stands until it is released, over every crash, unless it hangs on a lease. It guards nothing
/// by itself: a resource that must refuse yesterday's owner wants a lock and its fencing token.
///
/// ```no_run
/// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
/// use synod_client::Claimed;
///
/// match client.claim("user/alice").take("account-17").await? {
///     Claimed::Ours(at) => println!("ours since revision {at}"),
///     Claimed::TakenBy(claim) => println!("{} has it", claim.owner),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Claim {
    client: Client,
    name: Name,
}

/// What came of taking a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It stands for the owner that was named, since this revision.
    Ours(Revision),
    /// Another has it. Nothing was changed.
    TakenBy(ClaimView),
}

/// What came of giving a name back, or of taking it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unclaimed {
    /// It is nobody's since this revision.
    Released(Revision),
    /// It was nobody's.
    Absent,
    /// It stands for another owner, and still does.
    TakenBy(ClaimView),
}

impl Client {
    /// The claim on a name.
    pub fn claim(&self, name: impl Into<String>) -> Claim {
        Claim { client: self.clone(), name: Name::new(name) }
    }

    /// Claims whose names begin with `prefix` and come after `after`, in the order of names, and
    /// whether there are more than `limit`.
    pub async fn claims(
        &self,
        prefix: impl Into<String>,
        after: Option<Name>,
        limit: u32,
    ) -> Result<(Vec<ClaimView>, bool), Error> {
        match self.read(Query::Claims { prefix: prefix.into(), after, limit }).await? {
            Answer::Claims { claims, more, .. } => Ok((claims, more)),
            _ => Err(nonsense()),
        }
    }
}

impl Claim {
    /// Takes it for `owner`, to stand until it is released. Whoever has it is told so again.
    pub async fn take(&self, owner: impl Into<String>) -> Result<Claimed, Error> {
        self.take_with(owner.into(), None).await
    }

    /// As [`Claim::take`], to end with a lease of this client at the latest. Taken again with
    /// another lease, it hangs on that one.
    pub async fn take_on(
        &self,
        owner: impl Into<String>,
        lease: LeaseId,
    ) -> Result<Claimed, Error> {
        self.take_with(owner.into(), Some(lease)).await
    }

    /// Gives it back. Only the client that took it may; another is refused.
    pub async fn release(&self, owner: impl Into<String>) -> Result<Unclaimed, Error> {
        let (name, owner) = (self.name.clone(), owner.into());
        self.end(ClaimCommand::Release { name, owner }).await
    }

    /// Takes it away from whoever has it. The role must be `admin`; who did it and why is on
    /// record before the effect.
    pub async fn break_it(&self, reason: impl Into<String>) -> Result<Unclaimed, Error> {
        let actor = owner_name(self.client.core.owner()).to_owned();
        let (name, reason) = (self.name.clone(), reason.into());
        self.end(ClaimCommand::Break { name, actor, reason }).await
    }

    /// Who has it.
    pub async fn view(&self) -> Result<Option<ClaimView>, Error> {
        match self.client.read(Query::Claim { name: self.name.clone() }).await? {
            Answer::Claim { claim, .. } => Ok(claim),
            _ => Err(nonsense()),
        }
    }

    async fn take_with(&self, owner: String, lease: Option<LeaseId>) -> Result<Claimed, Error> {
        let command = ClaimCommand::Take { name: self.name.clone(), owner, lease };
        let taken = |reply| match reply {
            Reply::Claim(ClaimReply::Taken { at }) => Some(Claimed::Ours(at)),
            Reply::Claim(ClaimReply::TakenBy(claim)) => Some(Claimed::TakenBy(claim)),
            _ => None,
        };
        self.client.submit(Command::Claim(command), taken).await
    }

    async fn end(&self, command: ClaimCommand) -> Result<Unclaimed, Error> {
        let ended = |reply| match reply {
            Reply::Claim(ClaimReply::Released { revision }) => Some(Unclaimed::Released(revision)),
            Reply::Claim(ClaimReply::Absent) => Some(Unclaimed::Absent),
            Reply::Claim(ClaimReply::TakenBy(claim)) => Some(Unclaimed::TakenBy(claim)),
            _ => None,
        };
        self.client.submit(Command::Claim(command), ended).await
    }
}
