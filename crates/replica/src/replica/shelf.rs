//! Snapshots at the replica: taken, sent, fetched, installed.

use std::time::Duration;

use synod_machine::Machine;
use synod_paxos::{self as paxos, Behind, NodeId, Slot};

use super::Replica;
use crate::{Carried, Output, Response, ShelfJob, ShelfNews, proposed::Owner};

/// How long an answer to a question for a chunk may take before it is asked again.
const PATIENCE: Duration = Duration::from_millis(500);

/// Questions for one chunk before the peer is given up. The next who says that it has trimmed what
/// this node needs is asked then.
const TRIES_MAX: u32 = 4;

impl Replica {
    /// What time and growth bring about: a snapshot to take, a chunk to ask for, a file that nobody
    /// needs.
    pub(super) fn tend_snapshots(&mut self, out: &mut Output) {
        let (applied, now) = (self.state.applied, self.now);
        if self.snapshots.take(applied, now) {
            let state = Box::new(self.state.machine.snapshot());
            out.shelf.push(ShelfJob::Write { slot: applied, state });
        }
        for slot in self.snapshots.superfluous(now) {
            out.shelf.push(ShelfJob::Remove { slot });
        }
        self.ask_for_chunk(out);
        let covered = self.snapshots.covered();
        if covered != self.covered {
            self.covered = covered;
            self.consult(paxos::Input::Covered(covered), out);
        }
    }

    fn ask_for_chunk(&mut self, out: &mut Output) {
        let (applied, now) = (self.state.applied, self.now);
        let Some(fetching) = &mut self.snapshots.fetching else { return };
        if fetching.on_shelf || now < fetching.ask_at {
            return;
        }
        // The log was quicker, or the peer is gone.
        let useless = fetching.slot.is_some_and(|slot| slot <= applied);
        if useless || fetching.tries == TRIES_MAX {
            self.snapshots.fetching = None;
            return;
        }
        fetching.tries += 1;
        fetching.ask_at = now.after(PATIENCE);
        let want = Carried::Want { slot: fetching.slot, number: fetching.next };
        out.carried.push((fetching.from, want));
    }

    /// The log cannot bring this node further.
    pub(super) fn is_behind(&mut self, behind: Behind) {
        if self.state.applied < behind.trimmed {
            self.snapshots.fetch_from(behind.peer, self.state.applied, self.now);
        }
    }

    /// A word about snapshots.
    pub(super) fn carried(&mut self, from: NodeId, carried: Carried, out: &mut Output) {
        match carried {
            Carried::Want { slot, number } => {
                match slot.or(self.snapshots.newest()).filter(|slot| self.snapshots.holds(*slot)) {
                    Some(slot) => {
                        self.snapshots.serves(from, slot, self.now);
                        out.shelf.push(ShelfJob::Read { to: from, slot, number });
                    }
                    None => out.carried.push((from, Carried::Gone { slot })),
                }
            }
            Carried::Chunk { slot, number, count, sealed } => {
                let applied = self.state.applied;
                let Some(fetching) = &mut self.snapshots.fetching else { return };
                let fits = fetching.slot.is_none_or(|wanted| wanted == slot);
                let awaited = fetching.from == from && fits && fetching.next == number;
                if awaited && !fetching.on_shelf && slot > applied && number < count {
                    (fetching.slot, fetching.count, fetching.on_shelf) = (Some(slot), count, true);
                    out.shelf.push(ShelfJob::Receive { slot, number, count, sealed });
                }
            }
            Carried::Gone { slot } => {
                let fetching = self.snapshots.fetching;
                if fetching.is_some_and(|at| at.from == from && at.slot == slot && !at.on_shelf) {
                    self.snapshots.gone(self.now);
                }
            }
        }
    }

    /// What the shelf has done.
    pub(super) fn on_shelf(&mut self, news: ShelfNews, out: &mut Output) {
        match news {
            ShelfNews::Written { slot, stands } => self.snapshots.written(slot, stands),
            ShelfNews::Read { to, slot, number, chunk } => {
                let carried = match chunk {
                    Some((count, sealed)) => Carried::Chunk { slot, number, count, sealed },
                    None => Carried::Gone { slot: Some(slot) },
                };
                out.carried.push((to, carried));
            }
            ShelfNews::Lost { slot } => {
                self.snapshots.lost(slot);
                out.shelf.push(ShelfJob::Remove { slot });
            }
            ShelfNews::Received { slot, next } => self.snapshots.wants(slot, next, self.now),
            ShelfNews::Whole { slot, machine } => {
                self.snapshots.received(slot, self.now);
                self.install(slot, *machine, out);
            }
            ShelfNews::Unusable => {
                self.snapshots.gone(self.now);
                self.snapshots.fetching = None;
            }
        }
    }

    /// One change: the machine with its sessions and transactions, how far it has come, and what
    /// the peer takes for chosen. Whoever waited for a slot below hears the truth: it is not known
    /// here what became of it, and the session that came with the state knows.
    fn install(&mut self, slot: Slot, machine: Machine, out: &mut Output) {
        if slot <= self.state.applied {
            return;
        }
        self.state.install(slot, machine);
        for owner in self.proposed.take_upto(slot) {
            match owner {
                Owner::Fence(session) => self.fence_was_applied(session, out),
                Owner::Expiry(lease) => self.expiry_was_applied(lease, out),
                Owner::Callers { .. } | Owner::Start => self.tell_owner(owner, None, out),
            }
        }
        for (client, news) in self.attendants.told_by_snapshot(&self.state.machine) {
            self.tell_news(client, news, out);
        }
        for (client, news) in self.watchers.told_by_snapshot(&self.state.machine) {
            let said = self.watched(news);
            self.answer(client, Response::Said(said), out);
        }
        self.consult(paxos::Input::Installed(slot), out);
    }
}
