//! What happens at the nodes' shelves.

use synod_paxos::{Durable, NodeId, Slot};
use synod_replica::{Carried, Input, Restored, ShelfJob, ShelfNews};
use synod_store::StoreError;

use super::{World, nodes::SLOW_FACTOR};
use crate::{
    event::Event, network::Place, plan::MS, shelf::Done, sights::Sight, violation::Checked,
};

/// How long a shelf takes over a job.
const JOB_US: (u64, u64) = (50, 8 * MS);

impl World {
    /// Gives a node's shelf something to do.
    pub(super) fn shelve(&mut self, id: NodeId, job: ShelfJob) {
        let Some(up) = &mut self.node(id).up else { return };
        up.jobs.push_back(job);
        if up.jobs.len() == 1 {
            self.begin_job(id);
        }
    }

    fn begin_job(&mut self, id: NodeId) {
        let (now, took) = (self.now_us, self.rng.u64(JOB_US.0..=JOB_US.1));
        let node = self.node(id);
        let (boot, begins) = (node.boot, now.max(node.stalled_until_us));
        let slow = if now < node.slow_until_us { SLOW_FACTOR } else { 1 };
        self.queue.plan(begins + took * slow, Event::Shelved { node: id, boot });
    }

    /// A node's shelf has done its first job.
    pub(super) fn shelved(&mut self, id: NodeId, boot: u64) -> Checked {
        if self.hold(id, || Event::Shelved { node: id, boot }) || !self.is_in(id, boot) {
            return Ok(());
        }
        let node = self.node(id);
        let Some(up) = &mut node.up else { return Ok(()) };
        let Some(job) = up.jobs.pop_front() else { return Ok(()) };
        let more = !up.jobs.is_empty();
        if let ShelfJob::Remove { slot } = &job {
            let slot = *slot;
            self.watch.beginning.removed(id, slot);
        }
        let made = kind(&job);
        let Done { news, failed } = self.node(id).shelf.run(job);
        if more {
            self.begin_job(id);
        }
        if let Some(error) = failed {
            self.see_failed(made, &error);
            self.story.tell(self.now_us, || format!("{id}'s shelf: {error}"));
        }
        let Some(news) = news else { return Ok(()) };
        match &news {
            ShelfNews::Written { slot, stands: true } => self.put_up(id, *slot, false),
            ShelfNews::Whole { slot, .. } => self.put_up(id, *slot, true),
            _ => {}
        }
        self.installs = matches!(news, ShelfNews::Whole { .. });
        let stepped = self.step(id, Input::Shelf(news));
        self.installs = false;
        stepped
    }

    fn see_failed(&mut self, made: Made, error: &StoreError) {
        let is_full = matches!(error, StoreError::DiskFull { .. });
        let sight = match (made, is_full) {
            (Made::Written, true) => Sight::SnapshotNoRoom,
            (Made::Written, false) => Sight::SnapshotFailed,
            (Made::Received, _) => Sight::ChunkUnkept,
            (Made::Nothing, _) => return,
        };
        self.watch.seen.see(sight);
    }

    /// Notes what stands on a shelf from now on, durably.
    pub(super) fn put_up(&mut self, id: NodeId, slot: Slot, received: bool) {
        self.story.tell(self.now_us, || format!("{id} has a snapshot of {slot}"));
        self.watch.beginning.put_up(id, slot, received);
        if received {
            let above = self.watch.ghost.durable(id).records_from(slot.next()).next().is_some();
            self.watch.seen.see(Sight::Install);
            if above {
                self.watch.seen.see(Sight::InstallUnderVotes);
            }
        } else {
            self.watch.seen.see(Sight::Snapshot);
            if !self.somebody_serves() {
                self.watch.seen.see(Sight::SnapshotUnled);
            }
        }
    }

    /// A word about snapshots arrives.
    pub(super) fn carried(&mut self, from: NodeId, to: NodeId, carried: Carried) -> Checked {
        let again = || Event::Carried { from, to, carried: carried.clone() };
        if self.hold(to, again) || self.node(to).up.is_none() {
            return Ok(());
        }
        self.step(to, Input::Carried { from, carried })
    }

    /// A node speaks of snapshots.
    pub(super) fn carry(&mut self, from: NodeId, to: NodeId, carried: Carried) {
        if let Carried::Want { slot: Some(_), number: 1.. } = carried
            && let Some(up) = &mut self.node(from).up
            && !std::mem::replace(&mut up.has_fetched, true)
        {
            // The first chunk that this process asks for is not the first of its snapshot.
            self.watch.seen.see(Sight::Resumed);
        }
        if let (Carried::Want { .. }, Some(up)) = (&carried, &mut self.node(from).up) {
            up.has_fetched = true;
        }
        self.trace.carried(&carried);
        let (here, there) = (Place::Node(from.get()), Place::Node(to.get()));
        for delay in self.network.copies(here, there, self.now_us) {
            let carried = carried.clone();
            self.queue.plan(self.now_us + delay, Event::Carried { from, to, carried });
        }
    }

    /// Notes from what a node starts.
    pub(super) fn see_start(&mut self, id: NodeId, durable: &Durable, restored: &Restored) {
        let applied = restored.applied;
        let seen = [
            (Sight::Older, restored.lost.iter().any(|lost| *lost > applied)),
            (Sight::Hollow, applied < durable.trimmed),
            (Sight::Ahead, applied > durable.chosen_upto),
        ];
        for (sight, _) in seen.into_iter().filter(|(_, seen)| *seen) {
            self.watch.seen.see(sight);
        }
        for slot in &restored.shelved.slots {
            // Its process ended, or a call failed, before the name was known to be durable.
            if self.node(id).shelf.keeps(*slot) && !self.watch.beginning.stands(id, *slot) {
                self.watch.seen.see(Sight::FoundStanding);
                self.watch.beginning.put_up(id, *slot, false);
            }
        }
    }

    fn somebody_serves(&self) -> bool {
        let mut up = self.nodes.iter().filter_map(|node| node.up.as_ref());
        up.any(|up| up.replica.status().serving)
    }
}

/// What a job makes that can be lacking afterwards.
#[derive(Clone, Copy, Debug)]
enum Made {
    Written,
    Received,
    Nothing,
}

fn kind(job: &ShelfJob) -> Made {
    match job {
        ShelfJob::Write { .. } => Made::Written,
        ShelfJob::Receive { .. } => Made::Received,
        ShelfJob::Read { .. } | ShelfJob::Remove { .. } => Made::Nothing,
    }
}
