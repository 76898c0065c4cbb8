use std::time::Duration;

use synod_machine::{
    Bar, Command, ElectionCommand, ElectionReply, LeaseId, Name, Office, Reply, Report, Revision,
};
use tokio::time::sleep_until;

use super::{is_over, keep_alive};
use crate::{client::nonsense, deadline::Deadline, election::Election, error::Error, turn::Turn};

/// How a candidate stands that stands on a lease that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stood {
    /// It is the incumbent, as long as the lease is.
    Incumbent {
        /// What whatever it writes to is to be shown.
        token: Revision,
    },
    /// It stands, and waits.
    Waiting {
        /// Who is the incumbent, if anybody is.
        office: Box<Office>,
        /// Why it cannot be granted as it is.
        bar: Option<Bar>,
    },
    /// There is no such lease any more.
    LeaseEnded,
}

impl Election {
    /// Stands on a lease of this client as `candidate`, and waits for the grant as long as it is
    /// told to; the lease is renewed meanwhile, and not afterwards. Whoever stands already is told
    /// how it stands, and what it says of itself counts from now. It stands until the lease ends,
    /// or [`Election::leave`].
    pub async fn stand_on(
        &self,
        lease: LeaseId,
        candidate: &str,
        (priority, report): (i32, Option<Report>),
        wait: Option<Duration>,
    ) -> Result<Stood, Error> {
        let until = Deadline::after(wait.unwrap_or_default()).at();
        let (name, candidate) = (self.name().clone(), Name::new(candidate));
        let stand = ElectionCommand::Stand { name, lease, candidate, priority, report };
        let (at, office, bar) = match self.by_hand(stand).await {
            Ok(ElectionReply::Incumbent { token }) => return Ok(Stood::Incumbent { token }),
            Ok(ElectionReply::Waiting { at, office, bar }) => (at, office, bar),
            Ok(_) => return Err(nonsense()),
            Err(error) if is_over(&error) => return Ok(Stood::LeaseEnded),
            Err(error) => return Err(error),
        };
        let waiting = Stood::Waiting { office: Box::new(office.clone()), bar };
        if wait.is_none() {
            return Ok(waiting);
        }
        let (core, since) = (&self.client().core, (at, office));
        let mut turn = Turn::new(core, self.name().clone(), lease, since);
        let stood = tokio::select! {
            biased;
            token = turn.comes() => token.map(|token| Stood::Incumbent { token }),
            ended = keep_alive(self.client(), lease) => ended.map(|()| Stood::LeaseEnded),
            () = sleep_until(until) => Ok(waiting),
        };
        stood.map_err(Error::half_way)
    }

    /// Has all know something; whether this is the incumbent under that token.
    pub async fn proclaim_on(
        &self,
        lease: LeaseId,
        token: Revision,
        value: impl Into<String>,
    ) -> Result<bool, Error> {
        let (name, value) = (self.name().clone(), value.into());
        match self.by_hand(ElectionCommand::Proclaim { name, lease, token, value }).await? {
            ElectionReply::Done { .. } => Ok(true),
            ElectionReply::NotIncumbent { .. } | ElectionReply::Absent => Ok(false),
            _ => Err(nonsense()),
        }
    }

    /// How it is with a candidate that stands on this lease; whether one does.
    pub async fn report_on(&self, lease: LeaseId, report: Report) -> Result<bool, Error> {
        let name = self.name().clone();
        match self.by_hand(ElectionCommand::Report { name, lease, report }).await? {
            ElectionReply::Done { .. } => Ok(true),
            ElectionReply::Absent => Ok(false),
            _ => Err(nonsense()),
        }
    }

    async fn by_hand(&self, command: ElectionCommand) -> Result<ElectionReply, Error> {
        let elected = |reply| match reply {
            Reply::Election(reply) => Some(reply),
            _ => None,
        };
        self.client().submit(Command::Election(command), elected).await
    }
}
