use std::collections::BTreeSet;

use super::{
    named_rows,
    shares::{Limits, Shares},
};
use crate::table::{Digesting, Table};
use crate::{
    Change, Counted, LeaseId, Name, Rejection, RestoreError, Revision, Timestamp,
    coding::{Decoder, Encoder},
    history::History,
};

mod asked;
mod race;

pub use asked::{
    Bar, CandidateView, ElectionCommand, ElectionReply, ElectionView, Incumbent, Office, Order,
    PROCLAIMED_BYTES_MAX, Pause, Report, Rules, Successor,
};
use race::{Candidate, Race, Term};

/// Candidates of one election: as many as are looked through with every word of one of them.
pub const CANDIDATES_MAX: u64 = 64;

/// Elections in which somebody stands, or that have rules or are paused.
const LIMITS: Limits = Limits {
    what: Counted::Elections,
    max: 100_000,
    of_owner: Counted::ElectionsOfOwner,
    of_owner_max: 16_384,
};
/// Who stands, each as often as it does.
const CANDIDATES: Limits = Limits {
    what: Counted::Candidates,
    max: 200_000,
    of_owner: Counted::CandidatesOfOwner,
    of_owner_max: 16_384,
};

/// Every election of which anything must be remembered.
///
/// Invariants: an incumbent stands; nobody is the incumbent exactly while nobody may be
/// ([`Race::bar`]), for that is looked at with every word that could change it, and time alone
/// makes nobody eligible; and no token is given twice, since each is the revision of a command
/// that grants once in an election at most.
#[derive(Clone, Debug)]
pub(crate) struct Elections {
    races: Table<Name, Race>,
    candidates: Table<(Name, Revision), Candidate>,
    /// Follows from `candidates`.
    by_lease: BTreeSet<(LeaseId, Name, Revision)>,
    /// Follow from the rows.
    shares: Shares,
    candidate_shares: Shares,
}

impl Elections {
    pub(crate) fn new([races, candidates]: [u64; 2]) -> Elections {
        Elections {
            races: Table::new(races),
            candidates: Table::new(candidates),
            by_lease: BTreeSet::new(),
            shares: Shares::new(&LIMITS),
            candidate_shares: Shares::new(&CANDIDATES),
        }
    }

    /// Stands for election, or says how it stands by now. `revision` moves if anything changes.
    pub(crate) fn stand(
        &mut self,
        name: Name,
        (lease, owner): (LeaseId, String),
        (candidate, priority, report): (Name, i32, Option<Report>),
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> Result<ElectionReply, Rejection> {
        let stood = self.place(&name, lease);
        let said = report.map(|report| (report, now));
        let mut row = Candidate { candidate, lease, owner, priority, report: said };
        match stood.and_then(|at| self.candidates.get(&(name.clone(), at))) {
            Some(stands) => {
                row.report = row.report.or(stands.report);
                if row == *stands {
                    let place = stood.unwrap_or_default();
                    return Ok(self.stands(&name, place, (*revision, now)));
                }
            }
            None => self.have_room(&name, &row.owner)?,
        }
        let before = self.office(&name);
        *revision = revision.next();
        self.begin(&name, &row.owner);
        let place = stood.unwrap_or(*revision);
        self.remove(&name, place);
        self.insert(name.clone(), place, row);
        // Only what is said now: what it said before the last grant was lost with that grant.
        self.races.change(&name, |race| race.reached(report));
        self.settle(&name, before, (*revision, now), history);
        Ok(self.stands(&name, place, (*revision, now)))
    }

    pub(crate) fn report(
        &mut self,
        name: &Name,
        lease: LeaseId,
        report: Report,
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> ElectionReply {
        let Some(place) = self.place(name, lease) else { return ElectionReply::Absent };
        let before = self.office(name);
        *revision = revision.next();
        let key = (name.clone(), place);
        self.candidates.change(&key, |candidate| candidate.report = Some((report, now)));
        self.races.change(name, |race| race.reached(Some(report)));
        self.settle(name, before, (*revision, now), history);
        ElectionReply::Done { revision: *revision }
    }

    pub(crate) fn proclaim(
        &mut self,
        name: &Name,
        (lease, token): (LeaseId, Revision),
        value: String,
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> ElectionReply {
        let office = self.office(name);
        let incumbent = office.incumbent.as_ref();
        let Some(incumbent) = incumbent.filter(|one| one.lease == lease && one.token == token)
        else {
            return ElectionReply::NotIncumbent { office };
        };
        if incumbent.proclaimed.as_ref() == Some(&value) {
            return ElectionReply::Done { revision: *revision };
        }
        *revision = revision.next();
        self.in_term(name, |term| term.proclaimed = Some(value));
        self.settle(name, office, (*revision, now), history);
        ElectionReply::Done { revision: *revision }
    }

    /// Stands no longer; if it was the incumbent the next is granted.
    pub(crate) fn leave(
        &mut self,
        name: &Name,
        lease: LeaseId,
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> ElectionReply {
        let Some(place) = self.place(name, lease) else { return ElectionReply::Absent };
        *revision = revision.next();
        let token = self.withdraw(name, place, (*revision, now), history);
        ElectionReply::Left { revision: *revision, token }
    }

    /// Everybody who stands on a lease leaves, at one revision.
    pub(crate) fn leave_all(
        &mut self,
        lease: LeaseId,
        at: (Revision, Timestamp),
        history: &mut History,
    ) {
        let places: Vec<_> =
            self.of_lease(lease).map(|(name, place)| (name.clone(), place)).collect();
        for (name, place) in places {
            self.withdraw(&name, place, at, history);
        }
    }

    /// Whether anybody stands on it.
    pub(crate) fn hangs_on(&self, lease: LeaseId) -> bool {
        self.of_lease(lease).next().is_some()
    }

    /// A person orders something; and whether that changed anything.
    pub(crate) fn order(
        &mut self,
        name: &Name,
        order: Order,
        (actor, reason, owner): (String, String, &str),
        (revision, now): (&mut Revision, Timestamp),
        history: &mut History,
    ) -> Result<(ElectionReply, bool), Rejection> {
        let before = self.office(name);
        let as_it_is = ElectionReply::Done { revision: *revision };
        let mut to = None;
        match &order {
            Order::Pause if before.paused => return Ok((as_it_is, false)),
            Order::Resume if !before.paused => return Ok((as_it_is, false)),
            Order::Cancel if before.successor.is_none() => {
                return Ok((ElectionReply::Absent, false));
            }
            Order::Switchover { to: wanted } => match self.successor(name, wanted.as_ref(), now) {
                Ok(place) => to = Some(place),
                Err(Some(bar)) => return Ok((ElectionReply::Barred { bar }, false)),
                Err(None) => return Ok((ElectionReply::Absent, false)),
            },
            Order::Pause | Order::Resume | Order::Rules(_) | Order::Cancel => {}
        }
        if !self.races.contains(name) {
            self.shares.have_room(owner, 1)?;
        }
        *revision = revision.next();
        self.begin(name, owner);
        match order {
            Order::Pause => {
                let pause = Pause { actor, reason, since_ms: now.0 };
                self.races.change(name, |race| race.pause = Some(pause));
                self.in_term(name, |term| term.successor = None);
            }
            Order::Resume => {
                self.races.change(name, |race| race.pause = None);
            }
            Order::Rules(rules) => {
                let furthest = self.positions(name).max();
                self.races.change(name, |race| (race.rules, race.furthest) = (rules, furthest));
            }
            Order::Switchover { .. } | Order::Cancel => {
                self.in_term(name, |term| term.successor = to);
            }
        }
        self.settle(name, before, (*revision, now), history);
        let handing_over = to.and_then(|_| self.office(name).successor);
        Ok(match handing_over {
            Some(to) => (ElectionReply::HandingOver { to, revision: *revision }, true),
            None => (ElectionReply::Done { revision: *revision }, true),
        })
    }

    /// As its observers see it.
    pub(crate) fn office(&self, name: &Name) -> Office {
        let Some(race) = self.races.get(name) else { return Office::default() };
        let at = |place: Revision| self.candidates.get(&(name.clone(), place));
        let term = race.term.as_ref();
        let incumbent = term.and_then(|term| {
            let Candidate { candidate, lease, owner, .. } = at(term.place)?.clone();
            let (token, since_ms) = (term.token, term.since.0);
            let proclaimed = term.proclaimed.clone();
            Some(Incumbent { candidate, lease, owner, token, since_ms, proclaimed })
        });
        let successor = term.and_then(|term| {
            let Candidate { candidate, lease, .. } = at(term.successor?)?.clone();
            Some(Successor { candidate, lease })
        });
        Office { incumbent, successor, paused: race.pause.is_some() }
    }

    pub(crate) fn view(&self, name: &Name, now: Timestamp) -> Option<ElectionView> {
        let race = self.races.get(name)?;
        let incumbent = race.term.as_ref().map(|term| term.place);
        let mut all: Vec<_> = self.of(name).collect();
        all.sort_by_key(|(at, one)| (incumbent != Some(*at), one.rank(*at)));
        let candidates = all.into_iter().map(|(at, one)| CandidateView {
            candidate: one.candidate.clone(),
            lease: one.lease,
            owner: one.owner.clone(),
            priority: one.priority,
            at,
            report: one.report.map(|(report, at)| (report, at.0)),
            bar: race.bar(one, now),
        });
        Some(ElectionView {
            name: name.clone(),
            office: self.office(name),
            rules: race.rules,
            pause: race.pause.clone(),
            furthest: race.furthest,
            candidates: candidates.collect(),
        })
    }

    /// In the order of names.
    pub(crate) fn views<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&Name>,
        now: Timestamp,
    ) -> impl Iterator<Item = ElectionView> + 'a {
        named_rows(&self.races, prefix, after).filter_map(move |(name, _)| self.view(name, now))
    }

    /// How many elections, and who stands in them.
    pub(crate) fn count(&self) -> (u64, u64) {
        (self.races.len(), self.candidates.len())
    }

    pub(crate) fn digest(&self, how: Digesting) -> [u64; 2] {
        [self.races.digest(how), self.candidates.digest(how)]
    }

    /// The same without what follows from the rest.
    pub(crate) fn rows(&self) -> Elections {
        Elections {
            races: self.races.clone(),
            candidates: self.candidates.clone(),
            ..Elections::new([0; 2])
        }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.races.encode(to)?;
        self.candidates.encode(to)
    }

    pub(crate) fn restore(
        seeds: [u64; 2],
        from: &mut Decoder<'_>,
    ) -> Result<Elections, RestoreError> {
        let mut elections = Elections::new(seeds);
        elections.races = Table::restore(seeds[0], from)?;
        elections.races.iter().for_each(|(_, race)| elections.shares.take(&race.owner, 1));
        let candidates: Table<(Name, Revision), Candidate> = Table::restore(seeds[1], from)?;
        for ((name, place), candidate) in candidates.iter() {
            elections.insert(name.clone(), *place, candidate.clone());
        }
        Ok(elections)
    }

    /// Whether one more may stand there.
    fn have_room(&self, name: &Name, owner: &str) -> Result<(), Rejection> {
        if !self.races.contains(name) {
            self.shares.have_room(owner, 1)?;
        }
        if self.of(name).count() as u64 >= CANDIDATES_MAX {
            let what = Counted::CandidatesOfElection;
            return Err(Rejection::TooMany { what, limit: CANDIDATES_MAX });
        }
        self.candidate_shares.have_room(owner, 1)
    }

    fn begin(&mut self, name: &Name, owner: &str) {
        if !self.races.contains(name) {
            self.shares.take(owner, 1);
            self.races.insert(name.clone(), Race::new(owner.to_owned()));
        }
    }

    /// How a candidate stands.
    fn stands(
        &self,
        name: &Name,
        place: Revision,
        (at, now): (Revision, Timestamp),
    ) -> ElectionReply {
        let race = self.races.get(name);
        let term = race.and_then(|race| race.term.as_ref());
        if let Some(term) = term.filter(|term| term.place == place) {
            return ElectionReply::Incumbent { token: term.token };
        }
        let candidate = self.candidates.get(&(name.clone(), place));
        let bar = race.zip(candidate).and_then(|(race, candidate)| race.bar(candidate, now));
        ElectionReply::Waiting { at, office: self.office(name), bar }
    }

    /// The place of the candidate for which the incumbent can leave. Else why the one that would be
    /// the best may not be granted, if there is one.
    fn successor(
        &self,
        name: &Name,
        wanted: Option<&Name>,
        now: Timestamp,
    ) -> Result<Revision, Option<Bar>> {
        let race = self.races.get(name).ok_or(None)?;
        let term = race.term.as_ref().ok_or(None)?;
        let others = || {
            let others = self.of(name).filter(|(at, _)| *at != term.place);
            others.filter(|(_, one)| wanted.is_none_or(|wanted| one.candidate == *wanted))
        };
        let first = others().min_by_key(|(at, one)| (race.bar(one, now).is_some(), one.rank(*at)));
        let (place, one) = first.ok_or(None)?;
        match race.bar(one, now) {
            Some(bar) => Err(Some(bar)),
            None => Ok(place),
        }
    }

    fn withdraw(
        &mut self,
        name: &Name,
        place: Revision,
        at: (Revision, Timestamp),
        history: &mut History,
    ) -> Option<Revision> {
        let before = self.office(name);
        self.remove(name, place);
        let token = self.races.get(name).and_then(|race| race.term.as_ref());
        let token = token.filter(|term| term.place == place).map(|term| term.token);
        self.settle(name, before, at, history);
        token
    }

    /// Brings an election to where it must be after a word to it: whoever left is not the incumbent
    /// and nobody's successor, a vacancy is filled if anybody may fill it, and what need not be
    /// remembered is forgotten. Observers are told if it looks different than before.
    fn settle(
        &mut self,
        name: &Name,
        before: Office,
        (at, now): (Revision, Timestamp),
        history: &mut History,
    ) {
        let Some(race) = self.races.get(name) else { return };
        let there = |place: &Revision| self.candidates.get(&(name.clone(), *place));
        // That it is behind for a moment drops no switchover: it may have caught up by then.
        let wanted = race.term.as_ref().and_then(|term| term.successor);
        let wanted = wanted.filter(|to| there(to).is_some_and(Candidate::is_willing));
        let term = match race.term.clone().filter(|term| there(&term.place).is_some()) {
            Some(term) => Some(Term { successor: wanted, ..term }),
            None => {
                let may = self.of(name).filter(|(_, one)| race.bar(one, now).is_none());
                let next =
                    may.min_by_key(|(place, one)| (wanted != Some(*place), one.rank(*place)));
                next.map(|(place, _)| Term::new(place, (at, now)))
            }
        };
        let granted = term.as_ref().filter(|term| term.token == at);
        let furthest = match granted.and_then(|term| there(&term.place)) {
            // What it does not have is lost; the others are measured by it from here on.
            Some(granted) => granted.report.and_then(|(report, _)| match report {
                Report::At(position) => Some(position),
                Report::NotNow => None,
            }),
            None => race.furthest,
        };
        if race.is_plain() && self.of(name).next().is_none() {
            let gone = self.races.remove(name);
            gone.iter().for_each(|race| self.shares.give_back(&race.owner, 1));
        } else {
            self.races.change(name, |race| (race.term, race.furthest) = (term, furthest));
        }
        let office = self.office(name);
        if office != before {
            history.note(Change::Election { name: name.clone(), office });
        }
    }

    fn in_term(&mut self, name: &Name, how: impl FnOnce(&mut Term)) {
        self.races.change(name, |race| race.term.as_mut().map(how));
    }

    fn positions(&self, name: &Name) -> impl Iterator<Item = u64> {
        self.of(name).filter_map(|(_, one)| match one.report {
            Some((Report::At(position), _)) => Some(position),
            Some((Report::NotNow, _)) | None => None,
        })
    }

    fn of(&self, name: &Name) -> impl Iterator<Item = (Revision, &Candidate)> {
        let all = (name.clone(), Revision::ZERO)..=(name.clone(), Revision::new(u64::MAX));
        self.candidates.range(all).map(|((_, at), candidate)| (*at, candidate))
    }

    fn place(&self, name: &Name, lease: LeaseId) -> Option<Revision> {
        let all =
            (lease, name.clone(), Revision::ZERO)..=(lease, name.clone(), Revision::new(u64::MAX));
        self.by_lease.range(all).next().map(|(_, _, at)| *at)
    }

    fn of_lease(&self, lease: LeaseId) -> impl Iterator<Item = (&Name, Revision)> {
        let all = self.by_lease.range((lease, Name::new(""), Revision::ZERO)..);
        all.take_while(move |(of, _, _)| *of == lease).map(|(_, name, at)| (name, *at))
    }

    fn insert(&mut self, name: Name, place: Revision, candidate: Candidate) {
        self.candidate_shares.take(&candidate.owner, 1);
        self.by_lease.insert((candidate.lease, name.clone(), place));
        self.candidates.insert((name, place), candidate);
    }

    fn remove(&mut self, name: &Name, place: Revision) {
        let Some(gone) = self.candidates.remove(&(name.clone(), place)) else { return };
        self.by_lease.remove(&(gone.lease, name.clone(), place));
        self.candidate_shares.give_back(&gone.owner, 1);
    }
}
