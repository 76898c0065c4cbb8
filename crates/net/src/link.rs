//! One node's tie to one peer: what waits to be sent, and the connection that stands at the moment.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use quinn::{Connection, RecvStream, SendStream};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::{info, warn};

use crate::{
    Event, Lane, Name,
    bye::Bye,
    counters::Tally,
    frame::{self, FrameError, Kind},
    queue::Queue,
};

/// Bytes that may wait for one peer on each lane.
const CONTROL_BYTES_MAX: usize = 1 << 20;
const LOG_BYTES_MAX: usize = 32 << 20;
const BULK_BYTES_MAX: usize = 16 << 20;
/// Frames are written together up to about this size.
const WRITE_BYTES: usize = 64 << 10;
/// A peer that sent nonsense is not heard again for this long.
const PENALTY: Duration = Duration::from_secs(1);

/// The tie.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: Name,
    lanes: [Queue; 3],
    current: Mutex<Option<Connection>>,
}

const LANES: [(Lane, Kind, i32); 3] =
    [(Lane::Control, Kind::Control, 2), (Lane::Log, Kind::Log, 1), (Lane::Bulk, Kind::Bulk, 0)];

impl Link {
    pub(crate) fn new(name: Name) -> Link {
        let lanes = [
            Queue::new(CONTROL_BYTES_MAX, true),
            Queue::new(LOG_BYTES_MAX, false),
            Queue::new(BULK_BYTES_MAX, false),
        ];
        Link { name, lanes, current: Mutex::new(None) }
    }

    /// Queues a frame while a connection stands; otherwise it is dropped like any lost datagram:
    /// the protocol says again what still matters.
    pub(crate) fn send(&self, lane: Lane, body: Bytes, tally: &Tally) {
        let fits = (1..=kind(lane).bytes_max()).contains(&body.len());
        let dropped = match fits && self.lock().is_some() {
            true => self.lanes[place(lane)].push(body),
            false => 1,
        };
        tally.frames_dropped.fetch_add(dropped, Relaxed);
    }

    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.lock().as_ref().map(Connection::rtt)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `connection` the one that stands; one that stood before is closed, for the peer that
    /// dialled anew has forgotten it.
    fn install(&self, connection: &Connection) {
        for queue in &self.lanes {
            queue.clear();
        }
        if let Some(former) = self.lock().replace(connection.clone()) {
            Bye::Replaced.say(&former, "a newer connection took its place");
        }
    }

    /// Whether `connection` stood until now; it stands no more.
    fn remove(&self, connection: &Connection) -> bool {
        let mut current = self.lock();
        let own = current.as_ref().is_some_and(|c| c.stable_id() == connection.stable_id());
        if own {
            *current = None;
        }
        own
    }

    /// Carries frames both ways for as long as the connection stands.
    pub(crate) async fn serve(
        self: &Arc<Link>,
        connection: Connection,
        cluster_id: u64,
        events: &mpsc::Sender<Event>,
        tally: &Arc<Tally>,
    ) {
        self.install(&connection);
        info!(peer = %self.name, "connected");
        // A closed channel means that the mesh is going down with its owner.
        let _ = events.send(Event::Up(self.name.clone())).await;
        let mut tasks = JoinSet::new();
        for (lane, kind, priority) in LANES {
            let (link, connection) = (Arc::clone(self), connection.clone());
            tasks.spawn(async move {
                let Ok(mut stream) = connection.open_uni().await else { return };
                // It fails only on a stream that is closed already, and then writing fails too.
                let _ = stream.set_priority(priority);
                let preamble = frame::preamble(kind, cluster_id);
                if stream.write_all(&preamble).await.is_ok() {
                    write(&link.lanes[place(lane)], &mut stream).await;
                }
            });
        }
        while let Ok(stream) = connection.accept_uni().await {
            let (link, connection) = (Arc::clone(self), connection.clone());
            let (events, tally) = (events.clone(), Arc::clone(tally));
            tasks.spawn(async move {
                if let Err(error) = read(stream, cluster_id, &link.name, &events).await {
                    link.punish(&connection, &error, &tally).await;
                }
            });
        }
        tasks.shutdown().await;
        if self.remove(&connection) {
            let why = connection.close_reason().map(|error| Bye::words(&error));
            info!(peer = %self.name, why = why.as_deref().unwrap_or_default(), "disconnected");
            let _ = events.send(Event::Down(self.name.clone())).await;
        }
    }

    /// A peer that sends what is no frame loses its connection after a while, in which it is not
    /// heard; it never stops us.
    async fn punish(&self, connection: &Connection, error: &FrameError, tally: &Tally) {
        if matches!(error, FrameError::Gone(_)) {
            return;
        }
        if Tally::count(&tally.frames_malformed) {
            warn!(peer = %self.name, %error, "malformed frame");
        }
        tokio::time::sleep(PENALTY).await;
        let bye = match error {
            FrameError::Cluster { .. } => Bye::WrongCluster,
            _ => Bye::Malformed,
        };
        bye.say(connection, &error.to_string());
    }
}

const fn kind(lane: Lane) -> Kind {
    match lane {
        Lane::Control => Kind::Control,
        Lane::Log => Kind::Log,
        Lane::Bulk => Kind::Bulk,
    }
}

const fn place(lane: Lane) -> usize {
    match lane {
        Lane::Control => 0,
        Lane::Log => 1,
        Lane::Bulk => 2,
    }
}

/// Writes what the queue has, many small frames in one go.
async fn write(queue: &Queue, stream: &mut SendStream) {
    loop {
        let mut out = BytesMut::new();
        for body in queue.take().await {
            frame::put(&mut out, &body);
            if out.len() >= WRITE_BYTES && stream.write_chunk(out.split().freeze()).await.is_err() {
                return;
            }
        }
        if !out.is_empty() && stream.write_chunk(out.freeze()).await.is_err() {
            return;
        }
    }
}

/// Reads one lane to its end.
async fn read(
    mut stream: RecvStream,
    cluster_id: u64,
    from: &Name,
    events: &mpsc::Sender<Event>,
) -> Result<(), FrameError> {
    let kind = frame::read_preamble(&mut stream, cluster_id).await?;
    let lane = LANES.iter().find(|(_, own, _)| *own == kind).map(|(lane, _, _)| *lane);
    let lane = lane.ok_or(FrameError::Kind(kind as u8))?;
    while let Some(body) = frame::read(&mut stream, kind.bytes_max()).await? {
        let event = Event::Frame { from: from.clone(), lane, body };
        if events.send(event).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
