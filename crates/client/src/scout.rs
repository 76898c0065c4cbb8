//! Finds the leader when somebody lost faith in it: looks at every node again and again, each at
//! its own pace, until one says of itself that it leads.

use std::{sync::Arc, time::Duration};

use synod_machine::door::{Ask, Call, NodeStatus, Said};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    backoff::Backoff,
    deadline::Deadline,
    party::Party,
    route::{Place, Route},
    wire::{Line, decode, encode},
};

/// A node that is connected and says nothing for so long is not the one to wait for; a node that
/// leads answers in a round trip.
const LOOK_PATIENCE: Duration = Duration::from_millis(500);
/// So many round trips it is given at least, however far away it is.
const TRIPS_PATIENCE: u32 = 4;
/// So long a node is dialled at first, and each time that this was not enough twice as long: that
/// takes three round trips. Whoever dials a node that is not there yet says nothing again for a
/// second, in which another may meet it.
const DIAL_PATIENCE: Duration = Duration::from_millis(500);
/// The longest: as long as anybody dials.
const DIAL_PATIENCE_MAX: Duration = Duration::from_secs(3);
/// The others are looked at so much earlier than a node in whose lead somebody lost faith: a leader
/// that was cut off goes on saying that it leads for a while.
const HEAD_START: Duration = Duration::from_millis(50);
/// The first pause between two looks, well below the time of an election.
const PAUSE: Duration = Duration::from_millis(15);
/// The longest while an election may be all that is missing: whoever looks less and less often
/// waits for the leader nearly as long again as the cluster did.
const PAUSE_SOON_MAX: Duration = Duration::from_millis(30);
/// Elections are over by then, unless something else is wrong.
const SOON: Duration = Duration::from_millis(500);
/// The longest after that: a cluster without a leader for seconds is not hurried by being asked
/// more often.
const PAUSE_MAX: Duration = Duration::from_millis(120);

/// Looks whenever it is wanted, until no client needs it any more.
pub(crate) async fn run(route: Arc<Route>) {
    tokio::select! {
        () = keep_looking(&route) => {}
        () = route.unused() => {}
    }
}

async fn keep_looking(route: &Arc<Route>) {
    loop {
        route.look_wanted().await;
        let doubted = route.doubted();
        let mut looking = JoinSet::new();
        for place in 0..route.nodes().len() {
            looking.spawn(look_at(Arc::clone(route), place, doubted == Some(place)));
        }
        // The first stands; the set ends the others when it is dropped.
        if let Some(Ok(leader)) = looking.join_next().await {
            route.believe(leader);
        }
    }
}

/// Ends when the node says that it leads.
async fn look_at(route: Arc<Route>, place: Place, doubted: bool) -> Place {
    if doubted {
        sleep(HEAD_START).await;
    }
    let (mut pace, mut patience, node) = (Pace::new(), DIAL_PATIENCE, route.node(place));
    loop {
        let status = match timeout(patience, node.line(&route.wire)).await {
            Ok(Ok(line)) => status(node, &line).await,
            Ok(Err(_)) => None,
            Err(_) => {
                patience = (patience * 2).min(DIAL_PATIENCE_MAX);
                None
            }
        };
        match status {
            Some(status) if status.role == "leader" => return place,
            Some(_) | None => route.disbelieve(place),
        }
        sleep(pace.next()).await;
    }
}

/// The pauses between looks at one node.
struct Pace {
    began: Instant,
    pause: Backoff,
}

impl Pace {
    fn new() -> Pace {
        Pace { began: Instant::now(), pause: Backoff::new(PAUSE, PAUSE_SOON_MAX) }
    }

    fn next(&mut self) -> Duration {
        if self.began.elapsed() >= SOON {
            self.pause.rise_to(PAUSE_MAX);
        }
        self.pause.next()
    }
}

/// A node that is connected and silent is hung up on, so that the next look knocks anew: it may be
/// another process by then.
async fn status(node: &Party, line: &Arc<Line>) -> Option<NodeStatus> {
    let deadline = Deadline::after(LOOK_PATIENCE.max(line.rtt() * TRIPS_PATIENCE));
    let ask = Ask { within_ms: deadline.within_ms(), call: Call::Status };
    let Ok(answer) = timeout_at(deadline.at(), line.ask(encode(&ask))).await else {
        node.hang_up(line);
        return None;
    };
    match decode(&answer.ok()?)? {
        Said::Status(status) => {
            node.note_disk_full(status.disk_full);
            Some(*status)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As often as an election may be over, and then less and less often.
    #[tokio::test(start_paused = true)]
    async fn looks_are_close_together_for_as_long_as_elections_last() {
        let (began, mut pace) = (Instant::now(), Pace::new());
        while began.elapsed() < SOON {
            let pause = pace.next();
            assert!(pause <= PAUSE_SOON_MAX, "{pause:?} after {:?}", began.elapsed());
            sleep(pause).await;
        }
        let later: Vec<_> = (0..4).map(|_| pace.next()).collect();
        assert!(later[3] >= PAUSE_MAX / 2, "{later:?}");
    }
}
