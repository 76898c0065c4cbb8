use std::time::Duration;

use hyper::StatusCode;
use synod_client::{
    Client,
    machine::{LeaseId, LeaseView},
};

use crate::{answer::Answer, ask::Ask, fault::Fault, numbers::Count, shape::shape};

/// How long what stands on a lease outlives its owner, if not told otherwise.
const TTL_MS: u64 = 10_000;

shape! {
    /// A lease that is wanted.
    LeaseRequest {
        /// Milliseconds without a renewal that end it: 100 to a day.
        ttl_ms: Count,
    }
}

shape! {
    /// A lease that the caller is to renew. It is held for its time to live from before the caller
    /// sent the request that was answered with it.
    Leased {
        /// Which.
        lease: Count,
        /// Milliseconds without a renewal that end it.
        ttl_ms: Count,
    }
}

shape! {
    /// A lease as others see it.
    LeaseRow {
        /// Which.
        lease: Count,
        /// Of whom.
        owner: String,
        /// Milliseconds without a renewal that end it.
        ttl_ms: Count,
        /// When it was granted, in milliseconds since 1970.
        granted_at_ms: Count,
    }
}

shape! {
    /// Leases in the order of their ids.
    LeaseRows {
        /// Those that have not ended.
        leases: Vec<LeaseRow>,
        /// After which the list goes on, if there are more: give it as `after`.
        next: Option<Count>,
    }
}

shape! {
    /// Whether it was there.
    Ended {
        /// Whether there ever was one.
        existed: bool,
    }
}

shape! {
    /// Why something is done by force. It is on record before the effect.
    Force {
        /// For people to read, later.
        reason: String,
    }
}

impl LeaseRow {
    fn new(view: &LeaseView) -> LeaseRow {
        LeaseRow {
            lease: Count(view.lease.get()),
            owner: view.owner.clone(),
            ttl_ms: Count(view.ttl_ms),
            granted_at_ms: Count(view.granted_at_ms),
        }
    }
}

pub(crate) async fn grant(ask: Ask) -> Result<Answer, Fault> {
    let LeaseRequest { ttl_ms } = ask.document()?;
    let lease = ask.client.grant_lease(Duration::from_millis(ttl_ms.0)).await?;
    let leased = Leased { lease: Count(lease.get()), ttl_ms };
    Ok(Answer::json_with(StatusCode::CREATED, &leased))
}

pub(crate) async fn renew(ask: Ask) -> Result<Answer, Fault> {
    let view = own(&ask, id(&ask)?).await?;
    if !ask.client.renew_lease(view.lease).await? {
        return Err(Fault::lease_ended());
    }
    Ok(Answer::json(&Leased { lease: Count(view.lease.get()), ttl_ms: Count(view.ttl_ms) }))
}

pub(crate) async fn show(ask: Ask) -> Result<Answer, Fault> {
    match ask.client.lease_view(id(&ask)?).await? {
        Some(view) => Ok(Answer::json(&LeaseRow::new(&view))),
        None => Err(Fault::absent("there is no such lease")),
    }
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let after = ask.query.number("after").map(LeaseId::new);
    let (views, more) = ask.client.leases(after, ask.limit()).await?;
    let next = views.last().map(|view| Count(view.lease.get())).filter(|_| more);
    Ok(Answer::json(&LeaseRows { leases: views.iter().map(LeaseRow::new).collect(), next }))
}

pub(crate) async fn revoke(ask: Ask) -> Result<Answer, Fault> {
    let lease = id(&ask)?;
    match ask.client.lease_view(lease).await? {
        Some(view) if view.owner != ask.client.owner() => return Err(foreign()),
        // One that has ended is ended again: then the cluster says whether it ever was.
        Some(_) | None => {}
    }
    let existed = ask.client.revoke_lease(lease).await?;
    Ok(Answer::json(&Ended { existed }))
}

pub(crate) async fn break_it(ask: Ask) -> Result<Answer, Fault> {
    let existed = ask.client.break_lease(id(&ask)?, forced(&ask)?).await?;
    Ok(Answer::json(&Ended { existed }))
}

/// Why, and for whom: to the cluster the door does it.
pub(crate) fn forced(ask: &Ask) -> Result<String, Fault> {
    let Force { reason } = ask.document()?;
    Ok(format!("for {}: {reason}", ask.caller.name()))
}

fn id(ask: &Ask) -> Result<LeaseId, Fault> {
    ask.number("id").map(LeaseId::new)
}

/// A lease of this very caller. To the cluster all callers of the door are one client; which of
/// them it was, the lease's owner tells.
pub(crate) async fn own(ask: &Ask, lease: LeaseId) -> Result<LeaseView, Fault> {
    match ask.client.lease_view(lease).await? {
        Some(view) if view.owner == ask.client.owner() => Ok(view),
        Some(_) => Err(foreign()),
        None => Err(Fault::lease_ended()),
    }
}

fn foreign() -> Fault {
    Fault::forbidden("the lease was granted to another")
}

/// The lease on which something is to stand.
///
/// One that was made for that alone ends if nothing comes of it, or if its caller goes meanwhile:
/// nobody else knows of it. Under a key its caller may come again, and is told of the same.
pub(crate) struct Footing {
    pub(crate) lease: LeaseId,
    ttl_ms: u64,
    fresh: Option<Client>,
}

impl Footing {
    /// A lease of the caller that there is, or one that is granted for this.
    pub(crate) async fn of(
        ask: &Ask,
        lease: Option<Count>,
        ttl_ms: Option<Count>,
    ) -> Result<Footing, Fault> {
        match (lease, ttl_ms) {
            (Some(_), Some(_)) => {
                Err(Fault::bad("either on a lease that there is, or with a ttl_ms on its own"))
            }
            (Some(lease), None) => {
                let view = own(ask, LeaseId::new(lease.0)).await?;
                Ok(Footing { lease: view.lease, ttl_ms: view.ttl_ms, fresh: None })
            }
            (None, ttl_ms) => {
                let ttl_ms = ttl_ms.map_or(TTL_MS, |ttl| ttl.0);
                let lease = ask.client.grant_lease(Duration::from_millis(ttl_ms)).await?;
                let fresh = (!ask.keyed).then(|| ask.client.clone());
                Ok(Footing { lease, ttl_ms, fresh })
            }
        }
    }

    /// It is its caller's from here on.
    pub(crate) fn keep(mut self) -> Leased {
        self.fresh = None;
        Leased { lease: Count(self.lease.get()), ttl_ms: Count(self.ttl_ms) }
    }
}

impl Drop for Footing {
    fn drop(&mut self) {
        let Some(client) = self.fresh.take() else { return };
        let lease = self.lease;
        tokio::spawn(async move {
            // One that cannot be ended now ends by itself, for nobody renews it.
            let _ended = client.revoke_lease(lease).await;
        });
    }
}
