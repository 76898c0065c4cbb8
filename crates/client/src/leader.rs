use std::time::Duration;

use synod_machine::{
    door::{Call, NodeStatus, Said},
    limits::Misuse,
};
use tokio::time::{Interval, MissedTickBehavior, sleep};

use crate::{
    ask::Attempt,
    client::{Client, nonsense},
    deadline::Deadline,
    error::{Error, Why},
    route::{Place, Route},
};

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

    /// Hands the lead to a node. For an admin, before another node is stopped or where clients are
    /// nearest. The leader asks that node first, and where it cannot lead nothing happens and the
    /// error says why; else it finishes what is under way, and clients go on with the next one. Who
    /// leads then: that it is the node asked for is all but certain, and no more, for it may die at
    /// that moment.
    pub async fn move_lead(&self, to: &str) -> Result<Leading, Error> {
        let (route, deadline) = (&self.core.route, self.deadline());
        if !route.nodes().iter().any(|node| node.name() == to) {
            return Err(Misuse::Contradiction("the cluster has no node of that name").into());
        }
        let mut handed_by = None;
        loop {
            let seen = self.within(LOOK_MIN.min(deadline.left())).leading().await;
            let another = handed_by.is_some() && seen.node.is_some() && handed_by != seen.node;
            if seen.node.as_deref() == Some(to) || another || deadline.passed() {
                return Ok(seen);
            }
            if let (None, Some(leader)) = (&handed_by, seen.node)
                && let Some(place) = route.place_of(&leader)
                && route.hand_over(place, to, deadline).await?
            {
                handed_by = Some(leader);
            }
            sleep(LOOK_AGAIN.min(deadline.left())).await;
        }
    }
}

impl Route {
    /// Has the leader call `to`; false where it does not lead any more.
    async fn hand_over(&self, leader: Place, to: &str, deadline: Deadline) -> Result<bool, Error> {
        let call = Call::HandOver { to: to.to_owned() };
        match self.ask_node(leader, call, deadline).await {
            Attempt::Said(Said::Kept) => Ok(true),
            Attempt::Said(Said::NotLeader { .. }) => Ok(false),
            Attempt::Said(Said::Refused(why)) => Err(Error::door(why)),
            Attempt::Said(Said::NotApplied(why)) => Err(Error::not_applied(Why::Node(why))),
            Attempt::Said(_) => Err(nonsense()),
            Attempt::Unsent => Err(Error::Connect(self.unreached_node(leader))),
            Attempt::Lost | Attempt::Moved | Attempt::Late => Err(Error::no_answer(Why::NoAnswer)),
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

/// Between two looks whether a node leads that was called to.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A node is given at least so long to answer, however often one looks.
const LOOK_MIN: Duration = Duration::from_millis(500);
