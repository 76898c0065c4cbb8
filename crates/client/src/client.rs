use std::{fmt, sync::Arc, time::Duration};

use synod_machine::{
    Answer, AuditEntry, Census, Command, Once, ParticipantName, ParticipantView, Query, Reply,
    RequestId, SessionId, SessionView, TxnId, TxnView, Verdict, door::NodeStatus, owner_name,
};
use synod_net::{Credentials, Who};

use crate::{
    config::Config,
    core::{Core, done},
    deadline::Deadline,
    error::{Error, Reached, Why},
    fates::Settled,
    kv::Kv,
    leader::LeaderWatch,
    participant::Participant,
    party::Party,
    reach,
    route::Route,
    scout,
    shard::Shard,
    standby,
    tally::TxnTally,
    txn::TxnBuilder,
    wire::Wire,
};

/// A node that is asked whether it leads answers in a round trip, or is not the leader to name.
const LEADER_PATIENCE: Duration = Duration::from_secs(1);

/// A handle on a cluster: cheap to clone, to be shared by all tasks of an application.
///
/// Connections are made and remade in the background. A session is opened when the first call needs
/// one: reads do not. When the last handle is dropped, the background ends; [`Client::close`] does
/// so in good order.
#[derive(Clone)]
pub struct Client {
    pub(crate) core: Arc<Core>,
    pub(crate) within: Duration,
    /// Under which its next write is done once.
    key: Option<synod_machine::Name>,
    _lifeline: Arc<Lifeline>,
}

/// Dropped with the last handle.
struct Lifeline(Arc<Core>);

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("within", &self.within).finish_non_exhaustive()
    }
}

impl Client {
    /// Checks the credentials and reaches a node, trying for as long as a call may take. Fails at
    /// once when every node refuses the identity.
    pub async fn connect(config: Config) -> Result<Client, Error> {
        let files = &config.tls;
        let credentials = Credentials::load(&files.ca, &files.cert, &files.key)?;
        let identity = credentials.identity();
        if identity.cluster != config.cluster {
            return Err(Error::WrongCluster {
                expected: config.cluster.to_string(),
                found: identity.cluster.to_string(),
            });
        }
        let owner = match &identity.who {
            Who::Node(name) | Who::Client { name, .. } => format!("{name}/{}", std::process::id()),
        };
        let wire = Wire::quic(credentials, config.cluster_id)?;
        Client::open(wire, &config, owner).await
    }

    pub(crate) async fn open(wire: Wire, config: &Config, owner: String) -> Result<Client, Error> {
        let nodes = config.endpoints.iter().map(|endpoint| {
            let who = Who::Node(endpoint.name.clone());
            Party::new(endpoint.name.as_str(), &endpoint.address, who, reach::greeting())
        });
        let route = Arc::new(Route::new(wire, config.cluster.as_str(), nodes.collect()));
        let core = Arc::new(Core::new(Arc::clone(&route), owner, config.session_ttl));
        let client = Client {
            core: Arc::clone(&core),
            within: config.timeout,
            key: None,
            _lifeline: Arc::new(Lifeline(core)),
        };
        tokio::spawn(scout::run(Arc::clone(&route)));
        tokio::spawn(standby::run(Arc::clone(&route)));
        route.reach_any(Deadline::after(config.timeout)).await.map_err(Error::Connect)?;
        Ok(client)
    }

    /// The same client with another deadline for each call.
    #[must_use]
    pub fn within(&self, within: Duration) -> Client {
        Client { within, ..self.clone() }
    }

    /// A handle for one write that takes effect once, whichever process of this client (by the name
    /// in its certificate) asks for it, and in whichever session: whoever asks again under the same
    /// key is told what the first was told. For callers that may die before they have heard.
    ///
    /// It holds for keys and batches of them, for registers, counters and journals, and for
    /// [`Client::grant_lease`]; not for [`Client::lease`], which is renewed by the process that
    /// asked for it. What is held (a lock, a claim) is asked for again as it is: how it stands is
    /// the answer. The cluster knows a key for a day, and the latest 100 000 of all; another write
    /// under the same key is refused.
    ///
    /// ```no_run
    /// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
    /// let position = client.keyed("move-25544").journal("moves").append("east to west").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn keyed(&self, key: impl Into<String>) -> Client {
        Client { key: Some(synod_machine::Name::new(key)), ..self.clone() }
    }

    /// A client that asks for somebody else, over the connections of this one: its sessions are of
    /// the same name, and behind a `/` of whom they are for. For a door, which is one client to the
    /// cluster and keeps its callers apart by itself.
    ///
    /// It has sessions of its own, and is closed by itself; one that is made of a client that is
    /// closed is closed, too.
    #[must_use]
    pub fn on_behalf_of(&self, whom: &str) -> Client {
        let of = &self.core;
        let owner = format!("{}/{whom}", owner_name(of.owner()));
        let core = Arc::new(Core::new(Arc::clone(&of.route), owner, of.session_ttl()));
        // Nobody may look for the leader any more by then.
        if of.is_closed() {
            core.end();
        }
        let lifeline = Arc::new(Lifeline(Arc::clone(&core)));
        Client { core, within: self.within, key: None, _lifeline: lifeline }
    }

    /// Under which name this client opens its sessions: that of its certificate, and behind a `/`
    /// what tells its processes apart, or for whom it asks.
    pub fn owner(&self) -> &str {
        self.core.owner()
    }

    /// Linearizable keys.
    pub fn kv(&self) -> Kv {
        Kv::new(self.clone())
    }

    /// A transaction over several participants, and over keys.
    pub fn txn(&self) -> TxnBuilder {
        TxnBuilder::new(self.clone())
    }

    /// How this client's transactions fare, for an application's own metrics: how many are under
    /// way, and how long those took that ended. No node can tell.
    pub fn transactions(&self) -> TxnTally {
        self.core.tally.read()
    }

    /// The participant's side, for the process that is the participant of this name.
    pub fn participant(&self, name: &str) -> Participant {
        Participant::new(self.clone(), name)
    }

    /// A participant as others see it: what it holds, and what is in doubt there.
    pub fn shard(&self, name: &str) -> Shard {
        Shard::new(self.clone(), name)
    }

    /// What became of a request, for good: if it has not been applied by now, it never will be.
    pub async fn settle(&self, request: RequestId) -> Result<Settled, Error> {
        self.core.settle(request, self.deadline()).await
    }

    /// The reply of a request, if it took effect by now and its reply is still known. Unlike
    /// [`Client::settle`] it changes nothing, so `None` is no promise.
    pub async fn request(&self, request: RequestId) -> Result<Option<Reply>, Error> {
        match self.read(Query::Request { request }).await? {
            Answer::Request(reply) => Ok(reply),
            _ => Err(nonsense()),
        }
    }

    /// The log's verdict on a transaction. Only `InProgress` may change.
    pub async fn verdict(&self, txn: TxnId) -> Result<Verdict, Error> {
        match self.read(Query::Verdicts { txns: vec![txn] }).await? {
            Answer::Verdicts(verdicts) => verdicts.first().copied().ok_or_else(nonsense),
            _ => Err(nonsense()),
        }
    }

    /// A transaction with its participants.
    pub async fn txn_view(&self, txn: TxnId) -> Result<TxnView, Error> {
        match self.read(Query::Txn { txn }).await? {
            Answer::Txn(view) => Ok(view),
            _ => Err(nonsense()),
        }
    }

    /// Transactions after `after` whose decision is recorded and not yet acknowledged by all, and
    /// whether there are more than `limit`.
    pub async fn txns(
        &self,
        after: Option<TxnId>,
        limit: u32,
    ) -> Result<(Vec<TxnView>, bool), Error> {
        match self.read(Query::Txns { after, limit }).await? {
            Answer::Txns { txns, more } => Ok((txns, more)),
            _ => Err(nonsense()),
        }
    }

    /// Ends the log's wait for a participant that is gone for good and can never acknowledge this
    /// commit. Its role must be `admin`; who did it and why is on record before the effect.
    pub async fn forget_participant(
        &self,
        txn: TxnId,
        participant: &str,
        reason: impl Into<String>,
    ) -> Result<(), Error> {
        let command = Command::ForgetParticipant {
            txn,
            participant: ParticipantName::new(participant),
            actor: owner_name(self.core.owner()).to_owned(),
            reason: reason.into(),
        };
        self.submit(command, done).await
    }

    /// Every registered participant.
    pub async fn participants(&self) -> Result<Vec<ParticipantView>, Error> {
        self.core.participants(self.deadline()).await
    }

    /// Sessions after `after` that have not ended, and whether there are more than `limit`.
    pub async fn sessions(
        &self,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<(Vec<SessionView>, bool), Error> {
        match self.read(Query::Sessions { after, limit }).await? {
            Answer::Sessions { sessions, more } => Ok((sessions, more)),
            _ => Err(nonsense()),
        }
    }

    /// What was done by force or without being asked for, newest last.
    pub async fn audit(&self) -> Result<Vec<AuditEntry>, Error> {
        match self.read(Query::Audit).await? {
            Answer::Audit(entries) => Ok(entries),
            _ => Err(nonsense()),
        }
    }

    /// How much the cluster holds, and how much it has forgotten.
    pub async fn census(&self) -> Result<Census, Error> {
        match self.read(Query::Census).await? {
            Answer::Census(census) => Ok(census),
            _ => Err(nonsense()),
        }
    }

    /// How the node of this name sees itself and the cluster.
    pub async fn status(&self, node: &str) -> Result<NodeStatus, Error> {
        match self.core.route.place_of(node) {
            Some(place) => self.core.route.status_of(place, self.deadline()).await,
            None => Err(Error::Misuse(synod_machine::limits::Misuse::Contradiction(
                "no node of this name is in the configuration",
            ))),
        }
    }

    /// How every node sees itself, asked all at once: (name, status), in the order of the
    /// configuration. Once a quorum has answered, the others are not waited for much longer.
    pub async fn status_all(&self) -> Vec<(String, Result<NodeStatus, Error>)> {
        let route = &self.core.route;
        let heard = route.survey(self.deadline()).await;
        let names = route.nodes().iter().map(|node| node.name().to_owned());
        names.zip(heard).collect()
    }

    /// The name of the node that says of itself that it leads, asked just now.
    pub async fn leader(&self) -> Result<String, Error> {
        let (route, deadline) = (&self.core.route, self.deadline());
        while let Some(place) = route.leader(deadline).await {
            match route.status_of(place, deadline.or_after(LEADER_PATIENCE)).await {
                Ok(status) if status.role == "leader" => return Ok(status.node),
                Ok(_) | Err(_) => {
                    route.not_leading(place, None);
                }
            }
        }
        Err(route.nothing_done(Why::NoLeader))
    }

    /// Looks every `every` who leads, and tells of changes.
    pub fn watch_leader(&self, every: Duration) -> LeaderWatch {
        LeaderWatch::new(self.clone(), every)
    }

    /// Microseconds of a round trip to the leader, or to the nearest node that is connected.
    pub fn rtt_us(&self) -> Option<u64> {
        self.core.route.rtt().map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX))
    }

    /// How each node could last be reached: for people who wonder why none was found to lead.
    pub fn reached(&self) -> Vec<Reached> {
        let route = &self.core.route;
        let leader = *route.watch().borrow();
        let nodes = route.nodes().iter().enumerate();
        nodes.map(|(place, node)| node.reached(leader == Some(place))).collect()
    }

    /// Waits for transactions that are being finished in the background, ends the session, and with
    /// it the client: every handle. All of it within the handle's time.
    pub async fn close(&self) {
        self.core.close(self.deadline()).await;
    }

    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.within)
    }

    /// Does a command once, however often it has to be sent.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        command: Command,
        read: impl FnOnce(Reply) -> Option<T> + Send + 'static,
    ) -> Result<T, Error> {
        let command = match &self.key {
            Some(key) => Once::new(key.clone(), command).map_or_else(|it| *it, Command::Once),
            None => command,
        };
        self.core.submit(command, read, self.deadline()).await
    }

    pub(crate) async fn read(&self, query: Query) -> Result<Answer, Error> {
        self.core.read(query, self.deadline()).await
    }
}

pub(crate) fn nonsense() -> Error {
    Error::not_applied(Why::Nonsense)
}
