//! C11 of commit: no branch stays open because its participant does not hear of a commit that waits
//! for it.

use synod_machine::{ParticipantName, Verdict};

use super::Asides;
use crate::violation::{Checked, demand};

impl Asides<'_> {
    /// A participant asks for news, and names nothing that it waits for.
    pub(super) fn every_commit_is_news(&self, name: &ParticipantName) -> Checked {
        let news = self.machine.news_for(name, &[], &[]);
        for (txn, _) in self.known.unacked.iter().filter(|(_, names)| names.contains(name)) {
            demand!(
                news.contains(&(*txn, Verdict::Committed)),
                "C11",
                "{txn} waits for {name}, which does not hear of it"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::checks::transactions::{
        Transactions,
        asides::stage::{DONE, shard, unknown},
    };

    #[test]
    fn news_that_does_not_come_is_seen() {
        let waits = |known: &mut Transactions| {
            known.unacked.insert(DONE, BTreeSet::from([shard()]));
        };
        assert_eq!(unknown(waits), Some("C11"));
    }
}
