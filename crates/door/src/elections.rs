use hyper::StatusCode;
use serde_json::{Value, json};
use synod_client::{
    Election, HandingOver, Standing, Stood,
    machine::{CandidateView, ElectionView, Incumbent, LeaseId, Name, Office, Report, Revision},
};
use tokio::time::timeout;

use crate::{
    answer::Answer,
    ask::{self, Ask},
    fault::Fault,
    leases::{Footing, Leased, forced, own},
    numbers::{Count, Whole},
    shape::shape,
};

/// How long a change is waited for, if not told otherwise.
const WAIT_MS: u64 = 30_000;

shape! {
    /// A candidate that would stand.
    StandRequest {
        /// What people call it.
        candidate: String,
        /// On this lease of the caller.
        lease: Option<Count>,
        /// On a lease of its own that ends when it was not renewed for so many milliseconds; 10 000
        /// if nothing is said.
        ttl_ms: Option<Count>,
        /// Of those who may, the one with the highest is granted, and the first of those alike; 0
        /// if nothing is said.
        priority: Option<Whole>,
        /// How far it has come in what it follows, for elections with rules.
        position: Option<Count>,
        /// Whether it must not be granted as it is.
        not_now: Option<bool>,
        /// How many milliseconds to wait for the grant.
        wait_ms: Option<Count>,
    }
}

shape! {
    /// How a candidate stands, as long as its lease is.
    Stands {
        /// In which election.
        election: String,
        /// Whether it is the incumbent.
        granted: bool,
        /// What whatever the incumbent writes to is to be shown. It grows with every grant: a
        /// smaller one is to be refused after a larger.
        token: Option<Count>,
        /// The lease on which it stands, which the caller is to renew.
        lease: Count,
        /// Milliseconds without a renewal that end the lease.
        ttl_ms: Count,
        /// Who is the incumbent, while this one waits.
        incumbent: Option<IncumbentRow>,
        /// Why it cannot be granted as it is.
        bar: Option<String>,
    }
}

shape! {
    /// Who is the incumbent.
    IncumbentRow {
        /// What people call it.
        candidate: String,
        /// On which lease.
        lease: Count,
        /// Of whom.
        owner: String,
        /// Under which token.
        token: Count,
        /// Since when, in milliseconds since 1970.
        since_ms: Count,
        /// What it has all know.
        value: Option<String>,
    }
}

shape! {
    /// An election as others see it.
    ElectionRow {
        /// Which.
        election: String,
        /// Who is the incumbent; nobody if it is not there.
        incumbent: Option<IncumbentRow>,
        /// For whom the incumbent is asked to leave.
        successor: Option<String>,
        /// Whether nobody is granted.
        paused: bool,
        /// Who stands: the incumbent, and the others in the order in which they would be granted.
        candidates: Option<Vec<CandidateRow>>,
    }
}

shape! {
    /// Who stands.
    CandidateRow {
        /// What people call it.
        candidate: String,
        /// On which lease.
        lease: Count,
        /// Its priority.
        priority: Whole,
        /// Why it is not granted as it is.
        bar: Option<String>,
    }
}

shape! {
    /// Elections in the order of their names.
    ElectionRows {
        /// Those in which somebody stands, or of which something was ordered.
        elections: Vec<ElectionRow>,
        /// After which the list goes on, if there are more: give it as `after`.
        next: Option<String>,
    }
}

shape! {
    /// What the incumbent has all know.
    Proclamation {
        /// The lease on which it stands.
        lease: Count,
        /// The token of its grant.
        token: Count,
        /// Such as where it is.
        value: String,
    }
}

shape! {
    /// How it is with a candidate: `position`, or `not_now`.
    CandidateReport {
        /// The lease on which it stands.
        lease: Count,
        /// How far it has come in what it follows.
        position: Option<Count>,
        /// Whether it must not be granted as it is.
        not_now: Option<bool>,
    }
}

shape! {
    /// The incumbent is to leave for another. It is on record before the effect.
    Switchover {
        /// For this candidate; else for the best of those who may.
        to: Option<String>,
        /// For people to read, later.
        reason: String,
    }
}

shape! {
    /// It is so.
    Heard {
        /// That it was heard.
        heard: bool,
    }
}

shape! {
    /// A candidate stands no longer.
    Left {
        /// The token under which it was the incumbent; none if it waited.
        token: Option<Count>,
    }
}

impl IncumbentRow {
    fn new(incumbent: &Incumbent) -> IncumbentRow {
        IncumbentRow {
            candidate: incumbent.candidate.to_string(),
            lease: Count(incumbent.lease.get()),
            owner: incumbent.owner.clone(),
            token: Count(incumbent.token.get()),
            since_ms: Count(incumbent.since_ms),
            value: incumbent.proclaimed.clone(),
        }
    }
}

impl ElectionRow {
    fn of(election: String, office: &Office) -> ElectionRow {
        ElectionRow {
            election,
            incumbent: office.incumbent.as_ref().map(IncumbentRow::new),
            successor: office.successor.as_ref().map(|to| to.candidate.to_string()),
            paused: office.paused,
            candidates: None,
        }
    }

    fn new(view: &ElectionView) -> ElectionRow {
        let candidate = |one: &CandidateView| CandidateRow {
            candidate: one.candidate.to_string(),
            lease: Count(one.lease.get()),
            priority: Whole(one.priority.into()),
            bar: one.bar.map(|bar| bar.to_string()),
        };
        let candidates = Some(view.candidates.iter().map(candidate).collect());
        ElectionRow { candidates, ..ElectionRow::of(view.name.to_string(), &view.office) }
    }
}

pub(crate) async fn stand(ask: Ask) -> Result<Answer, Fault> {
    let election = ask.text("name")?;
    let request: StandRequest = ask.document()?;
    let wait = request.wait_ms.map(|wait| ask::wait("wait_ms", wait.0)).transpose()?;
    let priority = request.priority.map_or(Ok(0), |priority| i32::try_from(priority.0));
    let priority = priority.map_err(|_| Fault::bad("priority: a number of 32 bits"))?;
    let report = report(request.position, request.not_now)?;
    let footing = Footing::of(&ask, request.lease, request.ttl_ms).await?;
    let candidate = (priority, report);
    let office = ask.client.election(election.clone());
    let stood = office.stand_on(footing.lease, &request.candidate, candidate, wait).await?;
    let (token, incumbent, bar) = match stood {
        Stood::Incumbent { token } => (Some(Count(token.get())), None, None),
        Stood::Waiting { office, bar } => {
            let incumbent = office.incumbent.as_ref().map(IncumbentRow::new);
            (None, incumbent, bar.map(|bar| bar.to_string()))
        }
        Stood::LeaseEnded => return Err(Fault::lease_ended()),
    };
    let (granted, Leased { lease, ttl_ms }) = (token.is_some(), footing.keep());
    Ok(Answer::json(&Stands { election, granted, token, lease, ttl_ms, incumbent, bar }))
}

fn report(position: Option<Count>, not_now: Option<bool>) -> Result<Option<Report>, Fault> {
    match (position, not_now.unwrap_or_default()) {
        (None, false) => Ok(None),
        (Some(position), false) => Ok(Some(Report::At(position.0))),
        (None, true) => Ok(Some(Report::NotNow)),
        (Some(_), true) => Err(Fault::bad("position and not_now together")),
    }
}

/// Whoever waits for a change is told when the incumbent is not the one whose token it knows, or
/// how it stands when its time is up.
pub(crate) async fn show(ask: Ask) -> Result<Answer, Fault> {
    let name = ask.text("name")?;
    let election = ask.client.election(name.clone());
    if ask.query.text("wait").is_some() {
        let known = ask.query.number("after").filter(|after| *after > 0).map(Revision::new);
        let within = ask::wait("wait_ms", ask.query.number("wait_ms").unwrap_or(WAIT_MS))?;
        if let Ok(changed) = timeout(within, changed(&election, known)).await {
            return Ok(Answer::json(&ElectionRow::of(name, &changed?)));
        }
    }
    match election.view().await? {
        Some(view) => Ok(Answer::json(&ElectionRow::new(&view))),
        None => Ok(Answer::json(&ElectionRow::of(name, &Office::default()))),
    }
}

async fn changed(election: &Election, known: Option<Revision>) -> Result<Office, Fault> {
    let mut standings = election.observe();
    while let Some(standing) = standings.next().await {
        if let Standing::Changed { office, .. } = standing?
            && office.incumbent.as_ref().map(|incumbent| incumbent.token) != known
        {
            return Ok(office);
        }
    }
    Err(Fault::not_now("the door is closing"))
}

/// For what asks a node whether to send it traffic: 200 while it is the incumbent. Whatever else is
/// the matter, it is not known to be.
pub(crate) async fn is(ask: Ask) -> Result<Answer, Fault> {
    let (name, candidate) = (ask.text("name")?, ask.text("candidate")?);
    let view = ask.client.election(name).view().await?;
    let incumbent = view.and_then(|view| view.office.incumbent);
    match incumbent {
        Some(incumbent) if incumbent.candidate.as_str() == candidate => {
            Ok(Answer::json(&IncumbentRow::new(&incumbent)))
        }
        incumbent => {
            let present = incumbent.map_or(Value::Null, |other| json!(IncumbentRow::new(&other)));
            let said = format!("{candidate} is not the incumbent");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Fault::new(status, "not_incumbent", said).with("present", present))
        }
    }
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let prefix = ask.query.text("prefix").unwrap_or_default();
    let after = ask.query.text("after").map(Name::new);
    let (views, more) = ask.client.elections(prefix, after, ask.limit()).await?;
    let next = views.last().map(|view| view.name.to_string()).filter(|_| more);
    let elections = views.iter().map(ElectionRow::new).collect();
    Ok(Answer::json(&ElectionRows { elections, next }))
}

pub(crate) async fn proclaim(ask: Ask) -> Result<Answer, Fault> {
    let Proclamation { lease, token, value } = ask.document()?;
    let lease = own(&ask, LeaseId::new(lease.0)).await?.lease;
    let election = ask.client.election(ask.text("name")?);
    match election.proclaim_on(lease, Revision::new(token.0), value).await? {
        true => Ok(Answer::json(&Heard { heard: true })),
        false => {
            let said = "it is not the incumbent under that token";
            Err(Fault::new(StatusCode::CONFLICT, "not_incumbent", said))
        }
    }
}

pub(crate) async fn tell(ask: Ask) -> Result<Answer, Fault> {
    let CandidateReport { lease, position, not_now } = ask.document()?;
    let Some(report) = report(position, not_now)? else {
        return Err(Fault::bad("a report says position or not_now"));
    };
    let lease = own(&ask, LeaseId::new(lease.0)).await?.lease;
    match ask.client.election(ask.text("name")?).report_on(lease, report).await? {
        true => Ok(Answer::json(&Heard { heard: true })),
        false => Err(Fault::absent("nobody stands there on this lease")),
    }
}

pub(crate) async fn leave(ask: Ask) -> Result<Answer, Fault> {
    let lease = LeaseId::new(ask.query.number("lease").unwrap_or_default());
    let lease = own(&ask, lease).await?.lease;
    let token = ask.client.election(ask.text("name")?).leave(lease).await?;
    Ok(Answer::json(&Left { token: token.map(|token| Count(token.get())) }))
}

pub(crate) async fn pause(ask: Ask) -> Result<Answer, Fault> {
    let revision = ask.client.election(ask.text("name")?).pause(forced(&ask)?).await?;
    Ok(Answer::json(&Heard { heard: true }).at(revision))
}

pub(crate) async fn resume(ask: Ask) -> Result<Answer, Fault> {
    let revision = ask.client.election(ask.text("name")?).resume(forced(&ask)?).await?;
    Ok(Answer::json(&Heard { heard: true }).at(revision))
}

pub(crate) async fn switch_over(ask: Ask) -> Result<Answer, Fault> {
    let Switchover { to, reason } = ask.document()?;
    let reason = format!("for {}: {reason}", ask.caller.name());
    let election = ask.client.election(ask.text("name")?);
    match election.switch_over(to.as_deref(), reason).await? {
        HandingOver::To(_) => Ok(Answer::json(&Heard { heard: true })),
        HandingOver::Barred(bar) => {
            Err(Fault::new(StatusCode::CONFLICT, "barred", bar.to_string()))
        }
        HandingOver::Nobody => {
            let said = "nobody is the incumbent, or there is nobody to leave for";
            Err(Fault::new(StatusCode::CONFLICT, "nobody", said))
        }
    }
}
