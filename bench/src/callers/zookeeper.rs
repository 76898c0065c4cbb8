//! ZooKeeper by its own protocol: framed jute over TCP, answers in the order of requests.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, mpsc, oneshot},
};

use super::{Answered, Pids, wire::buffer};
use crate::BenchError;

const CREATE: i32 = 1;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const SYNC: i32 = 9;
const NO_NODE: i32 = -101;
const NODE_EXISTS: i32 = -110;
/// How long a session outlives its connection. No round of another system is longer.
const SESSION_MS: i32 = 60_000;
/// How long a server that has just been elected is given to serve.
const OPEN_TRIES: u32 = 100;
const OPEN_PAUSE: Duration = Duration::from_millis(100);
/// The parent of all keys.
const PARENT: &str = "/bench";

/// A cluster of ZooKeeper.
#[derive(Debug)]
pub struct ZooKeeper {
    host: String,
    pids: Pids,
}

/// A session with its leader. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    write: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    half: OwnedWriteHalf,
    /// Who waits, in the order of requests.
    waiting: mpsc::UnboundedSender<oneshot::Sender<i32>>,
}

impl ZooKeeper {
    /// At `host`. Makes the node that is the parent of all keys. A server that says that it leads
    /// may not serve yet, and then ends every session: it is asked again for a while.
    pub async fn open(host: String, pids: Pids) -> Result<ZooKeeper, BenchError> {
        let zookeeper = ZooKeeper { host, pids };
        let mut tries = 0;
        loop {
            tries += 1;
            match zookeeper.make_parent().await {
                Err(_) if tries < OPEN_TRIES => tokio::time::sleep(OPEN_PAUSE).await,
                made => return made.map(|()| zookeeper),
            }
        }
    }

    async fn make_parent(&self) -> Result<(), BenchError> {
        match self.connect().await?.call(&[create(PARENT, b"")]).await? {
            0 | NODE_EXISTS => Ok(()),
            code => Err(failed(format!("{PARENT} cannot be made: code {code}"))),
        }
    }

    pub(super) fn pids(&self) -> &Pids {
        &self.pids
    }

    pub(super) async fn connect(&self) -> Result<Connection, BenchError> {
        let io = || BenchError::io(&*self.host);
        let tcp = TcpStream::connect(&self.host).await.map_err(io())?;
        tcp.set_nodelay(true).map_err(io())?;
        let (mut read, mut half) = tcp.into_split();
        half.write_all(&hello()).await.map_err(io())?;
        frame(&mut read).await.map_err(io())?;
        let (waiting, waits) = mpsc::unbounded_channel();
        // It ends when the connection does; whoever waits then is told that nobody will answer.
        tokio::spawn(answers(read, waits));
        Ok(Connection(Arc::new(Shared { write: Mutex::new(Writer { half, waiting }) })))
    }
}

impl Connection {
    pub(super) async fn put(&self, key: &str, value: &[u8]) -> Result<Answered, BenchError> {
        let path = format!("/{key}");
        match self.call(&[set_data(&path, value)]).await? {
            // The first of its key.
            NO_NODE => match self.call(&[create(&path, value)]).await? {
                0 | NODE_EXISTS => Ok(Answered::Done),
                code => Err(failed(format!("a node cannot be made: code {code}"))),
            },
            0 => Ok(Answered::Done),
            code => Err(failed(format!("a node cannot be set: code {code}"))),
        }
    }

    /// A sync before the read makes it linearizable (Hunt et al., "ZooKeeper", §4.4).
    pub(super) async fn get(&self, key: &str) -> Result<Answered, BenchError> {
        let path = format!("/{key}");
        let (mut sync, mut get) = (BytesMut::new(), BytesMut::new());
        sync.put_i32(SYNC);
        buffer(path.as_bytes(), &mut sync);
        get.put_i32(GET_DATA);
        buffer(path.as_bytes(), &mut get);
        get.put_u8(0);
        match self.call(&[sync, get]).await? {
            0 | NO_NODE => Ok(Answered::Done),
            code => Err(failed(format!("a node cannot be read: code {code}"))),
        }
    }

    /// Sends requests in one write; the code of the last answer.
    async fn call(&self, requests: &[BytesMut]) -> Result<i32, BenchError> {
        let mut frames = BytesMut::new();
        for request in requests {
            frames.put_i32(i32::try_from(request.len() + 4).unwrap_or(i32::MAX));
            // Answers come in order, so nothing needs a number of its own.
            frames.put_i32(1);
            frames.put_slice(request);
        }
        let mut last = None;
        let mut writer = self.0.write.lock().await;
        for _ in requests {
            let (answer, answered) = oneshot::channel();
            writer.waiting.send(answer).map_err(|_| failed("the session has ended"))?;
            last = Some(answered);
        }
        writer.half.write_all(&frames).await.map_err(BenchError::io("zookeeper"))?;
        drop(writer);
        let last = last.ok_or_else(|| failed("nothing was asked"))?;
        last.await.map_err(|_| failed("the session has ended"))
    }
}

/// Hands every answer's code to whoever has waited longest.
async fn answers(
    mut read: OwnedReadHalf,
    mut waits: mpsc::UnboundedReceiver<oneshot::Sender<i32>>,
) {
    let mut next = VecDeque::new();
    while let Ok(mut answer) = frame(&mut read).await {
        while let Ok(wait) = waits.try_recv() {
            next.push_back(wait);
        }
        if answer.remaining() < 16 {
            return;
        }
        let (_xid, _zxid, code) = (answer.get_i32(), answer.get_i64(), answer.get_i32());
        // A caller that has given up does not hear its answer.
        let _given_up = next.pop_front().map(|wait| wait.send(code));
    }
}

async fn frame(read: &mut OwnedReadHalf) -> std::io::Result<Bytes> {
    let length = read.read_i32().await?;
    let mut body = vec![0; usize::try_from(length).unwrap_or_default()];
    read.read_exact(&mut body).await?;
    Ok(body.into())
}

/// The first frame: a session that is new.
fn hello() -> BytesMut {
    let mut body = BytesMut::new();
    body.put_i32(0);
    body.put_i64(0);
    body.put_i32(SESSION_MS);
    body.put_i64(0);
    buffer(&[0; 16], &mut body);
    let mut framed = BytesMut::new();
    buffer(&body, &mut framed);
    framed
}

fn create(path: &str, value: &[u8]) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_i32(CREATE);
    buffer(path.as_bytes(), &mut body);
    buffer(value, &mut body);
    // One entry of access: everybody may do everything.
    body.put_i32(1);
    body.put_i32(0x1f);
    buffer(b"world", &mut body);
    buffer(b"anyone", &mut body);
    body.put_i32(0);
    body
}

fn set_data(path: &str, value: &[u8]) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_i32(SET_DATA);
    buffer(path.as_bytes(), &mut body);
    buffer(value, &mut body);
    // Whatever version it has.
    body.put_i32(-1);
    body
}

fn failed(why: impl std::fmt::Display) -> BenchError {
    BenchError::Cluster(format!("zookeeper: {why}"))
}
