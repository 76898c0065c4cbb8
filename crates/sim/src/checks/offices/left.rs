//! L2 of an office: nobody is granted before the incumbent has left, or its lease is over.

use synod_machine::{Incumbent, Name, Revision};

use super::Offices;
use crate::violation::{Checked, demand};

impl Offices {
    /// Whoever was the incumbent up to this revision stands no longer from there on.
    pub(super) fn had_left(
        &self,
        name: &Name,
        before: Option<&Incumbent>,
        at: Revision,
    ) -> Checked {
        let Some(Incumbent { lease, .. }) = before else { return Ok(()) };
        demand!(
            self.ended.get(lease) == Some(&at) || self.left.contains(&(name.clone(), *lease, at)),
            "L2",
            "{name} passes on at {at}, and lease {lease} that held it has not left"
        );
        Ok(())
    }
}
