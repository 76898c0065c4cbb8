use std::time::Duration;

use serde_json::json;
use synod_client::{
    Acquired, Client,
    machine::{Holder, LeaseId, LockView, Name},
};

use crate::{
    answer::Answer,
    ask::{self, Ask},
    fault::Fault,
    leases::{forced, own},
    numbers::Count,
    shape::shape,
};

/// How long a lock outlives its holder, if not told otherwise.
const TTL_MS: u64 = 10_000;

shape! {
    /// A lock that is wanted.
    LockRequest {
        /// On this lease of the caller, which goes on when the lock is let go of.
        lease: Option<Count>,
        /// On a lease of its own that ends when it was not renewed for so many milliseconds; 10 000
        /// if nothing is said.
        ttl_ms: Option<Count>,
        /// How many milliseconds to wait in the queue; without, another's holding it is the answer.
        wait_ms: Option<Count>,
    }
}

shape! {
    /// A lock that is held, as long as its lease is.
    Held {
        /// Which.
        lock: String,
        /// What the resource is to be shown that the lock guards. It grows with every grant: what
        /// the lock guards is to refuse a smaller one after a larger.
        token: Count,
        /// The lease on which it hangs, which the caller is to renew.
        lease: Count,
        /// Milliseconds without a renewal that end the lease.
        ttl_ms: Count,
    }
}

shape! {
    /// A lock as others see it.
    LockRow {
        /// Which.
        lock: String,
        /// Who has it.
        holder: HolderRow,
        /// How many wait.
        waiting: Count,
    }
}

shape! {
    /// Who holds a lock.
    HolderRow {
        /// Of whom.
        owner: String,
        /// On which lease.
        lease: Count,
        /// Under which token.
        token: Count,
        /// Since when, in milliseconds since 1970.
        since_ms: Count,
    }
}

shape! {
    /// Locks that are held, in the order of their names.
    LockRows {
        /// Those that somebody holds.
        locks: Vec<LockRow>,
        /// After which the list goes on, if there are more: give it as `after`.
        next: Option<String>,
    }
}

shape! {
    /// A lock, or a place in its queue, was let go of.
    Released {
        /// Whether there was anything to let go of.
        existed: bool,
        /// The token under which it was held; none of a place in the queue.
        token: Option<Count>,
    }
}

impl HolderRow {
    fn new(holder: &Holder) -> HolderRow {
        HolderRow {
            owner: holder.owner.clone(),
            lease: Count(holder.lease.get()),
            token: Count(holder.token.get()),
            since_ms: Count(holder.since_ms),
        }
    }
}

impl LockRow {
    fn new(view: &LockView) -> LockRow {
        let (lock, waiting) = (view.name.to_string(), Count(view.waiting));
        LockRow { lock, holder: HolderRow::new(&view.holder), waiting }
    }
}

pub(crate) async fn acquire(ask: Ask) -> Result<Answer, Fault> {
    let name = ask.text("name")?;
    let request: LockRequest = ask.document()?;
    let wait = request.wait_ms.map(|wait| ask::wait("wait_ms", wait.0)).transpose()?;
    let (ttl_ms, lease) = match (request.lease, request.ttl_ms) {
        (Some(_), Some(_)) => {
            return Err(Fault::bad("a lock hangs on a lease that there is, or on one of its own"));
        }
        (Some(lease), None) => {
            let view = own(&ask, LeaseId::new(lease.0)).await?;
            (view.ttl_ms, OfLock::given(view.lease))
        }
        (None, ttl_ms) => {
            let ttl_ms = ttl_ms.map_or(TTL_MS, |ttl| ttl.0);
            let lease = ask.client.grant_lease(Duration::from_millis(ttl_ms)).await?;
            (ttl_ms, OfLock::fresh(&ask.client, lease))
        }
    };
    match ask.client.acquire_lock(&name, lease.id, wait).await? {
        Acquired::Held { token } => {
            let (token, id) = (Count(token.get()), Count(lease.keep().get()));
            let held = Held { lock: name, token, lease: id, ttl_ms: Count(ttl_ms) };
            Ok(Answer::json(&held))
        }
        Acquired::Taken(by) => {
            let said = format!("{} holds it", by.owner);
            Err(Fault::taken(said, json!(HolderRow::new(&by))))
        }
        Acquired::LeaseEnded => Err(Fault::lease_ended()),
    }
}

/// The lease of a lock that is being taken. One that was granted for this alone ends if nothing
/// comes of it, or if its caller goes meanwhile: nobody else knows of it.
struct OfLock {
    id: LeaseId,
    fresh: Option<Client>,
}

impl OfLock {
    fn given(id: LeaseId) -> OfLock {
        OfLock { id, fresh: None }
    }

    fn fresh(client: &Client, id: LeaseId) -> OfLock {
        OfLock { id, fresh: Some(client.clone()) }
    }

    /// It is its caller's from here on.
    fn keep(mut self) -> LeaseId {
        self.fresh = None;
        self.id
    }
}

impl Drop for OfLock {
    fn drop(&mut self) {
        let Some(client) = self.fresh.take() else { return };
        let lease = self.id;
        tokio::spawn(async move {
            // One that cannot be ended now ends by itself, for nobody renews it.
            let _ended = client.revoke_lease(lease).await;
        });
    }
}

pub(crate) async fn show(ask: Ask) -> Result<Answer, Fault> {
    match ask.client.lock_view(&ask.text("name")?).await? {
        Some(view) => Ok(Answer::json(&LockRow::new(&view))),
        None => Err(Fault::absent("nobody holds it")),
    }
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let prefix = ask.query.text("prefix").unwrap_or_default();
    let after = ask.query.text("after").map(Name::new);
    let (views, more) = ask.client.locks(&prefix, after, ask.limit()).await?;
    let next = views.last().map(|view| view.name.to_string()).filter(|_| more);
    Ok(Answer::json(&LockRows { locks: views.iter().map(LockRow::new).collect(), next }))
}

pub(crate) async fn release(ask: Ask) -> Result<Answer, Fault> {
    let lease = LeaseId::new(ask.query.number("lease").unwrap_or_default());
    let view = own(&ask, lease).await?;
    let released = ask.client.release_lock(&ask.text("name")?, view.lease).await?;
    let existed = released.is_some();
    let token = released.flatten().map(|token| Count(token.get()));
    Ok(Answer::json(&Released { existed, token }))
}

pub(crate) async fn break_it(ask: Ask) -> Result<Answer, Fault> {
    let broken = ask.client.break_lock(&ask.text("name")?, forced(&ask)?).await?;
    let token = broken.map(|token| Count(token.get()));
    Ok(Answer::json(&Released { existed: token.is_some(), token }))
}
