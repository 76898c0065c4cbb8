//! S7, and L5, L6 and L9 of leases: of those who stand, whoever may be granted by the rules and is
//! the best is, or whom the incumbent was to leave for; and nobody else ever is.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use synod_machine::{
    Bar, CandidateView, ElectionCommand, ElectionReply, ElectionView, Incumbent, LeaseId, Name,
    Office, Order, Report, Revision, Rules, Successor,
};

use super::{Moment, past::Past};

/// Elections as the simplest model has them.
#[derive(Debug, Default)]
pub(super) struct Elections {
    races: BTreeMap<Name, Race>,
    /// As each was shown.
    pub(super) past: Past<Standing>,
}

/// One of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Race {
    rules: Rules,
    paused: bool,
    /// Positions that count for what the others may lack.
    counted: Vec<u64>,
    /// Who stands, by when each came.
    stand: BTreeMap<Revision, Candidate>,
    term: Option<Term>,
    /// Why each of those who stood could not be granted when nobody was the incumbent last.
    vacancy: BTreeMap<LeaseId, Option<Bar>>,
}

/// What people are shown of an election, but for why somebody could not be granted: that changes
/// with the hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    office: Office,
    rules: Rules,
    furthest: Option<u64>,
    /// Who stands, by when each came: the incumbent, then the others, the best first.
    stand: Vec<(Revision, Candidate)>,
}

impl Standing {
    /// As the machine shows it.
    pub(super) fn of(view: ElectionView) -> Standing {
        let stand = view.candidates.into_iter().map(|one| {
            let CandidateView { candidate: name, lease, owner, priority, at, report, .. } = one;
            (at, Candidate { name, lease, owner, priority, said: report })
        });
        let stand = stand.collect();
        Standing { office: view.office, rules: view.rules, furthest: view.furthest, stand }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    name: Name,
    lease: LeaseId,
    owner: String,
    priority: i32,
    said: Option<(Report, u64)>,
}

#[derive(Clone, Debug)]
struct Term {
    /// The place of whoever was granted.
    of: Revision,
    token: Revision,
    since_ms: u64,
    proclaimed: Option<String>,
    /// The place of whom it is to leave for.
    to: Option<Revision>,
}

impl Elections {
    /// As observers are told of it.
    pub(super) fn office(&self, name: &Name) -> Office {
        self.races.get(name).map(Race::office).unwrap_or_default()
    }

    /// It stands otherwise from this revision on, if it does.
    fn note(&mut self, name: &Name, at: Revision) {
        let now = self.races.get(name).map(Race::standing);
        if self.past.get(name) != now.as_ref() {
            self.past.set(name, at, now);
        }
    }

    /// All that there are, and those that there were when this was asked last: each changes with
    /// every lease that ends, and there are few.
    pub(super) fn take_all(&mut self) -> BTreeSet<Name> {
        let mut all = self.past.take_touched();
        all.extend(self.names().cloned());
        all
    }

    /// Those of which anything was ever said.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.races.keys()
    }

    /// An office stands so, and the model has it otherwise: which property that breaks.
    pub(super) fn broken_by(&self, name: &Name, office: &Office) -> &'static str {
        let ours = self.office(name).incumbent;
        let Some(granted) = office.incumbent.as_ref().filter(|one| ours.as_ref() != Some(*one))
        else {
            return "S7";
        };
        if ours.is_some_and(|ours| ours.lease == granted.lease && ours.token != granted.token) {
            return "L1";
        }
        let barred = self.races.get(name).and_then(|race| race.vacancy.get(&granted.lease));
        match barred {
            None => "S9",
            Some(None) => "L9",
            Some(Some(Bar::Paused | Bar::NotNow)) => "L5",
            Some(Some(
                Bar::Unreported | Bar::Stale { .. } | Bar::Below { .. } | Bar::Behind { .. },
            )) => "L6",
        }
    }

    /// What a command comes to.
    pub(super) fn does(
        &mut self,
        command: &ElectionCommand,
        moment: &mut Moment<'_>,
    ) -> ElectionReply {
        let (ElectionCommand::Stand { name, .. }
        | ElectionCommand::Report { name, .. }
        | ElectionCommand::Proclaim { name, .. }
        | ElectionCommand::Leave { name, .. }
        | ElectionCommand::Order { name, .. }) = command;
        let race = self.races.entry(name.clone()).or_default();
        let reply = race.does(command, moment);
        self.forget(name);
        self.note(name, moment.at());
        reply
    }

    /// A lease has ended at this revision, and nobody stands on it; whether anybody did.
    pub(super) fn lease_ended(&mut self, lease: LeaseId, at: Revision, now_ms: u64) -> bool {
        let mut any = false;
        for name in self.races.keys().cloned().collect::<Vec<_>>() {
            let Some(race) = self.races.get_mut(&name) else { continue };
            let Some(place) = race.place(lease) else { continue };
            race.stand.remove(&place);
            race.settle(at, now_ms);
            self.forget(&name);
            self.note(&name, at);
            any = true;
        }
        any
    }

    fn forget(&mut self, name: &Name) {
        let plain =
            |race: &Race| race.stand.is_empty() && !race.paused && race.rules == Rules::default();
        if self.races.get(name).is_some_and(plain) {
            self.races.remove(name);
        }
    }
}

impl Race {
    fn standing(&self) -> Standing {
        let furthest = self.counted.iter().copied().max();
        let mut stand: Vec<_> =
            self.stand.iter().map(|(place, one)| (*place, one.clone())).collect();
        let incumbent = self.term.as_ref().map(|term| term.of);
        stand
            .sort_by_key(|(place, one)| (Some(*place) != incumbent, Reverse(one.priority), *place));
        Standing { office: self.office(), rules: self.rules, furthest, stand }
    }

    fn office(&self) -> Office {
        let incumbent = self.term.as_ref().and_then(|term| {
            let Candidate { name, lease, owner, .. } = self.stand.get(&term.of)?.clone();
            let (token, since_ms) = (term.token, term.since_ms);
            let proclaimed = term.proclaimed.clone();
            Some(Incumbent { candidate: name, lease, owner, token, since_ms, proclaimed })
        });
        let successor = self.term.as_ref().and_then(|term| {
            let to = self.stand.get(&term.to?)?;
            Some(Successor { candidate: to.name.clone(), lease: to.lease })
        });
        Office { incumbent, successor, paused: self.paused }
    }

    fn does(&mut self, command: &ElectionCommand, moment: &mut Moment<'_>) -> ElectionReply {
        match command {
            ElectionCommand::Stand { lease, candidate, priority, report, .. } => {
                let said = report.map(|report| (report, moment.now_ms));
                let (name, owner) = (candidate.clone(), moment.client.to_owned());
                let row = Candidate { name, lease: *lease, owner, priority: *priority, said };
                self.stands(row, moment)
            }
            ElectionCommand::Report { lease, report, .. } => {
                let now = moment.now_ms;
                let Some(place) = self.place(*lease) else { return ElectionReply::Absent };
                let revision = moment.change();
                self.stand.entry(place).and_modify(|one| one.said = Some((*report, now)));
                self.counts(Some(*report));
                self.settle(revision, now);
                ElectionReply::Done { revision }
            }
            ElectionCommand::Proclaim { lease, token, value, .. } => {
                let (place, office) = (self.place(*lease), self.office());
                let holds = |term: &&mut Term| Some(term.of) == place && term.token == *token;
                let Some(term) = self.term.as_mut().filter(holds) else {
                    return ElectionReply::NotIncumbent { office };
                };
                if term.proclaimed.as_ref() != Some(value) {
                    moment.change();
                    term.proclaimed = Some(value.clone());
                }
                ElectionReply::Done { revision: moment.at() }
            }
            ElectionCommand::Leave { lease, .. } => {
                let Some(place) = self.place(*lease) else { return ElectionReply::Absent };
                let held = self.term.as_ref().filter(|term| term.of == place);
                let token = held.map(|term| term.token);
                let revision = moment.change();
                self.stand.remove(&place);
                self.settle(revision, moment.now_ms);
                ElectionReply::Left { revision, token }
            }
            ElectionCommand::Order { order, .. } => self.ordered(order, moment),
        }
    }

    fn stands(&mut self, row: Candidate, moment: &mut Moment<'_>) -> ElectionReply {
        let stood = self.place(row.lease);
        let before = stood.and_then(|place| self.stand.get(&place)).cloned();
        let said = row.said.or(before.as_ref().and_then(|before| before.said));
        let now = Candidate { said, ..row.clone() };
        if before.as_ref() != Some(&now) {
            let at = moment.change();
            self.stand.insert(stood.unwrap_or(at), now.clone());
            self.counts(row.said.map(|(report, _)| report));
            self.settle(at, moment.now_ms);
        }
        let place = stood.unwrap_or(moment.at());
        match self.term.as_ref().filter(|term| term.of == place) {
            Some(term) => ElectionReply::Incumbent { token: term.token },
            None => ElectionReply::Waiting {
                at: moment.at(),
                office: self.office(),
                bar: self.bar(&now, moment.now_ms),
            },
        }
    }

    fn ordered(&mut self, order: &Order, moment: &mut Moment<'_>) -> ElectionReply {
        let office = self.office();
        match order {
            Order::Pause if self.paused => {}
            Order::Resume if !self.paused => {}
            Order::Pause => {
                moment.change();
                self.paused = true;
                self.leaves_for(None);
            }
            Order::Resume => {
                moment.change();
                self.paused = false;
            }
            Order::Rules(rules) => {
                moment.change();
                let positions = self.stand.values().filter_map(|one| position(one.said?.0));
                (self.rules, self.counted) = (*rules, positions.collect());
            }
            Order::Cancel if office.successor.is_none() => return ElectionReply::Absent,
            Order::Cancel => {
                moment.change();
                self.leaves_for(None);
            }
            Order::Switchover { to } => match self.best_but_incumbent(to.as_ref(), moment.now_ms) {
                None => return ElectionReply::Absent,
                Some((_, Some(bar))) => return ElectionReply::Barred { bar },
                Some((place, None)) => {
                    moment.change();
                    self.leaves_for(Some(place));
                }
            },
        }
        let revision = moment.at();
        self.settle(revision, moment.now_ms);
        match (order, self.office().successor) {
            (Order::Switchover { .. }, Some(to)) => ElectionReply::HandingOver { to, revision },
            _ => ElectionReply::Done { revision },
        }
    }

    /// Brings it to where it must be.
    fn settle(&mut self, at: Revision, now_ms: u64) {
        let willing = |one: &Candidate| !matches!(one.said, Some((Report::NotNow, _)));
        let to = self.term.as_ref().and_then(|term| term.to);
        let to = to.filter(|to| self.stand.get(to).is_some_and(willing));
        if let Some(term) = self.term.as_mut().filter(|term| self.stand.contains_key(&term.of)) {
            term.to = to;
            return;
        }
        let ranked = self.ranked(now_ms);
        let lease = |place: &Revision| self.stand[place].lease;
        self.vacancy = ranked.iter().map(|(place, bar)| (lease(place), *bar)).collect();
        let mut may = ranked.iter().filter(|(_, bar)| bar.is_none()).map(|(place, _)| *place);
        let wanted = to.filter(|to| ranked.contains(&(*to, None)));
        self.term = wanted.or(may.next()).map(|of| Term {
            of,
            token: at,
            since_ms: now_ms,
            proclaimed: None,
            to: None,
        });
        if let Some(granted) = self.term.as_ref().and_then(|term| self.stand.get(&term.of)) {
            self.counted = granted.said.and_then(|said| position(said.0)).into_iter().collect();
        }
    }

    fn counts(&mut self, report: Option<Report>) {
        self.counted.extend(report.and_then(position));
    }

    fn leaves_for(&mut self, to: Option<Revision>) {
        if let Some(term) = &mut self.term {
            term.to = to;
        }
    }

    fn place(&self, lease: LeaseId) -> Option<Revision> {
        self.stand.iter().find(|(_, one)| one.lease == lease).map(|(place, _)| *place)
    }

    /// Those who stand, the best first, and why each may not be granted.
    fn ranked(&self, now_ms: u64) -> Vec<(Revision, Option<Bar>)> {
        let mut all: Vec<_> = self.stand.iter().collect();
        all.sort_by_key(|(place, one)| (Reverse(one.priority), **place));
        all.into_iter().map(|(place, one)| (*place, self.bar(one, now_ms))).collect()
    }

    /// For whom the incumbent could leave: the best of those that may, or else of all.
    fn best_but_incumbent(
        &self,
        wanted: Option<&Name>,
        now_ms: u64,
    ) -> Option<(Revision, Option<Bar>)> {
        let term = self.term.as_ref()?;
        let mut others = self.ranked(now_ms);
        others.retain(|(place, _)| {
            *place != term.of && wanted.is_none_or(|name| self.stand[place].name == *name)
        });
        let first = others.first().copied();
        others.into_iter().find(|(_, bar)| bar.is_none()).or(first)
    }

    /// Why a candidate may not be granted as it is.
    fn bar(&self, one: &Candidate, now_ms: u64) -> Option<Bar> {
        if self.paused {
            return Some(Bar::Paused);
        }
        let (position, said_ms) = match one.said {
            Some((Report::NotNow, _)) => return Some(Bar::NotNow),
            Some((Report::At(position), said_ms)) => (position, said_ms),
            None if self.rules == Rules::default() => return None,
            None => return Some(Bar::Unreported),
        };
        let age_ms = now_ms - said_ms;
        let furthest = self.counted.iter().copied().max().unwrap_or(position);
        if self.rules.fresh_ms.is_some_and(|most| age_ms > most) {
            return Some(Bar::Stale { age_ms });
        }
        if let Some(min) = self.rules.position_min.filter(|min| position < *min) {
            return Some(Bar::Below { position, min });
        }
        let behind = furthest.saturating_sub(position);
        let too_far = self.rules.lag_max.is_some_and(|most| behind > most);
        too_far.then_some(Bar::Behind { position, furthest })
    }
}

fn position(report: Report) -> Option<u64> {
    match report {
        Report::At(position) => Some(position),
        Report::NotNow => None,
    }
}
