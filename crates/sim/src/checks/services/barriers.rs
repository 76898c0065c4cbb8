//! S4: a barrier opens when all its parties have come and not before, and stays open until it is
//! removed.

use std::collections::BTreeSet;

use synod_machine::{
    BarrierCommand, BarrierReply, BarrierView, LeaseId, Name, Rejection, Revision,
};

use super::{Moment, past::Past};

/// Barriers as the simplest model has them.
#[derive(Debug, Default)]
pub(super) struct Barriers {
    pub(super) past: Past<Barrier>,
}

/// One of them, and who is there.
#[derive(Clone, Debug)]
pub(super) struct Barrier {
    parties: u32,
    here: BTreeSet<LeaseId>,
    opened: Option<Revision>,
    owner: String,
}

impl Barrier {
    /// As people are told of it.
    pub(super) fn view(&self, name: &Name) -> BarrierView {
        BarrierView {
            name: name.clone(),
            parties: self.parties,
            here: self.here.len() as u32,
            opened: self.opened,
            owner: self.owner.clone(),
        }
    }

    fn waiting(&self, at: Revision) -> BarrierReply {
        BarrierReply::Waiting { arrived: self.here.len() as u32, of: self.parties, at }
    }
}

impl Barriers {
    /// What a command comes to.
    pub(super) fn does(
        &mut self,
        command: &BarrierCommand,
        moment: &mut Moment<'_>,
    ) -> Result<BarrierReply, Rejection> {
        match command {
            BarrierCommand::Arrive { name, lease, parties } => {
                self.arrive(name, *lease, *parties, moment)
            }
            BarrierCommand::Leave { name, lease } => match self.past.get(name) {
                Some(barrier) if barrier.here.contains(lease) => {
                    let revision = moment.change();
                    Ok(BarrierReply::Left { here: self.goes(name, *lease, revision), revision })
                }
                Some(_) | None => Ok(BarrierReply::Absent),
            },
            BarrierCommand::Remove { name } => match self.past.get(name) {
                None => Ok(BarrierReply::Absent),
                Some(barrier) if barrier.opened.is_none() => Ok(barrier.waiting(moment.at())),
                Some(_) => {
                    let revision = moment.change();
                    self.past.set(name, revision, None);
                    Ok(BarrierReply::Removed { revision })
                }
            },
        }
    }

    fn arrive(
        &mut self,
        name: &Name,
        lease: LeaseId,
        parties: u32,
        moment: &mut Moment<'_>,
    ) -> Result<BarrierReply, Rejection> {
        let stands = self.past.get(name).cloned();
        let mut barrier = stands.unwrap_or_else(|| Barrier {
            parties,
            here: BTreeSet::new(),
            opened: None,
            owner: moment.client.to_owned(),
        });
        if barrier.parties != parties {
            return Err(Rejection::OtherParties { of: barrier.parties });
        }
        if let Some(at) = barrier.opened {
            return Ok(BarrierReply::Open { at });
        }
        if barrier.here.contains(&lease) {
            return Ok(barrier.waiting(moment.at()));
        }
        let at = moment.change();
        barrier.here.insert(lease);
        let all = barrier.here.len() >= parties as usize;
        barrier.opened = all.then_some(at);
        let reply = if all { BarrierReply::Open { at } } else { barrier.waiting(at) };
        self.past.set(name, at, Some(barrier));
        Ok(reply)
    }

    /// How many are still there.
    fn goes(&mut self, name: &Name, lease: LeaseId, at: Revision) -> u32 {
        let Some(mut barrier) = self.past.get(name).cloned() else { return 0 };
        barrier.here.remove(&lease);
        let here = barrier.here.len() as u32;
        let stands = here > 0 || barrier.opened.is_some();
        self.past.set(name, at, stands.then_some(barrier));
        here
    }

    /// A lease has ended at this revision, and its parties have left; whether there were any.
    pub(super) fn lease_ended(&mut self, lease: LeaseId, at: Revision) -> bool {
        let there = self.past.iter().filter(|(_, barrier)| barrier.here.contains(&lease));
        let there: Vec<Name> = there.map(|(name, _)| name.clone()).collect();
        for name in &there {
            self.goes(name, lease, at);
        }
        !there.is_empty()
    }
}
