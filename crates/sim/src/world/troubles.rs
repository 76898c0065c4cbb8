//! What goes wrong.

use synod_paxos::NodeId;

use super::World;
use crate::{
    event::{Caller, Event},
    plan::{MS, Trouble},
    sights::Sight,
    violation::Checked,
};

/// How long a node stays off.
const OFF_US: (u64, u64) = (MS, 800 * MS);

/// How long a node stands still.
const PAUSE_US: (u64, u64) = (30 * MS, 1_500 * MS);

/// How long a disk takes over a sync when it stalls.
const STALL_US: (u64, u64) = (50 * MS, 2_500 * MS);

/// How far a wall clock jumps at most, either way.
const CLOCK_MS: i64 = 60_000;

impl World {
    /// Plans the next trouble of a kind, with gaps that vary up to twice their mean.
    pub(super) fn plan_trouble(&mut self, trouble: Trouble, gap_us: u64) {
        let at = self.now_us + self.rng.u64(1..=2 * gap_us);
        self.queue.plan(at, Event::Trouble(trouble));
    }

    /// Something goes wrong, and will again.
    pub(super) fn trouble(&mut self, trouble: Trouble) -> Checked {
        if self.healed {
            return Ok(());
        }
        let gap = self.plan.gaps_us.iter().find(|(kind, _)| *kind == trouble);
        if let Some((_, gap_us)) = gap.copied() {
            self.plan_trouble(trouble, gap_us);
        }
        let id = self.some_node();
        let now = self.now_us;
        match trouble {
            Trouble::Crash => self.crash(id, "loses its power"),
            Trouble::Blackout => {
                for node in 1..=self.plan.voters {
                    self.crash(NodeId::new(node), "loses its power with all others");
                }
            }
            Trouble::MidSentence => self.node(id).cut_short = true,
            Trouble::Pause => {
                let until = now + self.rng.u64(PAUSE_US.0..=PAUSE_US.1);
                self.node(id).paused_until_us = until;
                self.story.tell(now, || format!("{id} stands still until {until} us"));
            }
            Trouble::Stall => {
                let until = now + self.rng.u64(STALL_US.0..=STALL_US.1);
                self.node(id).stalled_until_us = until;
                self.story.tell(now, || format!("{id}'s disk stalls until {until} us"));
            }
            Trouble::Cut => {
                let how = self.network.break_some();
                self.story.tell(now, || format!("the network {how}"));
            }
            Trouble::Mend => {
                self.network.mend();
                self.story.tell(now, || "the network is whole".into());
            }
            Trouble::Clock => {
                let off = self.rng.i64(-CLOCK_MS..=CLOCK_MS);
                self.node(id).wall_off_ms = off;
                self.story.tell(now, || format!("{id}'s wall clock is off by {off} ms"));
            }
            Trouble::Owner => self.replace_owner(),
            Trouble::Participant => self.crash_participant()?,
        }
        Ok(())
    }

    /// A node loses its power, and gets it back after a while.
    pub(super) fn crash(&mut self, id: NodeId, how: &str) {
        let mut rng = self.rng.fork();
        let back = self.now_us + rng.u64(OFF_US.0..=OFF_US.1);
        let node = self.node(id);
        node.cut_short = false;
        let Some(up) = node.up.take() else { return };
        self.watch.seen.see(Sight::Crash);
        let node = &mut self.nodes[usize::from(id.get()) - 1];
        node.in_flight = up.syncing.map_or_else(Vec::new, |batch| batch.writes().to_vec());
        node.disk.crash(&node.in_flight, &mut rng);
        self.story.tell(self.now_us, || format!("{id} {how}"));
        self.queue.plan(back, Event::Start { node: id });
    }

    fn replace_owner(&mut self) {
        if self.owners.is_empty() {
            return;
        }
        let place = self.rng.usize(0..self.owners.len());
        self.owners[place].replace(self.now_us);
        self.watch.seen.see(Sight::Death);
        self.story.tell(self.now_us, || format!("owner {place} dies, and another takes its place"));
        let caller = Caller::Owner(place);
        self.queue.plan(self.now_us + self.rng.u64(0..100 * MS), Event::Alarm { caller });
    }

    fn crash_participant(&mut self) -> Checked {
        let participant = self.rng.usize(0..self.participants.len());
        self.story.tell(self.now_us, || format!("participant {participant} loses its power"));
        self.watch.seen.see(Sight::Death);
        self.participants[participant].crash(&mut self.watch)?;
        let back = self.now_us + self.rng.u64(OFF_US.0..=OFF_US.1);
        self.queue.plan(back, Event::Return { participant });
        Ok(())
    }

    fn some_node(&mut self) -> NodeId {
        NodeId::new(self.rng.u16(1..=self.plan.voters))
    }
}
