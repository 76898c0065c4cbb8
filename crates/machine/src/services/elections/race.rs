//! What is known of one election and of one candidate, and who may be granted.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::asked::{Bar, Pause, Report, Rules};
use crate::{LeaseId, Name, Revision, Timestamp};

/// One election.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Race {
    /// Who was first to ask for it, or to give it rules: it counts for that client.
    pub(super) owner: String,
    pub(super) rules: Rules,
    pub(super) pause: Option<Pause>,
    /// The furthest position reported since the last grant and since the rules were given.
    pub(super) furthest: Option<u64>,
    pub(super) term: Option<Term>,
}

/// What was granted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Term {
    /// To the candidate at this place.
    pub(super) place: Revision,
    pub(super) token: Revision,
    pub(super) since: Timestamp,
    pub(super) proclaimed: Option<String>,
    /// The place of the candidate for which the incumbent is to leave.
    pub(super) successor: Option<Revision>,
}

/// Who stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub(super) candidate: Name,
    pub(super) lease: LeaseId,
    pub(super) owner: String,
    pub(super) priority: i32,
    pub(super) report: Option<(Report, Timestamp)>,
}

impl Candidate {
    /// Who is granted first: the highest priority, and of those alike whoever came first.
    pub(super) fn rank(&self, place: Revision) -> (Reverse<i32>, Revision) {
        (Reverse(self.priority), place)
    }

    /// Whether it does not say that it must not be granted.
    pub(super) fn is_willing(&self) -> bool {
        !matches!(self.report, Some((Report::NotNow, _)))
    }
}

impl Term {
    /// Granted to the candidate at this place; the revision of that is its token.
    pub(super) fn new(place: Revision, (token, since): (Revision, Timestamp)) -> Term {
        Term { place, token, since, proclaimed: None, successor: None }
    }
}

impl Race {
    pub(super) fn new(owner: String) -> Race {
        Race { owner, rules: Rules::default(), pause: None, furthest: None, term: None }
    }

    /// Whether nothing need be remembered of it once nobody stands.
    pub(super) fn is_plain(&self) -> bool {
        self.rules == Rules::default() && self.pause.is_none()
    }

    /// Somebody has come so far.
    pub(super) fn reached(&mut self, report: Option<Report>) {
        if let Some(Report::At(position)) = report {
            self.furthest = self.furthest.max(Some(position));
        }
    }

    /// Why a candidate may not be granted as it is. Reads nothing but the log: the rules, what was
    /// reported, and the time as the batches tell it; so all nodes agree.
    pub(super) fn bar(&self, candidate: &Candidate, now: Timestamp) -> Option<Bar> {
        if self.pause.is_some() {
            return Some(Bar::Paused);
        }
        let (position, at) = match candidate.report {
            Some((Report::NotNow, _)) => return Some(Bar::NotNow),
            Some((Report::At(position), at)) => (position, at),
            None => return (self.rules != Rules::default()).then_some(Bar::Unreported),
        };
        let Rules { lag_max, position_min, fresh_ms } = self.rules;
        let age_ms = now.0.saturating_sub(at.0);
        let furthest = self.furthest.unwrap_or(position);
        let lag = furthest.saturating_sub(position);
        let stale = fresh_ms.is_some_and(|most| age_ms > most).then_some(Bar::Stale { age_ms });
        let min = position_min.filter(|min| position < *min);
        let behind = lag_max.is_some_and(|most| lag > most);
        stale
            .or(min.map(|min| Bar::Below { position, min }))
            .or(behind.then_some(Bar::Behind { position, furthest }))
    }
}
