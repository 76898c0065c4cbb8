//! L2 of what is done and not of who may: no two do it at once.

use synod_machine::{LeaseId, Name};

use super::Children;
use crate::violation::{Checked, demand};

impl Children {
    /// A holder begins to do something. What another does counts for as long as its lease does.
    pub(super) fn does_it_alone(
        &self,
        holder: usize,
        (lease, name): (LeaseId, &Name),
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
        Ok(())
    }
}
