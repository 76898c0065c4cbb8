//! Locks as others see them: by their names, whoever holds them.

use synod_machine::{
    Answer, Command, LockCommand, LockReply, LockView, Name, Query, Reply, Revision, owner_name,
};

use crate::{
    client::{Client, nonsense},
    error::Error,
};

impl Client {
    /// A lock, with its holder and the first of those who wait; `None` when nobody holds it.
    pub async fn lock_view(&self, name: &str) -> Result<Option<LockView>, Error> {
        match self.read(Query::Lock { name: Name::new(name) }).await? {
            Answer::Lock { lock, .. } => Ok(lock),
            _ => Err(nonsense()),
        }
    }

    /// Locks that somebody holds, whose names begin with `prefix` and come after `after`; and
    /// whether there are more than `limit`.
    pub async fn locks(
        &self,
        prefix: &str,
        after: Option<Name>,
        limit: u32,
    ) -> Result<(Vec<LockView>, bool), Error> {
        match self.read(Query::Locks { prefix: prefix.to_owned(), after, limit }).await? {
            Answer::Locks { locks, more, .. } => Ok((locks, more)),
            _ => Err(nonsense()),
        }
    }

    /// Takes a lock away from whoever holds it, and gives it to the next in its queue; the token
    /// under which it was held, or `None` when nobody held it.
    ///
    /// Its holder learns of it from the cluster and may go on for a while: only the fencing token
    /// stops it. The role must be `admin`; who did it and why is on record before the effect.
    pub async fn break_lock(
        &self,
        name: &str,
        reason: impl Into<String>,
    ) -> Result<Option<Revision>, Error> {
        let actor = owner_name(self.core.owner()).to_owned();
        let (name, reason) = (Name::new(name), reason.into());
        let command = Command::Lock(LockCommand::Break { name, actor, reason });
        let broken = |reply| match reply {
            Reply::Lock(LockReply::Released { token, .. }) => Some(token),
            Reply::Lock(LockReply::Absent) => Some(None),
            _ => None,
        };
        self.submit(command, broken).await
    }
}
