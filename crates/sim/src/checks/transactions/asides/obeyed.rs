//! H3: who attends hears as news only of what is decided, as it is.

use synod_machine::{ParticipantName, TxnId, Verdict};

use super::Asides;
use crate::violation::{Checked, demand};

impl Asides<'_> {
    /// A participant asks for news of these.
    pub(super) fn no_other_verdict_is_news(
        &self,
        name: &ParticipantName,
        txns: &[TxnId],
    ) -> Checked {
        let told = self.machine.news_for(name, txns, &[]);
        let wrong = told.into_iter().find(|(txn, verdict)| {
            *verdict == Verdict::InProgress || self.known.verdicts.get(txn) != Some(verdict)
        });
        demand!(wrong.is_none(), "H3", "{name} is told as news: {wrong:?}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::transactions::{
        Transactions,
        asides::stage::{DONE, unknown},
    };

    #[test]
    fn news_of_what_is_not_so_is_seen() {
        assert_eq!(unknown(|_| {}), None);
        let open = |known: &mut Transactions| {
            known.verdicts.insert(DONE, Verdict::InProgress);
        };
        assert_eq!(unknown(open), Some("H3"));
    }
}
