//! A place in the queue of a lock; the first of them is the lock.

use std::{mem, sync::Arc};

use synod_machine::{
    Command, LeaseId, LockCommand, LockReply, Name, Rejection, Reply, RequestId, Revision,
};

use crate::{
    apart::apart,
    client::Client,
    core::Core,
    deadline::Deadline,
    error::{Error, Refused, Why},
    lease::Held,
    phase2::Finishing,
    standing::Lost,
};

/// Owned by one value at a time, which lets go of it whatever happens: dropped, it is given up in
/// the background.
pub(crate) struct Place {
    /// Who asked for it, with its time for a call.
    client: Client,
    held: Arc<Held>,
    name: Name,
    /// Whether the lease is for this alone, and ends with it.
    own_lease: bool,
    state: State,
}

enum State {
    /// The log knows of no place.
    Nowhere,
    /// What the last word to the log came to is not known.
    Unknown(RequestId),
    /// It is in the queue.
    Taken,
}

impl Place {
    /// Asks for the lock, or for a place in its queue; and what the log says to that.
    pub(crate) async fn take(
        client: Client,
        (held, own_lease): (Arc<Held>, bool),
        name: Name,
        wait: bool,
        deadline: Deadline,
    ) -> Result<(Place, LockReply), Error> {
        let (lease, of) = (held.lease(), name.clone());
        let command = Command::Lock(LockCommand::Acquire { name: of, lease, wait });
        command.check()?;
        held.names().take(&name, deadline).await?;
        let mut place = Place { client, held, name, own_lease, state: State::Nowhere };
        let reply = place.tell(command, deadline).await?;
        if matches!(reply, LockReply::Held { .. } | LockReply::Queued { .. }) {
            place.state = State::Taken;
        }
        Ok((place, reply))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.client.core
    }

    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.held
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn lease(&self) -> LeaseId {
        self.held.lease()
    }

    /// Lets go of it; the token under which it was the lock until then. After an error that goes on
    /// in the background.
    ///
    /// A task of its own, so that its caller may leave at any await: what became of a word that was
    /// left half said, nobody would know, and it could meet the next place on the same lease.
    pub(crate) async fn release(self) -> Result<Option<Revision>, Error> {
        // Whoever wants the next one waits for this, as for any that is being let go of.
        self.held.names().leave(&self.name);
        let finishing = Finishing::begin(self.core());
        apart(async move {
            let released = self.let_go().await;
            drop(finishing);
            released
        })
        .await
    }

    async fn let_go(mut self) -> Result<Option<Revision>, Error> {
        let deadline = self.client.deadline();
        let command = Command::Lock(self.leaving());
        match self.tell(command, deadline).await {
            Ok(reply) => {
                self.state = State::Nowhere;
                match reply {
                    LockReply::Released { token, .. } => Ok(token),
                    _ => Ok(None),
                }
            }
            // Nothing hangs on a lease that is over.
            Err(Error::LeaseLost { why: Lost::Ended }) => {
                self.state = State::Nowhere;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Says one word to the log, and takes note when it is not known what it came to.
    async fn tell(&mut self, command: Command, deadline: Deadline) -> Result<LockReply, Error> {
        let lock = |reply| match reply {
            Reply::Lock(reply) => Some(reply),
            _ => None,
        };
        let core = Arc::clone(self.core());
        let session = core.session(deadline).await?;
        match core.submit_in(&session, command, lock, deadline).await {
            Err(Error::Unknown { request }) => {
                self.state = State::Unknown(request);
                // It is taken back in the background, or done again.
                Err(Error::no_answer(Why::NoAnswer))
            }
            Err(Error::Refused { why: Refused::Log(Rejection::LeaseEnded) }) => {
                self.held.standing().end(Lost::Ended);
                Err(Error::LeaseLost { why: Lost::Ended })
            }
            ended => ended,
        }
    }

    fn leaving(&self) -> LockCommand {
        LockCommand::Release { name: self.name.clone(), lease: self.lease() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let unknown = match mem::replace(&mut self.state, State::Nowhere) {
            State::Nowhere => return self.held.names().free(&self.name),
            State::Unknown(request) => Some(request),
            State::Taken => None,
        };
        self.held.names().leave(&self.name);
        if self.own_lease {
            // The lease ends with `held`, after which no copy of a word has any effect.
            return;
        }
        let leaving = Leaving {
            held: Arc::clone(&self.held),
            name: self.name.clone(),
            command: Command::Lock(self.leaving()),
            unknown,
        };
        let finishing = Finishing::begin(self.core());
        self.core().runtime.clone().spawn(leaving.run(finishing));
    }
}

/// A place on a lease that goes on.
struct Leaving {
    held: Arc<Held>,
    name: Name,
    command: Command,
    unknown: Option<RequestId>,
}

impl Leaving {
    /// Until it is let go of. A lease that is lost here ends by itself, and with it the place.
    async fn run(self, finishing: Finishing) {
        // Whoever asked for it may be another client, and gone by now.
        let core = &self.held.client().core;
        let gone = async {
            // What comes after the release must not be a copy of what came before it.
            if let Some(request) = self.unknown {
                core.fate(request).await;
            }
            core.insist(&self.command).await;
        };
        tokio::select! {
            () = gone => {}
            _ = Arc::clone(self.held.standing()).lost() => {}
            () = core.closed() => {}
        }
        self.held.names().free(&self.name);
        drop(finishing);
    }
}
