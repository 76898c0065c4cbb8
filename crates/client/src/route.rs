use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use synod_machine::door::NotApplied;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

use crate::{
    deadline::Deadline,
    error::{ConnectError, Error, Why},
    party::Party,
    wire::Wire,
};

/// How long a node that was just named as the leader may point back before that is believed: the
/// word of its predecessor, which told us first, is on its way to it.
const WORD_WITHIN: Duration = Duration::from_millis(30);
/// Two nodes that go on pointing at each other are not waited for again before this.
const WORD_AGAIN: Duration = Duration::from_millis(300);

/// The place of a node in the configuration.
pub(crate) type Place = usize;

/// A node that said of another that it leads, and was believed.
#[derive(Clone, Copy)]
struct Pointed {
    by: Place,
    to: Place,
    at: Instant,
}

/// Every node, and who is believed to lead.
pub(crate) struct Route {
    pub(crate) wire: Wire,
    cluster: String,
    nodes: Vec<Party>,
    leader: watch::Sender<Option<Place>>,
    /// The last hint that was believed, of which all requests know: else one that begins at the
    /// named node would undo what it was believed for.
    pointed: Mutex<Option<Pointed>>,
    /// The node in whose lead somebody lost faith since the last look.
    doubted: Mutex<Option<Place>>,
    look_wanted: Notify,
    any: AtomicUsize,
    /// Clients that are not closed.
    users: watch::Sender<usize>,
}

impl Route {
    pub(crate) fn new(wire: Wire, cluster: &str, nodes: Vec<Party>) -> Route {
        assert!(!nodes.is_empty(), "a configuration without endpoints is refused when it is read");
        Route {
            wire,
            cluster: cluster.to_owned(),
            any: AtomicUsize::new(fastrand::usize(..nodes.len())),
            nodes,
            leader: watch::Sender::new(None),
            pointed: Mutex::new(None),
            doubted: Mutex::new(None),
            look_wanted: Notify::new(),
            users: watch::Sender::new(0),
        }
    }

    /// For one more client, until that has [let go](Route::let_go).
    pub(crate) fn hold(&self) {
        self.users.send_modify(|users| *users += 1);
    }

    pub(crate) fn let_go(&self) {
        self.users.send_modify(|users| *users -= 1);
    }

    /// Resolves when no client uses it any more.
    pub(crate) async fn unused(&self) {
        // The sender is `self`'s own; it cannot be gone.
        let mut users = self.users.subscribe();
        let _unused = users.wait_for(|users| *users == 0).await;
    }

    pub(crate) fn nodes(&self) -> &[Party] {
        &self.nodes
    }

    pub(crate) fn node(&self, place: Place) -> &Party {
        &self.nodes[place]
    }

    pub(crate) fn place_of(&self, name: &str) -> Option<Place> {
        self.nodes.iter().position(|node| node.name() == name)
    }

    /// Who is believed to lead, now and as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Place>> {
        self.leader.subscribe()
    }

    /// Waits until somebody is believed to lead.
    pub(crate) async fn leader(&self, deadline: Deadline) -> Option<Place> {
        if let Some(place) = *self.leader.borrow() {
            return Some(place);
        }
        self.look_wanted.notify_one();
        let mut leader = self.leader.subscribe();
        let found = timeout_at(deadline.at(), leader.wait_for(Option::is_some)).await;
        found.ok().and_then(Result::ok).and_then(|place| *place)
    }

    pub(crate) fn believe(&self, place: Place) {
        *self.pointed() = None;
        *self.doubted.lock().expect("nothing panics while it is held") = None;
        let changed = self.leader.send_if_modified(|leader| {
            let changed = *leader != Some(place);
            *leader = Some(place);
            changed
        });
        if changed {
            tracing::debug!(node = %self.nodes[place].name(), "believed to lead");
        }
    }

    /// Somebody has reason to think that this node does not lead: look again.
    pub(crate) fn doubt(&self, place: Place) {
        *self.doubted.lock().expect("nothing panics while it is held") = Some(place);
        self.look_wanted.notify_one();
    }

    /// This node said that it does not lead. Its hint is believed only by those who believed in it:
    /// anybody else has had better news since. Whether somebody is believed to lead after it.
    pub(crate) fn not_leading(&self, place: Place, hint: Option<&str>) -> bool {
        let hint = hint.and_then(|name| self.place_of(name)).filter(|hinted| *hinted != place);
        let changed = self.leader.send_if_modified(|leader| {
            let changed = *leader == Some(place);
            if changed {
                *leader = hint;
            }
            changed
        });
        if let (true, Some(hint)) = (changed, hint) {
            self.note_hint(place, hint);
        }
        let found = self.leader.borrow().is_some();
        if !found {
            self.look_wanted.notify_one();
        }
        found
    }

    /// Whether this node, which says that another leads, was named as the leader by that very node
    /// just now. A leader that hands over tells its clients as it tells its successor, and they may
    /// be faster: it is worth asking again in a moment, and not worth going back.
    pub(crate) fn has_yet_to_hear(&self, place: Place, hint: Option<&str>) -> bool {
        let Some(hint) = hint.and_then(|name| self.place_of(name)) else { return false };
        let pointed = self.pointed();
        pointed.is_some_and(|it| (it.by, it.to) == (hint, place) && it.at.elapsed() < WORD_WITHIN)
    }

    /// The moment of a hint is that of the first of its kind, so that two nodes that point at each
    /// other are waited for once, whoever asks them and how often.
    fn note_hint(&self, by: Place, to: Place) {
        let mut pointed = self.pointed();
        let known = pointed.is_some_and(|it| {
            let same = [(it.by, it.to), (it.to, it.by)].contains(&(by, to));
            same && it.at.elapsed() < WORD_AGAIN
        });
        if !known {
            *pointed = Some(Pointed { by, to, at: Instant::now() });
        }
    }

    fn pointed(&self) -> MutexGuard<'_, Option<Pointed>> {
        self.pointed.lock().expect("nothing panics while it is held")
    }

    /// This node does not say that it leads. Calls that wait for its answer go on waiting.
    pub(crate) fn disbelieve(&self, place: Place) {
        self.leader.send_if_modified(|leader| leader.take_if(|leader| *leader == place).is_some());
    }

    pub(crate) fn doubted(&self) -> Option<Place> {
        *self.doubted.lock().expect("nothing panics while it is held")
    }

    pub(crate) async fn look_wanted(&self) {
        self.look_wanted.notified().await;
    }

    /// A node for what any node can answer; the same until [`Route::try_another`].
    pub(crate) fn any(&self) -> Place {
        self.any.load(Ordering::Relaxed) % self.nodes.len()
    }

    pub(crate) fn try_another(&self, than: Place) {
        let next = (than + 1) % self.nodes.len();
        // Whoever lost faith first moves on; the others find that it has been done.
        let _moved = self.any.compare_exchange(than, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Why no node can be reached, if that is so.
    fn unreachable(&self) -> Option<ConnectError> {
        let nodes = self.nodes.iter().map(Party::trouble).collect::<Option<Vec<_>>>()?;
        Some(ConnectError { cluster: self.cluster.clone(), nodes })
    }

    /// Why no node was reached; a node that was not even refused is still being dialled.
    pub(crate) fn unreached(&self) -> ConnectError {
        let nodes = self.nodes.iter().map(Party::trouble_or_silence).collect();
        ConnectError { cluster: self.cluster.clone(), nodes }
    }

    /// Why this node was not reached.
    pub(crate) fn unreached_node(&self, place: Place) -> ConnectError {
        let nodes = vec![self.nodes[place].trouble_or_silence()];
        ConnectError { cluster: self.cluster.clone(), nodes }
    }

    /// What to say when the deadline passed and nothing was done.
    pub(crate) fn nothing_done(&self, why: Why) -> Error {
        match (&why, self.unreachable()) {
            (Why::NoLeader, Some(unreachable)) => Error::Connect(unreachable),
            (Why::NoLeader | Why::Node(NotApplied::DiskFull), None) => {
                let full = self.nodes.iter().filter(|node| node.is_disk_full());
                let nodes: Vec<_> = full.map(|node| node.name().to_owned()).collect();
                let none = nodes.is_empty();
                Error::not_applied(if none { why } else { Why::DiskFull { nodes } })
            }
            (_, _) => Error::not_applied(why),
        }
    }

    /// The round trip to the leader, or to the nearest node that is connected.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        let leader = *self.leader.borrow();
        let of_leader = leader.and_then(|place| self.nodes[place].rtt());
        of_leader.or_else(|| self.nodes.iter().filter_map(Party::rtt).min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{NODES, Stage};

    fn route() -> Route {
        let who = |name: &str| synod_net::Who::Node(synod_net::Name::new(name).unwrap());
        let nodes = NODES.iter().map(|name| Party::new(name, "", who(name), "".into()));
        Route::new(Wire::Scripted(Stage::new()), "stage", nodes.collect())
    }

    /// Many requests are told at once that a node does not lead; the last to be told must not undo
    /// what the first has found out since.
    #[tokio::test]
    async fn a_hint_from_a_node_that_nobody_believes_in_changes_nothing() {
        let route = route();
        let now = Deadline::after(Duration::ZERO);
        assert!(!route.not_leading(0, Some("n2")), "nobody was believed in");
        route.believe(2);
        assert!(route.not_leading(0, Some("n2")));
        assert_eq!(route.leader(now).await, Some(2));
        assert!(route.not_leading(2, Some("n2")));
        assert_eq!(route.leader(now).await, Some(1));
        assert!(!route.not_leading(1, Some("n2")), "a node that points at itself says nothing");
        assert_eq!(route.leader(now).await, None);
    }

    /// Else each request that meets two nodes that point at each other would wait, and each anew.
    #[tokio::test(start_paused = true)]
    async fn nodes_that_point_at_each_other_are_waited_for_once_in_a_while() {
        let route = route();
        route.believe(0);
        assert!(!route.has_yet_to_hear(1, Some("n1")), "nobody has named it");
        assert!(route.not_leading(0, Some("n2")));
        assert!(route.has_yet_to_hear(1, Some("n1")));
        assert!(!route.has_yet_to_hear(1, Some("n3")), "that is news");
        assert!(!route.has_yet_to_hear(1, None));
        tokio::time::advance(WORD_WITHIN).await;
        for _ in 0..3 {
            assert!(!route.has_yet_to_hear(1, Some("n1")));
            assert!(route.not_leading(1, Some("n1")));
            assert!(!route.has_yet_to_hear(0, Some("n2")));
            assert!(route.not_leading(0, Some("n2")));
        }
        tokio::time::advance(WORD_AGAIN).await;
        route.believe(0);
        assert!(route.not_leading(0, Some("n2")));
        assert!(route.has_yet_to_hear(1, Some("n1")), "another time, another word");
    }
}
