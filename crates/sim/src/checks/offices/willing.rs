//! L5 of leases: nobody is granted an office who says that it must not be.

use synod_machine::{Incumbent, Name, Revision};

use super::Offices;
use crate::violation::{Checked, demand};

impl Offices {
    /// What it said last before it was granted counts.
    pub(super) fn was_willing(&self, name: &Name, now: &Incumbent, at: Revision) -> Checked {
        let said = self.said.get(&(name.clone(), now.lease));
        let last = said.and_then(|said| said.range(..=at).next_back());
        demand!(
            !last.is_some_and(|(_, unwilling)| *unwilling),
            "L5",
            "{name} is granted at {at} to lease {}, which said that it must not be",
            now.lease
        );
        Ok(())
    }
}
