//! Telling a peer that dials this node that it is there.
//!
//! Of two nodes the one whose name sorts lower dials, and whoever has dialled in vain for a while
//! waits longer and longer. A node that is back would have to sit out such a wait before it hears
//! of the others, who may be at work, and may know what its disk has forgotten. So with its first
//! step it knocks at each of them: a connection that carries nothing, upon which it is dialled.

use std::sync::Arc;

use quinn::Endpoint;
use tokio::time::timeout;
use tracing::debug;

use crate::{
    AskError, Credentials, Identity,
    bye::Bye,
    call::{self, Call},
    listener::House,
    tls, transport,
};

/// One knock at one peer.
pub(crate) struct Knock {
    pub(crate) at: Identity,
    pub(crate) address: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) credentials: Credentials,
    pub(crate) house: Arc<House>,
}

impl Knock {
    /// Knocks once. Nothing rests on its being heard: the peer dials again in any case, and one
    /// that is not there now dials when it starts.
    pub(crate) async fn once(self) {
        if let Ok(Err(error)) = timeout(self.house.limits.attempt, self.knock()).await {
            debug!(at = %self.at.who, %error, "nobody heard the knock");
        }
    }

    async fn knock(&self) -> Result<(), AskError> {
        let mut failed = None;
        for address in call::resolve(&self.address, &self.endpoint).await? {
            let transport = transport::peer(self.house.congestion);
            let expect = self.at.clone();
            let rung = Call::ring(
                &self.endpoint,
                &self.credentials,
                tls::ALPN_KNOCK,
                expect,
                address,
                transport,
            )
            .await;
            match rung {
                Ok(call) => {
                    let heard = call.greet(&self.house.hello, self.house.limits.hello).await?;
                    Bye::Stopping.say(&heard, "that was all");
                    return Ok(());
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
