//! H2: a commit has everybody's durable yes, of the store that each votes from.

use synod_machine::{Part, TxnId, participant_door::Vote};

use super::Transactions;
use crate::{
    txn::participant_name,
    violation::{Checked, demand},
};

impl Transactions {
    /// A vote leaves a participant.
    pub(crate) fn votes(&mut self, place: usize, txn: TxnId, vote: &Vote) -> Checked {
        self.voted(vote);
        let promises = matches!(vote, Vote::Yes { .. });
        demand!(
            !promises || self.prepared.contains(&(place, txn)),
            "H2",
            "participant {place} votes yes to {txn} before its prepare is durable"
        );
        Ok(())
    }

    /// A commit is proposed, or made.
    pub(super) fn all_prepared(&self, txn: TxnId, parts: &[Part]) -> Checked {
        for part in parts {
            let promised = self
                .prepared
                .iter()
                .any(|(place, of)| *of == txn && participant_name(*place) == part.participant);
            demand!(
                promised,
                "H2",
                "{txn} is to commit and {} has no durable prepare",
                part.participant
            );
        }
        Ok(())
    }

    /// A commit is made, for the first time.
    pub(super) fn all_of_their_stores(&self, txn: TxnId, parts: &[Part]) -> Checked {
        for part in parts {
            let store = self.stores.get(&part.participant);
            demand!(
                store == Some(&part.incarnation),
                "H2",
                "{txn} commits by the yes of {} from {:?}, which votes from {store:?} by now",
                part.participant,
                part.incarnation
            );
        }
        Ok(())
    }
}
