//! ZooKeeper by its own protocol: framed jute over TCP, answers in the order of requests.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

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
const PING: i32 = 11;
/// Numbers that are no request's: of a ping, and of what is told without a question.
const PING_XID: i32 = -2;
const EVENT_XID: i32 = -1;
const NO_NODE: i32 = -101;
const NODE_EXISTS: i32 = -110;
/// How long a session is to live when nothing is heard of it; the server says how long it does.
const SESSION_MS: i32 = 60_000;
/// Signs of life in that time, while it is another system's turn.
const PINGS: u32 = 3;
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
    host: String,
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
        let (writer, lives) = Writer::open(&self.host).await?;
        let shared = Arc::new(Shared { host: self.host.clone(), write: Mutex::new(writer) });
        tokio::spawn(keep_alive(Arc::downgrade(&shared), lives / PINGS));
        Ok(Connection(shared))
    }
}

impl Writer {
    /// A new session, and how long it lives when nothing is heard of it.
    async fn open(host: &str) -> Result<(Writer, Duration), BenchError> {
        let io = || BenchError::io(host);
        let tcp = TcpStream::connect(host).await.map_err(io())?;
        tcp.set_nodelay(true).map_err(io())?;
        let (mut read, mut half) = tcp.into_split();
        half.write_all(&hello()).await.map_err(io())?;
        let mut welcome = frame(&mut read).await.map_err(io())?;
        if welcome.remaining() < 8 {
            return Err(failed("a welcome that is too short"));
        }
        let (_version, lives_ms) = (welcome.get_i32(), welcome.get_i32());
        // So it refuses a session.
        let lives_ms = u64::try_from(lives_ms).ok().filter(|ms| *ms > 0);
        let lives_ms = lives_ms.ok_or_else(|| failed("it opens no session"))?;
        let (waiting, waits) = mpsc::unbounded_channel();
        // It ends when the connection does; whoever waits then is told that nobody will answer.
        tokio::spawn(answers(read, waits));
        Ok((Writer { half, waiting }, Duration::from_millis(lives_ms)))
    }
}

/// Tells the server now and then that its client is there, as its own clients do: a connection on
/// which nothing is asked is ended otherwise, and with it the session.
async fn keep_alive(shared: Weak<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut ping = BytesMut::new();
        ping.put_i32(8);
        ping.put_i32(PING_XID);
        ping.put_i32(PING);
        // Whoever asks next hears that the connection is gone.
        let _gone = shared.write.lock().await.half.write_all(&ping).await;
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
        // A session that ended while nobody asked anything took nothing with it.
        if writer.waiting.is_closed() {
            *writer = Writer::open(&self.0.host).await?.0;
        }
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
        let (xid, _zxid, code) = (answer.get_i32(), answer.get_i64(), answer.get_i32());
        if xid == PING_XID || xid == EVENT_XID {
            continue;
        }
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that welcomes one client, and what it hears of it.
    struct Server {
        read: OwnedReadHalf,
        write: OwnedWriteHalf,
    }

    impl Server {
        async fn accept(listener: &TcpListener, lives_ms: i32) -> Server {
            let (mut read, write) = listener.accept().await.unwrap().0.into_split();
            frame(&mut read).await.unwrap();
            let mut server = Server { read, write };
            let mut welcome = BytesMut::new();
            welcome.put_i32(0);
            welcome.put_i32(lives_ms);
            welcome.put_i64(7);
            server.say(&welcome).await;
            server
        }

        async fn say(&mut self, body: &[u8]) {
            let mut framed = BytesMut::new();
            buffer(body, &mut framed);
            self.write.write_all(&framed).await.unwrap();
        }

        /// The number and kind of what comes next.
        async fn hear(&mut self) -> (i32, i32) {
            let mut body = frame(&mut self.read).await.unwrap();
            (body.get_i32(), body.get_i32())
        }

        async fn answer(&mut self, xid: i32, code: i32) {
            let mut body = BytesMut::new();
            body.put_i32(xid);
            body.put_i64(1);
            body.put_i32(code);
            self.say(&body).await;
        }

        async fn serve_a_read(&mut self) {
            for kind in [SYNC, GET_DATA] {
                let (xid, heard) = loop {
                    match self.hear().await {
                        (PING_XID, _) => {}
                        asked => break asked,
                    }
                };
                assert_eq!(heard, kind);
                self.answer(xid, 0).await;
            }
        }
    }

    async fn server() -> (TcpListener, ZooKeeper) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        (listener, ZooKeeper { host, pids: Pids::default() })
    }

    /// While it is another system's turn nothing is asked, and the session lives on by its pings,
    /// whose answers are nobody's.
    #[tokio::test]
    async fn a_session_that_asks_nothing_is_kept_alive() {
        let (listener, zookeeper) = server().await;
        let (connection, mut server) =
            tokio::join!(zookeeper.connect(), Server::accept(&listener, 30));
        let connection = connection.unwrap();
        assert_eq!(server.hear().await, (PING_XID, PING));
        server.answer(PING_XID, 0).await;
        let (read, ()) = tokio::join!(connection.get("bench/1"), server.serve_a_read());
        assert_eq!(read.unwrap(), Answered::Done);
    }

    /// A session that ended between two turns is opened anew: nothing was under way.
    #[tokio::test]
    async fn a_session_that_ended_between_two_turns_is_opened_anew() {
        let (listener, zookeeper) = server().await;
        let (connection, mut server) =
            tokio::join!(zookeeper.connect(), Server::accept(&listener, 60_000));
        let connection = connection.unwrap();
        let (read, ()) = tokio::join!(connection.get("bench/1"), server.serve_a_read());
        assert_eq!(read.unwrap(), Answered::Done);
        drop(server);
        let waiting = connection.0.write.lock().await.waiting.clone();
        waiting.closed().await;
        let anew = async { Server::accept(&listener, 60_000).await.serve_a_read().await };
        let (read, ()) = tokio::join!(connection.get("bench/1"), anew);
        assert_eq!(read.unwrap(), Answered::Done);
    }

    /// One that refuses is not taken for a session.
    #[tokio::test]
    async fn a_server_that_opens_no_session_is_heard() {
        let (listener, zookeeper) = server().await;
        let (refused, _server) = tokio::join!(zookeeper.connect(), Server::accept(&listener, 0));
        assert!(refused.unwrap_err().to_string().contains("opens no session"));
    }
}
