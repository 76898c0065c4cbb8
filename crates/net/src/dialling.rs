//! Keeping a connection to one peer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use quinn::{Connection, Endpoint};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use crate::{
    AskError, Credentials, Event,
    call::{self, Call},
    counters::Count,
    limits::Limits,
    link::Link,
    listener::House,
    tls, transport,
};

/// Attempts under way at once.
const ATTEMPTS_MAX: usize = 16;
/// A connection that stood this long was a good one: when it ends, the peer is dialled with fresh
/// patience. One that is taken away at once, again and again, is dialled ever less often.
const GOOD_AFTER: Duration = Duration::from_millis(100);

pub(crate) struct Dialling {
    pub(crate) link: Arc<Link>,
    pub(crate) address: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) credentials: Credentials,
    pub(crate) house: Arc<House>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl Dialling {
    /// Dials, serves, dials again.
    pub(crate) async fn forever(self) {
        let this = Arc::new(self);
        let failed = Count::default();
        let mut failures = 0;
        loop {
            if let Some(left) = this.house.penalties.left(&this.link.identity, Instant::now()) {
                sleep(left).await;
            }
            match this.reach(&mut failures).await {
                Ok(connection) => {
                    let since = Instant::now();
                    this.link.serve(connection, &this.house, &this.events).await;
                    if since.elapsed() >= GOOD_AFTER {
                        failures = 0;
                    }
                }
                Err(error) => this.tell(&failed, &error),
            }
            this.pause(&mut failures).await;
        }
    }

    /// A connection that was let in. Handshakes overlap, each begun a while after the one before: a
    /// datagram to a peer that is just starting is lost without a word, and QUIC would wait ever
    /// longer before it sends another. Only one of them says hello, so the peer serves only one.
    async fn reach(self: &Arc<Self>, failures: &mut u32) -> Result<Connection, AskError> {
        let mut attempts = JoinSet::new();
        let call = loop {
            if attempts.len() < ATTEMPTS_MAX {
                let (this, nth) = (Arc::clone(self), *failures);
                let patience = this.house.limits.attempt;
                attempts.spawn(async move { timeout(patience, this.attempt(nth)).await });
            }
            tokio::select! {
                Some(done) = attempts.join_next() => match done {
                    Ok(Ok(Ok(call))) => break call,
                    Ok(Ok(Err(error))) => return Err(error),
                    // Too slow, or cancelled with everything: the next attempt is under way.
                    Ok(Err(_)) | Err(_) => {}
                },
                knocked = self.pause(failures) => if knocked {
                    // Those under way wait to send again what was lost, and would for long.
                    attempts = JoinSet::new();
                },
            }
        };
        attempts.abort_all();
        call.greet(&self.house.hello, self.house.limits.hello).await
    }

    /// Waits before another attempt: ever longer, or until the peer knocks, which this tells.
    async fn pause(&self, failures: &mut u32) -> bool {
        tokio::select! {
            () = sleep(backoff(*failures, &self.house.limits)) => {
                *failures += 1;
                false
            }
            () = self.link.knocked.notified() => {
                *failures = 0;
                true
            }
        }
    }

    async fn attempt(&self, nth: u32) -> Result<Call, AskError> {
        let all = call::resolve(&self.address, &self.endpoint).await?;
        let address = all[nth as usize % all.len()];
        let expect = self.link.identity.clone();
        let transport = transport::peer(self.house.congestion);
        Call::ring(&self.endpoint, &self.credentials, tls::ALPN_PEER, expect, address, transport)
            .await
    }

    fn tell(&self, failed: &Count, error: &AskError) {
        let peer = &self.link.name;
        match (error, failed.one()) {
            (AskError::Connect { identity: true, .. }, Some(attempts)) => {
                warn!(%peer, %error, attempts, "refused");
            }
            _ => debug!(%peer, %error, "cannot connect"),
        }
    }
}

/// Exponential, with up to half of it by chance, so that two nodes do not knock in step.
fn backoff(failures: u32, limits: &Limits) -> Duration {
    let full = limits.redial_min.saturating_mul(1 << failures.min(10)).min(limits.redial_max);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn waits_grow_to_their_last_and_differ() {
        for (failures, full_ms) in [(0, 20), (1, 40), (3, 160), (10, 200), (u32::MAX, 200)] {
            let full = Duration::from_millis(full_ms);
            let waits: BTreeSet<Duration> =
                (0..100).map(|_| backoff(failures, &Limits::DEFAULT)).collect();
            let within = |wait: &Duration| full / 2 <= *wait && *wait <= full;
            assert!(waits.iter().all(within), "{failures}: {waits:?}");
            assert!(waits.len() > 50, "{failures}: nodes would knock in step, {waits:?}");
        }
    }
}
