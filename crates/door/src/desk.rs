//! The clients with which callers are served: one way to the cluster, and a session a caller.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, OnceLock},
    time::Duration,
};

use synod_client::{Client, Config, Error};
use tokio::time::{Instant, sleep};

use crate::{caller::Caller, fault::Fault};

/// Between two attempts to reach the cluster.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Callers whose sessions are kept: one more, and who has been silent for longest opens another
/// when it comes again. All doors of a cluster may have 1 024 sessions.
const CALLERS_MAX: usize = 100;

/// Knows the cluster, once it was reached.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    client: OnceLock<Client>,
    /// By name: when they last asked.
    callers: Mutex<BTreeMap<String, (Instant, Client)>>,
}

impl Desk {
    /// Tries to reach the cluster until that is done, or can never be.
    pub(crate) async fn connect(&self, config: Config) {
        let mut pause = PAUSE;
        loop {
            match Client::connect(config.clone()).await {
                Ok(client) => return drop(self.client.set(client)),
                Err(error @ (Error::Credentials(_) | Error::WrongCluster { .. })) => {
                    tracing::error!(%error, "the door cannot ask the cluster, and gives up");
                    return;
                }
                Err(error) => tracing::debug!(%error, "the door has not reached the cluster"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// A client that asks for this caller.
    pub(crate) fn client(&self, caller: &Caller) -> Result<Client, Fault> {
        let Some(client) = self.client.get() else {
            return Err(Fault::not_now("the door has not reached the cluster yet"));
        };
        let mut callers = self.callers();
        if !callers.contains_key(caller.name()) && callers.len() >= CALLERS_MAX {
            let silent = callers.iter().min_by_key(|(_, (asked, _))| *asked);
            let silent = silent.map(|(name, _)| name.clone());
            silent.map(|name| callers.remove(&name));
        }
        let own = || (Instant::now(), client.on_behalf_of(caller.name()));
        let (asked, client) = callers.entry(caller.name().to_owned()).or_insert_with(own);
        *asked = Instant::now();
        Ok(client.clone())
    }

    fn callers(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, Client)>> {
        self.callers.lock().expect("nothing panics while it is held")
    }
}
