//! A door without a cluster, and callers that send what no honest one does. What is refused here is
//! refused before anybody is asked.

mod hostile;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use synod_client::{
    Endpoint,
    net::{Name, Role, settings::TlsFiles},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use crate::{Config, Cut, Door, Limits, Tally, Trust};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the door counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted(Arc<Mutex<BTreeMap<Cut, u32>>>);

impl Counted {
    pub(crate) fn of(&self, why: Cut) -> u32 {
        self.0.lock().unwrap().get(&why).copied().unwrap_or_default()
    }
}

impl Tally for Counted {
    fn open(&self, _: bool) {}

    fn connections(&self, _: usize) {}

    fn answered(&self, _: u16) {}

    fn refused(&self, why: Cut) {
        *self.0.lock().unwrap().entry(why).or_default() += 1;
    }
}

/// A door that has nobody to ask.
pub(crate) struct Alone {
    pub(crate) address: SocketAddr,
    pub(crate) counted: Counted,
    serving: JoinHandle<()>,
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Alone {
    pub(crate) async fn open(limits: Limits) -> Alone {
        let name = |name| Name::new(name).unwrap();
        let nowhere = Endpoint { name: name("n1"), address: "127.0.0.1:1".to_owned() };
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            trust: Trust::Loopback(Role::Write),
            limits,
            token_file: None,
            cluster: synod_client::Config {
                cluster: name("nowhere"),
                cluster_id: 1,
                endpoints: vec![nowhere],
                tls: TlsFiles { ca: "".into(), cert: "".into(), key: "".into() },
                timeout: Duration::from_secs(1),
                session_ttl: Duration::from_secs(1),
            },
        };
        let counted = Counted::default();
        let door = Door::open(config, counted.clone()).await.unwrap();
        let address = door.address();
        Alone { address, counted, serving: tokio::spawn(door.serve()) }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that comes after this was sent, until the connection ends.
    pub(crate) async fn said(&self, text: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // A door that has closed already is heard all the same.
        let _closed = stream.write_all(text.as_ref()).await;
        all(&mut stream).await
    }

    /// The status of what came.
    pub(crate) async fn status(&self, text: impl AsRef<[u8]>) -> Option<u16> {
        self.said(text).await.split(' ').nth(1)?.parse().ok()
    }

    /// A request with a host, and the connection closed after it.
    pub(crate) fn request(&self, ask: &str, rest: &str) -> String {
        let host = self.address;
        format!("{ask} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{rest}\r\n")
    }

    /// The door lets in whoever is honest: it has nobody to ask, and says so.
    pub(crate) async fn serves(&self) {
        let status = self.status(self.request("GET /v1/kv/a", "")).await;
        assert_eq!(status, Some(503));
    }
}

/// What comes until the connection ends.
pub(crate) async fn all(stream: &mut TcpStream) -> String {
    let mut octets = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut octets)).await;
    // A connection that is reset has told what it told.
    let _reset = read.expect("the connection ends");
    String::from_utf8_lossy(&octets).into_owned()
}
