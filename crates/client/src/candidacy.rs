use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use synod_machine::{
    Command, ElectionCommand, ElectionReply, LeaseId, Name, Office, Rejection, Reply, Report,
    Revision,
};
use tokio::time::Instant;

use crate::{
    apart::apart,
    core::Core,
    cursor::Cursor,
    deadline::Deadline,
    election::Election,
    error::{Error, Refused, Why},
    incumbency::Incumbency,
    lease::Held,
    standing::Lost,
    turn::{Turn, look},
};

/// How long an office outlives its incumbent, if not told otherwise.
const TTL: Duration = Duration::from_secs(10);
/// Stands for election; `.await` waits for the grant. See [`Election::campaign`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked for before it is awaited"]
pub struct Campaign {
    election: Election,
    candidate: Name,
    priority: i32,
    ttl: Duration,
    report: Option<Report>,
}

impl Election {
    /// Stands in it as `candidate`, which is a name for people: `.await` waits for the grant, as
    /// long as it takes, and [`Campaign::stand`] only until it stands. It stands on a lease of its
    /// own, which ends with what is made of it.
    pub fn campaign(&self, candidate: impl Into<String>) -> Campaign {
        let (election, candidate) = (self.clone(), Name::new(candidate));
        Campaign { election, candidate, priority: 0, ttl: TTL, report: None }
    }
}

impl Campaign {
    /// Of those who may, the one with the highest is granted, and the first of those alike. Nobody
    /// is pushed out for it.
    pub fn priority(mut self, priority: i32) -> Campaign {
        self.priority = priority;
        self
    }

    /// So long after its death another is granted. As for [`Client::lease`](crate::Client::lease).
    pub fn ttl(mut self, ttl: Duration) -> Campaign {
        self.ttl = ttl;
        self
    }

    /// How it is with it: for elections with rules.
    pub fn report(mut self, report: Report) -> Campaign {
        self.report = Some(report);
        self
    }

    /// Stands, and does not wait for the grant.
    pub async fn stand(self) -> Result<Candidacy, Error> {
        // If nobody waits any more it leaves at once.
        apart(self.begin()).await
    }

    async fn begin(self) -> Result<Candidacy, Error> {
        let Campaign { election, candidate, priority, ttl, report } = self;
        let name = election.name().clone();
        let stand = |lease| ElectionCommand::Stand { name, lease, candidate, priority, report };
        Command::Election(stand.clone()(LeaseId::ZERO)).check()?;
        let (client, deadline) = (election.client().clone(), election.client().deadline());
        let held = match Held::grant(client, ttl, deadline).await {
            // Nobody renews what was granted to nobody.
            Err(Error::Unknown { .. }) => return Err(Error::no_answer(Why::NoAnswer)),
            granted => granted?,
        };
        let stands = Stands { election, held };
        let reply = stands.tell(stand(stands.held.lease()), deadline).await?;
        let (name, lease) = (stands.election.name().clone(), stands.held.lease());
        let since = |at, office| Turn::new(stands.core(), name, lease, (at, office));
        let turn = match reply {
            ElectionReply::Incumbent { token } => since(token, Office::default()).come(token),
            ElectionReply::Waiting { at, office, .. } => since(at, office),
            _ => return Err(Error::no_answer(Why::Nonsense)),
        };
        Ok(Candidacy { stands: Arc::new(stands), turn })
    }
}

impl IntoFuture for Campaign {
    type Output = Result<Incumbency, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.stand().await?.granted().await })
    }
}

/// One who stands for election. Dropped, it leaves in the background, as well as that goes.
pub struct Candidacy {
    stands: Arc<Stands>,
    turn: Turn<Office>,
}

/// A candidate and the lease on which it stands: when nobody here holds it, it leaves.
pub(crate) struct Stands {
    election: Election,
    held: Held,
}

impl Candidacy {
    /// On which lease.
    pub fn lease(&self) -> LeaseId {
        self.turn.lease()
    }

    /// How the election stood when it was last heard of.
    pub fn office(&self) -> &Office {
        self.turn.whose()
    }

    /// Until when it stands for certain. As [`Lease::until`](crate::Lease::until).
    pub fn until(&self) -> Instant {
        self.stands.held.standing().until()
    }

    /// Resolves when it stands no longer, and why: the next one has to be begun anew.
    pub fn lost(&self) -> impl Future<Output = Lost> + Send + use<> {
        Arc::clone(self.stands.held.standing()).lost()
    }

    /// How it is with it: for elections with rules. After [`Error::NoAnswer`] it may or may not
    /// have been heard.
    pub async fn report(&self, report: Report) -> Result<(), Error> {
        self.stands.report(report).await
    }

    /// Resolves with the token when it is granted. May be left at any await.
    pub async fn turn(&mut self) -> Result<Revision, Error> {
        let lost = self.lost();
        tokio::select! {
            biased;
            why = lost => Err(Error::LeaseLost { why }),
            token = self.turn.comes() => token,
        }
    }

    /// Waits for the grant, as long as it takes.
    pub async fn granted(mut self) -> Result<Incumbency, Error> {
        let token = self.turn().await?;
        Ok(Incumbency::new(self.stands, token, self.turn.into_whose()))
    }
}

impl fmt::Debug for Candidacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Candidacy");
        shown.field("name", self.stands.election.name()).field("lease", &self.lease());
        shown.field("token", &self.turn.token()).finish_non_exhaustive()
    }
}

impl Stands {
    pub(crate) fn election(&self) -> &Election {
        &self.election
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.election.client().core
    }

    pub(crate) async fn report(&self, report: Report) -> Result<(), Error> {
        let (name, lease) = (self.election.name().clone(), self.held.lease());
        let command = ElectionCommand::Report { name, lease, report };
        match self.tell(command, self.election.client().deadline()).await? {
            ElectionReply::Done { .. } => Ok(()),
            ElectionReply::Absent => Err(Error::LeaseLost { why: Lost::Broken }),
            _ => Err(Error::no_answer(Why::Nonsense)),
        }
    }

    pub(crate) async fn proclaim(&self, token: Revision, value: String) -> Result<(), Error> {
        let (name, lease) = (self.election.name().clone(), self.held.lease());
        let command = ElectionCommand::Proclaim { name, lease, token, value };
        match self.tell(command, self.election.client().deadline()).await? {
            ElectionReply::Done { .. } => Ok(()),
            ElectionReply::NotIncumbent { .. } => Err(Error::LeaseLost { why: Lost::Broken }),
            _ => Err(Error::no_answer(Why::Nonsense)),
        }
    }

    /// What changed is forgotten: how it stands now, however often that has to be asked.
    pub(crate) async fn look(&self, cursor: &mut Cursor) -> Result<Office, Error> {
        let (revision, office): (_, Option<Office>) =
            look(self.core(), self.election.name()).await?;
        cursor.skip_to(revision);
        Ok(office.unwrap_or_default())
    }

    /// Says one word to the log. No copy of it has any effect once the lease is over.
    async fn tell(
        &self,
        command: ElectionCommand,
        deadline: Deadline,
    ) -> Result<ElectionReply, Error> {
        let elected = |reply| match reply {
            Reply::Election(reply) => Some(reply),
            _ => None,
        };
        let core = self.core();
        let session = core.session(deadline).await?;
        match core.submit_in(&session, Command::Election(command), elected, deadline).await {
            Err(Error::Unknown { .. }) => Err(Error::no_answer(Why::NoAnswer)),
            Err(Error::Refused { why: Refused::Log(Rejection::LeaseEnded) }) => {
                self.held.standing().end(Lost::Ended);
                Err(Error::LeaseLost { why: Lost::Ended })
            }
            ended => ended,
        }
    }
}
