use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use synod_client::net::{Credentials, CredentialsError, Role, WebDoor, WebError};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{Duration, sleep, timeout},
};
use tracing::debug;

use crate::{
    Cut, Limits, Tally,
    answer::{Answer, Content},
    ask::{self, Ask},
    body,
    caller::Caller,
    desk::Desk,
    fault::Fault,
    gate,
    line::Line,
    query::Query,
    route,
    token::{Token, TokenError},
};

/// When the system has no more descriptors: some close meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where the door is, who may come, and whom it asks.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How callers are told apart.
    pub trust: Trust,
    /// What they may not exceed.
    pub limits: Limits,
    /// Which file holds what callers without certificates must show, if they must.
    pub token_file: Option<PathBuf>,
    /// The cluster, and as whom it is asked.
    pub cluster: synod_client::Config,
}

/// How callers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Not at all: whoever comes over loopback may do this.
    Loopback(Role),
    /// By certificates of the cluster, each with its role.
    Certificates,
}

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// It cannot listen there.
    #[error("{address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Whoever comes without a certificate comes over loopback.
    #[error("{address}: only loopback is served without certificates")]
    Exposed {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// Its files prove no identity.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// There is no token where one should be.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Its certificate cannot be shown.
    #[error(transparent)]
    Tls(#[from] WebError),
}

/// A door that listens; [`Door::serve`] lets in.
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<WebDoor>,
    token: Option<Token>,
    config: Config,
    tally: Arc<dyn Tally>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Door {
    /// Listens. The cluster is reached later, and need not be there.
    pub async fn open(config: Config, tally: impl Tally) -> Result<Door, DoorError> {
        let address = config.listen;
        let tls = match config.trust {
            Trust::Loopback(_) if !address.ip().is_loopback() => {
                return Err(DoorError::Exposed { address });
            }
            Trust::Loopback(_) => None,
            Trust::Certificates => {
                let files = &config.cluster.tls;
                let credentials = Credentials::load(&files.ca, &files.cert, &files.key)?;
                Some(WebDoor::new(&credentials)?)
            }
        };
        let token = config.token_file.as_deref().map(Token::load).transpose()?;
        let failed = |source| DoorError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Door { listener, address, tls, token, config, tally: Arc::new(tally) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped, and every connection with it.
    pub async fn serve(self) {
        self.tally.open(true);
        let desk = Arc::new(Desk::default());
        let mut connections = JoinSet::new();
        let cluster = self.config.cluster.clone();
        let reaching = async {
            desk.connect(cluster).await;
            std::future::pending::<()>().await
        };
        let house = Arc::new(House {
            desk: Arc::clone(&desk),
            limits: self.config.limits,
            bodies: body::room(&self.config.limits),
            plain: self.tls.is_none().then_some(self.address),
            token: self.token.clone(),
            tally: Arc::clone(&self.tally),
        });
        let places = Arc::new(Semaphore::new(self.config.limits.connections_max));
        tokio::pin!(reaching);
        loop {
            tokio::select! {
                () = &mut reaching => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream, &house, &places, &mut connections),
                    Err(error) => {
                        debug!(%error, "an HTTP connection was not accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_ended) = connections.join_next() => {}
            }
            let free = places.available_permits();
            self.tally.connections(self.config.limits.connections_max.saturating_sub(free));
        }
    }

    fn admit(
        &self,
        stream: TcpStream,
        house: &Arc<House>,
        places: &Arc<Semaphore>,
        connections: &mut JoinSet<()>,
    ) {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            self.tally.refused(Cut::Connections);
            return turn_away(&stream);
        };
        let (house, tls, trust) = (Arc::clone(house), self.tls.clone(), self.config.trust);
        connections.spawn(async move {
            // An answer goes out when it is there.
            let _slower_at_worst = stream.set_nodelay(true);
            match (trust, tls) {
                (Trust::Loopback(role), _) => house.converse(stream, Ok(Caller::plain(role))).await,
                (Trust::Certificates, Some(tls)) => house.shake_hands(stream, &tls).await,
                (Trust::Certificates, None) => {}
            }
            drop(place);
        });
    }
}

/// Says that there is no room, and closes; a peer that does not read it is not waited for.
fn turn_away(stream: &TcpStream) {
    const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
        retry-after: 1\r\ncontent-length: 0\r\n\r\n";
    let _full_or_gone = stream.try_write(BUSY);
}

/// What every connection meets.
struct House {
    desk: Arc<Desk>,
    limits: Limits,
    bodies: Arc<Semaphore>,
    /// Where it listens, if it asks for no certificates.
    plain: Option<SocketAddr>,
    token: Option<Token>,
    tally: Arc<dyn Tally>,
}

impl House {
    async fn shake_hands(self: Arc<House>, stream: TcpStream, tls: &WebDoor) {
        match timeout(self.limits.handshake_within, tls.accept(stream)).await {
            Ok(Ok((stream, identity))) => {
                self.converse(stream, Caller::certified(identity)).await;
            }
            Ok(Err(error)) => {
                debug!(%error, "an HTTPS caller was not let in");
                self.tally.refused(Cut::Handshake);
            }
            Err(_elapsed) => self.tally.refused(Cut::Handshake),
        }
    }

    /// One connection, from its first request to its last.
    async fn converse<S>(self: Arc<House>, stream: S, caller: Result<Caller, Fault>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (limits, tally) = (self.limits, Arc::clone(&self.tally));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.header_within)
            .max_header_size(limits.header_bytes_max)
            .max_buf_size(limits.header_bytes_max);
        let caller = Arc::new(caller);
        let service = service_fn(|request| {
            let (house, caller) = (Arc::clone(&self), Arc::clone(&caller));
            async move { Ok::<_, Infallible>(house.answer(&caller, request).await) }
        });
        let line = Line::new(stream, limits.write_within, Arc::clone(&tally));
        let midway = line.midway();
        if let Err(error) = http.serve_connection(TokioIo::new(line), service).await {
            debug!(%error, "an HTTP connection failed");
            // One that is silent between two requests is closed, and nobody is slow.
            if error.is_timeout() && midway.load(Ordering::Relaxed) {
                tally.refused(Cut::Slow);
            } else if error.is_parse() {
                tally.refused(Cut::Malformed);
            }
        }
    }

    async fn answer(
        &self,
        caller: &Result<Caller, Fault>,
        request: Request<Incoming>,
    ) -> Response<Content> {
        let answer = match caller {
            Ok(caller) => self.serve(caller, request).await.unwrap_or_else(Answer::from),
            Err(fault) => fault.clone().into_answer(),
        };
        self.tally.answered(answer.status.as_u16());
        answer.into_response()
    }

    async fn serve(&self, caller: &Caller, request: Request<Incoming>) -> Result<Answer, Fault> {
        let (head, body) = request.into_parts();
        gate::check(&head, self.plain)?;
        self.token.as_ref().map_or(Ok(()), |token| token.check(&head.headers))?;
        let (route, params) = route::find(&head.method, head.uri.path())?;
        caller.may(route.needs)?;
        let query = Query::parse(head.uri.query(), route.query)?;
        let within = ask::deadline(&head.headers)?;
        let room = (&self.bodies, &*self.tally);
        let (body, place) = body::read(route.takes, &head, body, &self.limits, room).await?;
        let key = ask::key(&head.headers, caller)?;
        let (keyed, client) = (key.is_some(), self.desk.client(caller)?.within(within));
        let client = match key {
            Some(key) => client.keyed(key),
            None => client,
        };
        let (caller, headers) = (caller.clone(), head.headers);
        let ask = Ask { client, caller, params, query, headers, body, keyed };
        let answer = (route.serve)(ask).await;
        drop(place);
        answer
    }
}
