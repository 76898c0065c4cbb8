//! Asking every node how it is, without waiting for the dead.

use std::{sync::Arc, time::Duration};

use synod_machine::door::NodeStatus;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{deadline::Deadline, error::Error, route::Route};

/// What the others are given, at least, once a quorum has answered: time for a handshake that lost
/// a datagram.
const STRAGGLERS_MIN: Duration = Duration::from_millis(300);
/// On a long way, so many times as long as the quorum took.
const STRAGGLERS_FACTOR: u32 = 2;

impl Route {
    /// How every node sees itself, asked all at once, in the order of the configuration. A node
    /// that is silent when a quorum has spoken is not waited for until the deadline: it shows as
    /// not reached, soon.
    pub(crate) async fn survey(
        self: &Arc<Self>,
        deadline: Deadline,
    ) -> Vec<Result<NodeStatus, Error>> {
        let (began, count) = (Instant::now(), self.nodes().len());
        let mut asking = JoinSet::new();
        for place in 0..count {
            let route = Arc::clone(self);
            asking.spawn(async move { (place, route.status_of(place, deadline).await) });
        }
        let mut heard: Vec<Option<Result<NodeStatus, Error>>> = (0..count).map(|_| None).collect();
        let (mut answered, mut until) = (0, deadline);
        while let Ok(Some(joined)) = timeout_at(until.at(), asking.join_next()).await {
            let Ok((place, said)) = joined else { continue };
            answered += usize::from(said.is_ok());
            if answered == count / 2 + 1 {
                let patience = (began.elapsed() * STRAGGLERS_FACTOR).max(STRAGGLERS_MIN);
                until = until.min(deadline.or_after(patience));
            }
            heard[place] = Some(said);
        }
        let silent = |place| Err(Error::Connect(self.unreached_node(place)));
        let each = heard.into_iter().enumerate();
        each.map(|(place, said)| said.unwrap_or_else(|| silent(place))).collect()
    }
}
