use std::collections::BTreeSet;

use synod_machine::{
    AbortCause, Act, Answer, Command, FenceCause, Machine, Proposal, Query, Rejection, Reply,
    SessionId, TxnId,
};

use super::order::Effect;
use crate::{
    sights::{Sight, Sights},
    violation::{Checked, demand},
};

/// What operators brought about by force stands in the audit, for ever after.
#[derive(Debug, Default)]
pub(crate) struct Force {
    live: BTreeSet<SessionId>,
    ended: BTreeSet<SessionId>,
    aborted: BTreeSet<TxnId>,
    pub(crate) seen: Sights,
}

impl Force {
    /// A slot has joined the chosen prefix; `machine` has applied it.
    pub(crate) fn applied(&mut self, effect: &Effect, machine: &Machine) -> Checked {
        let before = (self.ended.len(), self.aborted.len());
        for (request, result) in effect.batch.requests.iter().zip(&effect.results) {
            match (&request.command, &result.reply) {
                (Command::OpenSession { .. }, Reply::Session(session)) => {
                    self.live.insert(*session);
                }
                (Command::Fence { session, cause, .. }, Reply::Done(_)) => {
                    let lived = self.live.remove(session);
                    if lived && *cause == FenceCause::Operator {
                        self.ended.insert(*session);
                    }
                }
                (Command::Decide { txn, outcome: Proposal::Abort { cause } }, _)
                    if by_force(machine, *txn, cause) =>
                {
                    self.aborted.insert(*txn);
                }
                _ => {}
            }
            if let Some(id) = request.id
                && (result.reply == Reply::Rejected(Rejection::SessionEnded)
                    || matches!(request.command, Command::CloseSession))
            {
                self.live.remove(&id.session);
            }
        }
        let after = (self.ended.len(), self.aborted.len());
        if before == after {
            return Ok(());
        }
        (before.0 < after.0).then(|| self.seen.see(Sight::EndedByForce));
        (before.1 < after.1).then(|| self.seen.see(Sight::AbortedByForce));
        self.is_on_record(machine)
    }

    fn is_on_record(&self, machine: &Machine) -> Checked {
        let Answer::Audit(entries) = machine.query(&Query::Audit) else {
            demand!(false, "C12", "a question for the audit is answered otherwise");
            return Ok(());
        };
        let has = |of: &dyn Fn(&Act) -> bool| entries.iter().any(|entry| of(&entry.act));
        for session in &self.ended {
            let told = has(&|act| matches!(act, Act::Fenced { session: of } if of == session));
            demand!(told, "C12", "session {session} was ended by force; nothing tells of it");
        }
        for txn in &self.aborted {
            let told = has(&|act| matches!(act, Act::Aborted { txn: of, .. } if of == txn));
            demand!(told, "C12", "{txn} was aborted by force; nothing tells of it");
        }
        Ok(())
    }
}

/// Whether this very abort is what the log holds the transaction to have ended by.
fn by_force(machine: &Machine, txn: TxnId, cause: &AbortCause) -> bool {
    let forced = matches!(cause, AbortCause::Operator { .. });
    forced
        && matches!(machine.query(&Query::Txn { txn }),
            Answer::Txn(view) if view.cause.as_ref() == Some(cause))
}
