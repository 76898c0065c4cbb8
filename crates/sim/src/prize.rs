//! What holders contend for: locks, and offices of elections.

use fastrand::Rng;
use synod_machine::{
    Change, Command, ElectionCommand, ElectionReply, Hold, Interest, LeaseCommand, LeaseId,
    LockCommand, LockReply, Multi, Mutation, Name, Order, Query, Rejection, Reply, Report,
    Revision, Rules,
};

/// All holders share these; few, so that they meet.
const LOCKS: [&str; 2] = ["lock a", "lock b"];
const OFFICES: [&str; 2] = ["office a", "office b"];

/// One thing that one lease may have at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prize {
    Lock(Name),
    Office(Name),
}

/// What asking for it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Under this token.
    Held(Revision),
    /// What changes after this revision tells when it is.
    Queued(Revision),
    Taken,
}

impl Prize {
    /// One of them; offices are only where there are elections.
    pub(crate) fn draw(elections: bool, rng: &mut Rng) -> Prize {
        if elections && rng.u8(0..4) > 0 {
            return Prize::Office(some_office(rng));
        }
        Prize::Lock(Name::new(LOCKS[rng.usize(0..LOCKS.len())]))
    }

    pub(crate) fn name(&self) -> &Name {
        match self {
            Prize::Lock(name) | Prize::Office(name) => name,
        }
    }

    /// Asks for it. A candidate may have much to say for itself, or against.
    pub(crate) fn ask(&self, lease: LeaseId, standing: &mut Standing, rng: &mut Rng) -> Command {
        let name = self.name().clone();
        match self {
            Prize::Lock(_) => {
                let wait = rng.u8(0..4) > 0;
                Command::Lock(LockCommand::Acquire { name, lease, wait })
            }
            Prize::Office(_) => {
                standing.priority = rng.i32(-1..=2);
                let report = match rng.u8(0..8) {
                    0 => Some(Report::NotNow),
                    1..=5 => Some(Report::At(standing.moves_on(rng))),
                    _ => None,
                };
                standing.stand(name, lease, report)
            }
        }
    }

    /// Asks where whoever waits stands; its place is the same however often it asks.
    pub(crate) fn ask_again(&self, lease: LeaseId, standing: &Standing) -> Command {
        let name = self.name().clone();
        match self {
            Prize::Lock(_) => Command::Lock(LockCommand::Acquire { name, lease, wait: true }),
            Prize::Office(_) => standing.stand(name, lease, None),
        }
    }

    /// A candidate that waits would be more important, or less. What it said of itself stands.
    pub(crate) fn stand_again(
        &self,
        lease: LeaseId,
        standing: &mut Standing,
        rng: &mut Rng,
    ) -> Command {
        standing.priority = rng.i32(-1..=2);
        self.ask_again(lease, standing)
    }

    /// What it says of it, or does under it, while it has it with this token.
    pub(crate) fn use_it(
        &self,
        lease: LeaseId,
        token: Revision,
        standing: &mut Standing,
        rng: &mut Rng,
    ) -> Command {
        let name = self.name().clone();
        match (self, rng.u8(0..4)) {
            (Prize::Office(_), 0) => {
                let value = format!("at {}", standing.position);
                Command::Election(ElectionCommand::Proclaim { name, lease, token, value })
            }
            (Prize::Office(_), 1) => {
                let report = Report::At(standing.moves_on(rng));
                Command::Election(ElectionCommand::Report { name, lease, report })
            }
            (_, _) => {
                let hold = match self {
                    Prize::Lock(_) => Hold::Lock { name: name.clone(), token },
                    Prize::Office(_) => Hold::Incumbent { election: name.clone(), token },
                };
                let value = format!("{} under {token}", standing.candidate).into();
                let work = Mutation::Put { key: format!("work of {name}").into(), value };
                Command::Multi(Multi {
                    holds: vec![hold],
                    mutations: vec![work],
                    ..Multi::default()
                })
            }
        }
    }

    /// A candidate that said that it must not be granted says that it may by now, and one that was
    /// too far behind how far it has come.
    pub(crate) fn relent(
        &self,
        lease: LeaseId,
        standing: &mut Standing,
        rng: &mut Rng,
    ) -> Option<Command> {
        let Prize::Office(name) = self else { return None };
        let (name, report) = (name.clone(), Report::At(standing.moves_on(rng)));
        Some(Command::Election(ElectionCommand::Report { name, lease, report }))
    }

    pub(crate) fn give_back(&self, lease: LeaseId) -> Command {
        let name = self.name().clone();
        match self {
            Prize::Lock(_) => Command::Lock(LockCommand::Release { name, lease }),
            Prize::Office(_) => Command::Election(ElectionCommand::Leave { name, lease }),
        }
    }

    /// How it stands.
    pub(crate) fn query(&self) -> Query {
        let name = self.name().clone();
        match self {
            Prize::Lock(_) => Query::Lock { name },
            Prize::Office(_) => Query::Election { name },
        }
    }

    pub(crate) fn interest(&self) -> Interest {
        let name = self.name().clone();
        match self {
            Prize::Lock(_) => Interest::Lock { name },
            Prize::Office(_) => Interest::Election { name },
        }
    }

    /// The token under which it has come to this lease, if it has.
    pub(crate) fn comes_to(lease: LeaseId, change: &Change) -> Option<Revision> {
        match change {
            Change::Lock { holder: Some(holder), .. } if holder.lease == lease => {
                Some(holder.token)
            }
            Change::Election { office, .. } => {
                let incumbent = office.incumbent.as_ref().filter(|one| one.lease == lease);
                incumbent.map(|one| one.token)
            }
            _ => None,
        }
    }
}

/// How a candidate stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    candidate: Name,
    priority: i32,
    position: u64,
}

impl Standing {
    /// Of the holder of this place.
    pub(crate) fn new(place: usize) -> Standing {
        Standing { candidate: candidate(place), priority: 0, position: 0 }
    }

    /// It follows what it follows, fast or slowly.
    fn moves_on(&mut self, rng: &mut Rng) -> u64 {
        self.position += rng.u64(0..16);
        self.position
    }

    fn stand(&self, name: Name, lease: LeaseId, report: Option<Report>) -> Command {
        let (candidate, priority) = (self.candidate.clone(), self.priority);
        Command::Election(ElectionCommand::Stand { name, lease, candidate, priority, report })
    }
}

fn candidate(place: usize) -> Name {
    Name::new(format!("holder {place}"))
}

/// What a reply to asking says.
pub(crate) fn came(reply: &Reply) -> Option<Came> {
    match reply {
        Reply::Lock(LockReply::Held { token })
        | Reply::Election(ElectionReply::Incumbent { token }) => Some(Came::Held(*token)),
        Reply::Lock(LockReply::Queued { at, .. })
        | Reply::Election(ElectionReply::Waiting { at, .. }) => Some(Came::Queued(*at)),
        Reply::Lock(LockReply::Taken { .. }) => Some(Came::Taken),
        _ => None,
    }
}

/// Whether it is given back, or was somebody else's already.
pub(crate) fn is_given_back(reply: &Reply) -> bool {
    matches!(
        reply,
        Reply::Lock(LockReply::Released { .. } | LockReply::Absent)
            | Reply::Election(ElectionReply::Left { .. } | ElectionReply::Absent)
    )
}

/// Whether it is taken away, or was not there to be.
pub(crate) fn is_broken(reply: &Reply) -> bool {
    matches!(
        reply,
        Reply::Lock(LockReply::Released { .. } | LockReply::Absent)
            | Reply::Done(_)
            | Reply::Rejected(Rejection::UnknownLease)
    )
}

/// The first, mostly: where many stand there is somebody to leave for.
fn some_office(rng: &mut Rng) -> Name {
    Name::new(OFFICES[usize::from(rng.u8(0..5) == 0)])
}

/// What an operator orders: somebody to leave for another, or for a certain one, or to have thought
/// better of it; that nobody is granted while it is paused; and what must hold of whoever is.
pub(crate) fn order(holders: u16, rng: &mut Rng) -> Command {
    let name = some_office(rng);
    let order = match rng.u8(0..20) {
        0 => Order::Pause,
        1..=3 => Order::Resume,
        4..=8 => Order::Rules(rules(rng)),
        9 => Order::Rules(Rules::default()),
        10 => Order::Cancel,
        11..=12 => Order::Switchover { to: None },
        _ => Order::Switchover { to: Some(candidate(rng.usize(0..usize::from(holders)))) },
    };
    let (actor, reason) = why();
    Command::Election(ElectionCommand::Order { name, order, actor, reason })
}

/// Somebody takes a lock to be stuck, or a lease that was granted about when this one was.
pub(crate) fn break_something(near: LeaseId, rng: &mut Rng) -> Command {
    let (actor, reason) = why();
    if rng.u8(0..3) > 0 {
        let name = Name::new(LOCKS[rng.usize(0..LOCKS.len())]);
        return Command::Lock(LockCommand::Break { name, actor, reason });
    }
    let lease = LeaseId::new((near.get() + rng.u64(0..4)).saturating_sub(2));
    Command::Lease(LeaseCommand::Break { lease, actor, reason })
}

/// Who orders what operators do, and why.
pub(crate) fn why() -> (String, String) {
    ("operator".to_owned(), "trouble".to_owned())
}

/// Few enough that somebody keeps them, often.
fn rules(rng: &mut Rng) -> Rules {
    let mut rule = |most: u64| (rng.u8(0..3) == 0).then(|| rng.u64(0..most));
    Rules { lag_max: rule(24), position_min: rule(60), fresh_ms: rule(300) }
}
