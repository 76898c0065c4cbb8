use super::Machine;
use crate::{Once, Rejection, Reply, RequestId, SessionId, once, owner_name};

impl Machine {
    /// Does it, or tells what was told when it was done. What came to nothing is not kept: it may
    /// be asked for again.
    pub(super) fn once(&mut self, id: Option<RequestId>, once: Once) -> Result<Reply, Rejection> {
        let own = id.map_or(SessionId::ZERO, |id| id.session);
        let client = self.sessions.owner(own).ok_or(Rejection::UnknownSession)?;
        let client = owner_name(client).to_owned();
        if let Some(told) = self.onces.told(&client, &once) {
            let reply = told?;
            if let Reply::Lease(lease) = reply {
                // Whoever hears of it counts from when it asked: so this is a sign of life, and of
                // a lease that has ended nobody is told that it was granted.
                self.uses(own, lease)?;
            }
            return Ok(reply);
        }
        let named = (once.key, once::digest(&once.what));
        let reply = self.execute(id, once.what.into());
        if !matches!(reply, Reply::Rejected(_)) {
            self.onces.keep(&client, named, reply.clone(), self.clock.age);
        }
        Ok(reply)
    }
}
