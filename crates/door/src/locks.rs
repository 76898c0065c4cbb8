use serde_json::json;
use synod_client::{
    Acquired,
    machine::{Holder, LeaseId, LockView, Name},
};

use crate::{
    answer::Answer,
    ask::{self, Ask},
    fault::Fault,
    leases::{Footing, Leased, forced, own},
    numbers::Count,
    shape::shape,
};

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
    let footing = Footing::of(&ask, request.lease, request.ttl_ms).await?;
    match ask.client.acquire_lock(&name, footing.lease, wait).await? {
        Acquired::Held { token } => {
            let (lock, token) = (name, Count(token.get()));
            let Leased { lease, ttl_ms } = footing.keep();
            Ok(Answer::json(&Held { lock, token, lease, ttl_ms }))
        }
        Acquired::Taken(by) => {
            let said = format!("{} holds it", by.owner);
            Err(Fault::taken(said, json!(HolderRow::new(&by))))
        }
        Acquired::LeaseEnded => Err(Fault::lease_ended()),
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
