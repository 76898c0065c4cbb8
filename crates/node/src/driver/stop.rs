//! The end: hand over the lead, refuse what is new, finish what is under way, say goodbye.

use std::time::{Duration, Instant};

use synod_machine::door::{Call, Freshness, NotApplied, Said};
use synod_paxos::Role;
use synod_replica::Input;
use tracing::info;

use super::Driver;
use crate::{NodeError, calls::Op};

/// A node that was told to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopping {
    until: Instant,
    /// Until when it waits to hear that another leads; it goes on as before meanwhile.
    handing_until: Option<Instant>,
}

impl Stopping {
    /// When there is something to do.
    pub(super) fn wake_at(&self) -> Instant {
        self.handing_until.map_or(self.until, |until| until.min(self.until))
    }
}

impl Driver {
    /// A leader hands over first, so that its clients are told at once whom to ask instead.
    pub(super) fn stop(&mut self) {
        if self.state.stopping.is_some() {
            return;
        }
        info!(in_flight = self.calls.count(), "stopping");
        let now = Instant::now();
        let handing_until = self.leads().then_some(now + HANDING);
        self.state.stopping = Some(Stopping { until: now + self.stop_within, handing_until });
        self.step(Input::HandOver { to: None, client: None });
        if handing_until.is_none() {
            self.close_doors();
        }
    }

    /// Goes on with the stop when another leads, or when it turns out that none can be called.
    pub(super) fn tend_stop(&mut self) {
        let Some(stopping) = &mut self.state.stopping else { return };
        let Some(until) = stopping.handing_until else { return };
        let peer = self.replica.peer();
        let over = match peer.role() {
            Role::Leading { .. } => !peer.is_handing_over(),
            Role::Following { leader } => leader.is_some(),
            Role::Campaigning { .. } => false,
        };
        if over || until <= Instant::now() {
            stopping.handing_until = None;
            self.close_doors();
        }
    }

    fn leads(&self) -> bool {
        matches!(self.replica.peer().role(), Role::Leading { .. })
    }

    /// From now on nothing new is taken in. What waits for news can ask another node at once.
    fn close_doors(&mut self) {
        for (client, waiting) in self.calls.close_all(|op| op != Op::Submit) {
            self.step(Input::Gone(client));
            waiting.way.say(Said::NotApplied(NotApplied::Stopping));
        }
    }

    /// Whether a call must be turned away because the node stops. What only a leader may answer is
    /// told by the replica where to go, as long as this node does not lead itself.
    pub(super) fn is_closed_to(&self, call: &Call) -> bool {
        let Some(stopping) = self.state.stopping else { return false };
        let of_leader = matches!(
            call,
            Call::Submit(_)
                | Call::KeepAlive { .. }
                | Call::Renew { .. }
                | Call::Read { freshness: Freshness::Linearizable, .. }
        );
        stopping.handing_until.is_none() && (!of_leader || self.leads())
    }

    /// Whether everything is finished, or the time for it is up.
    pub(super) fn has_stopped(&self) -> bool {
        self.state.stopping.is_some_and(|stopping| {
            let handing = stopping.handing_until.is_some();
            let finished = !handing && self.calls.count() == 0 && self.disk.is_idle();
            finished || stopping.until <= Instant::now()
        })
    }

    /// Ends: what is still open may or may not have been chosen, and only the log knows.
    pub(super) async fn end(mut self) -> Result<(), NodeError> {
        self.step_down();
        self.settle();
        for (_, waiting) in self.calls.close_all(|_| true) {
            waiting.way.say(Said::Unknown);
        }
        // What was said is on its way before the mesh says goodbye.
        tokio::task::yield_now().await;
        let _late = tokio::time::timeout(GOODBYE, self.mesh.close()).await;
        info!("stopped");
        Ok(())
    }

    /// Lets another node lead.
    pub(super) fn step_down(&mut self) {
        self.step(Input::StepDown);
    }
}

/// How long a leader that is to stop waits until another leads: for longer than an election takes,
/// should the one that it has called not win.
const HANDING: Duration = Duration::from_millis(500);

/// How long the goodbye to peers may take.
const GOODBYE: Duration = Duration::from_millis(500);
