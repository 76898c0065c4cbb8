//! Older images: all that a node has is copied at one moment and put back at another. Nothing in
//! the copy contradicts anything else in it; only others know that it is old.

use synod_paxos::{Mark, NodeId};

use super::World;
use crate::{
    checks::acceptor::older_disk,
    disk::Stop,
    event::Event,
    node::{Image, Node, Up},
    plan::MS,
    sights::Sight,
    trouble::Trouble,
    violation::Checked,
};

/// How long until a node that was put on a copy is started.
const OFF_US: (u64, u64) = (MS, 30 * MS);

/// How much longer than it listens it may take to hear of what it has forgotten, with all others
/// there: a heartbeat of theirs, or an answer to one of its own.
const HEARS_WITHIN_US: u64 = 60 * MS;

/// Of the moments at which a copy could be put back one in so many makes another instead.
const ANOTHER_ONE_IN: u8 = 3;

impl World {
    /// Copies all that a node has; or puts the copy back, where somebody can tell that it is old.
    pub(super) fn image(&mut self, id: NodeId) {
        let another = self.chance(Trouble::Image).u8(0..ANOTHER_ONE_IN) == 0;
        let image = self.node(id).image.take().filter(|_| !another);
        match image {
            Some(image) if self.is_remembered(id, image.mark) => self.put_back(id, *image),
            Some(image) => self.node(id).image = Some(image),
            None => {
                let mark = self.watch.ghost.durable(id).mark();
                let node = self.node(id);
                // Of a node that is off nobody knows whether its last batch is there.
                let disk = node.up.as_ref().and_then(|_| node.disk.image());
                let copy = |disk| Box::new(Image { disk, shelf: node.shelf.image(), mark });
                node.image = disk.map(copy);
            }
        }
    }

    /// Whether all others are there, and one of them was told of more than a copy has, and has a
    /// disk that it will not stop for: so that the node is told, before it can do any harm. No more
    /// disks are taken from nodes than may fail.
    fn is_remembered(&self, id: NodeId, mark: Mark) -> bool {
        let lost = self.rotten.iter().filter(|rotten| **rotten != id).count();
        let mut others = self.nodes.iter().filter(|node| node.id() != id);
        let may_fail = usize::from(self.plan.voters - 1) / 2;
        let is_own = !self.rotten.contains(&id);
        let told = |node: &Node| {
            let told = |up: &Up| up.told.get(&id).is_some_and(|told| *told > mark);
            !self.rotten.contains(&node.id()) && node.up.as_ref().is_some_and(told)
        };
        is_own
            && lost < may_fail
            && others.clone().all(|node| node.up.is_some() && node.paused_until_us <= self.now_us)
            && others.any(told)
    }

    fn put_back(&mut self, id: NodeId, Image { disk, shelf, mark }: Image) {
        let now = self.now_us;
        self.stop(id, Stop::Power, "loses its power for a while");
        let at = now + self.draw(Trouble::Image, OFF_US);
        let listens_us = self.plan.leasing.vow.as_micros() as u64;
        // Clocks may be slow.
        let known_us = at + 2 * listens_us + HEARS_WITHIN_US;
        self.calm_until_us = known_us;
        self.network.calm(known_us);
        for node in &mut self.nodes {
            node.heal(now);
        }
        let node = self.node(id);
        (node.disk, node.shelf, node.is_older) = (disk, shelf, true);
        node.in_flight.clear();
        self.rotten.insert(id);
        self.queue.plan(at, Event::Start { node: id });
        self.queue.plan(known_us, Event::Known { node: id });
        self.story.tell(now, || format!("{id} is put on an older image, of {mark:?}"));
    }

    /// A node has been told that its disk is older than it, and ends.
    pub(super) fn knows_that_it_is_older(&mut self, id: NodeId) -> Checked {
        let node = self.node(id);
        older_disk::ends_no_other(id, node.is_older)?;
        node.is_older = false;
        node.gone = true;
        self.calm_until_us = self.now_us;
        self.network.calm(self.now_us);
        self.watch.seen.see(Sight::OlderImage);
        self.stop(id, Stop::Process, "is told that its disk is older than it, and is gone");
        Ok(())
    }

    /// By now it must have been.
    pub(super) fn known(&mut self, id: NodeId) -> Checked {
        older_disk::has_ended(id, self.node(id).is_older)
    }
}
