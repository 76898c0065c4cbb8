//! The life of a request that must take effect at most once.
//!
//! From the moment it has a number it belongs to a task of its own, and its caller only waits for
//! that task's word. So a caller may stop waiting at any await: before the number there is nothing
//! to account for, and afterwards the task sees to it that the number is closed, or its fate found
//! out.

use std::{sync::Arc, time::Duration};

use synod_machine::{
    Command, Rejection, Reply, Request, RequestId,
    door::{Call, Said},
};
use tokio::{sync::oneshot, time::sleep};

use crate::{
    ask::{Ended, Tries},
    backoff::Backoff,
    core::Core,
    deadline::Deadline,
    error::{Error, Why},
    fates::Settled,
    session::Session,
};

/// How long one attempt to settle a request in the background lasts.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);
/// The first pause before another attempt.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest: nobody waits for it.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A request with its number.
struct Carried {
    core: Arc<Core>,
    session: Arc<Session>,
    id: RequestId,
}

impl Core {
    /// Does a command once, however often it has to be sent. `read` takes out of the reply what was
    /// asked for; where it is not there, a node of another version may have done anything, and it
    /// is unknown what.
    pub(crate) async fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        command: Command,
        read: impl FnOnce(Reply) -> Option<T> + Send + 'static,
        deadline: Deadline,
    ) -> Result<T, Error> {
        command.check()?;
        let session = self.session(deadline).await?;
        let result = self.submit_in(&session, command, read, deadline).await;
        if let Err(Error::Unknown { request }) = result {
            session.tell(request);
        }
        result
    }

    /// As [`Core::submit`], in this session and no other, for a caller who tells nobody the
    /// request's name.
    pub(crate) async fn submit_in<T: Send + 'static>(
        self: &Arc<Self>,
        session: &Arc<Session>,
        command: Command,
        read: impl FnOnce(Reply) -> Option<T> + Send + 'static,
        deadline: Deadline,
    ) -> Result<T, Error> {
        command.check()?;
        let id = session.name_request(deadline).await.map_err(Error::not_applied)?;
        let carried = Carried { core: Arc::clone(self), session: Arc::clone(session), id };
        let (tell, told) = oneshot::channel();
        tokio::spawn(carried.carry(command, read, deadline, tell));
        // The task is gone without a word only when the whole runtime is shutting down.
        told.await.unwrap_or(Err(Error::Unknown { request: id }))
    }
}

impl Carried {
    async fn carry<T>(
        self,
        command: Command,
        read: impl FnOnce(Reply) -> Option<T>,
        deadline: Deadline,
        mut tell: oneshot::Sender<Result<T, Error>>,
    ) {
        let mut tries = Tries::new();
        let call = || {
            let (id, acked) = (Some(self.id), self.session.acked());
            Call::Submit(Request { id, acked, command: command.clone() })
        };
        let ended = tokio::select! {
            biased;
            ended = self.core.route.ask_leader(&mut tries, call, deadline) => Some(ended),
            () = tell.closed() => None,
        };
        // Nobody waits any more: stop repeating it, and find out what became of it, if anything.
        let ended = ended.unwrap_or_else(|| tries.give_up());
        let result = self.conclude(ended, read);
        let unknown = matches!(result, Err(Error::Unknown { .. }));
        let _nobody_waits = tell.send(result);
        if unknown {
            // Hardly ever: so in a box, or each request would carry it along.
            Box::pin(self.settle()).await;
        }
    }

    /// What the caller is told. Closes the number unless the fate of the request is not known.
    fn conclude<T>(&self, ended: Ended, read: impl FnOnce(Reply) -> Option<T>) -> Result<T, Error> {
        let result = match ended {
            Ended::Said(Said::Reply(Reply::Rejected(why))) => Err(self.rejected(why)),
            Ended::Said(Said::Reply(reply)) => {
                read(reply).ok_or(Error::Unknown { request: self.id })
            }
            Ended::Refused(why) => Err(Error::door(why)),
            Ended::Nothing(why) => Err(self.core.route.nothing_done(why)),
            // Another answer than a reply leaves as much open as none.
            Ended::Said(_) | Ended::Perhaps(_) => Err(Error::Unknown { request: self.id }),
        };
        if !matches!(result, Err(Error::Unknown { .. })) {
            self.session.close(self.id);
        }
        result
    }

    fn rejected(&self, why: Rejection) -> Error {
        match why {
            Rejection::SettledNever => Error::not_applied(Why::Settled),
            Rejection::TooManyOpen { .. } => Error::not_applied(Why::TooManyOpen),
            // The log would have repeated the reply, had it been applied before the end.
            Rejection::SessionEnded | Rejection::UnknownSession => {
                self.session.end();
                Error::SessionEnded { session: self.session.id() }
            }
            // Of a session that ended long ago, or whose requests another has acknowledged: applied
            // or not, nobody knows any more.
            Rejection::Forgotten | Rejection::ReplyForgotten => {
                self.session.end();
                Error::Unknown { request: self.id }
            }
            other => Error::log(other),
        }
    }

    /// Finds out what became of the request, however long it takes: until then the watermark waits
    /// for it. Nobody can settle it in a session that has ended, nor in one whose owner may not.
    async fn settle(&self) {
        tokio::select! {
            () = self.settle_in_time() => {}
            () = self.session.ended() => {}
            () = self.core.closed() => {}
        }
    }

    async fn settle_in_time(&self) {
        let mut pause = Backoff::new(PAUSE, PAUSE_MAX);
        loop {
            match self.core.settle(self.id, Deadline::after(SETTLE_PATIENCE)).await {
                Ok(settled) => return self.settled(settled),
                Err(Error::Refused { why }) => {
                    tracing::debug!(request = %self.id, %why, "cannot be settled");
                    return self.session.end();
                }
                Err(_) => sleep(pause.next()).await,
            }
        }
    }

    fn settled(&self, settled: Settled) {
        let applied = matches!(settled, Settled::Applied(_));
        tracing::debug!(request = %self.id, applied, "settled");
        self.core.fates().keep(self.id, settled);
        self.session.settle(self.id);
    }
}
