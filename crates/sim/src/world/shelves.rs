//! What happens at the nodes' shelves.

use synod_paxos::{Durable, NodeId};
use synod_replica::{Carried, Input, Restored, ShelfJob, ShelfNews};

use super::World;
use crate::{event::Event, network::Place, plan::MS, sights::Sight, violation::Checked};

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
        let boot = self.node(id).boot;
        let at = self.now_us + self.rng.u64(JOB_US.0..=JOB_US.1);
        self.queue.plan(at, Event::Shelved { node: id, boot });
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
        let news = self.node(id).shelf.run(job);
        if more {
            self.begin_job(id);
        }
        let Some(news) = news else { return Ok(()) };
        self.put_up(id, &news);
        self.installs = matches!(news, ShelfNews::Whole { .. });
        let stepped = self.step(id, Input::Shelf(news));
        self.installs = false;
        stepped
    }

    /// Notes what stands on a shelf from now on.
    pub(super) fn put_up(&mut self, id: NodeId, news: &ShelfNews) {
        let (ShelfNews::Written { slot, .. } | ShelfNews::Whole { slot, .. }) = news else {
            return;
        };
        let (slot, received) = (*slot, matches!(news, ShelfNews::Whole { .. }));
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
    pub(super) fn see_start(&mut self, durable: &Durable, restored: &Restored) {
        let applied = restored.applied;
        let seen = [
            (Sight::Older, restored.lost.iter().any(|lost| *lost > applied)),
            (Sight::Hollow, applied < durable.trimmed),
            (Sight::Ahead, applied > durable.chosen_upto),
        ];
        for (sight, _) in seen.into_iter().filter(|(_, seen)| *seen) {
            self.watch.seen.see(sight);
        }
    }

    fn somebody_serves(&self) -> bool {
        let mut up = self.nodes.iter().filter_map(|node| node.up.as_ref());
        up.any(|up| up.replica.status().serving)
    }
}
