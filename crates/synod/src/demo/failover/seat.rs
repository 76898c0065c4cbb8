//! Who was heard to be the primary.

use std::time::{Duration, Instant};

use synod_client::{Client, Standing};
use tokio::{sync::watch, time::timeout};

/// Who is.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) candidate: String,
    pub(super) token: u64,
    /// Where it can be reached, once it says so: it has been promoted then.
    pub(super) address: Option<String>,
    /// When the grant was heard of.
    pub(super) heard: Instant,
}

/// The latest who was, as the cluster tells it.
#[derive(Clone)]
pub(super) struct Seats(watch::Receiver<Option<Seat>>);

impl Seats {
    /// Observes an election for as long as anybody wants to know.
    pub(super) fn observe(client: &Client, election: &str) -> Seats {
        let mut standings = client.election(election).observe();
        let (tell, told) = watch::channel(None::<Seat>);
        tokio::spawn(async move {
            loop {
                let standing = tokio::select! {
                    () = tell.closed() => return,
                    standing = standings.next() => standing,
                };
                let Some(Ok(standing)) = standing else { return };
                let Standing::Changed { office, .. } = standing else { continue };
                let Some(incumbent) = office.incumbent else { continue };
                let token = incumbent.token.get();
                let before = tell.borrow().as_ref().filter(|seat| seat.token == token).cloned();
                let seat = Seat {
                    candidate: incumbent.candidate.to_string(),
                    token,
                    address: incumbent.proclaimed,
                    heard: before.map_or_else(Instant::now, |seat| seat.heard),
                };
                tell.send_replace(Some(seat));
            }
        });
        Seats(told)
    }

    /// Waits for one that was granted after `token` and has been promoted.
    pub(super) async fn after(&mut self, token: u64, patience: Duration) -> Option<Seat> {
        let promoted = |seat: &Option<Seat>| {
            seat.as_ref().is_some_and(|seat| seat.token > token && seat.address.is_some())
        };
        let seat = timeout(patience, self.0.wait_for(promoted)).await.ok()?.ok()?;
        seat.clone()
    }

    /// The latest that was heard of.
    pub(super) fn latest(&self) -> Option<Seat> {
        self.0.borrow().clone()
    }
}
