mod asks;
mod lead;
mod learn;
mod status;

use std::{mem, time::Duration};

pub use status::Status;
use synod_machine::{Machine, Timestamp};
use synod_paxos::{self as paxos, Decree, Durable, Peer, Slot, Tick};

use crate::{
    Checkpoint, ClientId, Config, Input, Output, Response,
    attendants::Attendants,
    calls::Calls,
    proposed::Proposed,
    queue::Queue,
    reads::Reads,
    reign::{Absence, Reign},
    sessions::Sessions,
    state::State,
};

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
    sessions: Sessions,
    attendants: Attendants,
    batch_bytes_max: usize,
    /// How late a wake-up may come before what was silent meanwhile is excused.
    late: Duration,
    /// The largest tick and stamp seen: both are taken never to run backwards.
    now: Tick,
    stamp: Timestamp,
}

impl Replica {
    /// The replica that `durable` remembers. `log` yields every slot from 1 to
    /// `durable.chosen_upto` with its chosen decree, in order.
    pub fn recover(
        config: Config,
        durable: Durable,
        log: impl IntoIterator<Item = (Slot, Decree)>,
        seed: u64,
    ) -> Replica {
        let me = config.paxos.life.node;
        let others = config.paxos.members.iter().map(|member| member.node);
        let mut state = State::new(config.hash_every_slots, others.filter(|node| *node != me));
        for (slot, decree) in log {
            state.apply(slot, &decree);
        }
        let (applied, upto) = (state.applied, durable.chosen_upto);
        assert!(applied == upto, "the log ends at {applied}, and is chosen up to {upto}");
        Replica {
            peer: Peer::recover(config.paxos, durable, seed),
            state,
            reign: Reign::None,
            absence: Absence::default(),
            calls: Calls::default(),
            queue: Queue::new(config.queue_bytes_max),
            proposed: Proposed::default(),
            reads: Reads::default(),
            sessions: Sessions::new(config.session_grace),
            attendants: Attendants::default(),
            batch_bytes_max: config.batch_bytes_max,
            late: config.session_grace / 2,
            now: Tick::ZERO,
            stamp: Timestamp::default(),
        }
    }

    /// Takes one input. `wall` is wall-clock time, used for batch stamps only.
    pub fn step(&mut self, now: Tick, wall: Timestamp, input: Input, out: &mut Output) {
        self.tell_the_time(now, wall);
        match input {
            Input::Peer(envelope) => self.consult(paxos::Input::Deliver(envelope), out),
            Input::Checkpoint { from, checkpoint } => {
                self.state.checkpoints.told(from, checkpoint);
            }
            Input::Client { client, ask } => self.asked(client, ask, out),
            Input::Gone(client) => self.gone(client),
            Input::DiskFree => {
                self.expire(out);
                self.propose_gathered(out);
            }
            Input::Fetched(fetched) => self.consult(paxos::Input::Fetched(fetched), out),
            Input::Wake => {
                self.consult(paxos::Input::Wake, out);
                self.expire(out);
            }
            Input::StepDown => self.consult(paxos::Input::StepDown, out),
        }
    }

    /// When to step [`Input::Wake`].
    pub fn wake_at(&self) -> Option<Tick> {
        let sessions = self.sessions.wake_at(self.now);
        [self.peer.wake_at(), self.calls.wake_at(), sessions].into_iter().flatten().min()
    }

    /// Whether something waits to be proposed, so that [`Input::DiskFree`] would do something.
    pub fn gathered(&self) -> bool {
        let something = !self.queue.is_empty() || self.sessions.is_due(self.now);
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
        self.answer_reads(out);
        self.follow_role(out);
    }

    /// Answers a call, unless it has been answered or its caller is gone.
    fn answer(&mut self, client: ClientId, response: Response, out: &mut Output) {
        if self.calls.close(client).is_some() {
            out.responses.push((client, response));
        }
    }
}
