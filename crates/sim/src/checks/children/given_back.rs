//! L8 of leases: whoever gives back a lock, an office or a lease has ended what it did under it,
//! before the log says that it is given back.

use synod_machine::{
    Command, ElectionCommand, ElectionReply, LeaseCommand, LeaseId, LockCommand, LockReply, Name,
    Reply,
};

use super::Children;
use crate::violation::{Checked, demand};

impl Children {
    /// This is given back: a lease, or what was held by it.
    pub(super) fn have_ended(
        &self,
        command: &Command,
        lease: LeaseId,
        name: Option<&Name>,
    ) -> Checked {
        let mut all = self.running.iter();
        let goes_on =
            all.find(|(_, (on, of, _))| *on == lease && name.is_none_or(|name| of == name));
        demand!(
            goes_on.is_none(),
            "L8",
            "{command:?} is in the log, and what was done under it goes on: {goes_on:?}"
        );
        Ok(())
    }
}

/// What somebody says that it has done with.
pub(super) fn given_back<'c>(
    command: &'c Command,
    reply: &Reply,
) -> Option<(LeaseId, Option<&'c Name>)> {
    match (command, reply) {
        (
            Command::Lock(LockCommand::Release { name, lease }),
            Reply::Lock(LockReply::Released { token: Some(_), .. }),
        )
        | (
            Command::Election(ElectionCommand::Leave { name, lease }),
            Reply::Election(ElectionReply::Left { token: Some(_), .. }),
        ) => Some((*lease, Some(name))),
        (Command::Lease(LeaseCommand::Revoke { lease }), Reply::Done(_)) => Some((*lease, None)),
        _ => None,
    }
}
