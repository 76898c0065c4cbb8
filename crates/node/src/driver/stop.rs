//! The end: refuse what is new, finish what is under way, say goodbye.

use std::time::{Duration, Instant};

use synod_machine::door::{NotApplied, Said};
use synod_replica::Input;
use tracing::info;

use super::Driver;
use crate::{NodeError, calls::Op};

/// A node that was told to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopping {
    until: Instant,
}

impl Stopping {
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

impl Driver {
    /// From now on nothing new is taken in. What waits for news can ask another node at once.
    pub(super) fn stop(&mut self) {
        if self.state.stopping.is_some() {
            return;
        }
        info!(in_flight = self.calls.count(), "stopping");
        self.state.stopping = Some(Stopping { until: Instant::now() + self.stop_within });
        for (client, waiting) in self.calls.close_all(|op| op != Op::Submit) {
            self.step(Input::Gone(client));
            waiting.way.say(Said::NotApplied(NotApplied::Stopping));
        }
    }

    /// Whether everything is finished, or the time for it is up.
    pub(super) fn has_stopped(&self) -> bool {
        self.state.stopping.is_some_and(|stopping| {
            let finished = self.calls.count() == 0 && self.disk.is_idle();
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

/// How long the goodbye to peers may take.
const GOODBYE: Duration = Duration::from_millis(500);
