//! L of elections: tokens grow, nobody is granted before the incumbent has left, and whoever says
//! that it must not be granted is not. Whom a switchover must grant depends on the rules of that
//! moment: the model of elections says it.

mod left;
mod willing;

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{
    ElectionCommand, ElectionReply, LeaseId, Name, Office, Reply, Report, Revision,
};

use super::leases::tokens::Tokens;
use crate::{
    sights::{Sight, Sights},
    violation::Checked,
};

/// What the log said of offices and of who stands.
#[derive(Debug, Default)]
pub(crate) struct Offices {
    /// As each stood last.
    offices: BTreeMap<Name, Office>,
    tokens: Tokens,
    /// Since when whoever stands has said what of itself: whether it must not be granted.
    said: BTreeMap<(Name, LeaseId), BTreeMap<Revision, bool>>,
    /// Who stood no longer, and from when on.
    left: BTreeSet<(Name, LeaseId, Revision)>,
    /// Leases that are over, and since when: nobody stands on them.
    ended: BTreeMap<LeaseId, Revision>,
}

impl Offices {
    /// A lease is over, since this revision if it was not before.
    pub(crate) fn lease_ended(&mut self, lease: LeaseId, at: Revision) {
        self.ended.entry(lease).or_insert(at);
    }

    /// What a candidate says counts from the revision that its reply tells.
    pub(crate) fn hears(&mut self, command: &ElectionCommand, reply: &Reply) {
        let Reply::Election(reply) = reply else { return };
        let (name, lease, unwilling, at) = match (command, reply) {
            (
                ElectionCommand::Stand { name, lease, report: Some(report), .. },
                ElectionReply::Waiting { at, .. },
            ) => (name, lease, *report == Report::NotNow, *at),
            (ElectionCommand::Report { name, lease, report }, ElectionReply::Done { revision }) => {
                (name, lease, *report == Report::NotNow, *revision)
            }
            // It may come again, with another word or none.
            (ElectionCommand::Leave { name, lease }, ElectionReply::Left { revision, .. }) => {
                self.left.insert((name.clone(), *lease, *revision));
                (name, lease, false, *revision)
            }
            _ => return,
        };
        self.said.entry((name.clone(), *lease)).or_default().insert(at, unwilling);
    }

    /// An office stands so since this revision.
    pub(crate) fn changed(
        &mut self,
        (at, name, office): (Revision, &Name, &Office),
        seen: &mut Sights,
    ) -> Checked {
        let before = self.offices.insert(name.clone(), office.clone()).unwrap_or_default();
        let Some(now) = &office.incumbent else { return Ok(()) };
        if before.incumbent.as_ref().is_some_and(|one| one.token == now.token) {
            return Ok(());
        }
        self.tokens.grow(name, now.token)?;
        self.had_left(name, before.incumbent.as_ref(), at)?;
        self.was_willing(name, now, at)?;
        if before.successor.is_some_and(|to| to.lease == now.lease) {
            seen.see(Sight::HandedOver);
        }
        Ok(())
    }
}
