//! Connections ahead of need. A client is connected to the nodes that it needed so far, and when a
//! lead is handed over that is hardly ever the next leader: a handshake and a greeting, three round
//! trips and four signatures, would lie between it and the first answer.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::sleep};

use crate::{
    backoff::Backoff,
    party::StoodBy,
    route::{Place, Route},
};

/// At most so long after a node is first needed, or a connection has ended, and at least half of it
/// (so a client that is gone in a second has paid nothing), the missing connections are made. A
/// node that is back is dialled by all its clients in that time, not at one moment.
const PACE: Duration = Duration::from_secs(2);
/// And so long after failures: its machine may be gone for good.
const PACE_MAX: Duration = Duration::from_secs(8);
/// A node whose places are all taken is left alone for so long, and at least half of it: the places
/// that are given back belong to those who need one, and of two thousand clients that may need one
/// later each would be there sooner.
const NO_ROOM_PACE: Duration = Duration::from_secs(600);

/// Keeps a connection to every node, until no client needs it any more; from when it first knew a
/// leader: whoever never needs one takes no room at nodes that it does not ask.
pub(crate) async fn run(route: Arc<Route>) {
    tokio::select! {
        _ = keep_lines(&route) => {}
        () = route.unused() => {}
    }
}

async fn keep_lines(route: &Arc<Route>) -> Option<Infallible> {
    let mut leader = route.watch();
    // The sender is the route's own; it cannot be gone. What is handed out locks it, if kept.
    drop(leader.wait_for(Option::is_some).await);
    let mut keeping = JoinSet::new();
    for place in 0..route.nodes().len() {
        keeping.spawn(keep_line(Arc::clone(route), place));
    }
    // None of them ends; the set ends them when it is dropped.
    keeping.join_next().await?.ok()
}

async fn keep_line(route: Arc<Route>, place: Place) -> Infallible {
    let pace = || Backoff::new(PACE, PACE_MAX);
    let mut pause = pace();
    loop {
        sleep(pause.next()).await;
        match route.node(place).stand_by(&route.wire).await {
            StoodBy::Done => pause = pace(),
            StoodBy::Failed => {}
            StoodBy::NoRoom => {
                sleep(Backoff::new(NO_ROOM_PACE, NO_ROOM_PACE).next()).await;
                pause = pace();
            }
        }
    }
}
