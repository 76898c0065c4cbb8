mod asks;
mod handing;
mod lead;
mod learn;
mod shelf;
mod status;

use std::{collections::VecDeque, mem, time::Duration};

pub use status::Status;
use synod_machine::{LeaseId, Machine, RestoreError, SessionId, Timestamp};
use synod_paxos::{self as paxos, Decree, Durable, Peer, Slot, Tick};

use crate::{
    Checkpoint, ClientId, Config, Input, Output, Response, Shelved,
    attendants::Attendants,
    calls::Calls,
    nearby::Nearby,
    proposed::Proposed,
    queue::Queue,
    reads::Reads,
    reign::{Absence, Reign},
    silences::Silences,
    snapshots::Snapshots,
    stages::Stages,
    state::State,
    watchers::Watchers,
};

/// What a node starts from besides its log: the state of the newest snapshot that can be read, or
/// of none, and what stands on the shelf.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// The machine.
    pub machine: Machine,
    /// The slot after which it was so.
    pub applied: Slot,
    /// What stands on the shelf.
    pub shelved: Shelved,
    /// What stood there and does not verify: nothing is to be had from it.
    pub lost: Vec<Slot>,
    /// What stands there whole and is no state: it is passed over, and stays to be looked at.
    pub strange: Vec<Slot>,
}

/// A snapshot that cannot be read by this start and perhaps by another. Nobody knows that it is
/// lost, so nothing is made of what stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread<E> {
    /// Its bytes could not be had.
    Load {
        /// Which.
        slot: Slot,
        /// Why.
        error: E,
    },
    /// Another build wrote it.
    Version {
        /// Which.
        slot: Slot,
        /// The version of its state.
        found: u8,
        /// The one that this build reads.
        known: u8,
    },
}

impl Restored {
    /// The newest state among snapshots of these slots, of each of which `load` tells the state's
    /// bytes, if it is whole. The one before makes up for one that is not, together with the log;
    /// it does not make up for one that is whole and that another build reads.
    pub fn newest<E>(
        mut slots: Vec<Slot>,
        part: Option<(Slot, u32)>,
        mut load: impl FnMut(Slot) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Restored, Unread<E>> {
        let shelved = Shelved { slots: Vec::new(), part };
        let mut restored = Restored { shelved, ..Restored::default() };
        slots.sort_unstable();
        for slot in slots.into_iter().rev() {
            let Some(bytes) = load(slot).map_err(|error| Unread::Load { slot, error })? else {
                restored.lost.push(slot);
                continue;
            };
            if restored.shelved.slots.is_empty() {
                match Machine::restore(&bytes) {
                    Ok(machine) => (restored.machine, restored.applied) = (machine, slot),
                    Err(RestoreError::Version { found, known }) => {
                        return Err(Unread::Version { slot, found, known });
                    }
                    Err(_) => {
                        restored.strange.push(slot);
                        continue;
                    }
                }
            }
            restored.shelved.slots.push(slot);
        }
        Ok(restored)
    }
}

/// One node.
///
/// Whatever a client asks is answered once: with what the log made of it, or with the truth about
/// why not. *Not applied* is said only of what never reached the log through this call; *unknown*
/// of what was proposed and not seen applied when the reign, or the caller's time, was over.
#[derive(Debug)]
pub struct Replica {
    peer: Peer,
    state: State,
    reign: Reign,
    absence: Absence,
    calls: Calls,
    queue: Queue,
    proposed: Proposed,
    reads: Reads,
    nearby: Nearby,
    sessions: Silences<SessionId>,
    leases: Silences<LeaseId>,
    attendants: Attendants,
    watchers: Watchers,
    /// Who waits for the lead to be handed over.
    movers: VecDeque<handing::Mover>,
    snapshots: Snapshots,
    stages: Stages,
    /// What the peer was told that snapshots cover.
    covered: Slot,
    batch_bytes_max: usize,
    /// How late a wake-up may come before what was silent meanwhile is excused.
    late: Duration,
    /// When a quorum was last known to be there.
    quorum_at: Tick,
    /// The largest tick and stamp seen: both are taken never to run backwards.
    now: Tick,
    stamp: Timestamp,
}

impl Replica {
    /// The replica that `durable` remembers. `log` yields every slot after `restored.applied` up to
    /// `durable.chosen_upto` with its chosen decree, in order; and nothing when the log begins
    /// later, because snapshots were lost: then the state comes back from a peer.
    pub fn recover(
        config: Config,
        durable: Durable,
        restored: Restored,
        log: impl IntoIterator<Item = (Slot, Decree)>,
        seed: u64,
    ) -> Replica {
        let me = config.paxos.life.node;
        let others = config.paxos.members.iter().map(|member| member.node);
        let mut state = State::new(config.hash_every_slots, others.filter(|node| *node != me));
        state.install(restored.applied, restored.machine);
        let place = config.paxos.members.iter().position(|life| life.node == me).unwrap_or(0);
        let phase = (place as u64, config.paxos.members.count() as u64);
        let mut snapshots = Snapshots::new(config.cadence, restored.shelved, phase);
        for (slot, decree) in log {
            state.apply(slot, &decree);
            snapshots.grew(decree.bytes());
        }
        let (applied, trimmed, upto) = (state.applied, durable.trimmed, durable.chosen_upto);
        let whole = applied >= upto || applied < trimmed;
        assert!(whole, "the log ends at {applied}, and is chosen up to {upto}");
        Replica {
            peer: Peer::recover_at(config.paxos, durable, applied, seed),
            state,
            reign: Reign::None,
            absence: Absence::default(),
            calls: Calls::default(),
            queue: Queue::new(config.queue_bytes_max),
            proposed: Proposed::default(),
            reads: Reads::default(),
            nearby: Nearby::default(),
            sessions: Silences::new(config.session_grace),
            leases: Silences::new(config.session_grace),
            attendants: Attendants::default(),
            watchers: Watchers::default(),
            movers: VecDeque::new(),
            snapshots,
            stages: Stages::default(),
            covered: Slot::ZERO,
            batch_bytes_max: config.batch_bytes_max,
            late: config.session_grace / 2,
            quorum_at: Tick::ZERO,
            now: Tick::ZERO,
            stamp: Timestamp::default(),
        }
    }

    /// Takes one input. `wall` is wall-clock time, used for batch stamps only.
    pub fn step(&mut self, now: Tick, wall: Timestamp, input: Input, out: &mut Output) {
        self.tell_the_time(now, wall);
        match input {
            Input::Peer(envelope) => {
                self.note_own_votes(&envelope, out);
                self.consult(paxos::Input::Deliver(envelope), out);
            }
            Input::Checkpoint { from, checkpoint } => {
                self.state.checkpoints.told(from, checkpoint);
            }
            Input::Client { client, ask } => self.asked(client, ask, out),
            Input::Gone(client) => self.gone(client),
            Input::Lapsed(lapsed) => self.lapsed(lapsed, out),
            Input::DiskFree => {
                self.expire(out);
                self.propose_gathered(out);
            }
            Input::Fetched(fetched) => self.consult(paxos::Input::Fetched(fetched), out),
            Input::Wake => {
                self.consult(paxos::Input::Wake, out);
                self.look_for_quorum();
                self.expire(out);
            }
            Input::StepDown => self.consult(paxos::Input::StepDown, out),
            Input::HandOver { to, client } => self.hand_over(to, client, out),
            Input::Carried { from, carried } => self.carried(from, carried, out),
            Input::Shelf(news) => self.on_shelf(news, out),
        }
        self.tend_snapshots(out);
    }

    /// When to step [`Input::Wake`].
    pub fn wake_at(&self) -> Option<Tick> {
        let (sessions, leases) = (self.sessions.wake_at(self.now), self.leases.wake_at(self.now));
        let snapshots = self.snapshots.wake_at(self.state.applied);
        let moments = [self.peer.wake_at(), self.calls.wake_at(), sessions, leases, snapshots];
        moments.into_iter().flatten().min()
    }

    /// Whether something waits to be proposed, so that [`Input::DiskFree`] would do something.
    pub fn gathered(&self) -> bool {
        let over = self.sessions.is_due(self.now) || self.leases.is_due(self.now);
        let something = !self.queue.is_empty() || over;
        something && self.reign.is_serving() && self.peer.may_propose()
    }

    /// The machine, for stale reads, status and checks.
    pub fn machine(&self) -> &Machine {
        &self.state.machine
    }

    /// The peer, for status, metrics and checks.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The latest digests of this node's state, newest last.
    pub fn checkpoints(&self) -> impl Iterator<Item = Checkpoint> + '_ {
        self.state.checkpoints.own()
    }

    /// A node whose wake-up came late did not hear what others said meanwhile.
    fn tell_the_time(&mut self, now: Tick, wall: Timestamp) {
        let due = self.wake_at();
        self.now = self.now.max(now);
        self.stamp = self.stamp.max(wall);
        if due.is_some_and(|due| self.now.since(due) > self.late) {
            self.sessions.spare(self.now);
            self.leases.spare(self.now);
        }
    }

    /// Steps the peer, and takes in what that brought about.
    fn consult(&mut self, input: paxos::Input, out: &mut Output) {
        let told = self.step_peer(input, out);
        self.take_in(told, out);
    }

    /// Steps the peer. What it wants of the world goes to `out`; the rest is handed back. The peer
    /// sees what earlier steps want, so that it can put words together.
    fn step_peer(&mut self, input: paxos::Input, out: &mut Output) -> paxos::Output {
        let (durably, at_once) = (mem::take(&mut out.durably), mem::take(&mut out.at_once));
        let mut told = paxos::Output { durably, at_once, ..paxos::Output::default() };
        self.peer.step(self.now, input, &mut told);
        out.durably = mem::take(&mut told.durably);
        out.at_once = mem::take(&mut told.at_once);
        out.fetch.append(&mut told.fetch);
        out.forgotten = out.forgotten.or(told.forgotten);
        told
    }

    /// First what was chosen and confirmed, which is true whoever leads now; then who leads.
    fn take_in(&mut self, told: paxos::Output, out: &mut Output) {
        for chosen in told.chosen {
            self.learn(chosen, out);
        }
        for barrier in told.barriers {
            self.reads.confirm(barrier);
        }
        for fathomed in told.fathomed {
            self.fathomed(fathomed);
        }
        for behind in told.behind {
            self.is_behind(behind);
        }
        if let Some(slot) = told.damaged {
            self.snapshots.must_cover(slot);
        }
        self.answer_reads(out);
        self.answer_nearby(out);
        self.follow_role(out);
        self.tell_movers(told.unfit, out);
    }

    /// Answers a call, unless it has been answered or its caller is gone.
    fn answer(&mut self, client: ClientId, response: Response, out: &mut Output) {
        if self.calls.close(client).is_some() {
            out.responses.push((client, response));
        }
    }
}
