//! What holders contend for: locks, and offices of elections.

use fastrand::Rng;
use synod_machine::{
    Change, Command, ElectionCommand, ElectionReply, Interest, LeaseId, LockCommand, LockReply,
    Name, Order, Reply, Report, Revision,
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
    Held,
    /// What changes after this revision tells when it is.
    Queued(Revision),
    Taken,
}

impl Prize {
    /// One of them; offices are only where there are elections.
    pub(crate) fn draw(elections: bool, rng: &mut Rng) -> Prize {
        if elections && rng.bool() {
            return Prize::Office(Name::new(OFFICES[rng.usize(0..OFFICES.len())]));
        }
        Prize::Lock(Name::new(LOCKS[rng.usize(0..LOCKS.len())]))
    }

    pub(crate) fn name(&self) -> &Name {
        match self {
            Prize::Lock(name) | Prize::Office(name) => name,
        }
    }

    /// Asks for it. A candidate may have much to say for itself, or against.
    pub(crate) fn ask(&self, lease: LeaseId, rng: &mut Rng) -> Command {
        let name = self.name().clone();
        match self {
            Prize::Lock(_) => {
                let wait = rng.u8(0..4) > 0;
                Command::Lock(LockCommand::Acquire { name, lease, wait })
            }
            Prize::Office(_) => stand(
                name,
                lease,
                match rng.u8(0..4) {
                    0 => Some(Report::NotNow),
                    1 => Some(Report::At(rng.u64(0..100))),
                    _ => None,
                },
            ),
        }
    }

    /// Asks where whoever waits stands; its place is the same however often it asks.
    pub(crate) fn ask_again(&self, lease: LeaseId) -> Command {
        let name = self.name().clone();
        match self {
            Prize::Lock(_) => Command::Lock(LockCommand::Acquire { name, lease, wait: true }),
            Prize::Office(_) => stand(name, lease, None),
        }
    }

    /// A candidate that said that it must not be granted says that it may by now.
    pub(crate) fn relent(&self, lease: LeaseId) -> Option<Command> {
        let Prize::Office(name) = self else { return None };
        let (name, report) = (name.clone(), Report::At(0));
        Some(Command::Election(ElectionCommand::Report { name, lease, report }))
    }

    pub(crate) fn give_back(&self, lease: LeaseId) -> Command {
        let name = self.name().clone();
        match self {
            Prize::Lock(_) => Command::Lock(LockCommand::Release { name, lease }),
            Prize::Office(_) => Command::Election(ElectionCommand::Leave { name, lease }),
        }
    }

    pub(crate) fn interest(&self) -> Interest {
        let name = self.name().clone();
        match self {
            Prize::Lock(_) => Interest::Lock { name },
            Prize::Office(_) => Interest::Election { name },
        }
    }

    /// Whether it has come to this lease.
    pub(crate) fn comes_to(lease: LeaseId, change: &Change) -> bool {
        match change {
            Change::Lock { holder: Some(holder), .. } => holder.lease == lease,
            Change::Election { office, .. } => {
                office.incumbent.as_ref().is_some_and(|one| one.lease == lease)
            }
            _ => false,
        }
    }
}

fn stand(name: Name, lease: LeaseId, report: Option<Report>) -> Command {
    let candidate = Name::new(format!("on lease {lease}"));
    let priority = if lease.get().is_multiple_of(2) { 1 } else { 0 };
    Command::Election(ElectionCommand::Stand { name, lease, candidate, priority, report })
}

/// What a reply to asking says.
pub(crate) fn came(reply: &Reply) -> Option<Came> {
    match reply {
        Reply::Lock(LockReply::Held { .. }) | Reply::Election(ElectionReply::Incumbent { .. }) => {
            Some(Came::Held)
        }
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

/// An operator asks an incumbent to leave, or has thought better of it.
pub(crate) fn order(rng: &mut Rng) -> Command {
    let name = Name::new(OFFICES[rng.usize(0..OFFICES.len())]);
    let order = if rng.u8(0..4) > 0 { Order::Switchover { to: None } } else { Order::Cancel };
    let (actor, reason) = ("operator".to_owned(), "trouble".to_owned());
    Command::Election(ElectionCommand::Order { name, order, actor, reason })
}
