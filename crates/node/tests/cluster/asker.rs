//! A client without the client library: one call, one answer, and a loop that follows redirects.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use synod_machine::{
    Answer, Command, Query, Reply, Request, RequestId, Seq, SessionId,
    door::{Ask, Call, Freshness, NodeStatus, Said},
};
use synod_net::{AskError, Channel, Credentials, Dialer, Who};
use tokio::time::{Instant, timeout};

use crate::world::{PATIENCE, name};

/// How long one call waits.
const WITHIN_MS: u32 = 2_000;

pub(crate) struct Asker {
    own: String,
    dialer: Dialer,
    nodes: Vec<(String, String)>,
    channels: BTreeMap<String, Channel>,
    /// The place of the node that last answered as leader: a dead one takes seconds to ask.
    place: usize,
    session: Option<SessionId>,
    seq: u64,
}

impl Asker {
    pub(crate) fn new(
        credentials: Credentials,
        cluster_id: u64,
        nodes: Vec<(String, String)>,
    ) -> Asker {
        let own = match &credentials.identity().who {
            Who::Client { name, .. } | Who::Node(name) => name.to_string(),
        };
        let dialer = Dialer::new(credentials, cluster_id).unwrap();
        Asker { own, dialer, nodes, channels: BTreeMap::new(), place: 0, session: None, seq: 0 }
    }

    /// One call to one node.
    pub(crate) async fn ask(&mut self, node: &str, call: Call) -> Result<Said, AskError> {
        self.ask_within(node, call, WITHIN_MS).await
    }

    pub(crate) async fn ask_within(
        &mut self,
        node: &str,
        call: Call,
        within_ms: u32,
    ) -> Result<Said, AskError> {
        let body = postcard::to_allocvec(&Ask { within_ms, call }).unwrap();
        let bytes = self.ask_bytes(node, body.into()).await?;
        Ok(postcard::from_bytes(&bytes).unwrap())
    }

    /// Any bytes to one node.
    pub(crate) async fn ask_bytes(&mut self, node: &str, body: Bytes) -> Result<Bytes, AskError> {
        let channel = self.channel(node).await?;
        // The node answers by the call's deadline; this one is for a node that does not.
        let answered = timeout(Duration::from_secs(5), channel.ask(body)).await;
        let answered = answered.unwrap_or_else(|_| panic!("{node} never answered"));
        if answered.is_err() {
            self.channels.remove(node);
        }
        answered
    }

    async fn channel(&mut self, node: &str) -> Result<Channel, AskError> {
        if let Some(channel) = self.channels.get(node)
            && !channel.is_closed()
        {
            return Ok(channel.clone());
        }
        let (_, address) = self.nodes.iter().find(|(other, _)| other == node).unwrap();
        let channel = self.dialer.connect(address, &Who::Node(name(node))).await?;
        self.channels.insert(node.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Asks whoever leads, looking for it as long as patience lasts. The same call is sent again
    /// after a lost answer, as a client may: its name makes it take effect once.
    pub(crate) async fn ask_leader(&mut self, call: Call) -> Said {
        let until = Instant::now() + PATIENCE;
        loop {
            let node = self.nodes[self.place].0.clone();
            let next = (self.place + 1) % self.nodes.len();
            let last = match self.ask(&node, call.clone()).await {
                Ok(Said::NotLeader { leader }) => {
                    let named =
                        self.nodes.iter().position(|(node, _)| Some(node) == leader.as_ref());
                    self.place = named.unwrap_or(next);
                    format!("{node} names {leader:?}")
                }
                Ok(said @ (Said::NotApplied(_) | Said::Unknown)) => format!("{node}: {said:?}"),
                Ok(said) => return said,
                Err(error) => {
                    self.place = next;
                    format!("{node}: {error}")
                }
            };
            assert!(Instant::now() < until, "nobody leads; at last {last}");
            // A leader is being looked for: the nodes take turns on this thread.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Submits a command in this client's session, which is opened first.
    pub(crate) async fn submit(&mut self, command: Command) -> Reply {
        let call = self.prepare(command).await;
        match self.ask_leader(call).await {
            Said::Reply(reply) => reply,
            other => panic!("a submit was answered with {other:?}"),
        }
    }

    /// The call that submits a command under the next number of the session.
    pub(crate) async fn prepare(&mut self, command: Command) -> Call {
        let session = match self.session {
            Some(session) => session,
            None => self.open().await,
        };
        self.seq += 1;
        let id = RequestId { session, seq: Seq::new(self.seq) };
        Call::Submit(Request { id: Some(id), acked: Seq::new(self.seq), command })
    }

    async fn open(&mut self) -> SessionId {
        let command = Command::OpenSession { owner: self.own.clone(), ttl_ms: 60_000 };
        let call = Call::Submit(Request { id: None, acked: Seq::ZERO, command });
        let Said::Reply(Reply::Session(session)) = self.ask_leader(call).await else {
            panic!("no session")
        };
        self.session = Some(session);
        session
    }

    pub(crate) async fn put(&mut self, key: &str, value: &str) -> Reply {
        let (key, value) = (Bytes::from(key.to_owned()), Bytes::from(value.to_owned()));
        self.submit(Command::Put { key, value }).await
    }

    /// A linearizable read.
    pub(crate) async fn get(&mut self, key: &str) -> Option<Bytes> {
        value(self.ask_leader(read(key, Freshness::Linearizable)).await)
    }

    /// What one node has applied.
    pub(crate) async fn stale(&mut self, node: &str, key: &str) -> Option<Bytes> {
        value(self.ask(node, read(key, Freshness::Stale)).await.unwrap())
    }

    pub(crate) async fn status(&mut self, node: &str) -> NodeStatus {
        match self.ask(node, Call::Status).await.unwrap() {
            Said::Status(status) => *status,
            other => panic!("status was answered with {other:?}"),
        }
    }

    /// The number of a node that has just served as leader.
    pub(crate) async fn leader(&mut self) -> usize {
        let none = read("nothing", Freshness::Linearizable);
        self.ask_leader(none).await;
        self.place + 1
    }

    /// Waits until `node` has applied a write of `key` with this value.
    pub(crate) async fn wait_for(&mut self, node: &str, key: &str, wanted: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Ok(said) = self.ask(node, read(key, Freshness::Stale)).await
                && value(said).as_deref() == Some(wanted.as_bytes())
            {
                return;
            }
            assert!(Instant::now() < until, "{node} never learns {key} = {wanted}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn read(key: &str, freshness: Freshness) -> Call {
    Call::Read { query: Query::Get { key: Bytes::from(key.to_owned()) }, freshness }
}

fn value(said: Said) -> Option<Bytes> {
    match said {
        Said::Answer(Answer::Key { entry, .. })
        | Said::Stale { answer: Answer::Key { entry, .. }, .. } => entry.map(|entry| entry.value),
        other => panic!("a read was answered with {other:?}"),
    }
}
