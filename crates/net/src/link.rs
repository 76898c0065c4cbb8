//! One node's tie to one peer: the connection that stands at the moment, and what waits to be sent
//! on it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream, WriteError};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tracing::{debug, error, info};

use crate::{
    Event, Identity, Lane, Name,
    bye::Bye,
    frame::{FrameError, Frames, Kind, Parcel},
    listener::House,
    queue::{Queue, WhenFull},
    strikes::Strikes,
    transport,
};

/// Bytes that may wait for one peer on each lane: seconds of heartbeats; a whole window of slots; a
/// few pages of catch-up, which is fetched again when it is lost.
const CONTROL_BYTES_MAX: usize = 1 << 20;
const LOG_BYTES_MAX: usize = 16 << 20;
const BULK_BYTES_MAX: usize = 8 << 20;
/// Frames are written together up to about this size: a few datagrams' worth.
const PARCEL_BYTES: usize = 64 << 10;

const LANES: [Lane; 3] = [Lane::Control, Lane::Log, Lane::Bulk];

impl Lane {
    const fn kind(self) -> Kind {
        match self {
            Lane::Control => Kind::Control,
            Lane::Log => Kind::Log,
            Lane::Bulk => Kind::Bulk,
        }
    }

    /// The higher goes first where both have something to send.
    const fn priority(self) -> i32 {
        match self {
            Lane::Control => 2,
            Lane::Log => 1,
            Lane::Bulk => 0,
        }
    }

    fn of(kind: Kind) -> Option<Lane> {
        LANES.into_iter().find(|lane| lane.kind() == kind)
    }
}

/// The tie.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) identity: Identity,
    pub(crate) name: Name,
    /// The peer, which this node dials, says that it is there.
    pub(crate) knocked: Notify,
    tie: Mutex<Tie>,
}

/// What changes when a connection comes or goes, together.
#[derive(Debug, Default)]
struct Tie {
    standing: Option<Arc<Standing>>,
    /// Packets that were lost on connections which stand no more.
    lost_before: u64,
}

impl Tie {
    /// Ends the connection that stood, and keeps what it had counted.
    fn take(&mut self) -> Option<Arc<Standing>> {
        let former = self.standing.take()?;
        self.lost_before += former.lost_packets();
        Some(former)
    }
}

/// A connection that stands, with what waits for it. What was not sent goes with it.
#[derive(Debug)]
struct Standing {
    connection: Connection,
    control: Queue,
    log: Queue,
    bulk: Queue,
}

impl Standing {
    fn new(connection: Connection) -> Standing {
        Standing {
            connection,
            control: Queue::new(CONTROL_BYTES_MAX, WhenFull::DropOldest),
            log: Queue::new(LOG_BYTES_MAX, WhenFull::DropNewest),
            bulk: Queue::new(BULK_BYTES_MAX, WhenFull::DropNewest),
        }
    }

    fn lost_packets(&self) -> u64 {
        self.connection.stats().path.lost_packets
    }

    fn queue(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::Control => &self.control,
            Lane::Log => &self.log,
            Lane::Bulk => &self.bulk,
        }
    }
}

impl Link {
    pub(crate) fn new(identity: Identity, name: Name) -> Link {
        Link { identity, name, knocked: Notify::new(), tie: Mutex::default() }
    }

    /// Queues a frame while a connection stands; otherwise it is dropped like any lost datagram:
    /// the protocol says again what still matters.
    pub(crate) fn send(&self, lane: Lane, body: Bytes, house: &House) {
        if !lane.kind().fits(body.len()) {
            // Our own fault, and not one to go down for: a frame may always be lost.
            error!(peer = %self.name, ?lane, bytes = body.len(), "no frame carries this");
            return house.tally.frames_dropped.add(1);
        }
        let dropped = match &self.lock().standing {
            Some(standing) => standing.queue(lane).push(body),
            None => 1,
        };
        house.tally.frames_dropped.add(dropped);
    }

    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.lock().standing.as_ref().map(|standing| standing.connection.rtt())
    }

    /// What decides how much is sent at a time.
    #[cfg(test)]
    pub(crate) fn congestion(&self) -> Option<crate::Congestion> {
        use crate::Congestion;
        let state = self.lock().standing.as_ref()?.connection.congestion_state().into_any();
        let cubic = state.is::<quinn::congestion::Cubic>().then_some(Congestion::Cubic);
        cubic.or(state.is::<quinn::congestion::Bbr>().then_some(Congestion::Bbr))
    }

    /// Packets to the peer that were lost, as QUIC counts them, on all connections there were.
    pub(crate) fn lost_packets(&self) -> u64 {
        let tie = self.lock();
        tie.lost_before + tie.standing.as_ref().map_or(0, |standing| standing.lost_packets())
    }

    fn lock(&self) -> MutexGuard<'_, Tie> {
        self.tie.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `connection` the one that stands; one that stood before is closed, for the peer that
    /// dialled anew has forgotten it.
    fn install(&self, connection: Connection) -> Arc<Standing> {
        let standing = Arc::new(Standing::new(connection));
        let former = {
            let mut tie = self.lock();
            let former = tie.take();
            tie.standing = Some(Arc::clone(&standing));
            former
        };
        if let Some(former) = former {
            Bye::Replaced.say(&former.connection, "a newer connection took its place");
        }
        standing
    }

    /// Whether it stood until now; it stands no more.
    fn remove(&self, ended: &Arc<Standing>) -> bool {
        let mut tie = self.lock();
        let own = tie.standing.as_ref().is_some_and(|current| Arc::ptr_eq(current, ended));
        own && tie.take().is_some()
    }

    /// Carries frames both ways for as long as the connection stands.
    pub(crate) async fn serve(
        &self,
        connection: Connection,
        house: &Arc<House>,
        events: &mpsc::Sender<Event>,
    ) {
        transport::for_peer(&connection);
        let standing = self.install(connection.clone());
        info!(peer = %self.name, "connected");
        // A closed channel means that the mesh is going down with its owner.
        let _going_down = events.send(Event::Up(self.name.clone())).await;
        let strikes = Strikes::new(Arc::clone(house), connection.clone(), self.identity.clone());
        let ear = Arc::new(Ear { name: self.name.clone(), strikes, events: events.clone() });
        let mut tasks = JoinSet::new();
        for lane in LANES {
            tasks.spawn(speak(Arc::clone(&standing), lane));
        }
        while let Ok(stream) = connection.accept_uni().await {
            tasks.spawn(Arc::clone(&ear).listen(stream));
            while tasks.try_join_next().is_some() {}
        }
        tasks.shutdown().await;
        if self.remove(&standing) {
            let why = connection.close_reason().map(|error| Bye::words(&error));
            info!(peer = %self.name, why = why.as_deref().unwrap_or_default(), "disconnected");
            let _going_down = events.send(Event::Down(self.name.clone())).await;
        }
    }
}

/// Sends what one lane's queue has, on one stream; on another, when the peer cut it off.
async fn speak(standing: Arc<Standing>, lane: Lane) {
    while let Ok(mut stream) = standing.connection.open_uni().await {
        // It fails only on a stream that is closed already, and then writing fails too.
        let _closed = stream.set_priority(lane.priority());
        match pump(standing.queue(lane), lane.kind(), &mut stream).await {
            WriteError::Stopped(code) => {
                debug!(peer = %standing.connection.remote_address(), ?lane, %code, "cut off");
            }
            WriteError::ConnectionLost(_)
            | WriteError::ClosedStream
            | WriteError::ZeroRttRejected => return,
        }
    }
}

/// Writes until it fails, many small frames in one go.
async fn pump(queue: &Queue, kind: Kind, stream: &mut SendStream) -> WriteError {
    loop {
        let mut parcel = Parcel::default();
        for body in queue.take(PARCEL_BYTES).await {
            parcel.put(kind, &body);
        }
        if let Err(error) = stream.write_all_chunks(&mut parcel.chunks()).await {
            return error;
        }
    }
}

/// What hears one peer.
struct Ear {
    name: Name,
    strikes: Strikes,
    events: mpsc::Sender<Event>,
}

impl Ear {
    async fn listen(self: Arc<Ear>, stream: RecvStream) {
        let mut frames = Frames::new(stream, self.strikes.house().limits.stall);
        if let Err(error) = self.hear(&mut frames).await {
            frames.stop(self.strikes.strike(&error));
        }
    }

    /// Takes frames to the end of the stream; the first one says of which lane they are.
    async fn hear(&self, frames: &mut Frames) -> Result<(), FrameError> {
        let mut lane = None;
        while let Some((kind, bytes)) = frames.head().await? {
            let lane = match lane {
                None => *lane.insert(
                    Lane::of(kind)
                        .ok_or(FrameError::Misplaced { found: kind, expected: Kind::Control })?,
                ),
                Some(lane) if Lane::of(kind) == Some(lane) => lane,
                Some(lane) => {
                    return Err(FrameError::Misplaced { found: kind, expected: lane.kind() });
                }
            };
            let body = frames.body(bytes).await?;
            let event = Event::Frame { from: self.name.clone(), lane, body };
            if self.events.send(event).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}
