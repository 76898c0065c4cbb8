//! This node's lead: how it begins, what it proposes, and how it ends.

use std::{mem, time::Duration};

use bytes::Bytes;
use synod_machine::{
    Command, FenceCause, FenceGuard, LeaseCommand, Request, Seq, SessionId,
    limits::CLOCK_RATES_DIFFER_BY,
};
use synod_paxos::{self as paxos, Ballot, Envelope, Message, Role};

use super::Replica;
use crate::{Output, Passed, batch, calls::Place, proposed::Owner, reign::Reign};

impl Replica {
    /// Takes in who leads now.
    pub(super) fn follow_role(&mut self, out: &mut Output) {
        let (ballot, called) = match self.peer.role() {
            Role::Leading { ballot, .. } => (Some(ballot), None),
            Role::Campaigning { ballot } if self.peer.is_called() => (None, Some(ballot)),
            Role::Following { .. } | Role::Campaigning { .. } => (None, None),
        };
        match (self.reign, ballot, called) {
            // Whoever waits for it to lead goes on waiting.
            (Reign::Called { ballot: at }, Some(ballot), _) if at == ballot => {
                self.reign = Reign::Starting { ballot, since: self.now, start: None };
            }
            (Reign::Called { ballot: at }, None, Some(ballot)) if at == ballot => {}
            (reign, Some(_), _) if reign.ballot() == ballot => {}
            (Reign::None, None, None) => {}
            (_, ballot, called) => {
                self.end_reign(out);
                self.reign = match (ballot, called) {
                    (Some(ballot), _) => Reign::Starting { ballot, since: self.now, start: None },
                    (None, Some(ballot)) => Reign::Called { ballot },
                    (None, None) => Reign::None,
                };
            }
        }
        if !self.reign.is_serving() {
            self.absence.observe(ballot.is_none() && self.peer.leader().is_some(), self.now);
            self.go_on_starting(out);
        }
    }

    /// What was proposed may be chosen yet, and nobody here will know; what was not never will be,
    /// through this node's doing.
    fn end_reign(&mut self, out: &mut Output) {
        if mem::replace(&mut self.reign, Reign::None) == Reign::None {
            return;
        }
        self.stages.end();
        for owner in self.proposed.drain().collect::<Vec<_>>() {
            self.tell_owner(owner, None, out);
        }
        let hint = self.not_leader();
        let queued = self.queue.drain().flat_map(|gathered| gathered.callers);
        let ending = self.sessions.drain().into_iter().chain(self.leases.drain());
        let reading = self.reads.drain().into_iter().map(|waiting| waiting.client);
        for client in queued.chain(ending).chain(reading).collect::<Vec<_>>() {
            self.answer(client, hint.clone(), out);
        }
    }

    /// `LeaderStart` goes first, as soon as the peer takes proposals, and service begins when it
    /// is applied: it stands above everything inherited. What has gathered by then stands behind it
    /// in the same slot, and need not wait for a round trip and a sync of its own.
    fn go_on_starting(&mut self, out: &mut Output) {
        let Reign::Starting { ballot, since, start } = self.reign else { return };
        match start {
            None if self.peer.may_propose() => {
                let command = Command::LeaderStart { reign: Reign::name_of(ballot) };
                let mut requests = vec![(own_request(command), Owner::Start)];
                requests.extend(self.next_gathered(out));
                self.propose(requests, out);
            }
            Some(start) if start <= self.state.applied => self.serve(ballot, since, out),
            Some(_) | None => {}
        }
    }

    fn serve(&mut self, ballot: Ballot, since: paxos::Tick, out: &mut Output) {
        if let Role::Leading { inherited, .. } = self.peer.role() {
            let applied = self.state.applied;
            assert!(inherited <= applied, "serving at {applied}, having inherited {inherited}");
        }
        self.reign = Reign::Serving { ballot, since };
        self.absence.ends(since, self.now);
        for (session, ttl_ms, _) in self.state.machine.live_sessions() {
            self.sessions.opened(session, Duration::from_millis(ttl_ms), self.now);
        }
        for (lease, ttl_ms, _) in self.state.machine.live_leases() {
            self.leases.opened(lease, wait_for(ttl_ms), self.now);
        }
        self.ask_barriers(out);
    }

    /// Has the reign confirmed for the questions that wait for it, once it serves.
    pub(super) fn ask_barriers(&mut self, out: &mut Output) {
        while self.reign.is_serving()
            && let Some(waiting) = self.reads.next_unasked()
        {
            let id = self.reads.ask(waiting);
            self.consult(paxos::Input::ReadBarrier(id), out);
        }
    }

    /// Proposes what has gathered, in as many slots as it takes and the window allows.
    pub(super) fn propose_gathered(&mut self, out: &mut Output) {
        while self.gathered() {
            let mut requests = self.fences();
            requests.extend(self.expiries());
            requests.extend(self.next_gathered(out));
            if !requests.is_empty() {
                self.propose(requests, out);
            }
        }
    }

    /// What was asked for first, as much as goes into one batch: it is about to be proposed.
    fn next_gathered(&mut self, out: &mut Output) -> Vec<(Bytes, Owner)> {
        let batch = self.queue.next_batch(self.batch_bytes_max);
        let first = batch.iter().map(|gathered| gathered.since).min();
        out.passed.extend(first.map(|since| Passed::Queue(self.now.since(since))));
        for client in batch.iter().flat_map(|gathered| &gathered.callers) {
            self.calls.moves_to(*client, Place::Log);
        }
        batch.into_iter().map(|gathered| (gathered.encoded.clone(), gathered.into())).collect()
    }

    /// The leader's vote for its own proposals comes to it as any other voter's does, once it is
    /// durable.
    pub(super) fn note_own_votes(&mut self, envelope: &Envelope, out: &mut Output) {
        let Message::Accepted { ballot, slots, .. } = &envelope.message else { return };
        if envelope.from.node == envelope.to && self.reign.ballot() == Some(*ballot) {
            out.passed.extend(self.stages.synced(slots, self.now));
        }
    }

    /// Fences for sessions that were silent for too long. The guard makes one a no-op if its
    /// session shows life in the log before it, or if another reign has begun.
    fn fences(&mut self) -> Vec<(Bytes, Owner)> {
        let Some(ballot) = self.reign.ballot() else { return Vec::new() };
        let mut fences = Vec::new();
        for session in self.sessions.overdue(self.now) {
            match self.state.session(session) {
                Some(view) => {
                    self.sessions.ending(session);
                    let fence = fence(session, ballot, view.renewals);
                    fences.push((own_request(fence), Owner::Fence(session)));
                }
                None => self.sessions.ended(session),
            }
        }
        fences
    }

    /// The same for leases that were not renewed for too long.
    fn expiries(&mut self) -> Vec<(Bytes, Owner)> {
        let Some(ballot) = self.reign.ballot() else { return Vec::new() };
        let mut expiries = Vec::new();
        for lease in self.leases.overdue(self.now) {
            match self.state.lease(lease) {
                Some(view) => {
                    self.leases.ending(lease);
                    let guard = guard(ballot, view.renewals);
                    let expire = Command::Lease(LeaseCommand::Expire { lease, guard });
                    expiries.push((own_request(expire), Owner::Expiry(lease)));
                }
                None => self.leases.ended(lease),
            }
        }
        expiries
    }

    /// Puts a batch into the log. Who waits for it is known before anything can come of it.
    fn propose(&mut self, requests: Vec<(Bytes, Owner)>, out: &mut Output) {
        let decree = batch::decree(self.stamp, requests.iter().map(|(bytes, _)| bytes));
        let owners = requests.into_iter().map(|(_, owner)| owner).collect();
        let told = self.step_peer(paxos::Input::Propose(decree.clone()), out);
        let [slot] = told.proposed[..] else {
            panic!("one proposal was given the slots {:?}", told.proposed);
        };
        self.proposed.sent(slot, decree, owners);
        self.stages.proposed(slot, self.now);
        if let Reign::Starting { start: start @ None, .. } = &mut self.reign {
            *start = Some(slot);
        }
        self.take_in(told, out);
    }
}

/// What a leader proposes of its own accord needs no name: done twice, it is done once.
fn own_request(command: Command) -> Bytes {
    batch::encode(&Request { id: None, acked: Seq::ZERO, command })
}

fn fence(session: SessionId, ballot: Ballot, renewals: u64) -> Command {
    let guard = Some(guard(ballot, renewals));
    Command::Fence { session, cause: FenceCause::Expired, guard }
}

fn guard(ballot: Ballot, renewals: u64) -> FenceGuard {
    FenceGuard { reign: Reign::name_of(ballot), renewals }
}

/// How long the leader waits for the renewal of a lease, besides the grace. Its owner counts the
/// time to live on another clock, from before the renewal was sent: this is longer by as much as
/// the rates of two clocks may differ.
pub(super) fn wait_for(ttl_ms: u64) -> Duration {
    let slower = ttl_ms.div_ceil(CLOCK_RATES_DIFFER_BY);
    Duration::from_millis(ttl_ms.saturating_add(slower))
}
