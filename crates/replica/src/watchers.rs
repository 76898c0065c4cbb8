//! Clients that wait for something to change, on whatever node they asked.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use synod_machine::{Answer, Change, Interest, Machine, Query, Revision};

use crate::ClientId;

/// Who waits for what, found by what may change. Whoever is in here has been told everything that
/// it waits for up to the state's revision.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    waiting: BTreeMap<ClientId, (Interest, Revision)>,
    by_prefix: BTreeMap<Bytes, BTreeSet<ClientId>>,
    /// How long the prefixes are, and how many of each length. A key is looked up once for each.
    lengths: BTreeMap<usize, usize>,
    /// Of those who wait for one thing, by its name.
    by_name: BTreeMap<Interest, BTreeSet<ClientId>>,
}

impl Watchers {
    pub(crate) fn wait(&mut self, client: ClientId, interest: Interest, after: Revision) {
        match &interest {
            Interest::Keys { prefix } => {
                let clients = self.by_prefix.entry(prefix.clone()).or_default();
                if clients.is_empty() {
                    *self.lengths.entry(prefix.len()).or_default() += 1;
                }
                clients.insert(client);
            }
            named => {
                self.by_name.entry(named.clone()).or_default().insert(client);
            }
        }
        self.waiting.insert(client, (interest, after));
    }

    /// It waits no longer; after which revision it would have gone on.
    pub(crate) fn leave(&mut self, client: ClientId) -> Option<Revision> {
        let (interest, after) = self.waiting.remove(&client)?;
        match interest {
            Interest::Keys { prefix } => {
                if strike(&mut self.by_prefix, &prefix, client)
                    && let Some(count) = self.lengths.get_mut(&prefix.len())
                {
                    *count -= 1;
                    if *count == 0 {
                        self.lengths.remove(&prefix.len());
                    }
                }
            }
            named => {
                strike(&mut self.by_name, &named, client);
            }
        }
        Some(after)
    }

    /// Takes out those for whom something changed after a revision, with what it is.
    pub(crate) fn told(&mut self, since: Revision, machine: &Machine) -> Vec<(ClientId, Answer)> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let changes = machine.changes_since(since);
        let concerned: BTreeSet<ClientId> =
            changes.flat_map(|(_, change)| self.concerned(&change)).collect();
        concerned.into_iter().filter_map(|client| self.news(client, machine)).collect()
    }

    /// The same of everybody who waits, when all may have changed.
    pub(crate) fn told_by_snapshot(&mut self, machine: &Machine) -> Vec<(ClientId, Answer)> {
        let all: Vec<ClientId> = self.waiting.keys().copied().collect();
        all.into_iter().filter_map(|client| self.news(client, machine)).collect()
    }

    fn concerned(&self, change: &Change) -> Vec<ClientId> {
        let mut concerned = Vec::new();
        if let Change::Put { key, .. } | Change::Deleted { key } = change {
            for length in self.lengths.keys().take_while(|length| **length <= key.len()) {
                let clients = self.by_prefix.get(&key[..*length]);
                concerned.extend(clients.into_iter().flatten().copied());
            }
        }
        let named = change.named().and_then(|named| self.by_name.get(&named));
        concerned.extend(named.into_iter().flatten().copied());
        concerned
    }

    fn news(&mut self, client: ClientId, machine: &Machine) -> Option<(ClientId, Answer)> {
        let (interest, after) = self.waiting.get(&client)?;
        let answer = news_of(interest, *after, machine)?;
        self.leave(client);
        Some((client, answer))
    }
}

/// What there is for a watch now, if there is anything.
pub(crate) fn news_of(interest: &Interest, after: Revision, machine: &Machine) -> Option<Answer> {
    let query = Query::Changes { interest: interest.clone(), after };
    match machine.query(&query) {
        Answer::Changes { changes, upto } if changes.is_empty() => {
            // One answer looks only so far; what it has not looked at may hold something.
            (upto < machine.revision()).then_some(Answer::Changes { changes, upto })
        }
        news => Some(news),
    }
}

fn strike<K: Ord>(by: &mut BTreeMap<K, BTreeSet<ClientId>>, key: &K, client: ClientId) -> bool {
    let Some(clients) = by.get_mut(key) else { return false };
    clients.remove(&client);
    let last = clients.is_empty();
    if last {
        by.remove(key);
    }
    last
}

#[cfg(test)]
mod tests {
    use synod_machine::{
        Batch, ClaimCommand, Command, Name, Request, RequestId, Seq, SessionId, Timestamp,
    };

    use super::*;

    struct World {
        machine: Machine,
        seq: u64,
        watchers: Watchers,
    }

    impl World {
        fn new() -> World {
            let mut machine = Machine::new();
            let open = Command::OpenSession { owner: "app".to_owned(), ttl_ms: 1_000 };
            let request = Request { id: None, acked: Seq::ZERO, command: open };
            machine.apply(Batch { stamp: Timestamp(1), requests: vec![request] });
            World { machine, seq: 0, watchers: Watchers::default() }
        }

        fn watch(&mut self, client: u64, prefix: &'static str) {
            let interest = Interest::Keys { prefix: prefix.into() };
            self.watchers.wait(ClientId(client), interest, self.machine.revision());
        }

        /// Whom a write concerns.
        fn put(&mut self, key: &'static str) -> Vec<u64> {
            self.does(Command::Put { key: key.into(), value: "v".into() })
        }

        fn does(&mut self, command: Command) -> Vec<u64> {
            self.seq += 1;
            let id = RequestId { session: SessionId::new(1), seq: Seq::new(self.seq) };
            let request = Request { id: Some(id), acked: Seq::new(self.seq), command };
            let since = self.machine.revision();
            self.machine.apply(Batch { stamp: Timestamp(1), requests: vec![request] });
            let told = self.watchers.told(since, &self.machine);
            told.into_iter().map(|(client, _)| client.0).collect()
        }
    }

    /// A write wakes those who watch a prefix of its key, each once, and nobody else.
    #[test]
    fn a_write_wakes_those_who_watch_a_prefix_of_its_key() {
        let mut world = World::new();
        for (client, prefix) in [(1, ""), (2, "a"), (3, "ab"), (4, "b"), (5, "ab")] {
            world.watch(client, prefix);
        }
        assert_eq!(world.put("ab"), [1, 2, 3, 5]);
        assert_eq!(world.put("ab"), [], "they were told and wait no more");
        assert_eq!(world.put("b"), [4]);
        assert!(world.watchers.by_prefix.is_empty() && world.watchers.lengths.is_empty());
    }

    /// What has a name wakes those who watch that name, of that kind.
    #[test]
    fn what_has_a_name_wakes_those_who_watch_it() {
        let mut world = World::new();
        let name = |name: &str| Name::new(name);
        let interests = [
            Interest::Claim { name: name("a") },
            Interest::Claim { name: name("b") },
            Interest::Lock { name: name("a") },
            Interest::Keys { prefix: "".into() },
            Interest::Claim { name: name("a") },
        ];
        for (client, interest) in (1..).zip(interests) {
            world.watchers.wait(ClientId(client), interest, Revision::ZERO);
        }
        let (name, owner) = (name("a"), "alice".to_owned());
        let take = Command::Claim(ClaimCommand::Take { name, owner, lease: None });
        assert_eq!(world.does(take), [1, 5]);
        assert_eq!(world.watchers.by_name.len(), 2);
        assert_eq!(world.watchers.leave(ClientId(3)), Some(Revision::ZERO));
        assert_eq!(world.watchers.by_name.len(), 1);
    }

    /// Whoever leaves is not told, and leaves nothing behind.
    #[test]
    fn whoever_leaves_is_not_told() {
        let mut world = World::new();
        world.watch(1, "a");
        world.watch(2, "a");
        assert_eq!(world.watchers.leave(ClientId(1)), Some(Revision::ZERO));
        assert_eq!(world.watchers.leave(ClientId(1)), None);
        assert_eq!(world.put("a"), [2]);
        assert!(world.watchers.waiting.is_empty() && world.watchers.lengths.is_empty());
    }
}
