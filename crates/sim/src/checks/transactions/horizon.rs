//! What the log knows when the horizon has passed: a copy of its machine is made so old, and a
//! snapshot of it, too.

use std::collections::BTreeSet;

use synod_machine::{
    Batch, Command, FenceCause, Machine, Request, Room, Seq, SessionId, Timestamp,
};

use super::{Transactions, verdict_of};
use crate::{
    checks::{budgets, order::same_state},
    violation::Checked,
};

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// For longer the log need not know what an ended session committed.
const HORIZON_HOURS: u64 = 31 * 24;

impl Transactions {
    /// One session that has transactions goes on, and all others end, also those that have none.
    pub(super) fn after_the_end_of_others(&self, machine: &Machine) -> Checked {
        let sessions: BTreeSet<SessionId> = self.verdicts.keys().map(|txn| txn.session).collect();
        let sessions = sessions.into_iter().filter(|id| machine.session_owner(*id).is_some());
        let sessions: Vec<SessionId> = sessions.collect();
        let Some(stays) = sessions.get(sessions.len() / 2) else { return Ok(()) };
        let ends = machine.live_sessions().map(|(session, _, _)| session);
        let ends = ends.filter(|session| session != stays).map(|session| Request {
            id: None,
            acked: Seq::ZERO,
            command: Command::Fence { session, cause: FenceCause::Expired, guard: None },
        });
        let mut later = machine.clone();
        later.apply(Batch { stamp: Timestamp(0), requests: ends.collect() });
        self.after_the_horizon(&later)
    }

    pub(super) fn after_the_horizon(&self, machine: &Machine) -> Checked {
        // It forgets which sessions are past it as soon as there are two runs of them.
        let room = Room { retired_runs: 1, ..Room::default() };
        let mut later = machine.clone().with_room(room);
        let mut restored = same_state::is_restored(machine)?.with_room(room);
        // A leap of the stamps ages the log by an hour at most.
        for hour in (0..HORIZON_HOURS).rev() {
            let stamp = Timestamp(u64::MAX - hour * HOUR_MS);
            for machine in [&mut later, &mut restored] {
                machine.apply(Batch { stamp, requests: Vec::new() });
            }
        }
        same_state::is_the_same_later(&restored, &later)?;
        for txn in self.verdicts.keys() {
            let (before, then) = (verdict_of(machine, *txn), verdict_of(&later, *txn));
            let ended = later.session_owner(txn.session).is_none();
            self.stands_past_the_horizon(*txn, before, (then, ended))?;
            if ended && !self.awaits_a_part(txn.session) {
                budgets::is_forgotten(*txn, before, then)?;
            }
        }
        Ok(())
    }

    pub(super) fn awaits_a_part(&self, session: SessionId) -> bool {
        self.unacked.iter().any(|(txn, names)| txn.session == session && !names.is_empty())
    }
}
