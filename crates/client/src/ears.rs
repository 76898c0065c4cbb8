//! Everything that one client listens to, in few calls: thousands of watches and of locks that are
//! held cost a node hundreds of streams, were each asked for by itself.
//!
//! A call carries whatever waits to be asked for, as far as there is room in it. It comes back when
//! there is news of any of that, or after a second; whatever it had no news of goes on with the
//! next one. What has news goes on when that has been taken: so nobody who does not listen holds
//! more than one answer.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use synod_machine::{
    Answer, Interest, Revision,
    door::{Call, Refusal, Said},
    limits::WATCHES_MAX,
};
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{Instant, sleep, timeout_at},
};

use crate::{ask::Attempt, backoff::Backoff, core::Core, deadline::Deadline, route::Place};

/// A call comes back after so long, so that it is heard whether a quorum is there.
const EVERY: Duration = Duration::from_secs(1);
/// The first pause after a node that did not answer.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_millis(300);
/// A node that has not known a quorum to be there for so long is left for another, which may.
const QUORUM_PATIENCE: Duration = Duration::from_secs(2);

/// Calls at once: half of the streams of a connection, the other half is for everything else.
const CALLS_MAX: usize = 128;
/// With no more calls than these a new one is made at once. The more there are, the longer one
/// waits for others to come along.
const CALLS_FEW: usize = 4;
/// For each that there is, so long,
const GATHER: Duration = Duration::from_millis(1);
/// and no longer.
const GATHER_MAX: Duration = Duration::from_millis(50);
/// Bytes of prefixes and names in one call. All calls together are far below what a node keeps of
/// one connection's questions.
const CALL_BYTES: usize = 64 << 10;

/// All of one client.
#[derive(Default)]
pub(crate) struct Ears(Mutex<All>);

#[derive(Default)]
struct All {
    ears: BTreeMap<u64, Ear>,
    last: u64,
    /// Who are in no call and are to be, in the order in which they came.
    waiting: VecDeque<u64>,
    calls: usize,
    /// Whether one of the calls is about to take in whoever waits.
    gathering: bool,
}

/// One of them. Invariant: it is in `waiting`, or in a call, or has something in `heard`, or nobody
/// listens to it.
struct Ear {
    interest: Interest,
    after: Revision,
    heard: Option<Result<Answer, Refusal>>,
    /// When a quorum was last known to be there, as far as was heard.
    quorum_at: Instant,
    /// Whether somebody listens to it now.
    listened_to: bool,
    is_asked_for: bool,
    news: Arc<Notify>,
}

/// One ear's owner. Dropped, nobody listens any more.
pub(crate) struct Listener {
    core: Arc<Core>,
    id: u64,
    news: Arc<Notify>,
}

/// What is told to a [`Listener`].
pub(crate) enum Told {
    /// As to a [`Query::Changes`](synod_machine::Query::Changes).
    News(Answer),
    Refused(Refusal),
    /// There was no news up to this revision.
    Nothing(Revision),
}

/// What a call carries: whom for, what, and after which revision.
type Rider = (u64, (Interest, Revision));

impl Listener {
    /// Listens for what changes after a revision.
    pub(crate) fn new(core: &Arc<Core>, interest: Interest, after: Revision) -> Listener {
        let news = Arc::new(Notify::new());
        let ear = Ear {
            interest,
            after,
            heard: None,
            quorum_at: Instant::now(),
            listened_to: false,
            is_asked_for: false,
            news: Arc::clone(&news),
        };
        let id = core.ears.all().add(ear);
        Listener { core: Arc::clone(core), id, news }
    }

    /// Everything up to this revision was read in another way.
    pub(crate) fn skip_to(&self, revision: Revision) {
        if let Some(ear) = self.core.ears.all().ears.get_mut(&self.id) {
            ear.after = ear.after.max(revision);
        }
    }

    pub(crate) fn quorum_at(&self) -> Instant {
        let all = self.core.ears.all();
        all.ears.get(&self.id).map_or_else(Instant::now, |ear| ear.quorum_at)
    }

    /// Waits for news, no longer than until the deadline. May be left at any await: what is not
    /// taken is there the next time.
    pub(crate) async fn told(&self, deadline: Deadline) -> Told {
        let listening = Listening::begin(self);
        loop {
            if let Some(told) = listening.take() {
                return told;
            }
            if timeout_at(deadline.at(), self.news.notified()).await.is_err() {
                return listening.take().unwrap_or_else(|| listening.nothing());
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.core.ears.all().ears.remove(&self.id);
    }
}

/// That somebody listens.
struct Listening<'a>(&'a Listener);

impl Listening<'_> {
    fn begin(listener: &Listener) -> Listening<'_> {
        let Listener { core, id, .. } = listener;
        let mut all = core.ears.all();
        if let Some(ear) = all.ears.get_mut(id) {
            ear.listened_to = true;
        }
        all.ask_for(*id);
        all.call_if_needed(core);
        Listening(listener)
    }

    fn take(&self) -> Option<Told> {
        let mut all = self.0.core.ears.all();
        let heard = all.ears.get_mut(&self.0.id)?.heard.take()?;
        Some(match heard {
            Ok(news) => Told::News(news),
            Err(why) => Told::Refused(why),
        })
    }

    fn nothing(&self) -> Told {
        let all = self.0.core.ears.all();
        Told::Nothing(all.ears.get(&self.0.id).map_or(Revision::ZERO, |ear| ear.after))
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        if let Some(ear) = self.0.core.ears.all().ears.get_mut(&self.0.id) {
            ear.listened_to = false;
        }
    }
}

impl Ears {
    fn all(&self) -> MutexGuard<'_, All> {
        // Nothing in it is half done when something panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn add(&mut self, ear: Ear) -> u64 {
        self.last += 1;
        self.ears.insert(self.last, ear);
        self.last
    }

    /// It is to be in the next call, unless it is in one, or has news that nobody has taken.
    fn ask_for(&mut self, id: u64) {
        let Some(ear) = self.ears.get_mut(&id) else { return };
        if ear.listened_to && !ear.is_asked_for && ear.heard.is_none() {
            ear.is_asked_for = true;
            self.waiting.push_back(id);
        }
    }

    fn call_if_needed(&mut self, core: &Arc<Core>) {
        if !self.waiting.is_empty() && !self.gathering && self.calls < CALLS_MAX {
            self.calls += 1;
            self.gathering = true;
            core.runtime.spawn(call(Arc::clone(core)));
        }
    }

    /// How long one that is about to ask waits for others.
    fn gather(&self) -> Duration {
        let others = u32::try_from(self.calls - 1).unwrap_or(u32::MAX);
        let few = self.calls <= CALLS_FEW || self.waiting.len() >= WATCHES_MAX;
        if few { Duration::ZERO } else { GATHER.saturating_mul(others).min(GATHER_MAX) }
    }

    /// Takes in who waits. When there is nobody the call has ended.
    fn board(&mut self) -> Vec<Rider> {
        self.gathering = false;
        let (mut riders, mut bytes) = (Vec::new(), 0);
        while riders.len() < WATCHES_MAX && bytes < CALL_BYTES {
            let Some(id) = self.waiting.pop_front() else { break };
            // Those that are gone, and those that nobody listens to any more, stay behind.
            let Some(ear) = self.ears.get_mut(&id) else { continue };
            if !ear.listened_to {
                ear.is_asked_for = false;
                continue;
            }
            bytes += weight(&ear.interest);
            riders.push((id, (ear.interest.clone(), ear.after)));
        }
        if riders.is_empty() {
            self.calls -= 1;
        }
        riders
    }

    /// What one call came to: to whom there is news of it, and up to where there was none of the
    /// rest. Everybody else goes on at once, in this call or another.
    fn land(&mut self, riders: Vec<u64>, mut came: Came) {
        for (place, id) in (0..).zip(riders) {
            let Some(ear) = self.ears.get_mut(&id) else { continue };
            ear.is_asked_for = false;
            if let Some(at) = came.quorum_at {
                ear.quorum_at = ear.quorum_at.max(at);
            }
            match came.news.remove(&place) {
                Some(Ok(Answer::Changes { changes, upto })) if changes.is_empty() => {
                    ear.after = ear.after.max(upto);
                    self.ask_for(id);
                }
                Some(news) => {
                    ear.heard = Some(news);
                    ear.news.notify_one();
                }
                None => {
                    ear.after = ear.after.max(came.upto);
                    self.ask_for(id);
                }
            }
        }
        self.gathering = true;
    }
}

/// What a call came to.
#[derive(Default)]
struct Came {
    news: BTreeMap<u32, Result<Answer, Refusal>>,
    upto: Revision,
    quorum_at: Option<Instant>,
}

/// Asks for what waits, again and again, until nothing does.
async fn call(core: Arc<Core>) {
    tokio::select! {
        () = core.closed() => {}
        () = ask(&core) => {}
    }
}

async fn ask(core: &Arc<Core>) {
    let mut pause = Backoff::new(PAUSE, PAUSE_MAX);
    loop {
        // Whoever is about to listen comes along.
        yield_now().await;
        let gather = core.ears.all().gather();
        if !gather.is_zero() {
            sleep(gather).await;
        }
        let riders = {
            let mut all = core.ears.all();
            let riders = all.board();
            all.call_if_needed(core);
            riders
        };
        if riders.is_empty() {
            return;
        }
        let (ids, watches): (Vec<_>, Vec<_>) = riders.into_iter().unzip();
        let came = ask_once(core, watches, &mut pause).await;
        core.ears.all().land(ids, came);
    }
}

/// One call to one node.
async fn ask_once(
    core: &Core,
    mut watches: Vec<(Interest, Revision)>,
    pause: &mut Backoff,
) -> Came {
    let (route, count) = (&core.route, watches.len());
    let place = route.any();
    let call = match (watches.pop(), watches.is_empty()) {
        (Some((interest, after)), true) => Call::Watch { interest, after },
        (last, _) => {
            watches.extend(last);
            Call::WatchAny { watches }
        }
    };
    match route.ask_node_for_news(place, call, EVERY).await {
        Attempt::Said(Said::Watched { news, silent_ms }) => {
            *pause = Backoff::new(PAUSE, PAUSE_MAX);
            let news = BTreeMap::from([(0, Ok(news))]);
            Came { news, upto: Revision::ZERO, quorum_at: quorum(core, place, silent_ms) }
        }
        Attempt::Said(Said::WatchedAny { news, upto, silent_ms }) => {
            *pause = Backoff::new(PAUSE, PAUSE_MAX);
            let news = news.into_iter().map(|(place, news)| (place, Ok(news))).collect();
            Came { news, upto, quorum_at: quorum(core, place, silent_ms) }
        }
        Attempt::Said(Said::Refused(why)) => {
            let all = (0..).take(count).map(|place| (place, Err(why.clone()))).collect();
            Came { news: all, ..Came::default() }
        }
        Attempt::Said(_) | Attempt::Unsent | Attempt::Lost | Attempt::Moved | Attempt::Late => {
            route.try_another(place);
            pause.wait(Deadline::after(PAUSE_MAX)).await;
            Came::default()
        }
    }
}

/// When the node that was asked knew a quorum to be there. One that has known none for long is left
/// for another.
fn quorum(core: &Core, place: Place, silent_ms: u32) -> Option<Instant> {
    let silent = Duration::from_millis(silent_ms.into());
    if silent > QUORUM_PATIENCE {
        core.route.try_another(place);
    }
    Instant::now().checked_sub(silent)
}

/// About as much as it takes in a call.
fn weight(interest: &Interest) -> usize {
    let text = match interest {
        Interest::Keys { prefix } => prefix.len(),
        Interest::Lock { name }
        | Interest::Claim { name }
        | Interest::Register { name }
        | Interest::Counter { name }
        | Interest::Barrier { name }
        | Interest::Journal { name }
        | Interest::Election { name } => name.as_str().len(),
    };
    text + size_of::<Revision>()
}
