//! Clients at work while nodes crash, freeze and are cut off: whatever the schedule, what they were
//! told is true.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use synod_machine::{
    Answer, Entry, Query, Reply, Revision, SessionId, TxnId, Verdict,
    door::{Call, Said},
};
use synod_replica::{ClientId, Response};

use crate::world::{World, id, read, submit, written};

const NODES: usize = 3;
/// Stands for whoever takes itself for the leader.
const LEADER: usize = NODES;
const SHORT_TTL_MS: u64 = 300;

#[derive(Clone, Debug)]
enum Act {
    Submit { node: usize },
    Retry { pick: usize, node: usize },
    Read { node: usize },
    KeepAlive { node: usize },
    Gone { pick: usize },
    Crash { node: usize },
    Start { node: usize },
    Pause { node: usize },
    Resume { node: usize },
    Cut { one: usize, other: usize },
    Heal,
    Loss { percent: u64 },
    Run { ms: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let any_node = || prop_oneof![2 => 0..NODES, 3 => Just(LEADER)];
    prop_oneof![
        12 => any_node().prop_map(|node| Act::Submit { node }),
        6 => (any::<usize>(), any_node()).prop_map(|(pick, node)| Act::Retry { pick, node }),
        6 => any_node().prop_map(|node| Act::Read { node }),
        6 => any_node().prop_map(|node| Act::KeepAlive { node }),
        1 => any::<usize>().prop_map(|pick| Act::Gone { pick }),
        2 => any_node().prop_map(|node| Act::Crash { node }),
        3 => (0..NODES).prop_map(|node| Act::Start { node }),
        2 => any_node().prop_map(|node| Act::Pause { node }),
        3 => (0..NODES).prop_map(|node| Act::Resume { node }),
        2 => (0..NODES, 0..NODES).prop_map(|(one, other)| Act::Cut { one, other }),
        2 => Just(Act::Heal),
        1 => (0..20u64).prop_map(|percent| Act::Loss { percent }),
        14 => (0..300u64).prop_map(|ms| Act::Run { ms }),
    ]
}

/// What the clients did, and what they were told.
struct Clients {
    world: World,
    session: SessionId,
    seq: u64,
    /// Every call of a request, by its number.
    calls: BTreeMap<ClientId, u64>,
    /// Reads, with the revision that somebody had seen when each began.
    reads: BTreeMap<ClientId, Revision>,
    /// Keep-alives, with the moment each was sent.
    keep_alives: BTreeMap<ClientId, u64>,
    judged: BTreeSet<ClientId>,
    seen: Revision,
    short: SessionId,
    /// The short session was promised to live until then.
    kept_until_us: u64,
}

impl Clients {
    fn new(seed: u64) -> Clients {
        let mut world = World::new(NODES, seed);
        let leader = world.run_until_served(5_000);
        let session = world.open_session(leader, 3_600_000);
        let sent_us = world.now_us;
        let short = world.open_session(leader, SHORT_TTL_MS);
        Clients {
            world,
            session,
            seq: 0,
            calls: BTreeMap::new(),
            reads: BTreeMap::new(),
            keep_alives: BTreeMap::new(),
            judged: BTreeSet::new(),
            seen: Revision::ZERO,
            short,
            kept_until_us: sent_us + SHORT_TTL_MS * 1_000,
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Submit { node } => {
                self.seq += 1;
                self.submit(node, self.seq);
            }
            Act::Retry { pick, node } if self.seq > 0 => {
                self.submit(node, 1 + pick as u64 % self.seq);
            }
            Act::Retry { .. } => {}
            Act::Read { node } => {
                let node = self.resolve(node);
                let client = self.world.ask(node, read("k"));
                self.reads.insert(client, self.seen);
            }
            Act::KeepAlive { node } => {
                let node = self.resolve(node);
                let client = self.world.ask(node, Call::KeepAlive { session: self.short });
                self.keep_alives.insert(client, self.world.now_us);
            }
            Act::Gone { pick } => {
                let waiting =
                    self.calls.keys().filter(|one| !self.world.responses.contains_key(one));
                let waiting: Vec<ClientId> = waiting.copied().collect();
                if let Some(client) = waiting.get(pick % waiting.len().max(1)) {
                    self.world.gone(*client);
                }
            }
            Act::Crash { node } => self.world.crash(self.resolve(node)),
            Act::Start { node } => self.world.start(node),
            Act::Pause { node } => {
                let node = self.resolve(node);
                self.world.nodes[node].paused = true;
            }
            Act::Resume { node } => self.world.nodes[node].paused = false,
            Act::Cut { one, other } => self.world.cut(one, other),
            Act::Heal => self.world.heal(),
            Act::Loss { percent } => self.world.loss_percent = percent,
            Act::Run { ms } => {
                for _ in 0..ms.div_ceil(10) {
                    self.world.run_ms(10);
                    self.judge();
                }
            }
        }
        self.judge();
    }

    fn resolve(&self, node: usize) -> usize {
        if node < LEADER { node } else { self.world.server().unwrap_or(0) }
    }

    fn submit(&mut self, node: usize, seq: u64) {
        let node = self.resolve(node);
        let client = self.world.ask(node, submit(self.session, seq));
        self.calls.insert(client, seq);
    }

    /// Looks at the answers that came, and at the short session.
    fn judge(&mut self) {
        let fresh = self.world.responses.iter().filter(|(one, _)| !self.judged.contains(one));
        for (client, response) in
            fresh.map(|(one, response)| (*one, response.clone())).collect::<Vec<_>>()
        {
            self.judged.insert(client);
            if let Some(revision) = written(&response) {
                self.seen = self.seen.max(revision);
            }
            if let Some(before) = self.reads.get(&client)
                && let Response::Said(Said::Answer(Answer::Key { revision, .. })) = response
            {
                assert!(revision >= *before, "read {revision}, though {before} was seen before");
                self.seen = self.seen.max(revision);
            } else if let Some(sent_us) = self.keep_alives.get(&client)
                && response == Response::Said(Said::Kept)
            {
                self.kept_until_us = self.kept_until_us.max(sent_us + SHORT_TTL_MS * 1_000);
            }
        }
        // A transaction of an ended session is aborted by rule; before the end, and before the
        // beginning, it is in progress.
        let txn = TxnId { session: self.short, n: 1 };
        let up = self.world.nodes.iter().filter_map(|node| node.replica.as_ref());
        if up.map(|replica| replica.machine().verdict(txn)).any(|one| one == Verdict::Aborted) {
            let (now, until) = (self.world.now_us, self.kept_until_us);
            assert!(now >= until, "a session that was kept until {until} has ended at {now}");
        }
    }

    fn settle(&mut self) {
        self.world.loss_percent = 0;
        self.world.heal();
        for node in 0..NODES {
            self.world.nodes[node].paused = false;
            self.world.start(node);
        }
        self.world.run_until_level(20_000);
        self.judge();
        for seq in 1..=self.seq {
            self.judge_request(seq);
        }
    }

    /// Exactly once if anybody was told that it is done; not at all if everybody was told that it
    /// is not; at most once whatever was told.
    fn judge_request(&self, seq: u64) {
        let entry = self.entry(seq);
        let version = entry.as_ref().map_or(0, |entry| entry.version);
        assert!(version <= 1, "request {seq} was done {version} times");
        let calls = self.calls.iter().filter(|(_, of)| **of == seq);
        let told: Vec<_> = calls.map(|(client, _)| self.world.responses.get(client)).collect();
        for response in told.iter().copied().flatten() {
            if let Some(revision) = written(response) {
                let modified = entry.as_ref().map(|entry| entry.modified);
                assert_eq!(modified, Some(revision), "request {seq} was told to be done");
            }
        }
        if told.iter().all(|response| response.is_some_and(is_not_applied)) {
            assert_eq!(entry, None, "request {seq} was never applied, they said: {told:?}");
        }
    }

    fn entry(&self, seq: u64) -> Option<Entry> {
        let query = Query::Get { key: id(self.session, seq).to_string().into() };
        match self.world.replica(0).machine().query(&query) {
            Answer::Key { entry, .. } => entry,
            other => panic!("{other:?} is no key"),
        }
    }
}

fn is_not_applied(response: &Response) -> bool {
    match response {
        Response::NotLeader(_) | Response::Said(Said::NotApplied(_)) => true,
        Response::Said(Said::Unknown | Said::Reply(Reply::Written(_))) => false,
        other => panic!("{other:?} is no answer to a put"),
    }
}

/// Enough to catch what was planted, few enough for every build.
fn schedules() -> ProptestConfig {
    ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(schedules())]

    /// Done is done once and for ever; not applied is never applied; a read is never behind what
    /// was seen before it; a session that was kept lives for its time; and when all is well again,
    /// all nodes have the same state.
    #[test]
    fn whatever_happens_clients_are_told_the_truth(
        seed in any::<u64>(),
        acts in prop::collection::vec(act(), 1..120),
    ) {
        let mut clients = Clients::new(seed);
        for act in &acts {
            clients.act(act);
        }
        clients.settle();
    }
}
