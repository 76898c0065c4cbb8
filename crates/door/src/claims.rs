use serde_json::json;
use synod_client::{
    Claimed, Unclaimed,
    machine::{ClaimView, LeaseId, Name},
};

use crate::{
    answer::Answer,
    ask::Ask,
    fault::Fault,
    leases::{forced, own},
    numbers::Count,
    shape::shape,
};

shape! {
    /// A name that is wanted.
    ClaimRequest {
        /// For whom: what the name is to stand for.
        owner: String,
        /// The lease of the caller with which it ends at the latest; without, it stands until it is
        /// released.
        lease: Option<Count>,
    }
}

shape! {
    /// A name that is its owner's.
    ClaimedSince {
        /// The revision since which it is.
        revision: Count,
    }
}

shape! {
    /// A claim as others see it.
    ClaimRow {
        /// Which name.
        claim: String,
        /// For whom.
        owner: String,
        /// Who took it.
        client: String,
        /// On which lease it hangs.
        lease: Option<Count>,
        /// The revision at which it came to be.
        revision: Count,
        /// Since when, in milliseconds since 1970.
        since_ms: Count,
    }
}

shape! {
    /// Claims in the order of their names.
    ClaimRows {
        /// Those that stand.
        claims: Vec<ClaimRow>,
        /// After which the list goes on, if there are more: give it as `after`.
        next: Option<String>,
    }
}

shape! {
    /// A name is nobody's.
    Unclaim {
        /// Whether it was somebody's.
        existed: bool,
        /// The revision since which it is nobody's.
        revision: Option<Count>,
    }
}

impl ClaimRow {
    fn new(view: &ClaimView) -> ClaimRow {
        ClaimRow {
            claim: view.name.to_string(),
            owner: view.owner.clone(),
            client: view.client.clone(),
            lease: view.lease.map(|lease| Count(lease.get())),
            revision: Count(view.at.get()),
            since_ms: Count(view.since_ms),
        }
    }
}

pub(crate) async fn take(ask: Ask) -> Result<Answer, Fault> {
    let (name, request): (String, ClaimRequest) = (ask.text("name")?, ask.document()?);
    strangers(&ask, &name).await?;
    let claim = ask.client.claim(name);
    let taken = match request.lease {
        None => claim.take(request.owner).await?,
        Some(lease) => {
            let lease = own(&ask, LeaseId::new(lease.0)).await?.lease;
            claim.take_on(request.owner, lease).await?
        }
    };
    match taken {
        Claimed::Ours(at) => Ok(Answer::json(&ClaimedSince { revision: Count(at.get()) }).at(at)),
        Claimed::TakenBy(by) => Err(taken_by(&by)),
    }
}

pub(crate) async fn release(ask: Ask) -> Result<Answer, Fault> {
    let name = ask.text("name")?;
    strangers(&ask, &name).await?;
    let owner = ask.query.text("owner").unwrap_or_default();
    ended(ask.client.claim(name).release(owner).await?)
}

pub(crate) async fn break_it(ask: Ask) -> Result<Answer, Fault> {
    ended(ask.client.claim(ask.text("name")?).break_it(forced(&ask)?).await?)
}

pub(crate) async fn show(ask: Ask) -> Result<Answer, Fault> {
    match ask.client.claim(ask.text("name")?).view().await? {
        Some(view) => Ok(Answer::json(&ClaimRow::new(&view))),
        None => Err(Fault::absent("nobody has it")),
    }
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let prefix = ask.query.text("prefix").unwrap_or_default();
    let after = ask.query.text("after").map(Name::new);
    let (views, more) = ask.client.claims(prefix, after, ask.limit()).await?;
    let next = views.last().map(|view| view.name.to_string()).filter(|_| more);
    Ok(Answer::json(&ClaimRows { claims: views.iter().map(ClaimRow::new).collect(), next }))
}

/// To the cluster all callers of the door are one client, who would be told that it has what
/// another of them has, and could give it back. Between this look and what follows somebody may
/// take it: then it is the cluster's word that counts, and it goes by the owner that is named.
async fn strangers(ask: &Ask, name: &str) -> Result<(), Fault> {
    match ask.client.claim(name).view().await? {
        Some(view) if view.client != ask.client.owner() => Err(taken_by(&view)),
        Some(_) | None => Ok(()),
    }
}

fn taken_by(view: &ClaimView) -> Fault {
    Fault::taken(format!("{} has it", view.owner), json!(ClaimRow::new(view)))
}

fn ended(unclaimed: Unclaimed) -> Result<Answer, Fault> {
    match unclaimed {
        Unclaimed::Released(at) => {
            let revision = Some(Count(at.get()));
            Ok(Answer::json(&Unclaim { existed: true, revision }).at(at))
        }
        Unclaimed::Absent => Ok(Answer::json(&Unclaim { existed: false, revision: None })),
        Unclaimed::TakenBy(by) => Err(taken_by(&by)),
    }
}
