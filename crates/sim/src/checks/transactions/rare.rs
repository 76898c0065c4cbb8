//! Rare states of atomic commit. Nothing is demanded here.

use synod_machine::{
    Command, Machine, Proposal, Reply, TxnId, Verdict,
    branch::Input,
    participant_door::{NoReason, Vote},
};

use super::{Transactions, verdict_of};
use crate::sights::Sight;

impl Transactions {
    /// A participant takes something in.
    pub(crate) fn hears(&mut self, machine: &Machine, place: usize, input: &Input) {
        match input {
            Input::Prepare { txn, .. } => {
                if self.open.contains(&(place, *txn)) {
                    self.seen.see(Sight::PreparedTwice);
                } else if verdict_of(machine, *txn) == Verdict::Aborted {
                    self.seen.see(Sight::LatePrepare);
                }
            }
            Input::Finish { txn, .. } => {
                let branch = (place, *txn);
                if self.wanted.contains(&branch) && !self.prepared.contains(&branch) {
                    self.seen.see(Sight::EarlyVerdict);
                }
            }
            Input::Acknowledged(_) | Input::Wake => {}
        }
    }

    /// A node is asked by a participant to abort what that holds in doubt, after so many reigns.
    pub(crate) fn asks_to_abort(&mut self, txn: TxnId, reigns: usize) {
        self.doubted.entry(txn).or_insert(reigns);
    }

    /// The log's answer has come, after so many reigns.
    pub(crate) fn doubt_ends(&mut self, txn: TxnId, verdict: Verdict, reigns: usize) {
        if verdict == Verdict::Committed {
            self.seen.see(Sight::DoubtOverruled);
        }
        if self.doubted.remove(&txn).is_some_and(|before| before < reigns) {
            self.seen.see(Sight::DoubtAcrossReigns);
        }
    }

    pub(super) fn voted(&mut self, vote: &Vote) {
        match vote {
            Vote::No { reason: NoReason::Locked { .. } } => self.seen.see(Sight::Locked),
            Vote::No { reason: NoReason::Ended } => self.seen.see(Sight::PrepareAfterEnd),
            _ => {}
        }
    }

    /// A decision was applied, for the first time or again.
    pub(super) fn decided(&mut self, command: &Command, reply: &Reply, repeated: bool) {
        if let (Command::Fence { session, .. }, Reply::Done(_)) = (command, reply) {
            self.fenced.insert(*session);
        }
        let Command::Decide { txn, outcome: Proposal::Commit { .. } } = command else { return };
        match reply {
            Reply::Verdict(_) if repeated => self.seen.see(Sight::DecidedTwice),
            Reply::Verdict(Verdict::Aborted) if self.fenced.contains(&txn.session) => {
                self.seen.see(Sight::Fenced);
            }
            Reply::Verdict(Verdict::Aborted) => self.seen.see(Sight::Overtaken),
            _ => {}
        }
    }
}
