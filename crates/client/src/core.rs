use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use synod_machine::{
    Answer, Command, Query, Rejection, Reply, Request, RequestId, Seq, SessionId,
    door::{Call, Freshness, Said},
};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::yield_now,
    time::{Instant, MissedTickBehavior, interval_at, timeout_at},
};

use crate::{
    ask::{Ended, Tries},
    deadline::Deadline,
    directory::Directory,
    ears::Ears,
    error::{Error, Why},
    fates::{Fates, Settled},
    route::Route,
    session::Session,
    tally::Tally,
};

/// Signs of life in one time to live: two may be lost.
const KEEP_ALIVES_PER_TTL: u32 = 3;

/// How long a client that is being closed insists on ending its session, which would end anyway.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// What all handles of one client share. Background tasks hold it too, so that it lives until they
/// have ended; they end when `closed` says so.
pub(crate) struct Core {
    pub(crate) route: Arc<Route>,
    pub(crate) directory: Directory,
    /// What is listened to.
    pub(crate) ears: Ears,
    /// Who opens sessions, for people to read.
    owner: String,
    session_ttl: Duration,
    session: Mutex<Option<Arc<Session>>>,
    /// Held while one is opened, so that many callers open one.
    opening: tokio::sync::Mutex<()>,
    fates: Mutex<Fates>,
    closed: watch::Sender<bool>,
    /// Where what a dropped value leaves behind is finished.
    pub(crate) runtime: Handle,
    /// Transactions that are being finished in the background.
    pub(crate) finishing: watch::Sender<usize>,
    pub(crate) tally: Tally,
}

impl Core {
    pub(crate) fn new(route: Arc<Route>, owner: String, session_ttl: Duration) -> Core {
        route.hold();
        Core {
            route,
            directory: Directory::default(),
            ears: Ears::default(),
            owner,
            session_ttl,
            session: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            fates: Mutex::default(),
            closed: watch::Sender::new(false),
            runtime: Handle::current(),
            finishing: watch::Sender::new(0),
            tally: Tally::default(),
        }
    }

    /// The client is closed: so its background ends, and that of the connections with the last one
    /// that uses them.
    pub(crate) fn end(&self) {
        if !self.closed.send_replace(true) {
            self.route.let_go();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Resolves when the client is closed.
    pub(crate) async fn closed(&self) {
        // The sender is `self`'s own; it cannot be gone.
        let mut closed = self.closed.subscribe();
        let _closed = closed.wait_for(|closed| *closed).await;
    }

    /// The session; opened when there is none.
    pub(crate) async fn session(
        self: &Arc<Self>,
        deadline: Deadline,
    ) -> Result<Arc<Session>, Error> {
        self.check_open()?;
        if let Some(session) = self.open_one() {
            return Ok(session);
        }
        let Ok(_opening) = timeout_at(deadline.at(), self.opening.lock()).await else {
            // That another was at it all the time says nothing about the leader.
            let known = self.route.watch().borrow().is_some();
            let why = if known { Why::NoAnswer } else { Why::NoLeader };
            return Err(self.route.nothing_done(why));
        };
        // Somebody else may have opened it meanwhile.
        if let Some(session) = self.open_one() {
            return Ok(session);
        }
        let session = Arc::new(Session::new(self.open_session(deadline).await?));
        tracing::debug!(session = %session.id(), "session opened");
        *self.held() = Some(Arc::clone(&session));
        tokio::spawn(keep_alive(Arc::clone(self), Arc::clone(&session)));
        Ok(session)
    }

    /// Its caller has heard that the fate of this request is unknown.
    pub(crate) fn tell(&self, request: RequestId) {
        if let Some(session) = self.held().as_ref().filter(|it| it.id() == request.session) {
            session.tell(request);
        }
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    pub(crate) fn session_ttl(&self) -> Duration {
        self.session_ttl
    }

    /// Nothing new begins in it; what is under way comes to its end. Some participant has forgotten
    /// which transactions of so old a session it has applied, and would refuse each that is new.
    pub(crate) fn put_aside(&self, session: &Arc<Session>) {
        let mut held = self.held();
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, session)) {
            tracing::info!(session = %session.id(), "refused as ended; put aside");
            *held = None;
        }
    }

    /// Whether nothing is done in it and nothing ever will be; whoever asks holds it, too.
    fn is_done_with(&self, session: &Arc<Session>) -> bool {
        let held = self.held();
        !held.as_ref().is_some_and(|held| Arc::ptr_eq(held, session))
            && Arc::strong_count(session) == 1
    }

    /// The session, if one is open.
    fn open_one(&self) -> Option<Arc<Session>> {
        self.held().as_ref().filter(|session| !session.has_ended()).cloned()
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.session.lock().expect("nothing panics while it is held")
    }

    /// Does what may safely be done twice: it needs no session and no name. `read` takes out of the
    /// reply what was asked for, if it is there.
    pub(crate) async fn submit_unnamed<T>(
        &self,
        command: Command,
        read: impl FnOnce(Reply) -> Option<T>,
        deadline: Deadline,
    ) -> Result<T, Error> {
        assert!(!command.must_be_named(), "a second copy of {command:?} would do harm");
        self.check_open()?;
        command.check()?;
        let call = || {
            let command = command.clone();
            Call::Submit(Request { id: None, acked: Seq::ZERO, command })
        };
        match self.route.ask_leader(&mut Tries::new(), call, deadline).await {
            Ended::Said(Said::Reply(Reply::Rejected(why))) => Err(Error::log(why)),
            Ended::Said(Said::Reply(reply)) => {
                read(reply).ok_or_else(|| Error::no_answer(Why::Nonsense))
            }
            Ended::Refused(why) => Err(Error::door(why)),
            Ended::Nothing(why) => Err(self.route.nothing_done(why)),
            Ended::Perhaps(why) => Err(Error::no_answer(why)),
            Ended::Said(_) => Err(Error::no_answer(Why::Nonsense)),
        }
    }

    /// Reads what every write acknowledged before is in.
    pub(crate) async fn read(&self, query: Query, deadline: Deadline) -> Result<Answer, Error> {
        self.check_open()?;
        query.check()?;
        let freshness = Freshness::Linearizable;
        let call = || Call::Read { query: query.clone(), freshness };
        match self.route.ask_leader(&mut Tries::new(), call, deadline).await {
            Ended::Said(Said::Answer(answer)) => Ok(answer),
            ended => Err(self.no_answer(ended)),
        }
    }

    /// Reads from some node's own state, once it is as fresh as that.
    pub(crate) async fn read_nearby(
        &self,
        query: Query,
        freshness: Freshness,
        deadline: Deadline,
    ) -> Result<Answer, Error> {
        self.check_open()?;
        query.check()?;
        let call = || Call::Read { query: query.clone(), freshness };
        match self.route.ask_any(call, deadline).await {
            Ended::Said(Said::Answer(answer)) => Ok(answer),
            ended => Err(self.no_answer(ended)),
        }
    }

    /// Reads what some node has applied, and how old that may be.
    pub(crate) async fn read_stale(
        &self,
        query: Query,
        deadline: Deadline,
    ) -> Result<(Answer, Option<Duration>), Error> {
        self.check_open()?;
        query.check()?;
        let call = || Call::Read { query: query.clone(), freshness: Freshness::Stale };
        match self.route.ask_any(call, deadline).await {
            Ended::Said(Said::Stale { answer, age_ms }) => {
                Ok((answer, age_ms.map(|ms| Duration::from_millis(ms.into()))))
            }
            ended => Err(self.no_answer(ended)),
        }
    }

    /// Finds out for good, if the log still knows.
    pub(crate) async fn settle(
        &self,
        request: RequestId,
        deadline: Deadline,
    ) -> Result<Settled, Error> {
        if let Some(settled) = self.fates().of(request) {
            return Ok(settled);
        }
        let settled = |reply: Reply| match reply {
            Reply::SettledApplied(first) => Some(Settled::Applied((*first).into())),
            Reply::SettledNever => Some(Settled::Never),
            _ => None,
        };
        self.submit_unnamed(Command::Settle { request }, settled, deadline).await
    }

    /// Waits for what is being finished, ends the session, and then everything.
    pub(crate) async fn close(self: &Arc<Self>, deadline: Deadline) {
        // What was dropped just now has its turn to begin.
        yield_now().await;
        let mut finishing = self.finishing.subscribe();
        // What it hands out locks the count: kept, it would stop whoever is dropped meanwhile.
        drop(timeout_at(deadline.at(), finishing.wait_for(|count| *count == 0)).await);
        if let Some(session) = self.open_one() {
            self.close_session(&session, deadline.or_after(CLOSE_PATIENCE)).await;
        }
        self.end();
    }

    /// One that nobody ends so ends by itself; no need to insist.
    async fn close_session(self: &Arc<Self>, session: &Arc<Session>, patience: Deadline) {
        let _ended = self.submit_in(session, Command::CloseSession, done, patience).await;
        session.end();
    }

    pub(crate) fn fates(&self) -> MutexGuard<'_, Fates> {
        self.fates.lock().expect("nothing panics while it is held")
    }

    /// What to say of a question that changes nothing, and had no answer that fits.
    pub(crate) fn no_answer(&self, ended: Ended) -> Error {
        match ended {
            Ended::Refused(why) => Error::door(why),
            Ended::Nothing(why) | Ended::Perhaps(why) => self.route.nothing_done(why),
            Ended::Said(_) => Error::not_applied(Why::Nonsense),
        }
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_closed() { Err(Error::not_applied(Why::Closed)) } else { Ok(()) }
    }

    async fn open_session(&self, deadline: Deadline) -> Result<SessionId, Error> {
        let ttl_ms = u64::try_from(self.session_ttl.as_millis()).unwrap_or(u64::MAX);
        let command = Command::OpenSession { owner: self.owner.clone(), ttl_ms };
        let opened = |reply| match reply {
            Reply::Session(session) => Some(session),
            _ => None,
        };
        // A session that nobody uses ends by itself; what it was opened for has not been sent.
        self.submit_unnamed(command, opened, deadline).await.map_err(|error| match error {
            Error::NoAnswer { why } => Error::not_applied(why),
            error => error,
        })
    }
}

/// The reply to what is simply so from then on.
pub(crate) fn done(reply: Reply) -> Option<()> {
    matches!(reply, Reply::Done(_)).then_some(())
}

/// Tells the leader, again and again, that the session is in use.
async fn keep_alive(core: Arc<Core>, session: Arc<Session>) {
    tokio::select! {
        () = stay(&core, &session) => {}
        () = session.ended() => {}
        () = core.closed() => {}
    }
}

async fn stay(core: &Arc<Core>, session: &Arc<Session>) {
    let every = core.session_ttl / KEEP_ALIVES_PER_TTL;
    let mut clock = interval_at(Instant::now() + every, every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if core.is_done_with(session) {
            return core.close_session(session, Deadline::after(CLOSE_PATIENCE)).await;
        }
        let call = || Call::KeepAlive { session: session.id() };
        let deadline = Deadline::after(every);
        // Kept; or not heard, and then the next one may be.
        let ended = core.route.ask_leader(&mut Tries::new(), call, deadline).await;
        if let Ended::Said(Said::Reply(Reply::Rejected(
            Rejection::SessionEnded | Rejection::UnknownSession,
        ))) = ended
        {
            tracing::info!(session = %session.id(), "the session has ended");
            session.end();
        }
    }
}
