//! A stage for one peer: the test plays everybody else, and decides when the disk has synced.
#![allow(dead_code, reason = "each test file uses a part of the stage")]
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

use std::time::Duration;

use bytes::Bytes;
use synod_paxos::*;

pub(crate) struct Stage {
    pub(crate) peer: Peer,
    pub(crate) now: Tick,
    pub(crate) me: Life,
    others: Vec<Life>,
    /// Writes and sealed words that the disk has not synced.
    pub(crate) unsynced: Durably,
    /// The last heartbeat round of the peer.
    round: u64,
}

/// What one step brought. The mark that every step ends with that writes is left out.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    pub(crate) writes: Vec<Write>,
    pub(crate) at_once: Vec<Envelope>,
    pub(crate) chosen: Vec<Chosen>,
    pub(crate) proposed: Vec<Slot>,
    pub(crate) barriers: Vec<Barrier>,
    pub(crate) fetch: Vec<Fetch>,
    pub(crate) behind: Vec<Behind>,
    pub(crate) unfit: Option<Unfit>,
    pub(crate) damaged: Option<Slot>,
    pub(crate) forgotten: Option<Forgotten>,
}

pub(crate) fn life(node: u16) -> Life {
    Life::first(NodeId::new(node))
}

pub(crate) fn ballot(round: u64, node: u16) -> Ballot {
    Ballot::of(round, life(node))
}

pub(crate) fn slot(number: u64) -> Slot {
    Slot::new(number)
}

pub(crate) fn value(text: &str) -> Decree {
    Decree::Value(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn accept(at: Ballot, place: u64, text: &str, chosen_upto: u64) -> Message {
    let (slot, chosen_upto) = (slot(place), slot(chosen_upto));
    Message::Accept { ballot: at, slot, decree: value(text), chosen_upto }
}

pub(crate) fn accepted(at: Ballot, first: u64, last: u64) -> Message {
    let slots = vec![Span { first: slot(first), last: slot(last) }];
    Message::Accepted { ballot: at, slots, chosen_upto: Slot::ZERO }
}

pub(crate) fn prepare(at: Ballot, first: u64) -> Message {
    Message::Prepare { ballot: at, first: slot(first), holds: Vec::new() }
}

/// A promise in one page, from slot 1 to the end of the log.
pub(crate) fn promise(at: Ballot, chosen_upto: u64, reports: Vec<(u64, Report)>) -> Message {
    let reports = reports.into_iter().map(|(place, report)| (slot(place), report)).collect();
    let (first, chosen_upto, lost_upto) = (slot(1), slot(chosen_upto), Slot::ZERO);
    let page = Page { first, upto: None, chosen_upto, lost_upto, reports };
    Message::Promise { ballot: at, page }
}

pub(crate) fn voted(at: Ballot, text: &str) -> Report {
    Report::Accepted { ballot: at, decree: value(text) }
}

/// How a follower at rest stands that hears no leader.
pub(crate) fn following(promised: Ballot) -> Standing {
    Standing {
        process: Process::new(1),
        promised,
        reign: None,
        quorum: true,
        sees_leader: false,
        disk_alive: true,
        chosen_upto: Slot::ZERO,
        covered: Slot::ZERO,
    }
}

/// Nobody on this stage vows, so that whoever starts may promise at once.
fn unvowed(config: Config) -> Config {
    Config { leasing: Leasing { asks: false, vow: Duration::ZERO }, ..config }
}

impl Stage {
    /// Node 1 of `count`, fresh from formatting.
    pub(crate) fn new(count: u16) -> Stage {
        Stage::recovered(count, Durable::default())
    }

    /// Node 1 of `count`, with this on its disk.
    pub(crate) fn recovered(count: u16, durable: Durable) -> Stage {
        Stage::with(count, durable, |_| {})
    }

    /// The same with a state above it that has come to `applied`.
    pub(crate) fn at(count: u16, durable: Durable, applied: u64) -> Stage {
        let mut stage = Stage::new(count);
        let members = Members::new((1..=count).map(life).collect()).unwrap();
        let config = unvowed(Config::new(life(1), members).unwrap());
        stage.peer = Peer::recover_at(config, durable, slot(applied), 1);
        stage
    }

    pub(crate) fn with(count: u16, durable: Durable, tune: impl FnOnce(&mut Config)) -> Stage {
        let members = Members::new((1..=count).map(life).collect()).unwrap();
        let mut config = unvowed(Config::new(life(1), members).unwrap());
        tune(&mut config);
        Stage {
            peer: Peer::recover(config, durable, 1),
            now: Tick::ZERO,
            me: life(1),
            others: (2..=count).map(life).collect(),
            unsynced: Durably::default(),
            round: 0,
        }
    }

    pub(crate) fn step(&mut self, input: Input) -> Spoken {
        let mut out = Output::default();
        self.peer.step(self.now, input, &mut out);
        for envelope in &out.at_once {
            if let Message::Heartbeat { round, .. } = envelope.message {
                self.round = self.round.max(round);
            }
        }
        let marked = |write: &&Write| matches!(write, Write::Marked { .. });
        let unmarked = out.durably.writes().iter().filter(|write| !marked(write));
        let writes = unmarked.cloned().collect();
        self.unsynced.merge(out.durably);
        Spoken {
            writes,
            at_once: out.at_once,
            chosen: out.chosen,
            proposed: out.proposed,
            barriers: out.barriers,
            fetch: out.fetch,
            behind: out.behind,
            unfit: out.unfit,
            damaged: out.damaged,
            forgotten: out.forgotten,
        }
    }

    pub(crate) fn hear(&mut self, from: u16, message: Message) -> Spoken {
        self.hear_as(life(from), message)
    }

    pub(crate) fn hear_as(&mut self, from: Life, message: Message) -> Spoken {
        let to = self.me.node;
        self.step(Input::Deliver(Envelope::of(from, to, message)))
    }

    pub(crate) fn propose(&mut self, text: &str) -> Spoken {
        self.step(Input::Propose(value(text)))
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
    }

    /// The disk is done: the sealed words to others come back, those to oneself are stepped in.
    pub(crate) fn sync(&mut self) -> Spoken {
        let mut all = Spoken::default();
        while !self.unsynced.is_empty() {
            for envelope in std::mem::take(&mut self.unsynced).synced() {
                if envelope.to == self.me.node {
                    all.append(self.step(Input::Deliver(envelope)));
                } else {
                    all.at_once.push(envelope);
                }
            }
        }
        all
    }

    /// Everyone answers the last heartbeat, as a follower at rest who has promised nothing above
    /// `promised` would.
    pub(crate) fn answer_heartbeat(&mut self, promised: Ballot) {
        for other in self.others.clone() {
            self.answer(other.node.get(), following(promised));
        }
    }

    /// One of the others answers the last heartbeat.
    pub(crate) fn answer(&mut self, from: u16, standing: Standing) -> Spoken {
        self.hear(from, Message::Alive { round: self.round, standing })
    }

    /// Lets time pass, all others answering, until the peer campaigns; its ballot.
    pub(crate) fn campaign(&mut self) -> Ballot {
        for _ in 0..200 {
            if let Role::Campaigning { ballot } = self.peer.role() {
                return ballot;
            }
            self.wait(5);
            self.step(Input::Wake);
            self.answer_heartbeat(Ballot::ZERO);
        }
        panic!("no campaign in a second: {:?}", self.peer.role());
    }

    /// Campaigns and wins with empty promises of all; its ballot.
    pub(crate) fn lead(&mut self) -> Ballot {
        let ballot = self.campaign();
        self.sync();
        for other in self.others.clone() {
            self.hear_as(other, promise(ballot, 0, vec![]));
        }
        assert!(matches!(self.peer.role(), Role::Leading { .. }), "{:?}", self.peer.role());
        ballot
    }

    pub(crate) fn leads(&self) -> bool {
        matches!(self.peer.role(), Role::Leading { .. })
    }
}

impl Spoken {
    fn append(&mut self, later: Spoken) {
        self.writes.extend(later.writes);
        self.at_once.extend(later.at_once);
        self.chosen.extend(later.chosen);
        self.proposed.extend(later.proposed);
        self.barriers.extend(later.barriers);
        self.fetch.extend(later.fetch);
        self.behind.extend(later.behind);
        self.unfit = later.unfit.or(self.unfit);
        self.damaged = later.damaged.or(self.damaged);
        self.forgotten = later.forgotten.or(self.forgotten);
    }

    /// The words to node `to`, without heartbeats.
    pub(crate) fn to(&self, to: u16) -> Vec<&Message> {
        let words = self.at_once.iter().filter(|envelope| envelope.to == NodeId::new(to));
        let quiet = |message: &&Message| !matches!(message, Message::Heartbeat { .. });
        words.map(|envelope| &envelope.message).filter(quiet).collect()
    }

    /// The accepts to node 2: where, and what.
    pub(crate) fn accepts(&self) -> Vec<(u64, Decree)> {
        let accept = |message: &Message| match message {
            Message::Accept { slot, decree, .. } => Some((slot.get(), decree.clone())),
            _ => None,
        };
        self.to(2).into_iter().filter_map(accept).collect()
    }

    /// The slots and decrees chosen.
    pub(crate) fn choices(&self) -> Vec<(u64, Decree)> {
        self.chosen.iter().map(|chosen| (chosen.slot.get(), chosen.decree.clone())).collect()
    }
}
