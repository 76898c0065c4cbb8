//! What holders do under a lock, an office or a lease, and not who may: no two do it at once, and
//! it has ended before the log says that it is given back.

mod given_back;
mod one_at_once;

use std::collections::BTreeMap;

use synod_machine::{LeaseId, Name, Request, Revision};

use self::given_back::given_back;
use super::order::Effect;
use crate::violation::Checked;

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
        self.does_it_alone(holder, (lease, name), counts)?;
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
            self.have_ended(command, lease, name)?;
        }
        Ok(())
    }
}
