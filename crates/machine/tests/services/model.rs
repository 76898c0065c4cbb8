//! What the models of all services share: a revision, everything that ever changed, every lease
//! that was ever granted; and the properties that each service is held to.

use proptest::prelude::*;
use synod_machine::{
    Answer, Change, Command, Interest, LeaseCommand, LeaseId, Machine, Query, Rejection, Reply,
    Revision, Timestamp, owner_name,
};

use crate::{Asked, OWNERS, World, place};

/// Everything that ever happened.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) revision: u64,
    changes: Vec<(u64, Change)>,
    /// Every lease that was ever granted: the session that asked, and whether it has ended.
    leases: Vec<(u64, bool)>,
}

/// A service that remembers everything and is slow.
pub(crate) trait Model: Default {
    fn ledger(&mut self) -> &mut Ledger;

    /// What a command of the service comes to.
    fn serve(&mut self, by: u64, command: &Command, now: Timestamp) -> Reply;

    /// Nothing stands on this lease any more. Whether anything did.
    fn lease_ends(&mut self, lease: LeaseId, now: Timestamp) -> bool;

    /// Whether a machine says the same.
    fn agrees(&self, machine: &Machine, now: Timestamp) -> Result<(), TestCaseError>;

    fn apply(&mut self, by: u64, command: &Command, now: Timestamp) -> Reply {
        let (lease, foreign_is_fine) = match command {
            Command::Lease(LeaseCommand::Grant { .. }) => {
                let leases = &mut self.ledger().leases;
                leases.push((by, false));
                return Reply::Lease(LeaseId::new(leases.len() as u64));
            }
            Command::Lease(LeaseCommand::Revoke { lease }) => (*lease, false),
            Command::Lease(LeaseCommand::Break { lease, .. }) => (*lease, true),
            command => return self.serve(by, command, now),
        };
        match self.ledger().may_use(by, lease) {
            Err(Rejection::ForeignLease) if foreign_is_fine => {}
            Ok(()) | Err(Rejection::LeaseEnded) => {}
            Err(why) => return Reply::Rejected(why),
        }
        let was_over = std::mem::replace(&mut self.ledger().leases[place(lease.get())].1, true);
        // What ends with it is told of at the next revision.
        self.ledger().revision += 1;
        if was_over || !self.lease_ends(lease, now) {
            self.ledger().revision -= 1;
        }
        Reply::Done(self.ledger().now())
    }
}

impl Ledger {
    pub(crate) fn now(&self) -> Revision {
        Revision::new(self.revision)
    }

    /// Something happens.
    pub(crate) fn next(&mut self) -> Revision {
        self.revision += 1;
        self.now()
    }

    /// It changed something, at the present revision.
    pub(crate) fn note(&mut self, change: Change) {
        self.changes.push((self.revision, change));
    }

    pub(crate) fn may_use(&self, by: u64, lease: LeaseId) -> Result<(), Rejection> {
        let granted = (lease != LeaseId::ZERO).then(|| self.leases.get(place(lease.get())));
        match granted.flatten() {
            None => Err(Rejection::UnknownLease),
            Some((_, true)) => Err(Rejection::LeaseEnded),
            Some((to, false)) if client(*to) != client(by) => Err(Rejection::ForeignLease),
            Some((_, false)) => Ok(()),
        }
    }

    fn after(&self, after: Revision, interest: &Interest) -> Vec<(Revision, Vec<Change>)> {
        let mut rows: Vec<(Revision, Vec<Change>)> = Vec::new();
        let later = self.changes.iter().filter(|(at, _)| *at > after.get());
        for (at, change) in later.filter(|(_, change)| change.named().as_ref() == Some(interest)) {
            match rows.last_mut() {
                Some((last, row)) if last.get() == *at => row.push(change.clone()),
                _ => rows.push((Revision::new(*at), vec![change.clone()])),
            }
        }
        rows
    }
}

/// The client of a session.
pub(crate) fn client(session: u64) -> &'static str {
    owner_name(OWNERS[place(session)])
}

/// A lease is granted, given back or taken away: of few, so that commands meet those that are.
pub(crate) fn lease() -> impl Strategy<Value = LeaseId> {
    (0u64..8).prop_map(LeaseId::new)
}

pub(crate) fn leases() -> impl Strategy<Value = Command> {
    let leases = prop_oneof![
        3 => Just(LeaseCommand::Grant { ttl_ms: 1_000 }),
        1 => lease().prop_map(|lease| LeaseCommand::Revoke { lease }),
        1 => lease().prop_map(|lease| LeaseCommand::Break {
            lease, actor: "ops".to_owned(), reason: "gone".to_owned(),
        }),
    ];
    leases.prop_map(Command::Lease)
}

/// Histories of these commands by three sessions, the first two of one client.
pub(crate) fn histories(
    commands: impl Strategy<Value = Command>,
) -> impl Strategy<Value = Vec<Vec<Asked>>> {
    let asked = (1u64..=3, commands);
    prop::collection::vec(prop::collection::vec(asked, 1..4), 1..50)
}

/// Every reply and every answer is that of the model.
pub(crate) fn is_its_history<M: Model>(history: Vec<Vec<Asked>>) -> Result<(), TestCaseError> {
    let (mut world, mut model) = (World::new(), M::default());
    for asked in history {
        let batch = world.batch(&asked);
        let now = batch.stamp;
        let expected: Vec<_> =
            asked.iter().map(|(by, command)| model.apply(*by, command, now)).collect();
        let replies: Vec<_> =
            world.machine.apply(batch).into_iter().map(|applied| applied.reply).collect();
        prop_assert_eq!(replies, expected, "{:?}", asked);
        prop_assert_eq!(world.machine.revision(), model.ledger().now());
        prop_assert_eq!(world.machine.hash(), world.machine.hash_anew());
        model.agrees(&world.machine, now)?;
    }
    Ok(())
}

/// A watch from any revision is told everything that came after it, once, in order.
pub(crate) fn watches_are_told<M: Model>(
    history: Vec<Vec<Asked>>,
    interests: &[Interest],
    restored: bool,
) -> Result<(), TestCaseError> {
    let (mut world, mut model) = (World::new(), M::default());
    for asked in history {
        let batch = world.batch(&asked);
        for (by, command) in &asked {
            model.apply(*by, command, batch.stamp);
        }
        world.machine.apply(batch);
    }
    if restored {
        world.machine = read_back(&world.machine);
    }
    let now = model.ledger().now();
    for interest in interests {
        for after in (0..=now.get() + 1).map(Revision::new) {
            let changes = model.ledger().after(after, interest);
            let expected = Answer::Changes { changes, upto: now.max(after) };
            let query = Query::Changes { interest: interest.clone(), after };
            prop_assert_eq!(world.machine.query(&query), expected);
        }
    }
    Ok(())
}

/// A machine that was written and read back goes on as the original does.
pub(crate) fn a_restored_one_goes_on(
    history: Vec<Vec<Asked>>,
    at: usize,
) -> Result<(), TestCaseError> {
    let mut world = World::new();
    let mut restored = None;
    for (place, asked) in history.into_iter().enumerate() {
        if place == at {
            restored = Some(read_back(&world.machine));
        }
        let batch = world.batch(&asked);
        let applied = world.machine.apply(batch.clone());
        if let Some(restored) = &mut restored {
            prop_assert_eq!(restored.apply(batch), applied);
            prop_assert_eq!(restored.snapshot().to_bytes(), world.machine.snapshot().to_bytes());
            prop_assert_eq!(restored.census(), world.machine.census());
        }
    }
    Ok(())
}

fn read_back(machine: &Machine) -> Machine {
    Machine::restore(&machine.snapshot().to_bytes()).expect("a machine wrote it")
}

/// The client of the first session has as much of something as one client may: then it is refused
/// and another client is not.
pub(crate) fn a_client_fills_its_own_share(
    many: u64,
    command: impl Fn(u64) -> Command,
    refused: &Rejection,
) {
    let mut world = World::new();
    let mut ask = |asked: &[Asked]| {
        let batch = world.batch(asked);
        let applied = world.machine.apply(batch);
        let rejections = applied.into_iter().map(|applied| match applied.reply {
            Reply::Rejected(why) => Some(why),
            _ => None,
        });
        rejections.collect::<Vec<_>>()
    };
    let all: Vec<Asked> = (1..=many).map(|number| (1, command(number))).collect();
    assert!(ask(&all).iter().all(Option::is_none));
    assert_eq!(ask(&[(2, command(many + 1))]), [Some(refused.clone())]);
    assert_eq!(ask(&[(3, command(many + 1))]), [None]);
}
