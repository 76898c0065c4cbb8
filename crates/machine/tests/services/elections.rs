//! Of those who stand, one at a time is the incumbent: the best of those who may.

mod stories;

use std::{cmp::Reverse, collections::BTreeMap};

use proptest::prelude::*;
use synod_machine::{
    Answer, Bar, CandidateView, Change, Command, ElectionCommand, ElectionReply, ElectionView,
    Incumbent, Interest, LeaseId, Machine, Name, Office, Order, Pause, Query, Reply, Report,
    Revision, Rules, Successor, Timestamp,
};

use crate::model::{
    Ledger, Model, a_restored_one_goes_on, histories, is_its_history, lease, leases,
    watches_are_told,
};
use crate::{OWNERS, World, names, place};

/// Everything that was ever said or done in elections of which anything counts still.
#[derive(Default)]
struct Elections {
    ledger: Ledger,
    events: Vec<(Name, Event)>,
}

#[derive(Clone, Debug)]
enum Event {
    /// By which session, at which place, on which lease, as whom, and how important.
    Stood(u64, Revision, LeaseId, Name, i32),
    Reported(Revision, Report, Timestamp),
    Left(Revision),
    Granted(Revision, Revision, Timestamp),
    Proclaimed(String),
    Ruled(Rules),
    Paused(Pause),
    Resumed,
    HandingOver(Revision),
    HandingOverNoMore,
}

use Event::{
    Granted, HandingOver, HandingOverNoMore, Left, Paused, Proclaimed, Reported, Resumed, Ruled,
    Stood,
};

impl Elections {
    fn of<'a>(&'a self, name: &'a Name) -> impl DoubleEndedIterator<Item = &'a Event> {
        self.events.iter().filter(move |(of, _)| of == name).map(|(_, event)| event)
    }

    fn last<T>(&self, name: &Name, what: impl Fn(&Event) -> Option<T>) -> Option<T> {
        self.of(name).rev().find_map(what)
    }

    fn places(&self, name: &Name) -> Vec<Revision> {
        let mut places: Vec<_> = self
            .of(name)
            .filter_map(|event| if let Stood(_, at, ..) = event { Some(*at) } else { None })
            .filter(|at| !self.of(name).any(|event| matches!(event, Left(gone) if gone == at)))
            .collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    fn place_of(&self, name: &Name, lease: LeaseId) -> Option<Revision> {
        self.places(name).into_iter().find(|at| self.words(name, *at).1 == lease)
    }

    /// What a candidate says of itself: by which session, on which lease, as whom, how important.
    fn words(&self, name: &Name, place: Revision) -> (u64, LeaseId, Name, i32) {
        let stood = self.last(name, |event| match event {
            Stood(by, at, lease, candidate, priority) if *at == place => {
                Some((*by, *lease, candidate.clone(), *priority))
            }
            _ => None,
        });
        stood.expect("it stands")
    }

    fn said(&self, name: &Name, place: Revision) -> Option<(Report, Timestamp)> {
        self.last(name, |event| match event {
            Reported(at, report, when) if *at == place => Some((*report, *when)),
            _ => None,
        })
    }

    fn rules(&self, name: &Name) -> Rules {
        let ruled = |event: &Event| if let Ruled(rules) = event { Some(*rules) } else { None };
        self.last(name, ruled).unwrap_or_default()
    }

    fn pause(&self, name: &Name) -> Option<Pause> {
        let paused = |event: &Event| match event {
            Paused(pause) => Some(Some(pause.clone())),
            Resumed => Some(None),
            _ => None,
        };
        self.last(name, paused).flatten()
    }

    fn incumbent(&self, name: &Name) -> Option<(Revision, Revision, Timestamp)> {
        let granted = |event: &Event| match event {
            Granted(place, token, since) => Some((*place, *token, *since)),
            _ => None,
        };
        self.last(name, granted).filter(|(place, ..)| self.places(name).contains(place))
    }

    fn successor(&self, name: &Name) -> Option<Revision> {
        let handing = |event: &Event| match event {
            HandingOver(to) => Some(Some(*to)),
            HandingOverNoMore | Granted(..) => Some(None),
            _ => None,
        };
        self.last(name, handing).flatten()
    }

    /// The furthest that was reported since somebody was granted, with what that one had said, or
    /// since rules were given, with what those who stood then had said.
    fn furthest(&self, name: &Name) -> Option<u64> {
        let mut said: BTreeMap<Revision, u64> = BTreeMap::new();
        let mut furthest: Option<u64> = None;
        for event in self.of(name) {
            match event {
                Reported(at, Report::At(position), _) => {
                    said.insert(*at, *position);
                    furthest = furthest.max(Some(*position));
                }
                Reported(at, Report::NotNow, _) | Left(at) => drop(said.remove(at)),
                Granted(place, ..) => furthest = said.get(place).copied(),
                Ruled(_) => furthest = said.values().max().copied(),
                _ => {}
            }
        }
        furthest
    }

    fn bar(&self, name: &Name, place: Revision, now: Timestamp) -> Option<Bar> {
        if self.pause(name).is_some() {
            return Some(Bar::Paused);
        }
        let rules = self.rules(name);
        match self.said(name, place) {
            Some((Report::NotNow, _)) => Some(Bar::NotNow),
            None => (rules != Rules::default()).then_some(Bar::Unreported),
            Some((Report::At(position), at)) => {
                let age_ms = now.0 - at.0;
                let furthest = self.furthest(name).unwrap_or(position).max(position);
                if rules.fresh_ms.is_some_and(|most| age_ms > most) {
                    Some(Bar::Stale { age_ms })
                } else if let Some(min) = rules.position_min.filter(|min| position < *min) {
                    Some(Bar::Below { position, min })
                } else {
                    let behind = rules.lag_max.is_some_and(|most| furthest - position > most);
                    behind.then_some(Bar::Behind { position, furthest })
                }
            }
        }
    }

    /// Those who stand, the best first, and why each may not.
    fn ranked(&self, name: &Name, now: Timestamp) -> Vec<(Revision, Option<Bar>)> {
        let mut places = self.places(name);
        places.sort_by_key(|at| (Reverse(self.words(name, *at).3), *at));
        places.into_iter().map(|at| (at, self.bar(name, at, now))).collect()
    }

    fn office(&self, name: &Name) -> Office {
        let proclaimed = self.last(name, |event| match event {
            Proclaimed(value) => Some(Some(value.clone())),
            Granted(..) => Some(None),
            _ => None,
        });
        let incumbent = self.incumbent(name).map(|(place, token, Timestamp(since_ms))| {
            let (by, lease, candidate, _) = self.words(name, place);
            let (owner, proclaimed) = (owner(by), proclaimed.flatten());
            Incumbent { candidate, lease, owner, token, since_ms, proclaimed }
        });
        let successor = self.successor(name).map(|place| {
            let (_, lease, candidate, _) = self.words(name, place);
            Successor { candidate, lease }
        });
        Office { incumbent, successor, paused: self.pause(name).is_some() }
    }

    /// What an event leads to, at the present revision.
    fn follows(&mut self, name: &Name, before: &Office, now: Timestamp) {
        let gone = |to| {
            let unwilling = matches!(self.said(name, to), Some((Report::NotNow, _)));
            !self.places(name).contains(&to) || unwilling || self.pause(name).is_some()
        };
        if self.successor(name).is_some_and(gone) {
            self.push(name, HandingOverNoMore);
        }
        if self.incumbent(name).is_none() {
            let may = self.ranked(name, now).into_iter().filter(|(_, bar)| bar.is_none());
            let may: Vec<_> = may.map(|(place, _)| place).collect();
            let wanted = self.successor(name).filter(|to| may.contains(to));
            match wanted.or(may.first().copied()) {
                Some(place) => self.push(name, Granted(place, self.ledger.now(), now)),
                None => self.push(name, HandingOverNoMore),
            }
        }
        let remembered = self.rules(name) != Rules::default() || self.pause(name).is_some();
        if self.places(name).is_empty() && !remembered {
            self.events.retain(|(of, _)| of != name);
        }
        let office = self.office(name);
        if office != *before {
            self.ledger.note(Change::Election { name: name.clone(), office });
        }
    }

    fn stands(&self, name: &Name, place: Revision, now: Timestamp) -> ElectionReply {
        match self.incumbent(name) {
            Some((holds, token, _)) if holds == place => ElectionReply::Incumbent { token },
            _ => {
                let (office, bar) = (self.office(name), self.bar(name, place, now));
                ElectionReply::Waiting { at: self.ledger.now(), office, bar }
            }
        }
    }

    fn push(&mut self, name: &Name, event: Event) {
        self.events.push((name.clone(), event));
    }

    fn candidate(&mut self, by: u64, command: &ElectionCommand, now: Timestamp) -> ElectionReply {
        let (ElectionCommand::Stand { name, lease, .. }
        | ElectionCommand::Report { name, lease, .. }
        | ElectionCommand::Proclaim { name, lease, .. }
        | ElectionCommand::Leave { name, lease }) = command
        else {
            panic!("that is for people to say")
        };
        let (before, stood) = (self.office(name), self.place_of(name, *lease));
        match (command, stood) {
            (ElectionCommand::Stand { candidate, priority, report, .. }, stood) => {
                let words = stood.map(|place| self.words(name, place));
                let said = report.map(|report| (report, now));
                let as_it_was = words.is_some_and(|(by_whom, _, as_whom, importance)| {
                    let same = (owner(by_whom), as_whom, importance);
                    let place = stood.unwrap_or_default();
                    same == (owner(by), candidate.clone(), *priority)
                        && (said.is_none() || said == self.said(name, place))
                });
                if as_it_was {
                    return self.stands(name, stood.unwrap_or_default(), now);
                }
                let at = self.ledger.next();
                let place = stood.unwrap_or(at);
                self.push(name, Stood(by, place, *lease, candidate.clone(), *priority));
                report.iter().for_each(|report| self.push(name, Reported(place, *report, now)));
                self.follows(name, &before, now);
                self.stands(name, place, now)
            }
            (ElectionCommand::Proclaim { token, value, .. }, stood) => {
                let holds = self.incumbent(name).map(|(place, token, _)| (Some(place), token));
                if holds != Some((stood, *token)) {
                    return ElectionReply::NotIncumbent { office: before };
                }
                if before.incumbent.as_ref().and_then(|one| one.proclaimed.as_ref()) != Some(value)
                {
                    self.ledger.next();
                    self.push(name, Proclaimed(value.clone()));
                    self.follows(name, &before, now);
                }
                ElectionReply::Done { revision: self.ledger.now() }
            }
            (_, None) => ElectionReply::Absent,
            (ElectionCommand::Report { report, .. }, Some(place)) => {
                let revision = self.ledger.next();
                self.push(name, Reported(place, *report, now));
                self.follows(name, &before, now);
                ElectionReply::Done { revision }
            }
            (_, Some(place)) => {
                let revision = self.ledger.next();
                let held = self.incumbent(name).filter(|(holds, ..)| *holds == place);
                self.push(name, Left(place));
                self.follows(name, &before, now);
                ElectionReply::Left { revision, token: held.map(|(_, token, _)| token) }
            }
        }
    }

    fn order(
        &mut self,
        name: &Name,
        order: &Order,
        (actor, reason): (&String, &String),
        now: Timestamp,
    ) -> ElectionReply {
        let before = self.office(name);
        let done = ElectionReply::Done { revision: self.ledger.now() };
        let event = match order {
            Order::Pause if before.paused => return done,
            Order::Resume if !before.paused => return done,
            Order::Cancel if before.successor.is_none() => return ElectionReply::Absent,
            Order::Pause => {
                let (actor, reason) = (actor.clone(), reason.clone());
                Paused(Pause { actor, reason, since_ms: now.0 })
            }
            Order::Resume => Resumed,
            Order::Rules(rules) => Ruled(*rules),
            Order::Cancel => HandingOverNoMore,
            Order::Switchover { to } => {
                let Some((holds, ..)) = self.incumbent(name) else { return ElectionReply::Absent };
                let mut others = self.ranked(name, now);
                others.retain(|(place, _)| {
                    let candidate = self.words(name, *place).2;
                    *place != holds && to.as_ref().is_none_or(|to| candidate == *to)
                });
                match (others.iter().find(|(_, bar)| bar.is_none()), others.first()) {
                    (Some((place, _)), _) => HandingOver(*place),
                    (None, Some((_, Some(bar)))) => return ElectionReply::Barred { bar: *bar },
                    (None, _) => return ElectionReply::Absent,
                }
            }
        };
        let (revision, handing_over) = (self.ledger.next(), matches!(event, HandingOver(_)));
        self.push(name, event);
        self.follows(name, &before, now);
        match self.office(name).successor.filter(|_| handing_over) {
            Some(to) => ElectionReply::HandingOver { to, revision },
            None => ElectionReply::Done { revision },
        }
    }
}

impl Model for Elections {
    fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn serve(&mut self, by: u64, command: &Command, now: Timestamp) -> Reply {
        let Command::Election(command) = command else {
            panic!("the model does not know {command:?}")
        };
        if let ElectionCommand::Order { name, order, actor, reason } = command {
            return Reply::Election(self.order(name, order, (actor, reason), now));
        }
        let used = command.lease().expect("a candidate stands on one");
        match self.ledger.may_use(by, used) {
            Err(why) => Reply::Rejected(why),
            Ok(()) => Reply::Election(self.candidate(by, command, now)),
        }
    }

    fn lease_ends(&mut self, lease: LeaseId, now: Timestamp) -> bool {
        let stood = names().map(|name| (self.place_of(&name, lease), name));
        let mut any = false;
        for (place, name) in stood {
            let Some(place) = place else { continue };
            let before = self.office(&name);
            self.push(&name, Left(place));
            self.follows(&name, &before, now);
            any = true;
        }
        any
    }

    fn agrees(&self, machine: &Machine, now: Timestamp) -> Result<(), TestCaseError> {
        let revision = self.ledger.now();
        let mut views = Vec::new();
        for name in names() {
            let known = self.events.iter().any(|(of, _)| *of == name);
            let holds = self.incumbent(&name).map(|(place, ..)| place);
            let mut ranked = self.ranked(&name, now);
            ranked.sort_by_key(|(place, _)| holds != Some(*place));
            prop_assert!(holds.is_some() || ranked.iter().all(|(_, bar)| bar.is_some()));
            let candidates = ranked.into_iter().map(|(at, bar)| {
                let (by, lease, candidate, priority) = self.words(&name, at);
                let report = self.said(&name, at).map(|(report, at)| (report, at.0));
                CandidateView { candidate, lease, owner: owner(by), priority, at, report, bar }
            });
            let view = known.then(|| ElectionView {
                name: name.clone(),
                office: self.office(&name),
                rules: self.rules(&name),
                pause: self.pause(&name),
                furthest: self.furthest(&name),
                candidates: candidates.collect(),
            });
            views.extend(view.clone());
            let election = view.map(Box::new);
            let expected = Answer::Election { revision, election };
            prop_assert_eq!(machine.query(&Query::Election { name }), expected);
        }
        let all = Query::Elections { prefix: String::new(), after: None, limit: 9 };
        let stand: u64 = views.iter().map(|view| view.candidates.len() as u64).sum();
        let count = (machine.census().elections, machine.census().candidates);
        prop_assert_eq!(count, (views.len() as u64, stand));
        let expected = Answer::Elections { revision, elections: views, more: false };
        prop_assert_eq!(machine.query(&all), expected);
        Ok(())
    }
}

fn owner(session: u64) -> String {
    OWNERS[place(session)].to_owned()
}

fn report() -> impl Strategy<Value = Report> {
    prop_oneof![4 => (0u64..6).prop_map(Report::At), 1 => Just(Report::NotNow)]
}

fn order() -> impl Strategy<Value = Order> {
    let rule = |most: u64| prop::option::of(0..most);
    let rules = (rule(4), rule(4), rule(5));
    prop_oneof![
        1 => Just(Order::Pause),
        2 => Just(Order::Resume),
        2 => rules.prop_map(|(lag_max, position_min, fresh_ms)| {
            Order::Rules(Rules { lag_max, position_min, fresh_ms })
        }),
        1 => Just(Order::Rules(Rules::default())),
        4 => prop::option::of(candidate()).prop_map(|to| Order::Switchover { to }),
        1 => Just(Order::Cancel),
    ]
}

fn candidate() -> impl Strategy<Value = Name> {
    prop::sample::select(vec!["pg-1", "pg-2"]).prop_map(Name::new)
}

fn commands() -> impl Strategy<Value = Command> {
    let name = || prop::sample::select(names().to_vec());
    let elections = prop_oneof![
        8 => (name(), lease(), candidate(), 0i32..2, prop::option::of(report())).prop_map(
            |(name, lease, candidate, priority, report)| {
                ElectionCommand::Stand { name, lease, candidate, priority, report }
            },
        ),
        4 => (name(), lease(), report())
            .prop_map(|(name, lease, report)| ElectionCommand::Report { name, lease, report }),
        2 => (name(), lease(), 1u64..12, any::<bool>()).prop_map(|(name, lease, token, one)| {
            let (token, value) = (Revision::new(token), if one { "h:1" } else { "h:2" }.to_owned());
            ElectionCommand::Proclaim { name, lease, token, value }
        }),
        3 => (name(), lease()).prop_map(|(name, lease)| ElectionCommand::Leave { name, lease }),
        5 => (name(), order()).prop_map(|(name, order)| ElectionCommand::Order {
            name, order, actor: "ops".to_owned(), reason: "asked".to_owned(),
        }),
    ];
    prop_oneof![1 => leases(), 4 => elections.prop_map(Command::Election)]
}

fn interests() -> Vec<Interest> {
    names().map(|name| Interest::Election { name }).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// Whoever is the incumbent was the best of those who might when the place was free, and stays;
    /// nobody is only while nobody may be.
    #[test]
    fn elections_are_what_the_history_says(history in histories(commands())) {
        is_its_history::<Elections>(history)?;
    }

    #[test]
    fn watches_of_elections_are_told_everything_once(
        history in histories(commands()), restored in any::<bool>(),
    ) {
        watches_are_told::<Elections>(history, &interests(), restored)?;
    }

    #[test]
    fn restored_elections_go_on_as_the_original_do(
        history in histories(commands()), at in 0usize..30,
    ) {
        a_restored_one_goes_on(history, at)?;
    }

    /// The token of an election grows from grant to grant, for ever, over pauses and vacancies and
    /// when everybody had left; and an incumbent is replaced only after it has left.
    #[test]
    fn tokens_of_an_election_grow_and_no_incumbent_is_pushed_out(history in histories(commands())) {
        let mut world = World::new();
        let (mut last, mut holds) = (BTreeMap::new(), BTreeMap::<Name, Incumbent>::new());
        for asked in history.into_iter().flatten() {
            let since = world.machine.revision();
            let batch = world.batch(std::slice::from_ref(&asked));
            world.machine.apply(batch);
            for (_, change) in world.machine.changes_since(since) {
                let Change::Election { name, office } = change else { continue };
                let before = holds.remove(&name);
                let Some(now) = office.incumbent else { continue };
                if before.as_ref().is_none_or(|before| before.token != now.token) {
                    let last = last.insert(name.clone(), now.token);
                    prop_assert!(last.is_none_or(|last| last < now.token));
                    let stands = |one: &Incumbent| stand_on(&world.machine, &name, one);
                    prop_assert!(!before.as_ref().is_some_and(stands));
                }
                holds.insert(name, now);
            }
        }
    }
}

/// Whether a former incumbent stands still, as the candidate that it was.
fn stand_on(machine: &Machine, name: &Name, one: &Incumbent) -> bool {
    let query = Query::Election { name: name.clone() };
    let Answer::Election { election: Some(view), .. } = machine.query(&query) else { return false };
    view.candidates.iter().any(|stands| stands.lease == one.lease && stands.at < one.token)
}
