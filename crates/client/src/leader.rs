use std::{sync::Arc, time::Duration};

use synod_machine::{
    door::{Call, NodeStatus, Said},
    limits::Misuse,
};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, sleep},
};

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

    /// Has another node lead: every other one steps aside, whoever leads last, so that nobody else
    /// goes first. For an admin, before a node is stopped or where clients are nearest; the leader
    /// gives up its lease before it hands over, and requests under way are sent again by their
    /// clients. Who leads afterwards, at the latest when a call of this handle may take no longer:
    /// that it is the node asked for is likely and not certain, as in every election.
    pub async fn move_lead(&self, to: &str) -> Result<Leading, Error> {
        let (route, deadline) = (&self.core.route, self.deadline());
        let Some(target) = route.nodes().iter().position(|node| node.name() == to) else {
            return Err(Misuse::Contradiction("the cluster has no node of that name").into());
        };
        // Nobody steps aside for a node that is not there.
        let _it_answers = route.status_of(target, deadline).await?;
        let mut tries = 0;
        loop {
            let seen = self.within(deadline.left()).leading().await;
            if seen.node.as_deref() == Some(to) || deadline.passed() {
                return Ok(seen);
            }
            sleep(LOOK_AGAIN.min(deadline.left())).await;
            if seen.node.is_none() && tries > 0 || tries == TRIES {
                continue;
            }
            tries += 1;
            let leads = |node: &String| route.nodes().iter().position(|one| one.name() == node);
            route.step_aside_for(target, seen.node.as_ref().and_then(leads), deadline).await?;
        }
    }
}

impl Route {
    async fn step_aside_for(
        self: &Arc<Self>,
        target: Place,
        leader: Option<Place>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut aside = JoinSet::new();
        let others = (0..self.nodes().len()).filter(|place| *place != target);
        for place in others.filter(|place| Some(*place) != leader) {
            let route = Arc::clone(self);
            let soon = deadline.or_after(LOOK_MIN);
            aside.spawn(async move { route.step_aside(place, soon).await });
        }
        while let Some(joined) = aside.join_next().await {
            // One that is not there does not go first either.
            if let Ok(Err(refused @ Error::Refused { .. })) = joined {
                return Err(refused);
            }
        }
        match leader {
            Some(leader) => self.step_aside(leader, deadline).await,
            None => Ok(()),
        }
    }

    async fn step_aside(&self, place: Place, deadline: Deadline) -> Result<(), Error> {
        match self.ask_node(place, Call::StepAside, deadline).await {
            Attempt::Said(Said::Kept) => Ok(()),
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

/// Who leads, by what nodes say of themselves. Two say so for a moment when one of them has not
/// heard yet that it was succeeded: the one that has led for the shorter time is the successor.
pub fn leader_among<'a>(
    statuses: impl IntoIterator<Item = &'a NodeStatus>,
) -> Option<&'a NodeStatus> {
    let leading = statuses.into_iter().filter(|status| status.role == "leader");
    leading.min_by_key(|status| status.leading_for_us)
}

/// Between two looks whether a node leads that the others stepped aside for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often the others step aside, in case one of them was faster: a node that cannot lead costs
/// the cluster its leader no more often.
const TRIES: u32 = 3;

/// A node is given at least so long to answer, however often one looks.
const LOOK_MIN: Duration = Duration::from_millis(500);
