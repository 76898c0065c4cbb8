use std::collections::VecDeque;

use bytes::Bytes;
use fastrand::Rng;
use synod_machine::{
    Answer, BarrierCommand, ClaimCommand, Command, CounterCommand, Expect, Guard, Hold, Interest,
    JournalCommand, JournalReply, LeaseCommand, LeaseId, Multi, Mutation, Name, Once, Position,
    Query, RegisterCommand, Rejection, Reply,
};

use crate::{
    plan::Plan,
    prize::{self, Prize},
};

/// All patrons share these; few, so that they meet.
const TWO: [&str; 2] = ["a", "b"];

/// How long a lease may live without a renewal.
const TTL_MS: (u64, u64) = (100, 1_500);

/// Registers stay what they are, so there must be new ones.
const REGISTERS: u64 = 6;

/// Commands under keys that a patron may ask again.
const ONCES: usize = 3;

/// One way in so many to ask, among those that may be asked under a key.
const ONCE_ONE_IN: u8 = 2;

/// What a patron of services asks: it claims names, counts, meets others at barriers, appends to
/// journals and reads them, and hangs keys on its lease; what would do harm if it were done twice
/// it asks under a key, and again, also in its next session.
#[derive(Debug)]
pub(crate) struct Trade {
    name: String,
    rng: Rng,
    lease: Option<LeaseId>,
    /// What it asked under keys.
    onces: VecDeque<Once>,
    /// The last that it appended, and how far it has read.
    position: Position,
    things: u64,
    /// Whether somebody takes away what others have claimed.
    breaks: bool,
    /// What else there is to ask about, if there is: locks, and offices.
    holders: Option<bool>,
}

/// What is to be asked next.
#[derive(Debug)]
pub(crate) enum Wanted {
    Done(Command),
    Read(Query),
    Renewed(LeaseId),
}

impl Trade {
    /// Of the client of this number.
    pub(crate) fn new(number: usize, plan: &Plan, rng: Rng) -> Trade {
        Trade {
            name: format!("client {number}"),
            rng,
            lease: None,
            onces: VecDeque::new(),
            position: Position::ZERO,
            things: 0,
            breaks: plan.breaks,
            holders: (plan.holders > 0).then_some(plan.elections),
        }
    }

    /// What it asks next.
    pub(crate) fn next(&mut self) -> Wanted {
        match self.lease {
            None if self.rng.u8(0..3) == 0 => {
                let ttl_ms = self.rng.u64(TTL_MS.0..=TTL_MS.1);
                let grant = Command::Lease(LeaseCommand::Grant { ttl_ms });
                return Wanted::Done(self.perhaps_once(grant));
            }
            Some(lease) => match self.rng.u8(0..24) {
                0..=2 => return Wanted::Renewed(lease),
                3 => return Wanted::Done(Command::Lease(LeaseCommand::Revoke { lease })),
                _ => {}
            },
            None => {}
        }
        if self.rng.u8(0..4) == 0 {
            return Wanted::Read(self.question());
        }
        let again = self.rng.usize(0..4 * ONCES);
        if let Some(once) = self.onces.get(again) {
            return Wanted::Done(Command::Once(once.clone()));
        }
        let command = self.command();
        Wanted::Done(self.perhaps_once(command))
    }

    /// What became of something that it asked.
    pub(crate) fn hears(&mut self, reply: &Reply) {
        match reply {
            Reply::Lease(lease) => self.lease = Some(*lease),
            Reply::Rejected(Rejection::LeaseEnded) => self.lease = None,
            Reply::SettledApplied(first) => {
                let first: Reply = (**first).clone().into();
                self.hears(&first);
            }
            Reply::Journal(JournalReply::Appended { position, .. }) => {
                self.position = *position;
            }
            _ => {}
        }
    }

    /// It has read what stands in a journal.
    pub(crate) fn has_read(&mut self, answer: &Answer) {
        if let Answer::Journal { entries, .. } = answer
            && let Some(last) = entries.last()
        {
            self.position = last.position;
        }
    }

    fn perhaps_once(&mut self, command: Command) -> Command {
        if self.rng.u8(0..ONCE_ONE_IN) > 0 {
            return command;
        }
        self.things += 1;
        // Now and then it confuses itself, and asks for something else under a key that it used.
        let used = self.onces.front().filter(|_| self.rng.u8(0..8) == 0);
        let new = || Name::new(format!("key {}", self.things));
        let key = used.map_or_else(new, |once| once.key.clone());
        match Once::new(key, command) {
            Ok(once) => {
                self.onces.push_front(once.clone());
                self.onces.truncate(ONCES);
                Command::Once(once)
            }
            Err(command) => *command,
        }
    }

    fn command(&mut self) -> Command {
        let name = self.one_of("");
        match self.rng.u8(0..16) {
            0..=2 => self.claim(),
            3..=4 => {
                let number = self.things / 8 % REGISTERS;
                let (name, value) = (Name::new(format!("register {number}")), self.value());
                Command::Register(RegisterCommand::Propose { name, value })
            }
            5..=7 => Command::Counter(self.count(name)),
            8..=10 => Command::Journal(self.journal(name)),
            11..=12 => Command::Multi(self.multi()),
            _ => match self.lease {
                Some(lease) => Command::Barrier(self.meet(name, lease)),
                None => Command::Multi(self.multi()),
            },
        }
    }

    fn claim(&mut self) -> Command {
        let (name, owner) = (self.one_of("claim "), self.name.clone());
        let lease = self.lease.filter(|_| self.rng.bool());
        if self.breaks && self.rng.u8(0..6) == 0 {
            let (actor, reason) = prize::why();
            return Command::Claim(ClaimCommand::Break { name, actor, reason });
        }
        Command::Claim(match self.rng.u8(0..3) {
            0 => ClaimCommand::Release { name, owner },
            _ => ClaimCommand::Take { name, owner, lease },
        })
    }

    fn count(&mut self, name: Name) -> CounterCommand {
        match self.rng.u8(0..8) {
            0 => CounterCommand::Delete { name },
            1 => {
                let expect = self.rng.bool().then(|| self.rng.i64(-3..9));
                CounterCommand::Set { name, expect, to: self.rng.i64(-3..9) }
            }
            2 => CounterCommand::Add { name, by: i64::MAX - self.rng.i64(0..9) },
            _ => CounterCommand::Add { name, by: self.rng.i64(-1..4) },
        }
    }

    fn journal(&mut self, name: Name) -> JournalCommand {
        let group = self.one_of("group ");
        let position = Position::new(self.position.get().saturating_sub(self.rng.u64(0..3)));
        match self.rng.u8(0..16) {
            0..=1 => JournalCommand::Trim { name, upto: position },
            2..=3 => JournalCommand::Trim { name, upto: self.position },
            4..=8 => {
                let position = Position::new(self.rng.u64(0..=self.position.get()));
                JournalCommand::Commit { name, group, position }
            }
            9 if self.rng.u8(0..4) == 0 => JournalCommand::Forget { name, group },
            _ => JournalCommand::Append { name, value: self.value() },
        }
    }

    fn meet(&mut self, name: Name, lease: LeaseId) -> BarrierCommand {
        match self.rng.u8(0..6) {
            0 => BarrierCommand::Leave { name, lease },
            1 => BarrierCommand::Remove { name },
            // Now and then somebody has it wrong how many must come.
            2 => BarrierCommand::Arrive { name, lease, parties: 3 },
            _ => BarrierCommand::Arrive { name, lease, parties: 2 },
        }
    }

    /// Sets or removes a key, on condition that a name is claimed, or that a key is as it should
    /// be; it may hang on the lease.
    fn multi(&mut self) -> Multi {
        let (key, other) = (self.key(), self.key());
        let guards = match self.rng.u8(0..4) {
            0 => vec![Guard { key: other, expect: Expect::Present }],
            1 => vec![Guard { key: other, expect: Expect::Absent }],
            _ => Vec::new(),
        };
        let holds = match self.rng.bool() {
            true => vec![self.hold()],
            false => Vec::new(),
        };
        let mutation = match self.rng.u8(0..5) {
            0 => Mutation::Delete { key: key.clone() },
            _ => Mutation::Put { key: key.clone(), value: self.value() },
        };
        let lease = self.lease.filter(|_| self.rng.u8(0..3) > 0);
        Multi { guards, holds, mutations: vec![mutation], lease, reads: vec![key] }
    }

    /// That a name stands for this patron, or for another.
    fn hold(&mut self) -> Hold {
        let owner = match self.rng.u8(0..4) {
            0 => "nobody".to_owned(),
            _ => self.name.clone(),
        };
        Hold::Claim { name: self.one_of("claim "), owner }
    }

    fn question(&mut self) -> Query {
        let name = self.one_of("");
        if let Some(elections) = self.holders
            && self.rng.u8(0..3) == 0
        {
            return Prize::draw(elections, &mut self.rng).query();
        }
        match self.rng.u8(0..8) {
            0..=1 => Query::Claim { name: self.one_of("claim ") },
            2 => {
                let number = self.rng.u64(0..REGISTERS);
                Query::Register { name: Name::new(format!("register {number}")) }
            }
            3..=4 => Query::Counter { name },
            5 => Query::Barrier { name },
            6 => Query::Offsets { name },
            _ => Query::Journal { name, after: Position::ZERO, limit: self.rng.u32(1..40) },
        }
    }

    fn one_of(&mut self, kind: &str) -> Name {
        Name::new(format!("{kind}{}", TWO[self.rng.usize(0..TWO.len())]))
    }

    fn key(&mut self) -> Bytes {
        Bytes::from(format!("desk {}", TWO[self.rng.usize(0..TWO.len())]))
    }

    fn value(&mut self) -> Bytes {
        self.things += 1;
        Bytes::from(format!("{}, {}", self.name, self.things))
    }
}

/// Something that patrons change.
pub(crate) fn interest(rng: &mut Rng) -> Interest {
    let name = Name::new(TWO[rng.usize(0..TWO.len())]);
    match rng.u8(0..6) {
        0 => Interest::Keys { prefix: Bytes::from(format!("desk {name}")) },
        1 => Interest::Claim { name: Name::new(format!("claim {name}")) },
        2 => Interest::Register { name: Name::new(format!("register {}", rng.u64(0..REGISTERS))) },
        3 => Interest::Counter { name },
        4 => Interest::Barrier { name },
        _ => Interest::Journal { name },
    }
}

/// That a name stands for one of them.
pub(crate) fn some_claim(first: usize, rng: &mut Rng) -> Hold {
    let name = Name::new(format!("claim {}", TWO[rng.usize(0..TWO.len())]));
    Hold::Claim { name, owner: format!("client {}", first + rng.usize(0..2)) }
}
