use std::collections::BTreeMap;

use synod_machine::{Name, limits::Misuse};
use tokio::{sync::watch, time::timeout_at};

use crate::{
    deadline::Deadline,
    error::{Error, Why},
};

/// The locks that are held or awaited here on one lease. To the log all places of one lease in one
/// queue are the same place, so here there is one at a time.
#[derive(Debug, Default)]
pub(crate) struct Names(watch::Sender<BTreeMap<Name, Use>>);

/// How a name is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Somebody holds the lock, or waits for it.
    Place,
    /// It is being let go of in the background.
    Leaving,
}

impl Names {
    /// Takes the name of a lock for one place in its queue. One that is being let go of is waited
    /// for, so that its release cannot meet the place that comes after it.
    pub(crate) async fn take(&self, name: &Name, deadline: Deadline) -> Result<(), Error> {
        let mut names = self.0.subscribe();
        loop {
            let mut found = None;
            self.0.send_if_modified(|names| {
                found = names.get(name).copied();
                found.is_none() && names.insert(name.clone(), Use::Place).is_none()
            });
            match found {
                None => return Ok(()),
                Some(Use::Place) => {
                    return Err(Error::Misuse(Misuse::Contradiction(
                        "this lock is held or awaited on this lease already",
                    )));
                }
                Some(Use::Leaving) => {
                    let free = names.wait_for(|names| !names.contains_key(name));
                    if timeout_at(deadline.at(), free).await.is_err() {
                        return Err(Error::not_applied(Why::NoAnswer));
                    }
                }
            }
        }
    }

    pub(crate) fn leave(&self, name: &Name) {
        self.0.send_modify(|names| {
            names.insert(name.clone(), Use::Leaving);
        });
    }

    pub(crate) fn free(&self, name: &Name) {
        self.0.send_modify(|names| {
            names.remove(name);
        });
    }
}
