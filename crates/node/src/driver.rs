//! The one owner of the replica: it takes what happens in, steps it, and carries out what the
//! replica wants. It only shuttles; there is no rule of the protocol here.

mod asks;
mod peers;
mod reports;
mod settle;
mod stop;

use std::{
    collections::VecDeque,
    pin::Pin,
    time::{Duration, Instant},
};

use synod_machine::door::{Said, Stages};
use synod_net::{Event, Mesh};
use synod_paxos::Forgotten;
use synod_replica::{ClientId, Input, Output, Replica, ShelfNews};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Sleep, sleep_until},
};
use tracing::trace_span;

use crate::{
    NodeError,
    calls::{Calls, Way},
    clock::Clock,
    disk::{Disk, Done},
    health::{Alive, Ready},
    metrics::Metrics,
    quiet::Quiet,
    reign::ReignWatch,
    roster::Roster,
    shelf::Shelves,
};

pub(crate) use stop::Stopping;

/// What is taken in before anything is sent or synced: enough for one sync to cover a burst, little
/// enough that nobody waits for its end.
const BURST_MAX: usize = 512;

/// Questions of health pages that may wait; more are turned away by their own timeouts.
pub(crate) const QUESTIONS_MAX: usize = 64;

/// How long the loop sleeps at most: the loop's own sign of life for `/livez`.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// What the pages and the handle of the node want of the driver.
#[derive(Debug)]
pub(crate) enum Question {
    /// Does the loop tick, does the disk answer?
    Alive(oneshot::Sender<Alive>),
    /// Is the node ready?
    Ready(oneshot::Sender<Ready>),
    /// Bring the gauges up to date.
    Measure(oneshot::Sender<()>),
    /// Answer a linearizable read, for health's sake.
    Probe(oneshot::Sender<Said>),
    /// Refuse what is new, finish what is under way, and end.
    Stop,
}

/// Everything that can be heard.
pub(crate) struct Ears {
    pub(crate) mesh: mpsc::Receiver<Event>,
    pub(crate) disk: mpsc::UnboundedReceiver<Done>,
    pub(crate) shelves: mpsc::UnboundedReceiver<ShelfNews>,
    pub(crate) questions: mpsc::Receiver<Question>,
    pub(crate) gone: mpsc::UnboundedReceiver<ClientId>,
}

/// One thing that happened.
enum Happening {
    Mesh(Event),
    MeshClosed,
    Disk(Done),
    DiskGone,
    Shelf(ShelfNews),
    Gone(ClientId),
    Question(Question),
    /// A timer.
    Time,
}

/// The owner.
pub(crate) struct Driver {
    pub(crate) clock: Clock,
    pub(crate) roster: Roster,
    pub(crate) replica: Replica,
    pub(crate) mesh: Mesh,
    pub(crate) disk: Disk,
    pub(crate) shelves: Shelves,
    pub(crate) calls: Calls,
    pub(crate) gone: mpsc::UnboundedSender<ClientId>,
    pub(crate) metrics: Metrics,
    pub(crate) reign: ReignWatch,
    pub(crate) certificate_ends_at: i64,
    pub(crate) stop_within: Duration,
    pub(crate) state: State,
}

/// What the loop keeps for itself.
#[derive(Default)]
pub(crate) struct State {
    out: Output,
    /// What this node says to itself, and what it has to be asked again.
    to_self: VecDeque<Input>,
    /// What is still to be said to callers.
    answers: Vec<(Way, Said)>,
    stopping: Option<Stopping>,
    foreign_frames: Quiet,
    /// Differences between nodes' states that were told of already.
    hashes_differed: u64,
    /// Where batches have spent their time.
    stages: Stages,
}

impl Driver {
    /// Runs until it is told to stop or the disk fails.
    pub(crate) async fn run(mut self, mut ears: Ears) -> Result<(), NodeError> {
        let mut alarm = Box::pin(sleep_until(tokio::time::Instant::now()));
        loop {
            self.set(&mut alarm);
            let first = ears.hear(alarm.as_mut()).await;
            self.take(first)?;
            let mut taken = 1;
            while taken < BURST_MAX
                && let Some(next) = ears.hear_more()
            {
                self.take(next)?;
                taken += 1;
            }
            self.settle();
            self.tend_stop();
            if self.has_stopped() {
                return self.end().await;
            }
            if taken == BURST_MAX {
                // The mesh shares this thread: it must be able to hand over what came meanwhile.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes one thing in.
    fn take(&mut self, happening: Happening) -> Result<(), NodeError> {
        match happening {
            Happening::Mesh(Event::Frame { from, lane, body }) => self.frame(&from, lane, &body),
            Happening::Mesh(Event::Asked(asked)) => self.asked(asked),
            // The mesh has logged it with the reason; a peer is judged by what it says, and when.
            Happening::Mesh(Event::Up(_) | Event::Down(_)) => {}
            Happening::MeshClosed => return Err(NodeError::MeshClosed),
            Happening::Disk(done) => self.disk_has(done)?,
            Happening::DiskGone => return Err(NodeError::DiskGone),
            Happening::Shelf(news) => self.step(Input::Shelf(news)),
            Happening::Gone(client) => self.gone(client),
            Happening::Question(question) => self.question(question),
            Happening::Time => {}
        }
        match self.state.out.forgotten {
            Some(forgotten) => Err(self.is_older(forgotten)),
            None => Ok(()),
        }
    }

    /// The disk is not the one that this node had: it must not say another word.
    fn is_older(&self, Forgotten { told, was, is }: Forgotten) -> NodeError {
        NodeError::OlderDisk { told: told.to_string(), was: was.get(), is: is.get() }
    }

    /// Notes what the disk thread has done.
    fn disk_has(&mut self, done: Done) -> Result<(), NodeError> {
        match done {
            Done::Written { words, synced_in, store_bytes } => {
                if let Some(took) = synced_in {
                    self.metrics.store_sync(took);
                }
                let words = self.disk.written(words, synced_in, store_bytes);
                self.speak(words);
            }
            Done::Full { batch } => self.disk_is_full(batch),
            Done::Read(fetched) => {
                self.disk.read();
                self.step(Input::Fetched(fetched));
            }
            Done::Failed(error) => return Err(NodeError::Store(error)),
        }
        Ok(())
    }

    /// Steps one input into the replica; what it wants gathers in `out`.
    pub(crate) fn step(&mut self, input: Input) {
        let _span = trace_span!("replica.step", node = %self.roster.own_name()).entered();
        self.replica.step(self.clock.now(), self.clock.wall(), input, &mut self.state.out);
    }

    /// Sets the alarm for whatever comes first.
    fn set(&self, alarm: &mut Pin<Box<Sleep>>) {
        let replica = self.replica.wake_at().map(|tick| self.clock.instant_of(tick));
        let stop = self.state.stopping.as_ref().map(Stopping::wake_at);
        let idle = Instant::now() + IDLE_MAX;
        let first = [replica, stop, self.disk.wake_at()].into_iter().flatten().min();
        let at = first.map_or(idle, |first| first.min(idle)).into();
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
    }
}

impl Ears {
    /// Waits for the next thing. The disk first: its words have waited longest.
    async fn hear(&mut self, alarm: Pin<&mut Sleep>) -> Happening {
        tokio::select! {
            biased;
            done = self.disk.recv() => done.map_or(Happening::DiskGone, Happening::Disk),
            Some(question) = self.questions.recv() => Happening::Question(question),
            event = self.mesh.recv() => event.map_or(Happening::MeshClosed, Happening::Mesh),
            Some(news) = self.shelves.recv() => Happening::Shelf(news),
            Some(client) = self.gone.recv() => Happening::Gone(client),
            () = alarm => Happening::Time,
        }
    }

    /// What is there already.
    fn hear_more(&mut self) -> Option<Happening> {
        if let Ok(done) = self.disk.try_recv() {
            return Some(Happening::Disk(done));
        }
        if let Ok(question) = self.questions.try_recv() {
            return Some(Happening::Question(question));
        }
        if let Ok(event) = self.mesh.try_recv() {
            return Some(Happening::Mesh(event));
        }
        if let Ok(news) = self.shelves.try_recv() {
            return Some(Happening::Shelf(news));
        }
        self.gone.try_recv().ok().map(Happening::Gone)
    }
}
