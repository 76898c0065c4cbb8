//! L8 of leases: whoever gives back a lock, an office or a lease has ended what it did under it,
//! before the log says that it is given back. And L2 once more, of what is done and not of who may:
//! no two do it at once.

use std::collections::BTreeMap;

use synod_machine::{
    Command, ElectionCommand, ElectionReply, LeaseCommand, LeaseId, LockCommand, LockReply, Name,
    Reply, Request, Revision,
};

use super::order::Effect;
use crate::violation::{Checked, demand};

/// What holders do at this moment.
#[derive(Debug, Default)]
pub(crate) struct Children {
    running: BTreeMap<usize, (LeaseId, Name, Revision)>,
}

impl Children {
    /// A holder begins to do something. What another does whose process stands still, as does what
    /// it does, counts for as long as that one's lease does.
    pub(crate) fn begins(
        &mut self,
        holder: usize,
        (lease, name, token): (LeaseId, &Name, Revision),
        counts: impl Fn(LeaseId) -> bool,
    ) -> Checked {
        let mut others = self.running.iter().filter(|(other, _)| **other != holder);
        if let Some((other, (their, ..))) =
            others.find(|(_, (on, of, _))| of == name && counts(*on))
        {
            demand!(
                false,
                "L2",
                "holder {holder} begins under {name} on lease {lease}, and what holder {other} \
                 does under it on lease {their} has not ended"
            );
        }
        self.running.insert(holder, (lease, name.clone(), token));
        Ok(())
    }

    /// It has ended.
    pub(crate) fn ends(&mut self, holder: usize) {
        self.running.remove(&holder);
    }

    /// What was taken away from whoever does something under it is done on its own account.
    pub(crate) fn broken(&mut self, is_broken: impl Fn(LeaseId, &Name, Revision) -> bool) {
        self.running.retain(|_, (lease, name, token)| !is_broken(*lease, name, *token));
    }

    /// A slot has joined the chosen prefix.
    pub(crate) fn applied(&self, effect: &Effect) -> Checked {
        let requests = effect.batch.requests.iter().zip(&effect.results);
        for (Request { command, .. }, result) in requests {
            let Some((lease, name)) = given_back(command, &result.reply) else { continue };
            let mut all = self.running.iter();
            let goes_on =
                all.find(|(_, (on, of, _))| *on == lease && name.is_none_or(|name| of == name));
            demand!(
                goes_on.is_none(),
                "L8",
                "{command:?} is in the log, and what was done under it goes on: {goes_on:?}"
            );
        }
        Ok(())
    }
}

/// What somebody says that it has done with.
fn given_back<'c>(command: &'c Command, reply: &Reply) -> Option<(LeaseId, Option<&'c Name>)> {
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
