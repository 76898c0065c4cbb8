//! S1: a name that is claimed has one owner until that one lets go of it, or its lease ends.

use synod_machine::{
    ClaimCommand, ClaimReply, ClaimView, LeaseId, Name, Rejection, Revision, owner_name,
};

use super::{Moment, past::Past};

/// Claims as the simplest model has them.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) past: Past<ClaimView>,
}

impl Claims {
    /// What a command comes to.
    pub(super) fn does(
        &mut self,
        command: &ClaimCommand,
        moment: &mut Moment<'_>,
    ) -> Result<ClaimReply, Rejection> {
        match command {
            ClaimCommand::Take { name, owner, lease } => Ok(self.take(name, owner, *lease, moment)),
            ClaimCommand::Release { name, owner } => match self.past.get(name) {
                None => Ok(ClaimReply::Absent),
                Some(claim) if owner_name(&claim.client) != owner_name(moment.client) => {
                    Err(Rejection::ForeignClaim)
                }
                Some(claim) if claim.owner != *owner => Ok(ClaimReply::TakenBy(claim.clone())),
                Some(_) => Ok(self.ends(name, moment)),
            },
            ClaimCommand::Break { name, .. } => match self.past.get(name) {
                None => Ok(ClaimReply::Absent),
                Some(_) => Ok(self.ends(name, moment)),
            },
        }
    }

    fn take(
        &mut self,
        name: &Name,
        owner: &str,
        lease: Option<LeaseId>,
        moment: &mut Moment<'_>,
    ) -> ClaimReply {
        let stands = self.past.get(name).cloned();
        if let Some(claim) = &stands {
            let same =
                claim.owner == owner && owner_name(&claim.client) == owner_name(moment.client);
            match same {
                false => return ClaimReply::TakenBy(claim.clone()),
                true if claim.lease == lease => return ClaimReply::Taken { at: claim.at },
                true => {}
            }
        }
        let now = moment.change();
        let (at, since_ms) = stands.map_or((now, moment.now_ms), |one| (one.at, one.since_ms));
        let (owner, client) = (owner.to_owned(), moment.client.to_owned());
        let claim = ClaimView { name: name.clone(), owner, client, lease, at, since_ms };
        self.past.set(name, now, Some(claim));
        ClaimReply::Taken { at }
    }

    fn ends(&mut self, name: &Name, moment: &mut Moment<'_>) -> ClaimReply {
        let revision = moment.change();
        self.past.set(name, revision, None);
        ClaimReply::Released { revision }
    }

    /// A lease has ended at this revision, and what hung on it; whether anything did.
    pub(super) fn lease_ended(&mut self, lease: LeaseId, at: Revision) -> bool {
        let hung = self.past.iter().filter(|(_, claim)| claim.lease == Some(lease));
        let hung: Vec<Name> = hung.map(|(name, _)| name.clone()).collect();
        hung.iter().for_each(|name| self.past.set(name, at, None));
        !hung.is_empty()
    }

    /// Whether a name stands for this owner.
    pub(super) fn is_for(&self, name: &Name, owner: &str) -> bool {
        self.past.get(name).is_some_and(|claim| claim.owner == owner)
    }
}
