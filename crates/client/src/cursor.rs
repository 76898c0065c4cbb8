use std::{sync::Arc, time::Duration};

use synod_machine::{
    Answer, Change, Interest, Revision,
    door::{Call, Said},
};
use tokio::time::Instant;

use crate::{
    ask::Attempt, backoff::Backoff, core::Core, deadline::Deadline, error::Error, route::Place,
};

/// The first pause after a node that did not answer.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_millis(300);
/// A node that has not known a quorum to be there for so long is left for another, which may.
const QUORUM_PATIENCE: Duration = Duration::from_secs(2);

/// Follows what changes after a revision, on whichever node answers. Invariant: everything up to
/// `after` has been handed out, once and in order.
pub(crate) struct Cursor {
    core: Arc<Core>,
    interest: Interest,
    after: Revision,
    /// When a quorum was last known to be there, as far as was heard.
    quorum_at: Instant,
    pause: Backoff,
}

/// What there was to be heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// By revision, whole.
    Changes(Vec<(Revision, Vec<Change>)>),
    /// Some of what changed up to this revision is forgotten; what comes next is after it.
    Gap { forgotten: Revision },
    /// In all the time.
    Nothing,
}

impl Cursor {
    pub(crate) fn new(core: &Arc<Core>, interest: Interest, after: Revision) -> Cursor {
        let (core, quorum_at) = (Arc::clone(core), Instant::now());
        Cursor { core, interest, after, quorum_at, pause: Backoff::new(PAUSE, PAUSE_MAX) }
    }

    pub(crate) fn after(&self) -> Revision {
        self.after
    }

    /// Everything up to this revision was read in another way.
    pub(crate) fn skip_to(&mut self, revision: Revision) {
        self.after = self.after.max(revision);
    }

    /// For how long no quorum was known to be there.
    pub(crate) fn silent(&self) -> Duration {
        self.quorum_at.elapsed()
    }

    /// Waits for changes, no longer than this. May be left at any await: nothing is skipped.
    pub(crate) async fn listen(&mut self, patience: Duration) -> Result<Heard, Error> {
        let deadline = Deadline::after(patience);
        while !deadline.passed() {
            let (route, interest) = (&self.core.route, self.interest.clone());
            let place = route.any();
            let call = Call::Watch { interest, after: self.after };
            match route.ask_node(place, call, deadline).await {
                Attempt::Said(Said::Watched { news, silent_ms }) => {
                    return Ok(self.hear(place, news, silent_ms));
                }
                Attempt::Said(Said::Refused(why)) => return Err(Error::door(why)),
                Attempt::Said(_)
                | Attempt::Unsent
                | Attempt::Lost
                | Attempt::Moved
                | Attempt::Late => {
                    route.try_another(place);
                    self.pause.wait(deadline).await;
                }
            }
        }
        Ok(Heard::Nothing)
    }

    fn hear(&mut self, place: Place, news: Answer, silent_ms: u32) -> Heard {
        let silent = Duration::from_millis(silent_ms.into());
        self.pause = Backoff::new(PAUSE, PAUSE_MAX);
        self.quorum_at =
            self.quorum_at.max(Instant::now().checked_sub(silent).unwrap_or(self.quorum_at));
        if silent > QUORUM_PATIENCE {
            self.core.route.try_another(place);
        }
        match news {
            Answer::Changes { mut changes, upto } => {
                changes.retain(|(at, _)| *at > self.after);
                let last = changes.last().map_or(upto, |(at, _)| upto.max(*at));
                self.skip_to(last);
                if changes.is_empty() { Heard::Nothing } else { Heard::Changes(changes) }
            }
            Answer::Gap { forgotten } => {
                self.skip_to(forgotten);
                Heard::Gap { forgotten }
            }
            _ => {
                self.core.route.try_another(place);
                Heard::Nothing
            }
        }
    }
}
