use std::{sync::Arc, time::Duration};

use synod_machine::{Answer, Change, Interest, Revision};

use crate::{
    core::Core,
    deadline::Deadline,
    ears::{Listener, Told},
    error::Error,
};

/// Follows what changes after a revision, on whichever node answers. Invariant: everything up to
/// `after` has been handed out, once and in order, or was read in another way.
pub(crate) struct Cursor {
    interest: Interest,
    after: Revision,
    listener: Listener,
}

/// What there was to be heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// By revision, whole.
    Changes(Vec<(Revision, Vec<Change>)>),
    /// Some of what changed up to this revision is forgotten. It is told again until whoever has
    /// looked how it stands [skips](Cursor::skip_to) it.
    Gap { forgotten: Revision },
    /// In all the time.
    Nothing,
}

impl Cursor {
    pub(crate) fn new(core: &Arc<Core>, interest: Interest, after: Revision) -> Cursor {
        let listener = Listener::new(core, interest.clone(), after);
        Cursor { interest, after, listener }
    }

    pub(crate) fn after(&self) -> Revision {
        self.after
    }

    /// Everything up to this revision was read in another way.
    pub(crate) fn skip_to(&mut self, revision: Revision) {
        self.after = self.after.max(revision);
        self.listener.skip_to(revision);
    }

    /// For how long no quorum was known to be there.
    pub(crate) fn silent(&self) -> Duration {
        self.listener.quorum_at().elapsed()
    }

    /// Waits for changes, no longer than this. May be left at any await: nothing is skipped.
    pub(crate) async fn listen(&mut self, patience: Duration) -> Result<Heard, Error> {
        // Alone, so that it is nobody else's who is asked for in the same call.
        self.interest.check()?;
        match self.listener.told(Deadline::after(patience)).await {
            Told::News(news) => Ok(self.hear(news)),
            Told::Refused(why) => Err(Error::door(why)),
            Told::Nothing(upto) => {
                self.after = self.after.max(upto);
                Ok(Heard::Nothing)
            }
        }
    }

    fn hear(&mut self, news: Answer) -> Heard {
        match news {
            Answer::Changes { mut changes, upto } => {
                changes.retain(|(at, _)| *at > self.after);
                let last = changes.last().map_or(upto, |(at, _)| upto.max(*at));
                self.skip_to(last);
                if changes.is_empty() { Heard::Nothing } else { Heard::Changes(changes) }
            }
            Answer::Gap { forgotten } if forgotten > self.after => Heard::Gap { forgotten },
            _ => Heard::Nothing,
        }
    }
}
