use hyper::StatusCode;
use serde_json::json;
use synod_client::{
    Arrived,
    machine::{BarrierView, LeaseId, Name},
};

use crate::{
    answer::Answer,
    ask::{self, Ask},
    fault::Fault,
    leases::{Footing, Leased, own},
    numbers::Count,
    shape::shape,
};

shape! {
    /// A party that comes to a barrier.
    Arrival {
        /// How many must come. All say the same.
        parties: Count,
        /// On this lease of the caller: until the barrier opens, its end withdraws the party.
        lease: Option<Count>,
        /// On a lease of its own that ends when it was not renewed for so many milliseconds; 10 000
        /// if nothing is said.
        ttl_ms: Option<Count>,
        /// How many milliseconds to wait until it is open; without, how it stands is the answer.
        wait_ms: Option<Count>,
    }
}

shape! {
    /// A party has come, and is there as long as its lease is.
    Party {
        /// To which barrier.
        barrier: String,
        /// Whether all have come, so that everybody may pass. It stays open.
        open: bool,
        /// How many have come, if not all have.
        arrived: Option<Count>,
        /// The revision at which it is so.
        revision: Count,
        /// The lease of the party, which the caller is to renew.
        lease: Count,
        /// Milliseconds without a renewal that end the lease.
        ttl_ms: Count,
    }
}

shape! {
    /// A barrier as others see it.
    BarrierRow {
        /// Which.
        barrier: String,
        /// How many must come.
        parties: Count,
        /// How many are there.
        here: Count,
        /// The revision at which it opened, if it has.
        opened: Option<Count>,
        /// Whose party came first.
        owner: String,
    }
}

shape! {
    /// Barriers in the order of their names.
    BarrierRows {
        /// Those that there are.
        barriers: Vec<BarrierRow>,
        /// After which the list goes on, if there are more: give it as `after`.
        next: Option<String>,
    }
}

shape! {
    /// A party is gone.
    Gone {
        /// Whether it was there.
        existed: bool,
        /// How many are still there, if it was.
        here: Option<Count>,
    }
}

shape! {
    /// A barrier is not there any more.
    Removed {
        /// Which.
        barrier: String,
    }
}

impl BarrierRow {
    fn new(view: &BarrierView) -> BarrierRow {
        BarrierRow {
            barrier: view.name.to_string(),
            parties: Count(view.parties.into()),
            here: Count(view.here.into()),
            opened: view.opened.map(|at| Count(at.get())),
            owner: view.owner.clone(),
        }
    }
}

pub(crate) async fn arrive(ask: Ask) -> Result<Answer, Fault> {
    let (name, request) = (ask.text("name")?, ask.document::<Arrival>()?);
    let wait = request.wait_ms.map(|wait| ask::wait("wait_ms", wait.0)).transpose()?;
    // More than there are numbers of parties is more than any barrier is for, and told so.
    let parties = u32::try_from(request.parties.0).unwrap_or(u32::MAX);
    let footing = Footing::of(&ask, request.lease, request.ttl_ms).await?;
    let mut arrived = ask.client.barrier(name.clone()).arrive(footing.lease, parties).await?;
    if let (Arrived::Waiting { at, .. }, Some(wait)) = (arrived, wait) {
        let opened = ask.client.within(wait).barrier(name.clone()).opened_after(at).await?;
        arrived = opened.map_or(arrived, |at| Arrived::Open { at });
    }
    let (arrived, at) = match arrived {
        Arrived::Open { at } => (None, at),
        Arrived::Waiting { arrived, at, .. } => (Some(Count(arrived.into())), at),
    };
    let Leased { lease, ttl_ms } = footing.keep();
    let (open, revision) = (arrived.is_none(), Count(at.get()));
    let party = Party { barrier: name, open, arrived, revision, lease, ttl_ms };
    Ok(Answer::json(&party).at(at))
}

pub(crate) async fn leave(ask: Ask) -> Result<Answer, Fault> {
    let lease = LeaseId::new(ask.query.number("lease").unwrap_or_default());
    let view = own(&ask, lease).await?;
    let here = ask.client.barrier(ask.text("name")?).leave(view.lease).await?;
    Ok(Answer::json(&Gone { existed: here.is_some(), here: here.map(|here| Count(here.into())) }))
}

pub(crate) async fn remove(ask: Ask) -> Result<Answer, Fault> {
    let name = ask.text("name")?;
    if ask.client.barrier(name.clone()).remove().await? {
        return Ok(Answer::json(&Removed { barrier: name }));
    }
    let said = "somebody waits at it; nothing was changed";
    let view = ask.client.barrier(name).view().await?;
    let present = view.map(|view| json!(BarrierRow::new(&view))).unwrap_or_default();
    Err(Fault::new(StatusCode::CONFLICT, "waiting", said).with("present", present))
}

pub(crate) async fn show(ask: Ask) -> Result<Answer, Fault> {
    match ask.client.barrier(ask.text("name")?).view().await? {
        Some(view) => Ok(Answer::json(&BarrierRow::new(&view))),
        None => Err(Fault::absent("there is no such barrier")),
    }
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let prefix = ask.query.text("prefix").unwrap_or_default();
    let after = ask.query.text("after").map(Name::new);
    let (views, more) = ask.client.barriers(prefix, after, ask.limit()).await?;
    let next = views.last().map(|view| view.name.to_string()).filter(|_| more);
    Ok(Answer::json(&BarrierRows { barriers: views.iter().map(BarrierRow::new).collect(), next }))
}
