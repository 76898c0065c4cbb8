//! What happens at nodes: the driver of the simulator. It does what the node's own driver does and
//! nothing more: step, carry out, sync, open, deliver.

use std::collections::VecDeque;

use synod_machine::door;
use synod_paxos::{Envelope, Fetch, Fetched, Message, NodeId, Tick};
use synod_replica::{Checkpoint, ClientId, Input, Output, Replica};

use super::World;
use crate::{
    checks::{
        Watch,
        acceptor::found::{self, store_failed},
        alone,
        calm::learns,
        leadership::Times,
    },
    disk::{Opened, Stop, Wrote},
    event::{Caller, Event},
    node::{Batch, Cut, Up},
    plan::MS,
    sights::Sight,
    trouble::Trouble,
    violation::Checked,
};

/// Bytes that the driver reads for one fetch.
const FETCH_BYTES_MAX: usize = 1 << 20;

/// How long a full disk is left alone before the same facts are offered again.
const FULL_RETRY_US: u64 = 500 * MS;

/// How long until a node that could not start is started again.
const START_AGAIN_US: u64 = 300 * MS;

/// How many times as long a slow disk takes.
pub(super) const SLOW_FACTOR: u64 = 20;

impl World {
    /// Switches a node on.
    pub(super) fn start(&mut self, id: NodeId) -> Checked {
        let (now, seed) = (self.now_us, self.rng.u64(..));
        let mut rng = self.rng.fork();
        let in_vain = self.plan.knows(Trouble::Crash) && !self.healed && rng.u8(0..4) == 0;
        let (members, plan) = (self.members.clone(), self.plan.clone());
        let node = self.node(id);
        if node.up.is_some() || node.gone {
            return Ok(());
        }
        if in_vain && node.disk.open_in_vain(&mut rng) {
            self.watch.seen.see(Sight::BrokenStart);
        }
        let node = self.node(id);
        let durable = match node.disk.open().map_err(|error| store_failed(id, &error))? {
            Opened::Ready(durable) => durable,
            Opened::NotNow => {
                self.story.tell(now, || format!("{id} cannot start, and will try again"));
                self.queue.plan(now + START_AGAIN_US, Event::Start { node: id });
                return Ok(());
            }
            Opened::Gone(what) => {
                node.gone = true;
                self.watch.seen.see(Sight::Gone);
                if what.contains("write-ahead log") {
                    self.watch.seen.see(Sight::GoneLog);
                }
                self.story
                    .tell(now, || format!("{id} finds its disk decayed ({what}) and is gone"));
                return Ok(());
            }
        };
        let Ok(restored) = node.shelf.open() else {
            node.disk.stop(Stop::Process, &[], &mut rng);
            self.watch.seen.see(Sight::UnreadShelf);
            self.story.tell(now, || format!("{id} cannot read its snapshots, and will try again"));
            self.queue.plan(now + START_AGAIN_US, Event::Start { node: id });
            return Ok(());
        };
        let log = node.disk.log(&durable, restored.applied);
        let log = log.map_err(|error| store_failed(id, &error))?;
        let (life, in_flight) = (node.life, std::mem::take(&mut node.in_flight));
        if !self.node(id).is_older {
            self.watch.recovered(life, &in_flight, &durable)?;
        }
        let node = self.node(id);
        node.boot += 1;
        let (boot, fast_ppm) = (node.boot, node.fast_ppm);
        let config = node.config(&members, &plan);
        let upto = durable.chosen_upto;
        Watch::recovers(&config.paxos, &durable, restored.applied)?;
        if !self.node(id).is_older {
            self.see_start(id, &durable, &restored);
        }
        let replica = Replica::recover(config, durable, restored, log, seed);
        let node = self.node(id);
        node.up = Some(Up::new(replica, now, fast_ppm));
        self.story.tell(now, || format!("{id} starts its life {boot}, chosen up to {upto}"));
        self.settle(id, Output::default())
    }

    /// A word arrives.
    pub(super) fn word(&mut self, envelope: Envelope) -> Checked {
        let (to, now) = (envelope.to, self.now_us);
        if self.hold(to, || Event::Word(envelope.clone())) {
            return Ok(());
        }
        let Some(up) = &self.node(to).up else { return Ok(()) };
        let chosen = up.replica.peer().chosen_upto();
        self.watch.rare.heard(&self.watch.ghost, &envelope, chosen);
        if self.node(envelope.from.node).up.is_none() {
            self.watch.seen.see(Sight::LateWord);
        }
        self.watch.leadership.heard(to, envelope.from.node, now);
        self.story.tell(now, || format!("{to} hears {} {:?}", envelope.from, envelope.message));
        self.step(to, Input::Peer(envelope))
    }

    /// Another node's digest arrives.
    pub(super) fn checkpoint(
        &mut self,
        from: NodeId,
        to: NodeId,
        checkpoint: Checkpoint,
    ) -> Checked {
        if self.hold(to, || Event::Checkpoint { from, to, checkpoint }) {
            return Ok(());
        }
        self.step(to, Input::Checkpoint { from, checkpoint })
    }

    /// The sync under way is done.
    pub(super) fn synced(&mut self, id: NodeId, boot: u64) -> Checked {
        if self.hold(id, || Event::Synced { node: id, boot }) || !self.is_in(id, boot) {
            return Ok(());
        }
        let mut rng = self.rng.fork();
        let node = self.node(id);
        let life = node.life;
        let batch = node.up.as_mut().and_then(|up| up.syncing.take());
        let Some(batch) = batch else { return Ok(()) };
        match node.disk.write(batch.writes(), &mut rng).map_err(|error| store_failed(id, &error))? {
            Wrote::Durable => {}
            Wrote::Full => return self.found_no_room(id, batch),
            Wrote::Failed => {
                // The driver ends; what the disk holds is for the next life to find out.
                if let Some(up) = &mut self.node(id).up {
                    up.syncing = Some(batch);
                }
                self.watch.seen.see(Sight::SyncFailed);
                self.stop(id, Stop::Process, "fails to sync, and ends");
                return Ok(());
            }
        }
        if let Some(up) = &mut node.up {
            up.full_until_us = up.full_until_us.filter(|_| batch.writes().is_empty());
        }
        if !self.node(id).is_older {
            self.watch.synced(life, batch.writes())?;
        }
        self.story.tell(self.now_us, || format!("{id} has synced {:?}", batch.writes()));
        let words = batch.synced();
        if self.node(id).cut == Some(Cut::AfterSync) && !words.is_empty() {
            self.watch.seen.see(Sight::AfterSync);
            self.stop(id, Stop::Power, "loses its power after a sync, before it says a word");
            return Ok(());
        }
        self.settle(id, Output { at_once: words, ..Output::default() })
    }

    /// Keeps facts that found no room, before everything later, and lets others lead meanwhile.
    fn found_no_room(&mut self, id: NodeId, batch: Batch) -> Checked {
        let now = self.now_us;
        let node = self.node(id);
        let boot = node.boot;
        let Some(up) = &mut node.up else { return Ok(()) };
        up.full_until_us = Some(now + FULL_RETRY_US);
        match batch {
            Batch::Sealed(mut durably) => {
                up.asked.splice(..0, durably.writes().iter().cloned());
                durably.merge(std::mem::take(&mut up.gathered));
                up.gathered = durably;
            }
            opened @ Batch::Opened(..) => up.syncing = Some(opened),
        }
        self.queue.plan(now + FULL_RETRY_US, Event::Retry { node: id, boot });
        self.watch.seen.see(Sight::DiskFull);
        if self.watch.rare.serves(id) {
            self.watch.seen.see(Sight::FullLeader);
        }
        self.story.tell(now, || format!("{id} finds no room on its disk"));
        self.step(id, Input::StepDown)
    }

    /// A full disk is offered the same again.
    pub(super) fn retry(&mut self, id: NodeId, boot: u64) -> Checked {
        if self.hold(id, || Event::Retry { node: id, boot }) || !self.is_in(id, boot) {
            return Ok(());
        }
        if self.node(id).up.as_ref().is_some_and(|up| up.syncing.is_some()) {
            self.queue.plan(self.now_us, Event::Synced { node: id, boot });
        }
        self.sync(id)
    }

    /// Nothing more waits and the disk is free.
    pub(super) fn disk_free(&mut self, id: NodeId, boot: u64) -> Checked {
        if self.hold(id, || Event::DiskFree { node: id, boot }) || !self.is_in(id, boot) {
            return Ok(());
        }
        let Some(up) = &mut self.node(id).up else { return Ok(()) };
        up.free_told = false;
        if !up.disk_is_free() || !up.gathered.is_empty() || !up.replica.gathered() {
            return Ok(());
        }
        self.step(id, Input::DiskFree)
    }

    /// The store has read what a fetch asked for.
    pub(super) fn fetched(&mut self, id: NodeId, boot: u64, fetch: Fetch) -> Checked {
        if self.hold(id, || Event::Fetched { node: id, boot, fetch }) || !self.is_in(id, boot) {
            return Ok(());
        }
        let disk = &self.node(id).disk;
        let found = disk.chosen(fetch.first, fetch.upto, FETCH_BYTES_MAX);
        let found = found.map_err(|error| store_failed(id, &error))?;
        let damaged = found.is_none().then_some(fetch.first);
        let decrees = found.unwrap_or_default();
        self.step(id, Input::Fetched(Fetched { to: fetch.to, decrees, damaged }))
    }

    /// The moment to wake.
    pub(super) fn wake(&mut self, id: NodeId, boot: u64) -> Checked {
        if self.hold(id, || Event::Wake { node: id, boot }) || !self.is_in(id, boot) {
            return Ok(());
        }
        let now = self.now_us;
        let Some(up) = &mut self.node(id).up else { return Ok(()) };
        up.wake_us = None;
        if up.wants_wake_us().is_some_and(|at| at <= now) {
            return self.step(id, Input::Wake);
        }
        self.plan_wake(id);
        Ok(())
    }

    /// A call arrives.
    pub(super) fn call(
        &mut self,
        id: NodeId,
        caller: Caller,
        call: u64,
        ask: door::Ask,
    ) -> Checked {
        let again = || Event::Call { node: id, caller, call, ask: ask.clone() };
        let first = is_linearizable(&ask) && self.plan.reading;
        if self.hold_call(id, first, again) {
            return Ok(());
        }
        self.calls += 1;
        let client = ClientId(self.calls);
        let now = self.now_us;
        let Some(up) = &mut self.node(id).up else { return Ok(()) };
        up.calls.insert(client, (caller, call));
        let tick = up.tick(now);
        if is_linearizable(&ask) || matches!(ask.call, door::Call::Renew { .. }) {
            let peer =
                self.nodes[usize::from(id.get()) - 1].up.as_ref().map(|up| up.replica.peer());
            self.watch.reads(client, peer, id, tick)?;
        }
        if is_linearizable(&ask) || is_nearby(&ask) {
            self.watch.current.reads(client);
        }
        if is_nearby(&ask) {
            self.watch.current.reads_nearby(client, id);
        }
        if let (Caller::Participant(_), door::Call::Submit(request)) = (caller, &ask.call) {
            self.watch.participant_asks(&request.command);
        }
        self.story.tell(self.now_us, || format!("{id} is asked by {caller:?}: {:?}", ask.call));
        self.step(id, Input::Client { client, ask })
    }

    /// Steps one input and carries out what comes of it.
    pub(super) fn step(&mut self, id: NodeId, input: Input) -> Checked {
        let mut output = Output::default();
        self.step_into(id, input, &mut output)?;
        self.settle(id, output)
    }

    /// The tick that a node's step is told: a read that came while the process stood still may be
    /// taken up with the clock read before.
    fn tick_for(up: &Up, now: u64, input: &Input) -> Tick {
        match (up.stood_still_at, input) {
            (Some((tick, until)), Input::Client { ask, .. })
                if until == now && is_linearizable(ask) =>
            {
                tick
            }
            _ => up.tick(now),
        }
    }

    fn step_into(&mut self, id: NodeId, input: Input, output: &mut Output) -> Checked {
        let now = self.now_us;
        let node = &mut self.nodes[usize::from(id.get()) - 1];
        let (wall, life, boot, held) = (node.wall(now), node.life, node.boot, node.paused_until_us);
        let Some(up) = &mut node.up else { return Ok(()) };
        let (tick, asked) = (World::tick_for(up, now, &input), output.durably.writes().len());
        let mut campaign = None;
        if let Input::Peer(envelope) = &input {
            let told = up.told.entry(envelope.from.node).or_default();
            *told = envelope.marks.holds.unwrap_or_default().max(*told);
        }
        if node.is_older {
            up.replica.step(tick, wall, input, output);
            up.asked.extend_from_slice(&output.durably.writes()[asked..]);
            // Nobody can take a snapshot in so short a time.
            output.shelf.clear();
            return self.look_whether_known(id, output);
        }
        if let Input::Peer(envelope) = &input {
            self.watch.heard(up.replica.peer(), tick, envelope)?;
            if let Message::Prepare { ballot, .. } = envelope.message {
                campaign = Some(ballot);
            }
        }
        up.had_lease = up.replica.peer().lease(up.tick(now)).is_some();
        up.replica.step(tick, wall, input, output);
        up.asked.extend_from_slice(&output.durably.writes()[asked..]);
        if campaign.is_some_and(|ballot| up.replica.peer().promised() < ballot) {
            self.watch.seen.see(Sight::VowHeld);
        }
        let under_way = up.syncing.as_ref().map(|_| now - up.syncing_since_us);
        let times = Times {
            now_us: now,
            tick,
            awake_us: now - up.started_us.max(held.min(now)),
            syncing_us: under_way.unwrap_or_default(),
        };
        self.look_whether_known(id, output)?;
        let Some(up) = &self.nodes[usize::from(id.get()) - 1].up else { return Ok(()) };
        self.watch.asked(life, &output.durably.writes()[asked..])?;
        self.watch.stepped(id, boot, &up.replica, times)?;
        if self.plan.leasing.asks {
            let held = self.held();
            alone::stepped(&held)?;
            self.watch.vows.bear(&held, self.watch.ghost.quorum())?;
        }
        Ok(())
    }

    /// Ends a node that has been told that its disk is older than it. It says nothing more.
    fn look_whether_known(&mut self, id: NodeId, output: &mut Output) -> Checked {
        if output.forgotten.is_some() {
            *output = Output::default();
            self.knows_that_it_is_older(id)?;
        }
        Ok(())
    }

    /// Sends, syncs, reads and answers, and steps in what the node says to itself, until it wants
    /// nothing more.
    fn settle(&mut self, id: NodeId, mut output: Output) -> Checked {
        let mut to_self = VecDeque::new();
        for steps in 0.. {
            let out = std::mem::take(&mut output);
            if self.carry_out(id, out, &mut to_self)? {
                return Ok(());
            }
            let Some(input) = to_self.pop_front() else { break };
            learns::comes_to_rest(id, steps, &input)?;
            self.step_into(id, input, &mut output)?;
        }
        self.sync(id)?;
        self.plan_wake(id);
        Ok(())
    }

    /// Hands the disk what has gathered, if it is free, or tells the replica that it is.
    pub(super) fn sync(&mut self, id: NodeId) -> Checked {
        let (now, plant) = (self.now_us, self.plant);
        let mut took = self.rng.u64(self.plan.sync_us.0..=self.plan.sync_us.1);
        let node = &mut self.nodes[usize::from(id.get()) - 1];
        let (boot, stalled) = (node.boot, node.stalled_until_us);
        if now < node.slow_until_us {
            took *= SLOW_FACTOR;
        }
        let Some(up) = &mut node.up else { return Ok(()) };
        if up.syncing.is_some() || up.full_until_us.is_some_and(|until| now < until) {
            return Ok(());
        }
        if up.gathered.is_empty() {
            if up.disk_is_free() && up.replica.gathered() && !up.free_told {
                up.free_told = true;
                self.queue.plan(now, Event::DiskFree { node: id, boot });
            }
            return Ok(());
        }
        let (batch, early) = Batch::new(std::mem::take(&mut up.gathered), plant);
        let asked = std::mem::take(&mut up.asked);
        found::is_given(id, batch.writes(), &asked)?;
        self.trace.facts(batch.writes());
        let done = if batch.writes().is_empty() { now } else { now.max(stalled) + took };
        up.syncing = Some(batch);
        up.syncing_since_us = now;
        self.queue.plan(done, Event::Synced { node: id, boot });
        if early.is_empty() {
            return Ok(());
        }
        self.settle(id, Output { at_once: early, ..Output::default() })
    }

    fn plan_wake(&mut self, id: NodeId) {
        let now = self.now_us;
        let (lags_until, lags_by) = (self.node(id).lags_until_us, self.node(id).lags_by_us);
        let late = if now < lags_until { lags_by } else { 0 };
        let node = self.node(id);
        let boot = node.boot;
        let Some(up) = &mut node.up else { return };
        let Some(at) = up.wants_wake_us().map(|at| at.max(now) + late) else { return };
        if up.wake_us.is_none_or(|planned| planned > at) {
            up.wake_us = Some(at);
            self.queue.plan(at, Event::Wake { node: id, boot });
        }
    }

    /// Whether the node stands still; then the event comes again when it does not.
    pub(super) fn hold(&mut self, id: NodeId, event: impl FnOnce() -> Event) -> bool {
        let until = self.node(id).paused_until_us;
        if until <= self.now_us {
            return false;
        }
        self.queue.plan(until + u64::from(self.plan.reading), event());
        true
    }

    /// The same of a call. Reads are taken up before whatever else waits, where anybody reads.
    fn hold_call(&mut self, id: NodeId, first: bool, event: impl FnOnce() -> Event) -> bool {
        let until = self.node(id).paused_until_us;
        if !first || until <= self.now_us {
            return self.hold(id, event);
        }
        self.queue.plan(until, event());
        true
    }

    /// Whether the node is still in this life of its process.
    pub(super) fn is_in(&mut self, id: NodeId, boot: u64) -> bool {
        let node = self.node(id);
        node.boot == boot && node.up.is_some()
    }
}

fn is_nearby(ask: &door::Ask) -> bool {
    matches!(ask.call, door::Call::Read { freshness: door::Freshness::Nearby, .. })
}

fn is_linearizable(ask: &door::Ask) -> bool {
    matches!(ask.call, door::Call::Read { freshness: door::Freshness::Linearizable, .. })
}
