//! Reaching nodes, and asking one of them how it is.

use std::sync::Arc;

use bytes::Bytes;
use synod_machine::door::{Ask, Call, NodeStatus, Said};
use tokio::{task::JoinSet, time::timeout_at};

use crate::{
    ask::Attempt,
    client::nonsense,
    deadline::Deadline,
    error::{ConnectError, Error, Why},
    party::Party,
    route::{Place, Route},
    wire::encode,
};

/// What a node is given to answer a greeting: longer than anybody waits for one.
const GREETING_WITHIN_MS: u32 = 10_000;

/// What a node is asked first: any client may, and it costs the node next to nothing.
pub(crate) fn greeting() -> Bytes {
    encode(&Ask { within_ms: GREETING_WITHIN_MS, call: Call::Status })
}

impl Route {
    /// Waits until some node has answered.
    pub(crate) async fn reach_any(
        self: &Arc<Self>,
        deadline: Deadline,
    ) -> Result<(), ConnectError> {
        let mut dialling = JoinSet::new();
        for place in 0..self.nodes().len() {
            let route = Arc::clone(self);
            dialling.spawn(async move { route.dial_until_identity(place).await });
        }
        let reached = async {
            while let Some(joined) = dialling.join_next().await {
                if matches!(joined, Ok(true)) {
                    return true;
                }
            }
            false
        };
        if timeout_at(deadline.at(), reached).await == Ok(true) {
            return Ok(());
        }
        Err(self.unreached())
    }

    /// Whether it was reached; `false` only when an identity was refused.
    async fn dial_until_identity(&self, place: Place) -> bool {
        let mut pause = Party::rest();
        loop {
            match self.node(place).line(&self.wire).await {
                Ok(_) => return true,
                Err(trouble) if trouble.identity => return false,
                Err(_) => tokio::time::sleep(pause.next()).await,
            }
        }
    }

    pub(crate) async fn status_of(
        &self,
        place: Place,
        deadline: Deadline,
    ) -> Result<NodeStatus, Error> {
        match self.ask_node(place, Call::Status, deadline).await {
            Attempt::Said(Said::Status(status)) => Ok(*status),
            Attempt::Said(Said::Refused(why)) => Err(Error::door(why)),
            Attempt::Said(Said::NotApplied(why)) => Err(Error::not_applied(Why::Node(why))),
            Attempt::Said(_) => Err(nonsense()),
            Attempt::Unsent => Err(Error::Connect(self.unreached_node(place))),
            Attempt::Lost | Attempt::Moved | Attempt::Late => {
                Err(Error::not_applied(Why::NoAnswer))
            }
        }
    }
}
