use synod_machine::{
    Answer, Bar, Command, ElectionCommand, ElectionReply, ElectionView, Interest, LeaseId, Name,
    Order, Query, Reply, Revision, Rules, Successor, owner_name,
};

use crate::{
    client::{Client, nonsense},
    error::Error,
};

/// Of those who would do something, one at a time does: who is the primary now.
///
/// Whoever would do it [campaigns](Election::campaign). The best of those who may is granted, and
/// keeps the office until it leaves or its lease ends. Its [token](crate::Incumbency::token) grows
/// with every grant, and whatever it writes to must refuse a smaller one after a larger. Everybody
/// else [observes](Election::observe).
///
/// ```no_run
/// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
/// let reign = client.election("catalog/primary").campaign("pg-2").priority(1).await?;
/// reign.proclaim("10.0.2.22:5432").await?;
/// let served = reign.run(async { /* what the primary does */ }).await;
/// served.unwrap_or_else(|why| eprintln!("primary no longer: {why}"));
/// reign.resign().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Election {
    client: Client,
    name: Name,
}

/// What came of asking for a switchover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandingOver {
    /// The incumbent is told to leave; when it has, this one is granted.
    To(Successor),
    /// Nothing was changed: the one that was meant may not be granted as it is.
    Barred(Bar),
    /// Nothing was changed: nobody is the incumbent, or there is nobody to leave for.
    Nobody,
}

impl Client {
    /// The election of a name.
    pub fn election(&self, name: impl Into<String>) -> Election {
        Election { client: self.clone(), name: Name::new(name) }
    }

    /// Elections whose names begin with `prefix` and come after `after`, in the order of names, and
    /// whether there are more than `limit`.
    pub async fn elections(
        &self,
        prefix: impl Into<String>,
        after: Option<Name>,
        limit: u32,
    ) -> Result<(Vec<ElectionView>, bool), Error> {
        match self.read(Query::Elections { prefix: prefix.into(), after, limit }).await? {
            Answer::Elections { elections, more, .. } => Ok((elections, more)),
            _ => Err(nonsense()),
        }
    }
}

impl Election {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn interest(&self) -> Interest {
        Interest::Election { name: self.name.clone() }
    }

    /// How it stands and who stands; `None` when nobody does and nothing was ordered.
    pub async fn view(&self) -> Result<Option<ElectionView>, Error> {
        match self.client.read(Query::Election { name: self.name.clone() }).await? {
            Answer::Election { election, .. } => Ok(election.map(|view| *view)),
            _ => Err(nonsense()),
        }
    }

    /// From here on nobody is granted; the incumbent stays. The role must be `admin`, as for all
    /// that is ordered; who did it and why is on record.
    pub async fn pause(&self, reason: impl Into<String>) -> Result<Revision, Error> {
        self.order(Order::Pause, reason, done).await
    }

    /// Grants go on.
    pub async fn resume(&self, reason: impl Into<String>) -> Result<Revision, Error> {
        self.order(Order::Resume, reason, done).await
    }

    /// From here on whoever keeps these may be granted. How far the candidates have come is counted
    /// anew from what they last reported.
    pub async fn rule(&self, rules: Rules, reason: impl Into<String>) -> Result<Revision, Error> {
        self.order(Order::Rules(rules), reason, done).await
    }

    /// The incumbent is to leave for `to`, or for the best of those who may. Nothing is taken from
    /// it: it is told ([`Incumbency::asked_to_leave`](crate::Incumbency::asked_to_leave)), ends
    /// what it does and resigns, and only then the other is granted. It comes to nothing when the
    /// other leaves before, or says that it must not be granted.
    pub async fn switch_over(
        &self,
        to: Option<&str>,
        reason: impl Into<String>,
    ) -> Result<HandingOver, Error> {
        let handing_over = |reply| match reply {
            ElectionReply::HandingOver { to, .. } => Some(HandingOver::To(to)),
            ElectionReply::Barred { bar } => Some(HandingOver::Barred(bar)),
            ElectionReply::Absent => Some(HandingOver::Nobody),
            _ => None,
        };
        let to = to.map(Name::new);
        self.order(Order::Switchover { to }, reason, handing_over).await
    }

    /// The switchover is off; whether there was one. An incumbent that has begun to leave may go on
    /// to.
    pub async fn cancel_switchover(&self, reason: impl Into<String>) -> Result<bool, Error> {
        let cancelled = |reply| match reply {
            ElectionReply::Done { .. } => Some(true),
            ElectionReply::Absent => Some(false),
            _ => None,
        };
        self.order(Order::Cancel, reason, cancelled).await
    }

    /// Ends what a candidate of this client stands for, by its lease; the token under which it was
    /// the incumbent. What it does must have ended: the next one is granted by this.
    pub async fn leave(&self, lease: LeaseId) -> Result<Option<Revision>, Error> {
        let left = |reply| match reply {
            Reply::Election(ElectionReply::Left { token, .. }) => Some(token),
            Reply::Election(ElectionReply::Absent) => Some(None),
            _ => None,
        };
        let command = ElectionCommand::Leave { name: self.name.clone(), lease };
        let deadline = self.client.deadline();
        self.client.core.submit(Command::Election(command), left, deadline).await
    }

    async fn order<T: Send + 'static>(
        &self,
        order: Order,
        reason: impl Into<String>,
        read: impl FnOnce(ElectionReply) -> Option<T> + Send + 'static,
    ) -> Result<T, Error> {
        let actor = owner_name(self.client.core.owner()).to_owned();
        let (name, reason) = (self.name.clone(), reason.into());
        let command = Command::Election(ElectionCommand::Order { name, order, actor, reason });
        let ordered = |reply| match reply {
            Reply::Election(reply) => read(reply),
            _ => None,
        };
        self.client.core.submit(command, ordered, self.client.deadline()).await
    }
}

fn done(reply: ElectionReply) -> Option<Revision> {
    match reply {
        ElectionReply::Done { revision } => Some(revision),
        _ => None,
    }
}
