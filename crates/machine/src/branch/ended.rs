use std::collections::{BTreeMap, VecDeque};

use super::{Durable, Durably, Write};
use crate::participant_door::NoReason;
use crate::runs::Runs;
use crate::{SessionId, TxnId};

/// How much a participant remembers of what it has applied.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Room {
    /// Runs of applied numbers of one session. A session that reaches it has committed here and
    /// elsewhere by turns for thousands of transactions; the oldest cannot come again.
    pub runs_of_one: u64,
    /// Sessions whose applied numbers are known.
    pub sessions: usize,
}

impl Default for Room {
    /// What every participant has.
    fn default() -> Room {
        Room { runs_of_one: 4_096, sessions: 1 << 16 }
    }
}

/// Votes of no, and aborts, remembered in memory: only to answer a late prepare alike and to hold
/// no locks for it, never needed for safety.
pub(super) const TOMBSTONES_MAX: usize = 1 << 14;

/// What is over: a prepare of it must not be promised again, or it would be done twice.
#[derive(Clone, Debug, Hash)]
pub(super) struct Ended {
    pub(super) room: Room,
    applied: Runs,
    /// Of each session with applied numbers: how many runs, and below which number all is over.
    sessions: BTreeMap<SessionId, Session>,
    sessions_below: SessionId,
    tombstones: BTreeMap<TxnId, NoReason>,
    oldest_tombstones: VecDeque<TxnId>,
}

#[derive(Clone, Copy, Debug, Default, Hash)]
struct Session {
    runs: u64,
    floor: u64,
}

impl Ended {
    pub(super) fn recover(durable: &Durable) -> Ended {
        let mut applied = Runs::new(0);
        let mut sessions: BTreeMap<SessionId, Session> = BTreeMap::new();
        for (&(session, first), &last) in &durable.runs {
            applied.restore(session, first, last);
            sessions.entry(session).or_default().runs += 1;
        }
        for (&session, &below) in &durable.floors {
            sessions.entry(session).or_default().floor = below;
        }
        let sessions_below = durable.sessions_below;
        let (tombstones, oldest_tombstones) = (BTreeMap::new(), VecDeque::new());
        let room = Room::default();
        Ended { room, applied, sessions, sessions_below, tombstones, oldest_tombstones }
    }

    /// Whether it is known to have been applied here.
    pub(super) fn applied(&self, txn: TxnId) -> bool {
        self.applied.contains(txn)
    }

    /// Whether it is so old that it will not be promised any more, whatever is still known of it.
    pub(super) fn is_forgotten(&self, txn: TxnId) -> bool {
        let floor = self.sessions.get(&txn.session).map_or(0, |session| session.floor);
        txn.n < floor || txn.session < self.sessions_below
    }

    /// Why a prepare of it is refused, if it is over.
    pub(super) fn refusal(&self, txn: TxnId) -> Option<NoReason> {
        let over = self.applied(txn) || self.is_forgotten(txn);
        over.then_some(NoReason::Ended).or_else(|| self.tombstones.get(&txn).cloned())
    }

    /// Remembers in memory that it was refused or rolled back.
    pub(super) fn bury(&mut self, txn: TxnId, why: NoReason) {
        if self.tombstones.insert(txn, why).is_none() {
            self.oldest_tombstones.push_back(txn);
        }
        if self.oldest_tombstones.len() > TOMBSTONES_MAX
            && let Some(oldest) = self.oldest_tombstones.pop_front()
        {
            self.tombstones.remove(&oldest);
        }
    }

    /// Notes for good that it was applied.
    pub(super) fn apply(&mut self, txn: TxnId, durably: &mut Durably) {
        let before = self.applied.len();
        let Some(grown) = self.applied.insert(txn) else { return };
        let after = self.applied.len();
        let session = txn.session;
        if let Some(first) = grown.absorbed {
            durably.write(Write::Run { session, first, last: None });
        }
        durably.write(Write::Run { session, first: grown.first, last: Some(grown.last) });
        let row = self.sessions.entry(session).or_default();
        row.runs = (row.runs + after).saturating_sub(before);
        if row.runs > self.room.runs_of_one {
            self.raise_floor(session, durably);
        }
        if self.sessions.len() > self.room.sessions {
            self.forget_lowest_session(durably);
        }
    }

    /// The lowest run is over, and so is everything below it that was not applied.
    fn raise_floor(&mut self, session: SessionId, durably: &mut Durably) {
        let Some((first, last)) = self.applied.lowest(session) else { return };
        self.applied.remove(session, first);
        let row = self.sessions.entry(session).or_default();
        row.runs = row.runs.saturating_sub(1);
        // A branch of long ago may end late, with the lowest run: what was forgotten stays so.
        row.floor = row.floor.max(last.saturating_add(1));
        durably.write(Write::Run { session, first, last: None });
        durably.write(Write::Floor { session, below: Some(row.floor) });
    }

    fn forget_lowest_session(&mut self, durably: &mut Durably) {
        let Some((session, row)) = self.sessions.pop_first() else { return };
        for (first, _) in self.applied.of(session) {
            durably.write(Write::Run { session, first, last: None });
        }
        self.applied.remove_session(session);
        if row.floor > 0 {
            durably.write(Write::Floor { session, below: None });
        }
        self.sessions_below = self.sessions_below.max(session.next());
        durably.write(Write::SessionsBelow(self.sessions_below));
    }
}
