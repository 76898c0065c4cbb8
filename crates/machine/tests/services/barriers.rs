//! Nobody passes a barrier before everybody has come.

use proptest::prelude::*;
use synod_machine::{
    Answer, BarrierCommand, BarrierNews, BarrierReply, BarrierView, Change, Command, Counted,
    Interest, LeaseCommand, LeaseId, Machine, Name, Query, Rejection, Reply, Revision, Timestamp,
};

use crate::model::{
    Ledger, Model, a_restored_one_goes_on, histories, is_its_history, lease, leases,
    watches_are_told,
};
use crate::{OWNERS, World, names, place};

/// Everything that ever happened at a barrier. What stands is found by reading it all.
#[derive(Default)]
struct Barriers {
    ledger: Ledger,
    events: Vec<(Name, Event)>,
}

enum Event {
    Came { lease: LeaseId, by: u64, parties: u32, at: Revision },
    Went(LeaseId),
    Removed,
}

struct Standing {
    parties: u32,
    owner: u64,
    here: Vec<LeaseId>,
    opened: Option<Revision>,
}

impl Barriers {
    fn standing(&self, name: &Name) -> Option<Standing> {
        let mut standing: Option<Standing> = None;
        for (_, event) in self.events.iter().filter(|(of, _)| of == name) {
            match (event, &mut standing) {
                (Event::Came { lease, by, parties, at }, stands) => {
                    let stands = stands.get_or_insert_with(|| Standing {
                        parties: *parties,
                        owner: *by,
                        here: Vec::new(),
                        opened: None,
                    });
                    stands.here.push(*lease);
                    if stands.here.len() == stands.parties as usize {
                        stands.opened = Some(*at);
                    }
                }
                (Event::Went(lease), Some(stands)) => stands.here.retain(|here| here != lease),
                (Event::Removed, _) => standing = None,
                (Event::Went(_), None) => panic!("nobody was there"),
            }
            let nobody = |stands: &Standing| stands.here.is_empty() && stands.opened.is_none();
            standing = standing.filter(|stands| !nobody(stands));
        }
        standing
    }

    fn view(&self, name: &Name) -> Option<BarrierView> {
        let Standing { parties, owner, here, opened } = self.standing(name)?;
        let (name, owner) = (name.clone(), OWNERS[place(owner)].to_owned());
        Some(BarrierView { name, parties, here: here.len() as u32, opened, owner })
    }

    fn waiting(&self, stands: &Standing) -> BarrierReply {
        let (arrived, of) = (stands.here.len() as u32, stands.parties);
        BarrierReply::Waiting { arrived, of, at: self.ledger.now() }
    }

    fn arrive(&mut self, by: u64, name: &Name, lease: LeaseId, parties: u32) -> Reply {
        if let Some(stands) = self.standing(name) {
            if stands.parties != parties {
                return Reply::Rejected(Rejection::OtherParties { of: stands.parties });
            }
            if let Some(at) = stands.opened {
                return Reply::Barrier(BarrierReply::Open { at });
            }
            if stands.here.contains(&lease) {
                return Reply::Barrier(self.waiting(&stands));
            }
        }
        let at = self.ledger.next();
        self.events.push((name.clone(), Event::Came { lease, by, parties, at }));
        let stands = self.standing(name).expect("somebody came");
        if stands.opened.is_none() {
            return Reply::Barrier(self.waiting(&stands));
        }
        self.ledger.note(Change::Barrier { name: name.clone(), news: BarrierNews::Open });
        Reply::Barrier(BarrierReply::Open { at })
    }

    fn go(&mut self, name: &Name, lease: LeaseId) {
        self.events.push((name.clone(), Event::Went(lease)));
        let stands = self.standing(name);
        if stands.is_some_and(|stands| stands.here.is_empty()) {
            self.ledger.note(Change::Barrier { name: name.clone(), news: BarrierNews::Empty });
        }
    }

    fn is_here(&self, name: &Name, lease: LeaseId) -> bool {
        self.standing(name).is_some_and(|stands| stands.here.contains(&lease))
    }
}

impl Model for Barriers {
    fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn serve(&mut self, by: u64, command: &Command, _: Timestamp) -> Reply {
        let Command::Barrier(command) = command else {
            panic!("the model does not know {command:?}")
        };
        if let BarrierCommand::Arrive { lease, .. } | BarrierCommand::Leave { lease, .. } = command
            && let Err(why) = self.ledger.may_use(by, *lease)
        {
            return Reply::Rejected(why);
        }
        match command {
            BarrierCommand::Arrive { name, lease, parties } => {
                self.arrive(by, name, *lease, *parties)
            }
            BarrierCommand::Leave { name, lease } => {
                if !self.is_here(name, *lease) {
                    return Reply::Barrier(BarrierReply::Absent);
                }
                let revision = self.ledger.next();
                self.go(name, *lease);
                let here = self.view(name).map_or(0, |barrier| barrier.here);
                Reply::Barrier(BarrierReply::Left { here, revision })
            }
            BarrierCommand::Remove { name } => Reply::Barrier(match self.standing(name) {
                None => BarrierReply::Absent,
                Some(stands) if stands.opened.is_none() => self.waiting(&stands),
                Some(_) => {
                    let revision = self.ledger.next();
                    self.events.push((name.clone(), Event::Removed));
                    let (name, news) = (name.clone(), BarrierNews::Removed);
                    self.ledger.note(Change::Barrier { name, news });
                    BarrierReply::Removed { revision }
                }
            }),
        }
    }

    fn lease_ends(&mut self, lease: LeaseId, _: Timestamp) -> bool {
        let all = names().into_iter().filter(|name| self.is_here(name, lease));
        let gone: Vec<Name> = all.collect();
        gone.iter().for_each(|name| self.go(name, lease));
        !gone.is_empty()
    }

    fn agrees(&self, machine: &Machine, _: Timestamp) -> Result<(), TestCaseError> {
        let revision = self.ledger.now();
        for name in names() {
            let barrier = self.view(&name);
            let answer = machine.query(&Query::Barrier { name });
            prop_assert_eq!(answer, Answer::Barrier { revision, barrier });
        }
        let barriers: Vec<_> = names().iter().filter_map(|name| self.view(name)).collect();
        let arrivals = barriers.iter().map(|barrier| u64::from(barrier.here)).sum::<u64>();
        let census = machine.census();
        prop_assert_eq!((census.barriers, census.arrivals), (barriers.len() as u64, arrivals));
        let all = Query::Barriers { prefix: String::new(), after: None, limit: 9 };
        let expected = Answer::Barriers { revision, barriers, more: false };
        prop_assert_eq!(machine.query(&all), expected);
        Ok(())
    }
}

fn commands() -> impl Strategy<Value = Command> {
    let name = || prop::sample::select(names().to_vec());
    let barriers = prop_oneof![
        6 => (name(), lease(), prop::sample::select(vec![2, 2, 2, 3, 1])).prop_map(
            |(name, lease, parties)| BarrierCommand::Arrive { name, lease, parties }
        ),
        2 => (name(), lease()).prop_map(|(name, lease)| BarrierCommand::Leave { name, lease }),
        1 => name().prop_map(|name| BarrierCommand::Remove { name }),
    ];
    prop_oneof![2 => leases(), 4 => barriers.prop_map(Command::Barrier)]
}

fn interests() -> Vec<Interest> {
    names().map(|name| Interest::Barrier { name }).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// It is open once as many are there as it takes, and for good until it is removed.
    #[test]
    fn barriers_are_what_the_history_says(history in histories(commands())) {
        is_its_history::<Barriers>(history)?;
    }

    #[test]
    fn watches_of_barriers_are_told_everything_once(
        history in histories(commands()), restored in any::<bool>(),
    ) {
        watches_are_told::<Barriers>(history, &interests(), restored)?;
    }

    #[test]
    fn restored_barriers_go_on_as_the_original_do(
        history in histories(commands()), at in 0usize..30,
    ) {
        a_restored_one_goes_on(history, at)?;
    }
}

/// A client stands at as many barriers as one may: at another with none, and when it has left one,
/// again at one.
#[test]
fn a_client_stands_at_its_own_share_of_barriers_only() {
    const MANY: u64 = 16_384;
    let mut world = World::new();
    let mut ask = |asked: &[_]| {
        let batch = world.batch(asked);
        let applied = world.machine.apply(batch);
        applied.into_iter().map(|applied| applied.reply).collect::<Vec<_>>()
    };
    let grant = || Command::Lease(LeaseCommand::Grant { ttl_ms: 1_000 });
    ask(&[(1, grant()), (3, grant())]);
    let arrive = |by, number: u64, lease| {
        let (name, lease) = (Name::new(number.to_string()), LeaseId::new(lease));
        (by, Command::Barrier(BarrierCommand::Arrive { name, lease, parties: 2 }))
    };
    let all: Vec<_> = (0..MANY).map(|number| arrive(1, number, 1)).collect();
    assert!(!ask(&all).iter().any(|reply| matches!(reply, Reply::Rejected(_))));
    let full = |what| vec![Reply::Rejected(Rejection::TooMany { what, limit: MANY })];
    assert_eq!(ask(&[arrive(2, MANY, 1)]), full(Counted::BarriersOfOwner));
    // Where another came first there is a barrier, but no room for the party.
    assert!(matches!(ask(&[arrive(3, MANY, 2)])[..], [Reply::Barrier(_)]));
    assert_eq!(ask(&[arrive(2, MANY, 1)]), full(Counted::ArrivalsOfOwner));
    let (name, lease) = (Name::new("0"), LeaseId::new(1));
    ask(&[(1, Command::Barrier(BarrierCommand::Leave { name, lease }))]);
    assert!(matches!(ask(&[arrive(2, MANY, 1)])[..], [Reply::Barrier(BarrierReply::Open { .. })]));
}
