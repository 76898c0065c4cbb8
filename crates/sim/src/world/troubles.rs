//! What goes wrong.

use fastrand::Rng;
use synod_paxos::NodeId;
use synod_replica::Input;

use super::World;
use crate::{
    disk::{Rotten, Stop},
    drive::{Decay, File},
    event::Event,
    network::Shape,
    node::Cut,
    plan::{MS, SECOND},
    sights::Sight,
    trouble::Trouble,
    violation::Checked,
};

/// How long a node stays off; and one time in so many, how long it does so that the others' logs no
/// longer reach back to what it knows.
pub(super) const OFF_US: (u64, u64) = (MS, 800 * MS);
const LONG_OFF_US: (u64, u64) = (800 * MS, 3 * SECOND);
const LONG_OFF_ONE_IN: u8 = 6;

/// How long somebody stands still.
pub(super) const PAUSE_US: (u64, u64) = (30 * MS, 1_500 * MS);

/// How long a disk takes over a sync when it stalls: some tenths, seconds, ten, or for ever.
const STALLS_US: [(u64, u64); 4] = [
    (50 * MS, 900 * MS),
    (SECOND, 2_500 * MS),
    (10 * SECOND, 10 * SECOND),
    (u64::MAX / 2, u64::MAX / 2),
];

/// How long a disk is slow or full, or a node late.
pub(super) const WHILE_US: (u64, u64) = (200 * MS, 2_000 * MS);

/// How late a node is woken that lags.
const LAG_US: (u64, u64) = (0, 150 * MS);

/// The same of one that is left alone: it notices only when others have gone on without it.
const FORSAKEN_LAG_US: (u64, u64) = (100 * MS, 400 * MS);

/// How long that lasts: longer than the others need for a new leader, and not much longer.
const FORSAKEN_US: (u64, u64) = (150 * MS, 800 * MS);

/// How long words wait on a link.
pub(super) const JAM_US: (u64, u64) = (20 * MS, 800 * MS);

/// How far a wall clock jumps at most, either way.
const CLOCK_MS: i64 = 60_000;

impl World {
    /// Plans the next trouble of a kind, with gaps that vary up to twice their mean.
    pub(super) fn plan_trouble(&mut self, trouble: Trouble, gap_us: u64) {
        let at = self.now_us + self.draw(trouble, (1, 2 * gap_us));
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
        if self.now_us < self.calm_until_us {
            return Ok(());
        }
        let id = NodeId::new(self.draw(trouble, (1, u64::from(self.plan.voters))) as u16);
        match trouble {
            Trouble::Crash => self.stop(id, Stop::Power, "loses its power"),
            Trouble::Kill => {
                if self.node(id).up.is_some() {
                    self.watch.seen.see(Sight::Killed);
                }
                self.stop(id, Stop::Process, "is killed");
            }
            Trouble::Blackout => {
                self.watch.seen.see(Sight::Blackout);
                for node in 1..=self.plan.voters {
                    self.stop(NodeId::new(node), Stop::Power, "loses its power with all others");
                }
            }
            Trouble::MidSentence => self.node(id).cut = Some(Cut::MidSentence),
            Trouble::AfterSync => self.node(id).cut = Some(Cut::AfterSync),
            Trouble::Pause => self.pause(id, PAUSE_US),
            Trouble::Lag => {
                let until = self.a_while(trouble, WHILE_US);
                let by = self.draw(trouble, LAG_US);
                self.lag(id, until, by);
                self.watch.seen.see(Sight::Lagging);
            }
            Trouble::Clock => {
                self.watch.seen.see(Sight::WallJump);
                let off = self.chance(trouble).i64(-CLOCK_MS..=CLOCK_MS);
                self.node(id).wall_off_ms = off;
                self.story.tell(self.now_us, || format!("{id}'s wall clock is off by {off} ms"));
            }
            Trouble::Stall | Trouble::Slow | Trouble::Fail | Trouble::Full => {
                self.trouble_disk(trouble, id);
            }
            Trouble::Rot => self.rot(id),
            Trouble::Cut => self.cut(),
            Trouble::Mend => {
                if self.network.is_broken() {
                    self.watch.seen.see(Sight::Mended);
                }
                self.network.mend();
                self.story.tell(self.now_us, || "the network is whole".into());
            }
            Trouble::Stray => self.stray(),
            Trouble::Owner => self.replace_owner(),
            Trouble::Participant | Trouble::Vault => self.trouble_participant(trouble)?,
            Trouble::Doze => self.doze(),
            Trouble::Forsaken => self.forsake(id),
            Trouble::Jam => self.jam(),
            Trouble::Transfer => self.transfer()?,
            Trouble::Image => self.image(id),
        }
        Ok(())
    }

    fn trouble_disk(&mut self, trouble: Trouble, id: NodeId) {
        let stall = self.draw(trouble, (0, STALLS_US.len() as u64 - 1)) as usize;
        let span = if trouble == Trouble::Stall { STALLS_US[stall] } else { WHILE_US };
        let until = self.a_while(trouble, span);
        let mut rng = self.chance(trouble).fork();
        let full = {
            let node = self.node(id);
            match trouble {
                Trouble::Stall => node.stalled_until_us = until,
                Trouble::Slow => node.slow_until_us = until,
                Trouble::Fail => node.fail_next(&mut rng),
                _ => node.set_full(true),
            }
            trouble == Trouble::Full
        };
        if full {
            self.queue.plan(until, Event::Room { node: id });
        }
        match trouble {
            Trouble::Stall if stall + 1 == STALLS_US.len() => {
                self.watch.seen.see(Sight::StalledForEver);
            }
            Trouble::Stall => self.watch.seen.see(Sight::Stalled),
            Trouble::Slow => self.watch.seen.see(Sight::SlowDisk),
            _ => {}
        }
        let name = trouble.name();
        self.story.tell(self.now_us, || format!("{id}'s disk: {name} until {until} us"));
    }

    /// Somebody has freed some space.
    pub(super) fn room(&mut self, id: NodeId) {
        self.node(id).set_full(false);
        self.story.tell(self.now_us, || format!("{id}'s disk has room again"));
    }

    /// The leader is to let another lead; now and then it hears nothing of what comes of that. Or
    /// it stands still, with its lease, for about as long as others keep their vows.
    fn transfer(&mut self) -> Checked {
        let Some(id) = self.leader() else { return Ok(()) };
        if self.chance(Trouble::Transfer).bool() {
            let vow_us = self.plan.leasing.vow.as_micros() as u64;
            self.pause(id, (vow_us / 2, 4 * vow_us));
            return Ok(());
        }
        self.watch.seen.see(Sight::Transfer);
        if self.chance(Trouble::Transfer).bool() {
            return self.hand_over(id);
        }
        if self.chance(Trouble::Transfer).bool() {
            // For one of them, all the others.
            let others = (1..=self.plan.voters).map(NodeId::new).filter(|other| *other != id);
            for other in others.skip(1).collect::<Vec<_>>() {
                if self.node(other).paused_until_us <= self.now_us {
                    self.step(other, Input::StepDown)?;
                }
            }
        }
        self.story.tell(self.now_us, || format!("{id} is told to let another lead"));
        self.step(id, Input::StepDown)?;
        if self.chance(Trouble::Transfer).bool() {
            let until = self.a_while(Trouble::Transfer, FORSAKEN_US);
            self.network.shut_out(id.get(), until);
        }
        Ok(())
    }

    /// The leader is to hand over, to anybody or to one of the others; now and then whoever it
    /// calls stands still or is cut off at that moment.
    fn hand_over(&mut self, id: NodeId) -> Checked {
        let named = self.chance(Trouble::Transfer).bool();
        let voters = u64::from(self.plan.voters);
        let heir = NodeId::new(self.draw(Trouble::Transfer, (1, voters)) as u16);
        match self.draw(Trouble::Transfer, (0, 7)) {
            0 if heir != id => self.pause(heir, FORSAKEN_US),
            1 => {
                let until = self.a_while(Trouble::Transfer, FORSAKEN_US);
                self.network.shut_out(heir.get(), until);
            }
            _ => {}
        }
        let to = named.then_some(heir);
        self.story.tell(self.now_us, || format!("{id} is told to hand the lead to {to:?}"));
        self.step(id, Input::HandOver { to, client: None })
    }

    /// A node stands still; its clock with it, as in a suspended machine, or not. Where leaders
    /// hold leases no clock does: those of nodes go on while their machines sleep.
    fn pause(&mut self, id: NodeId, span_us: (u64, u64)) {
        let (now, until) = (self.now_us, self.a_while(Trouble::Pause, span_us));
        let clock_too = self.chance(Trouble::Pause).bool() && !self.plan.reading;
        if self.watch.rare.serves(id) {
            self.watch.seen.see(Sight::PausedLeader);
        }
        let reading = self.plan.reading;
        let node = self.node(id);
        node.paused_until_us = until;
        if let Some(up) = node.up.as_mut().filter(|_| reading) {
            up.stood_still_at = Some((up.tick(now), until));
        }
        let stands = node.up.is_some();
        if let Some(up) = node.up.as_mut().filter(|_| clock_too) {
            up.clock.stand_still(now, until);
        }
        if stands {
            let sight = if clock_too { Sight::ClockPaused } else { Sight::Paused };
            self.watch.seen.see(sight);
        }
        self.story.tell(now, || format!("{id} stands still until {until} us"));
    }

    /// Something on the disk decays, on no more nodes than may fail.
    fn rot(&mut self, id: NodeId) {
        let others = self.rotten.iter().filter(|rotten| **rotten != id).count();
        if others + 1 > usize::from(self.plan.voters - 1) / 2 {
            return;
        }
        let mut rng = self.chance(Trouble::Rot).fork();
        // Most of what decays of a model is a record, and comes out soon.
        if rng.u8(0..4) < if self.plan.real_store { 1 } else { 2 } {
            return self.rot_snapshot(id, &mut rng);
        }
        let is_up = self.node(id).up.is_some();
        let rotten = self.node(id).disk.rot(&mut rng);
        match &rotten {
            Rotten::Nothing => return,
            Rotten::Record(slot) => {
                self.watch.ghost.rot(id, *slot, is_up);
                self.watch.seen.see(Sight::Rot);
            }
            Rotten::All => {}
            Rotten::InFiles(decays) => decays.iter().for_each(|decay| self.see_decay(*decay)),
        }
        self.rotten.insert(id);
        self.story.tell(self.now_us, || format!("something on {id}'s disk decays: {rotten:?}"));
        // A machine with a disk like that seldom runs on for long.
        match rng.u8(0..4) {
            0 => {}
            1 => self.stop(id, Stop::Process, "stops over its disk"),
            _ => self.stop(id, Stop::Power, "loses its power with its disk"),
        }
    }

    fn see_decay(&mut self, decay: (File, Decay)) {
        self.watch.seen.see(match decay {
            (_, Decay::Lost) => Sight::LostWrite,
            (_, Decay::Misdirected) => Sight::Misdirected,
            (File::Log, Decay::Flipped) => Sight::LogRot,
            (File::Base, Decay::Flipped) => Sight::Rot,
        });
    }

    fn rot_snapshot(&mut self, id: NodeId, rng: &mut Rng) {
        let rotted = self.node(id).shelf.rot(rng);
        if !rotted.is_empty() {
            self.rotten.insert(id);
            self.story.tell(self.now_us, || format!("{id}'s snapshots {rotted:?} decay"));
        }
    }

    fn lag(&mut self, id: NodeId, until_us: u64, by_us: u64) {
        let node = self.node(id);
        (node.lags_until_us, node.lags_by_us) = (until_us, by_us);
    }

    fn leader(&self) -> Option<NodeId> {
        let serves = |node: &&crate::node::Node| {
            node.up.as_ref().is_some_and(|up| up.replica.status().serving)
        };
        self.nodes.iter().find(serves).map(|node| node.id())
    }

    /// The leader, or another node when there is none, is alone with its callers, and its own wakes
    /// come late.
    fn forsake(&mut self, other: NodeId) {
        let leader = self.leader();
        if leader.is_some() && self.plan.voters > 1 {
            self.watch.seen.see(Sight::Forsaken);
        }
        let id = leader.unwrap_or(other);
        let until = self.a_while(Trouble::Forsaken, FORSAKEN_US);
        self.network.shut_out(id.get(), until);
        let by = self.draw(Trouble::Forsaken, FORSAKEN_LAG_US);
        self.lag(id, until, by);
        self.story.tell(self.now_us, || format!("{id} is alone until {until} us"));
    }

    /// Every other time it is the leader's links that are jammed.
    fn jam(&mut self) {
        let until = self.a_while(Trouble::Jam, JAM_US);
        let aims = self.chance(Trouble::Jam).bool();
        let node = self.leader().filter(|_| aims).map(NodeId::get);
        self.network.jam(node, until);
        if self.plan.voters > 1 {
            self.watch.seen.see(Sight::Jammed);
        }
        self.story.tell(self.now_us, || format!("links are jammed until {until} us"));
    }

    fn cut(&mut self) {
        let leader = self.leader().map(NodeId::get);
        let shapes = self.plan.shapes.clone();
        let Some(shape) = self.chance(Trouble::Cut).choice(shapes) else { return };
        if self.network.break_in(shape, leader) {
            self.watch.seen.see(shape.sight());
        }
        if leader.is_some()
            && self.plan.voters > 1
            && matches!(shape, Shape::QuorumLoss | Shape::Constrained | Shape::Chained)
        {
            self.watch.seen.see(Sight::CutLeader);
        }
        self.story.tell(self.now_us, || format!("links break: {shape:?}, the leader {leader:?}"));
    }

    /// A node stops, and starts again after a while.
    pub(super) fn stop(&mut self, id: NodeId, how: Stop, story: &str) {
        let mut rng = self.rng.fork();
        let long = rng.u8(0..LONG_OFF_ONE_IN) == 0;
        let (least, most) = if long { LONG_OFF_US } else { OFF_US };
        let back = self.now_us + rng.u64(least..=most);
        let node = self.node(id);
        node.cut = None;
        let Some(up) = node.up.take() else { return };
        self.watch.seen.see(Sight::Crash);
        self.watch.rare.stopped(id);
        if self.nodes.iter().all(|node| node.up.is_none()) {
            self.watch.seen.see(Sight::AllDown);
        }
        let left = self.node(id).shelf.stop(how, up.jobs.into_iter().next(), &mut rng);
        if let Some((slot, received)) = left.stands {
            self.put_up(id, slot, received);
        }
        if left.unnamed {
            self.watch.seen.see(Sight::Unnamed);
        }
        let node = self.node(id);
        node.in_flight = up.syncing.map_or_else(Vec::new, |batch| batch.writes().to_vec());
        let in_flight = std::mem::take(&mut node.in_flight);
        node.disk.stop(how, &in_flight, &mut rng);
        node.in_flight = in_flight;
        self.story.tell(self.now_us, || format!("{id} {story}"));
        self.queue.plan(back, Event::Start { node: id });
    }

    pub(super) fn chance_below(&mut self, trouble: Trouble, count: usize) -> Option<usize> {
        (count > 0).then(|| self.chance(trouble).usize(0..count))
    }

    pub(super) fn a_while(&mut self, trouble: Trouble, span_us: (u64, u64)) -> u64 {
        self.now_us + self.draw(trouble, span_us)
    }

    pub(super) fn draw(&mut self, trouble: Trouble, (least, most): (u64, u64)) -> u64 {
        self.chance(trouble).u64(least..=most)
    }

    pub(super) fn chance(&mut self, trouble: Trouble) -> &mut Rng {
        self.chances.get_mut(&trouble).expect("every kind of trouble has its chances")
    }
}
