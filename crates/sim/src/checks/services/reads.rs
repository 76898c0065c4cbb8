//! Reads of services, and the state of the machine after each slot, against the models.

use synod_machine::{Answer, ElectionView, Machine, Name, Query, Revision};

use super::{Services, elections::Standing};
use crate::violation::{Checked, Violation, demand};

impl Services {
    /// A client receives an answer to a question: of which revision it is, if it is right.
    pub(crate) fn read(&self, query: &Query, answer: &Answer) -> Result<Revision, Violation> {
        if let (Query::Election { name }, Answer::Election { revision, election }) = (query, answer)
        {
            self.read_election(name, *revision, election.as_deref())?;
            return Ok(*revision);
        }
        let revision = revision_of(answer);
        let expected = revision.and_then(|revision| self.answer(query, revision));
        demand!(
            expected.as_ref() == Some(answer),
            law(query),
            "{query:?} is answered with {answer:?}; there was {expected:?}"
        );
        Ok(revision.unwrap_or_default())
    }

    /// Whatever the last slot touched stands in the machine as it does here; and every election.
    pub(super) fn compare(&mut self, machine: &Machine) -> Checked {
        let touched = [
            ask(self.locks.past.take_touched(), |name| Query::Lock { name }),
            ask(self.elections.take_all(), |name| Query::Election { name }),
            ask(self.claims.past.take_touched(), |name| Query::Claim { name }),
            ask(self.registers.past.take_touched(), |name| Query::Register { name }),
            ask(self.counters.past.take_touched(), |name| Query::Counter { name }),
            ask(self.barriers.past.take_touched(), |name| Query::Barrier { name }),
        ];
        let journals = self.journals.past.take_touched();
        let journals = journals.into_iter().flat_map(|name| [entries(name.clone()), offsets(name)]);
        for query in touched.into_iter().flatten().chain(journals) {
            self.read(&query, &machine.query(&query))?;
        }
        Ok(())
    }

    /// Why somebody could not be granted depends on the hour, and is not looked at.
    fn read_election(
        &self,
        name: &Name,
        revision: Revision,
        shown: Option<&ElectionView>,
    ) -> Checked {
        let shown = shown.cloned().map(Standing::of);
        let ours = self.elections.past.as_of(name, revision);
        demand!(
            shown.as_ref() == ours,
            "S7",
            "{name} stands at {revision} as {shown:?}; it should stand as {ours:?}"
        );
        Ok(())
    }

    fn answer(&self, query: &Query, revision: Revision) -> Option<Answer> {
        Some(match query {
            Query::Lock { name } => {
                Answer::Lock { revision, lock: self.locks.as_of(name, revision) }
            }
            Query::Claim { name } => {
                let claim = self.claims.past.as_of(name, revision).cloned();
                Answer::Claim { revision, claim }
            }
            Query::Register { name } => {
                let register = self.registers.past.as_of(name, revision).cloned();
                Answer::Register { revision, register }
            }
            Query::Counter { name } => {
                let counter = self.counters.past.as_of(name, revision).cloned();
                Answer::Counter { revision, counter }
            }
            Query::Barrier { name } => {
                let barrier = self.barriers.past.as_of(name, revision).map(|one| one.view(name));
                Answer::Barrier { revision, barrier }
            }
            Query::Journal { name, after, limit } => {
                let journal = self.journals.past.as_of(name, revision);
                let (entries, more) =
                    journal.map(|one| one.after(*after, *limit)).unwrap_or_default();
                let journal = journal.map(|one| one.view(name));
                Answer::Journal { revision, journal, entries, more }
            }
            Query::Offsets { name } => {
                let groups = self.journals.past.as_of(name, revision).map(|one| &one.groups);
                let offsets = groups.into_iter().flatten();
                let offsets = offsets.map(|(group, position)| (group.clone(), *position)).collect();
                Answer::Offsets { revision, offsets }
            }
            _ => return None,
        })
    }
}

/// Everything that stands in a journal.
pub(super) fn entries(name: Name) -> Query {
    Query::Journal { name, after: synod_machine::Position::ZERO, limit: u32::MAX }
}

fn offsets(name: Name) -> Query {
    Query::Offsets { name }
}

fn ask(names: impl IntoIterator<Item = Name>, how: impl Fn(Name) -> Query) -> Vec<Query> {
    names.into_iter().map(how).collect()
}

fn revision_of(answer: &Answer) -> Option<Revision> {
    match answer {
        Answer::Lock { revision, .. }
        | Answer::Claim { revision, .. }
        | Answer::Register { revision, .. }
        | Answer::Counter { revision, .. }
        | Answer::Barrier { revision, .. }
        | Answer::Journal { revision, .. }
        | Answer::Offsets { revision, .. } => Some(*revision),
        _ => None,
    }
}

fn law(query: &Query) -> &'static str {
    match query {
        Query::Claim { .. } => "S1",
        Query::Register { .. } => "S2",
        Query::Counter { .. } => "S3",
        Query::Barrier { .. } => "S4",
        Query::Lock { .. } => "S6",
        Query::Election { .. } => "S7",
        _ => "S5",
    }
}
