//! One transaction over two participants, in every order there is: owner, log and branches as the
//! real values, with messages that are delayed, overtaken, lost and doubled, participants that
//! crash before a sync, an owner that dies, gives up or is fenced while it is still alive.
//!
//! After every step, and after every way of putting things right from there: both branches end as
//! the log says, nothing stays locked, nothing is applied twice, and nobody was told otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use synod_machine::branch::{
    Asker, Branches, Config, Durable, Input, Moment, Output, Word, Work, Write,
};
use synod_machine::door::Call;
use synod_machine::owner::{GivenUp, Owner, Phase};
use synod_machine::participant_door::{Said, Vote};
use synod_machine::{
    AbortCause, Batch, BranchIncarnation, Command, Entry, FenceCause, Machine, Mutation,
    ParticipantName, Proposal, Reply, Request, RequestId, Seq, SessionId, Timestamp, TxnId,
    Verdict,
};

const NAMES: [&str; 2] = ["east", "west"];
const TXN: TxnId = TxnId { session: SessionId::new(1), n: 1 };

/// What is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Message {
    Prepare(usize),
    Vote(usize, Vote),
    /// To the log.
    Ask(Request),
    /// From the log to the owner.
    Heard(Verdict),
    Finish(usize, Verdict),
}

/// What may still go wrong.
#[derive(Clone, Copy, Debug)]
struct Faults {
    crashes: u8,
    losses: u8,
    copies: u8,
}

#[derive(Clone, Debug)]
struct Shard {
    branches: Branches,
    durable: Durable,
    keys: BTreeMap<Bytes, Entry>,
    applied: u32,
}

#[derive(Clone, Debug)]
struct World {
    machine: Machine,
    /// `None` when it has died.
    owner: Option<Owner>,
    /// What the application was told, which outlives the owner.
    told: Option<Phase>,
    proposed: bool,
    /// It asked the log to abort after it proposed to commit.
    asked: bool,
    fenced: bool,
    shards: [Shard; 2],
    net: Vec<Message>,
    faults: Faults,
    seen: Verdict,
}

impl World {
    fn new(faults: Faults) -> World {
        let mut machine = Machine::new();
        let open = Command::OpenSession { owner: "app".to_owned(), ttl_ms: 1_000 };
        let mut requests = vec![Request { id: None, acked: Seq::ZERO, command: open }];
        for (seq, name) in (10..).zip(NAMES) {
            let (name, incarnation) = (ParticipantName::new(name), BranchIncarnation(7));
            let address = String::new();
            let command = Command::RegisterParticipant { name, incarnation, address };
            requests.push(named(seq, command));
        }
        machine.apply(Batch { stamp: Timestamp(1), requests });
        let shards = [0, 1].map(|place| {
            let durable = Durable::default();
            let branches = Branches::recover(config(place), &durable, Moment(0));
            Shard { branches, durable, keys: BTreeMap::new(), applied: 0 }
        });
        World {
            machine,
            owner: Some(Owner::begin(TXN, NAMES.map(ParticipantName::new))),
            told: None,
            proposed: false,
            asked: false,
            fenced: false,
            shards,
            net: vec![Message::Prepare(0), Message::Prepare(1)],
            faults,
            seen: Verdict::InProgress,
        }
    }

    /// Everything that can happen next.
    fn successors(&self) -> Vec<World> {
        let mut all = Vec::new();
        for place in 0..self.net.len() {
            let message = &self.net[place];
            let without = self.but(|world| drop(world.net.remove(place)));
            all.push(without.but(|world| world.deliver(message, false)));
            if self.faults.copies > 0 {
                let copied = self.but(|world| world.faults.copies -= 1);
                all.push(copied.but(|world| world.deliver(message, false)));
            }
            if self.faults.losses > 0 {
                all.push(without.but(|world| world.faults.losses -= 1));
            }
            if self.faults.crashes > 0
                && matches!(message, Message::Prepare(_) | Message::Finish(..))
            {
                let crashed = without.but(|world| world.faults.crashes -= 1);
                all.push(crashed.but(|world| world.deliver(message, true)));
            }
        }
        if self.owner.is_some() {
            all.push(self.but(|world| world.owner = None));
            all.push(self.but(World::give_up));
        }
        if !self.fenced {
            all.push(self.but(World::fence));
        }
        for place in 0..2 {
            if self.in_doubt(place) {
                all.push(self.but(|world| world.attend(place)));
                all.push(self.but(|world| world.ask_for_abort(place)));
            }
        }
        all
    }

    fn but(&self, change: impl FnOnce(&mut World)) -> World {
        let mut world = self.clone();
        change(&mut world);
        world
    }

    fn deliver(&mut self, message: &Message, crash: bool) {
        match message {
            Message::Prepare(place) => {
                let key = Bytes::from_static(b"key");
                let mutations = vec![Mutation::Put { key, value: Bytes::from_static(b"v") }];
                let work = Work { guards: vec![], mutations };
                let asker = Asker(*place as u64);
                self.step(*place, Input::Prepare { asker, txn: TXN, work }, crash);
            }
            Message::Finish(place, verdict) => {
                let (asker, verdict) = (None, *verdict);
                self.step(*place, Input::Finish { asker, txn: TXN, verdict }, crash);
            }
            Message::Vote(place, vote) => self.with_owner(|owner| {
                owner.vote(&ParticipantName::new(NAMES[*place]), vote);
            }),
            Message::Heard(verdict) => self.with_owner(|owner| owner.learn(*verdict)),
            Message::Ask(request) => self.put_into_the_log(request),
        }
    }

    /// The owner acts on what it has learnt.
    fn with_owner(&mut self, act: impl FnOnce(&mut Owner)) {
        let Some(owner) = &mut self.owner else { return };
        act(owner);
        if let Some(command) = owner.proposal()
            && !self.proposed
        {
            self.proposed = true;
            self.net.push(Message::Ask(named(1, command)));
        }
        if matches!(owner.phase(), Phase::Committed | Phase::Aborted) && self.told.is_none() {
            self.told = Some(owner.phase());
            for (name, verdict) in owner.to_tell() {
                let place = usize::from(name.as_str() == NAMES[1]);
                self.net.push(Message::Finish(place, verdict));
            }
        }
    }

    fn give_up(&mut self) {
        let mut ask = None;
        self.with_owner(|owner| match owner.give_up() {
            GivenUp::AskTheLog(command) => ask = Some(command),
            GivenUp::Over => {}
        });
        if let Some(command) = ask
            && !self.asked
        {
            self.asked = true;
            self.net.push(Message::Ask(named(2, command)));
        }
    }

    fn put_into_the_log(&mut self, request: &Request) {
        for applied in self.apply(request.clone()) {
            if let (Reply::Verdict(verdict), Some(_)) = (applied, request.id) {
                self.net.push(Message::Heard(verdict));
            }
        }
    }

    fn apply(&mut self, request: Request) -> Vec<Reply> {
        let applied = self.machine.apply(Batch { stamp: Timestamp(1), requests: vec![request] });
        let verdict = self.machine.verdict(TXN);
        let stands = self.seen == Verdict::InProgress || self.seen == verdict;
        assert!(stands, "C1: {:?} became {verdict:?}", self.seen);
        self.seen = verdict;
        applied.into_iter().map(|applied| applied.reply).collect()
    }

    fn fence(&mut self) {
        let (session, cause) = (TXN.session, FenceCause::Expired);
        self.fenced = true;
        self.apply(unnamed(Command::Fence { session, cause, guard: None }));
    }

    fn in_doubt(&self, place: usize) -> bool {
        !self.shards[place].branches.in_doubt(Moment(0)).is_empty()
    }

    fn attend(&mut self, place: usize) {
        let Call::Attend { participant, in_doubt, finished } = self.shards[place].branches.attend()
        else {
            panic!("a participant attends");
        };
        for (txn, verdict) in self.machine.news_for(&participant, &in_doubt, &finished) {
            self.step(place, Input::Finish { asker: None, txn, verdict }, false);
        }
    }

    /// What a branch proposes after its grace, and obeys.
    fn ask_for_abort(&mut self, place: usize) {
        let cause = AbortCause::InDoubtGrace { participant: ParticipantName::new(NAMES[place]) };
        let outcome = Proposal::Abort { cause };
        self.apply(unnamed(Command::Decide { txn: TXN, outcome }));
    }

    /// One step of a participant, then its sync, or a crash instead of it: then what was said at
    /// once is out, and what was sealed never was.
    fn step(&mut self, place: usize, input: Input, crash: bool) {
        let shard = &mut self.shards[place];
        let Output { durably, at_once, alarms, .. } =
            shard.branches.step(Moment(0), input, |key| shard.keys.get(key).cloned());
        assert_eq!(alarms, [], "nothing is lost and nobody lies here");
        let votes = at_once.into_iter().map(|(_, said)| Word::Said { to: Asker(0), said });
        let mut words: Vec<Word> = votes.collect();
        if crash {
            shard.branches = Branches::recover(config(place), &shard.durable, Moment(0));
        } else {
            for write in durably.writes() {
                shard.durable.write(write);
                if let Write::Key { key, entry: Some(entry) } = write {
                    shard.keys.insert(key.clone(), entry.clone());
                    shard.applied += 1;
                }
            }
            words.extend(durably.synced());
        }
        for word in words {
            match word {
                Word::Said { said: Said::Vote(vote), .. } => {
                    self.net.push(Message::Vote(place, vote));
                }
                Word::Said { .. } => {}
                Word::Acknowledge(txn) => {
                    let participant = ParticipantName::new(NAMES[place]);
                    let ack = unnamed(Command::Ack { participant, txns: vec![txn] });
                    self.net.push(Message::Ask(ack));
                }
            }
        }
    }

    fn check(&self) {
        for shard in &self.shards {
            assert!(shard.applied <= 1, "applied twice: {self:#?}");
            let early = shard.applied == 1 && self.seen != Verdict::Committed;
            assert!(!early, "C2: applied without a verdict: {self:#?}");
        }
        let healed = self.but(World::heal);
        let committed = match healed.seen {
            Verdict::Committed => true,
            Verdict::Aborted => false,
            open => panic!("no verdict after healing: {open:?} {self:#?}"),
        };
        for shard in &healed.shards {
            assert_eq!(shard.applied == 1, committed, "a branch ended otherwise: {self:#?}");
            assert_eq!(shard.branches.counts().locked, 0, "locks are left: {self:#?}");
        }
        let told = matches!(self.told, Some(Phase::Committed));
        assert!(self.told.is_none() || told == committed, "C5: told otherwise: {self:#?}");
    }

    /// Every message is lost, the owner is dead and fenced, the participants ask the log, and
    /// submit what they have to acknowledge until the log has it.
    fn heal(&mut self) {
        self.net.clear();
        self.owner = None;
        self.fence();
        for place in 0..2 {
            self.attend(place);
            if let Call::Attend { participant, finished: txns, .. } =
                self.shards[place].branches.attend()
            {
                self.apply(unnamed(Command::Ack { participant, txns }));
            }
        }
        assert_eq!(self.machine.census().commits_unacked, 0, "C8: a record stays: {self:#?}");
    }

    /// What tells this world from others, as far as the future goes.
    fn key(&self) -> u64 {
        let mut net: Vec<String> = self.net.iter().map(|message| format!("{message:?}")).collect();
        net.sort();
        let mut hasher = DefaultHasher::new();
        let shards = self
            .shards
            .each_ref()
            .map(|shard| format!("{:?} {:?} {}", shard.branches, shard.durable, shard.applied));
        let rest = format!("{:?} {:?} {:?} {}", self.owner, self.told, self.faults, self.fenced);
        (self.machine.hash(), shards, rest, net, self.proposed, self.asked).hash(&mut hasher);
        hasher.finish()
    }
}

fn config(place: usize) -> Config {
    let name = ParticipantName::new(NAMES[place]);
    Config { name, incarnation: BranchIncarnation(7), in_doubt_grace_ms: 1 }
}

fn named(seq: u64, command: Command) -> Request {
    let id = RequestId { session: TXN.session, seq: Seq::new(seq) };
    Request { id: Some(id), acked: Seq::ZERO, command }
}

fn unnamed(command: Command) -> Request {
    Request { id: None, acked: Seq::ZERO, command }
}

/// Visits every world that can be reached, and how the transaction can end from it.
fn explore(faults: Faults) -> (usize, BTreeSet<String>) {
    let mut ends = BTreeSet::new();
    let mut visited = BTreeSet::new();
    let mut open = vec![World::new(faults)];
    while let Some(world) = open.pop() {
        world.check();
        ends.insert(format!("{:?}", world.seen));
        open.extend(world.successors().into_iter().filter(|next| visited.insert(next.key())));
    }
    (visited.len(), ends)
}

fn every_order_is_atomic(faults: Faults) {
    let (worlds, ends) = explore(faults);
    // A walk that never commits, or never aborts, would prove nothing.
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), ["Aborted", "Committed", "InProgress"]);
    assert!(worlds > 1_000, "only {worlds} worlds");
}

/// A participant may crash between any step and its sync.
#[test]
fn no_order_with_a_crash_breaks_atomicity() {
    every_order_is_atomic(Faults { crashes: 1, losses: 0, copies: 0 });
}

/// Any message may be lost.
#[test]
fn no_order_with_a_loss_breaks_atomicity() {
    every_order_is_atomic(Faults { crashes: 0, losses: 1, copies: 0 });
}

/// Any message may come twice, the second time at any time later.
#[test]
fn no_order_with_a_copy_breaks_atomicity() {
    every_order_is_atomic(Faults { crashes: 0, losses: 0, copies: 1 });
}
