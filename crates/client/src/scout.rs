//! Finds the leader when somebody lost faith in it: asks every node at once, and believes the first
//! that says of itself that it leads, a doubted one only when no other says so.

use std::{sync::Arc, time::Duration};

use synod_machine::door::{Ask, Call, NodeStatus, Said};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout_at},
};

use crate::{
    backoff::Backoff,
    deadline::Deadline,
    route::{Place, Route},
    wire::{decode, encode},
};

/// A node that says nothing for so long is not the one to wait for; a node that leads answers in
/// a round trip.
const LOOK_PATIENCE: Duration = Duration::from_millis(500);
/// The first pause between two looks, well below the time of an election.
const PAUSE: Duration = Duration::from_millis(15);
/// The longest: a cluster without a leader for seconds is not hurried by being asked more often.
const PAUSE_MAX: Duration = Duration::from_millis(120);

/// Looks whenever it is wanted, until the client is closed.
pub(crate) async fn run(route: Arc<Route>, mut closed: watch::Receiver<bool>) {
    tokio::select! {
        () = keep_looking(&route) => {}
        _ = closed.wait_for(|closed| *closed) => {}
    }
}

async fn keep_looking(route: &Arc<Route>) {
    loop {
        route.look_wanted().await;
        let mut pause = Backoff::new(PAUSE, PAUSE_MAX);
        while !look(route).await {
            sleep(pause.next()).await;
        }
    }
}

/// One look; whether somebody is believed to lead after it.
async fn look(route: &Arc<Route>) -> bool {
    let doubted = route.doubted();
    let deadline = Deadline::after(LOOK_PATIENCE);
    let mut asking = JoinSet::new();
    for place in 0..route.nodes().len() {
        let route = Arc::clone(route);
        asking.spawn(async move { (place, status_in_time(&route, place, deadline).await) });
    }
    let mut claims = None;
    while let Some(joined) = asking.join_next().await {
        let Ok((place, Some(status))) = joined else { continue };
        if status.role != "leader" {
            continue;
        }
        if doubted != Some(place) {
            route.believe(place);
            return true;
        }
        claims = Some(place);
    }
    match claims {
        Some(place) => route.believe(place),
        None => route.nobody_leads(),
    }
    claims.is_some()
}

/// A node that is connected and silent is hung up on, so that the next look knocks anew: it may be
/// another process by then.
async fn status_in_time(route: &Route, place: Place, deadline: Deadline) -> Option<NodeStatus> {
    match timeout_at(deadline.at(), status(route, place, deadline)).await {
        Ok(status) => status,
        Err(_) => {
            // Nothing to hang up when it is still being dialled, by us or by another.
            let hung_up =
                timeout_at(Deadline::after(Duration::ZERO).at(), route.node(place).hang_up());
            let _connecting = hung_up.await;
            None
        }
    }
}

async fn status(route: &Route, place: Place, deadline: Deadline) -> Option<NodeStatus> {
    let line = route.node(place).line(&route.wire).await.ok()?;
    let ask = Ask { within_ms: deadline.within_ms(), call: Call::Status };
    let answer = line.ask(encode(&ask)).await.ok()?;
    match decode(&answer)? {
        Said::Status(status) => Some(*status),
        _ => None,
    }
}
