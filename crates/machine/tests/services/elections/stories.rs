//! What elections are for, each told once.

use synod_machine::{
    Act, Answer, Command, Counted, ElectionCommand, LeaseCommand, LeaseId, Name, Office, Order,
    Query, Rejection, Reply, Report, Rules,
};

use crate::World;
use crate::model::{a_client_fills_its_own_share, client};

fn grant() -> Command {
    Command::Lease(LeaseCommand::Grant { ttl_ms: 1_000 })
}

fn stand(name: &str, lease: u64, candidate: &str, report: Option<Report>) -> Command {
    let (name, lease, candidate) = (Name::new(name), LeaseId::new(lease), Name::new(candidate));
    Command::Election(ElectionCommand::Stand { name, lease, candidate, priority: 0, report })
}

fn leave(lease: u64) -> Command {
    let (name, lease) = (Name::new("n"), LeaseId::new(lease));
    Command::Election(ElectionCommand::Leave { name, lease })
}

fn ordered(order: Order) -> Command {
    let (actor, reason) = ("ops".to_owned(), "asked".to_owned());
    Command::Election(ElectionCommand::Order { name: Name::new("n"), order, actor, reason })
}

/// The office after these, asked by the first session.
fn office(commands: &[Command]) -> Office {
    let mut world = World::new();
    for command in commands {
        let batch = world.batch(&[(1, command.clone())]);
        world.machine.apply(batch);
    }
    match world.machine.query(&Query::Election { name: Name::new("n") }) {
        Answer::Election { election, .. } => election.map(|view| view.office).unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

fn holder(office: &Office) -> Option<&str> {
    office.incumbent.as_ref().map(|incumbent| incumbent.candidate.as_str())
}

/// The three steps of a switchover: it is asked for, the incumbent is told and holds on until it
/// has ended what it does, and only when it leaves the one that was meant is granted, though
/// another came before it.
#[test]
fn a_switchover_grants_nothing_before_the_incumbent_has_left() {
    let to = Some(Name::new("pg-3"));
    let mut commands = vec![
        grant(),
        grant(),
        grant(),
        stand("n", 1, "pg-1", None),
        stand("n", 2, "pg-2", None),
        stand("n", 3, "pg-3", None),
        ordered(Order::Switchover { to: to.clone() }),
    ];
    let asked = office(&commands);
    assert_eq!(holder(&asked), Some("pg-1"));
    assert_eq!(asked.successor.as_ref().map(|to| to.candidate.clone()), to);
    commands.push(leave(1));
    let handed = office(&commands);
    assert_eq!((holder(&handed), handed.successor.is_none()), (Some("pg-3"), true));
    // Whoever it was for is gone before it is: the switchover is off, and the incumbent stays.
    commands.pop();
    commands.push(leave(3));
    let dropped = office(&commands);
    assert_eq!((holder(&dropped), dropped.successor.is_none()), (Some("pg-1"), true));
}

/// A primary dies with what only it had. The one that is too far behind does not take its place,
/// however long nobody does; the one that is close enough does, and is then what others are
/// measured by.
#[test]
fn whoever_is_too_far_behind_the_dead_is_not_granted() {
    let rules = Rules { lag_max: Some(10), ..Rules::default() };
    let mut commands = vec![
        grant(),
        grant(),
        grant(),
        ordered(Order::Rules(rules)),
        stand("n", 1, "pg-1", Some(Report::At(100))),
        stand("n", 2, "pg-2", Some(Report::At(80))),
        Command::Lease(LeaseCommand::Revoke { lease: LeaseId::new(1) }),
    ];
    assert_eq!(holder(&office(&commands)), None);
    commands.push(stand("n", 3, "pg-3", Some(Report::At(92))));
    assert_eq!(holder(&office(&commands)), Some("pg-3"));
    commands.extend([leave(3), stand("n", 2, "pg-2", Some(Report::At(85)))]);
    assert_eq!(holder(&office(&commands)), Some("pg-2"));
}

/// A candidate that stands again, with other words and no report, says nothing new of how far it
/// is: what it said before the last grant was lost with that grant and measures nobody. It used to
/// count again, and barred a candidate that was close enough to what is left.
#[test]
fn what_was_said_before_a_grant_does_not_count_again() {
    let rules = Rules { lag_max: Some(10), ..Rules::default() };
    let at = |position| Some(Report::At(position));
    let mut commands: Vec<_> = (0..4).map(|_| grant()).collect();
    commands.extend([
        ordered(Order::Rules(rules)),
        stand("n", 1, "pg-1", at(100)),
        stand("n", 2, "pg-2", at(95)),
        stand("n", 3, "pg-3", at(90)),
        ordered(Order::Switchover { to: Some(Name::new("pg-3")) }),
        leave(1),
        stand("n", 2, "pg-two", None),
        leave(2),
        stand("n", 4, "pg-4", at(84)),
        leave(3),
    ]);
    assert_eq!(holder(&office(&commands)), Some("pg-4"));
}

/// What a person orders is on record, with how it stood, who and why; what changed nothing is not.
#[test]
fn orders_are_on_record() {
    let mut world = World::new();
    let asked = [Order::Pause, Order::Pause, Order::Resume, Order::Switchover { to: None }];
    let asked: Vec<_> = asked.into_iter().map(|order| (3, ordered(order))).collect();
    let batch = world.batch(&asked);
    world.machine.apply(batch);
    let Answer::Audit(audit) = world.machine.query(&Query::Audit) else { panic!() };
    let paused = Office { paused: true, ..Office::default() };
    let expected = [(Order::Pause, Office::default()), (Order::Resume, paused)];
    let act = |(order, office)| Act::ElectionOrdered {
        name: Name::new("n"),
        order,
        office,
        actor: "ops".to_owned(),
        reason: "asked".to_owned(),
    };
    let acts: Vec<_> = audit.into_iter().map(|entry| entry.act).collect();
    assert_eq!(acts, expected.map(act));
    assert_eq!(world.machine.census().elections, 0, "nothing is to be remembered of it");
}

#[test]
fn a_client_fills_its_own_share_of_elections_only() {
    let full = Rejection::TooMany { what: Counted::ElectionsOfOwner, limit: 16_384 };
    let rules = Order::Rules(Rules { position_min: Some(1), ..Rules::default() });
    let ruled = |number: u64| {
        let (name, order) = (Name::new(number.to_string()), rules.clone());
        let (actor, reason) = ("ops".to_owned(), "asked".to_owned());
        Command::Election(ElectionCommand::Order { name, order, actor, reason })
    };
    a_client_fills_its_own_share(16_384, ruled, &full);
}

/// Everybody who stands in one election is looked through with every word to it.
#[test]
fn an_election_has_only_so_many_candidates() {
    let mut world = World::new();
    let grants: Vec<_> = (0..65).map(|_| (1, grant())).collect();
    let stands: Vec<_> = (1..=65).map(|lease| (1, stand("n", lease, "c", None))).collect();
    for asked in [grants, stands] {
        let batch = world.batch(&asked);
        let last = world.machine.apply(batch).pop().map(|applied| applied.reply);
        let what = Counted::CandidatesOfElection;
        let full = Reply::Rejected(Rejection::TooMany { what, limit: 64 });
        assert!(asked.iter().all(|(by, _)| client(*by) == "app"));
        assert_eq!(last == Some(full), matches!(asked[0].1, Command::Election(_)));
    }
}
