use std::time::Duration;

use synod_machine::door::NodeStatus;
use tokio::time::{Interval, MissedTickBehavior};

use crate::client::Client;

/// Tells who leads, whenever it changes. It looks again and again, so a reign shorter than the time
/// between two looks may pass unseen.
#[derive(Debug)]
pub struct LeaderWatch {
    client: Client,
    clock: Interval,
    last: Option<Leading>,
}

/// Who leads, as far as was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leading {
    /// The node that says so of itself; `None` when no node does.
    pub node: Option<String>,
    /// Its ballot, as it prints it.
    pub ballot: Option<String>,
}

impl LeaderWatch {
    pub(crate) fn new(client: Client, every: Duration) -> LeaderWatch {
        let mut clock = tokio::time::interval(every.max(Duration::from_millis(1)));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Whoever has not answered when the next look is due does not lead.
        LeaderWatch { client: client.within(every.max(LOOK_MIN)), clock, last: None }
    }

    /// Waits for the next change; the first time it tells how things stand. It never ends.
    pub async fn next(&mut self) -> Leading {
        loop {
            self.clock.tick().await;
            let seen = self.client.leading().await;
            if self.last.as_ref() != Some(&seen) {
                self.last = Some(seen.clone());
                return seen;
            }
        }
    }
}

impl Client {
    /// Who leads, by what every node that answers in time says of itself.
    pub async fn leading(&self) -> Leading {
        let heard = self.status_all().await;
        let statuses: Vec<_> = heard.into_iter().filter_map(|(_, said)| said.ok()).collect();
        let leader = leader_among(&statuses);
        Leading {
            node: leader.map(|status| status.node.clone()),
            ballot: leader.map(|status| status.ballot.clone()),
        }
    }
}

/// Who leads, by what nodes say of themselves. Two say so for a moment when one of them has not
/// heard yet that it was succeeded: the one that has led for the shorter time is the successor.
pub fn leader_among<'a>(
    statuses: impl IntoIterator<Item = &'a NodeStatus>,
) -> Option<&'a NodeStatus> {
    let leading = statuses.into_iter().filter(|status| status.role == "leader");
    leading.min_by_key(|status| status.leading_for_us)
}

/// A node is given at least so long to answer, however often one looks.
const LOOK_MIN: Duration = Duration::from_millis(500);
