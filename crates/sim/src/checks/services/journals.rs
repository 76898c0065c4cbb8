//! S5: entries of a journal stand in one order, at positions that are given once, until they are
//! trimmed; and no group of readers falls back.

use std::collections::BTreeMap;

use synod_machine::{
    JournalCommand, JournalEntry, JournalReply, JournalView, Name, Position, TRIM_MAX, owner_name,
};

use super::{Moment, past::Past};

/// Journals as the simplest model has them.
#[derive(Debug, Default)]
pub(super) struct Journals {
    pub(super) past: Past<Journal>,
    /// Whether something was appended where everything had been trimmed.
    pub(super) anew: bool,
}

/// One of them, with its entries and where its groups of readers stand.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    last: Position,
    trimmed: Position,
    entries: Vec<JournalEntry>,
    owner: String,
    pub(super) groups: BTreeMap<Name, Position>,
}

impl Journal {
    /// As people are told of it.
    pub(super) fn view(&self, name: &Name) -> JournalView {
        let names = name.as_str().len();
        let bytes = self.entries.iter().map(|one| (one.value.len() + one.by.len() + names) as u64);
        JournalView {
            name: name.clone(),
            last: self.last,
            trimmed: self.trimmed,
            bytes: bytes.sum(),
            owner: self.owner.clone(),
        }
    }

    /// Entries after a position, and whether there are more.
    pub(super) fn after(&self, after: Position, limit: u32) -> (Vec<JournalEntry>, bool) {
        let later = || self.entries.iter().filter(|one| one.position > after);
        (later().take(limit as usize).cloned().collect(), later().count() > limit as usize)
    }
}

impl Journals {
    /// What a command comes to.
    pub(super) fn does(
        &mut self,
        command: &JournalCommand,
        moment: &mut Moment<'_>,
    ) -> JournalReply {
        let (JournalCommand::Append { name, .. }
        | JournalCommand::Trim { name, .. }
        | JournalCommand::Commit { name, .. }
        | JournalCommand::Forget { name, .. }) = command;
        let stands = self.past.get(name).cloned();
        let (journal, reply) = match (command, stands) {
            (JournalCommand::Append { value, .. }, stands) => {
                let mut journal = stands.unwrap_or_else(|| Journal {
                    last: Position::ZERO,
                    trimmed: Position::ZERO,
                    entries: Vec::new(),
                    owner: moment.client.to_owned(),
                    groups: BTreeMap::new(),
                });
                self.anew |= journal.entries.is_empty() && journal.last > Position::ZERO;
                let (position, at) = (journal.last.next(), moment.change());
                let (by, value) = (owner_name(moment.client).to_owned(), value.clone());
                let appended_at_ms = moment.now_ms;
                journal.entries.push(JournalEntry { position, value, at, by, appended_at_ms });
                journal.last = position;
                (journal, JournalReply::Appended { position, revision: at })
            }
            (_, None) => return JournalReply::Absent,
            (JournalCommand::Trim { upto, .. }, Some(journal)) => trim(journal, *upto, moment),
            (JournalCommand::Commit { group, position, .. }, Some(journal)) => {
                commit(journal, group, *position, moment)
            }
            (JournalCommand::Forget { group, .. }, Some(mut journal)) => {
                let Some(position) = journal.groups.remove(group) else {
                    return JournalReply::Absent;
                };
                (journal, JournalReply::Forgotten { position, revision: moment.change() })
            }
        };
        self.past.set(name, moment.at(), Some(journal));
        reply
    }
}

fn trim(mut journal: Journal, upto: Position, moment: &mut Moment<'_>) -> (Journal, JournalReply) {
    let at_once = Position::new(journal.trimmed.get() + TRIM_MAX);
    let upto = upto.min(journal.last).min(at_once);
    if upto > journal.trimmed {
        moment.change();
        journal.trimmed = upto;
        journal.entries.retain(|one| one.position > upto);
    }
    let (upto, revision) = (journal.trimmed, moment.at());
    (journal, JournalReply::Trimmed { upto, revision })
}

fn commit(
    mut journal: Journal,
    group: &Name,
    position: Position,
    moment: &mut Moment<'_>,
) -> (Journal, JournalReply) {
    if position > journal.last {
        let last = journal.last;
        return (journal, JournalReply::Beyond { last });
    }
    let stands = journal.groups.get(group).copied();
    match stands {
        Some(stands) if stands > position => {
            return (journal, JournalReply::Behind { position: stands });
        }
        Some(stands) if stands == position => {}
        Some(_) | None => {
            moment.change();
            journal.groups.insert(group.clone(), position);
        }
    }
    (journal, JournalReply::Committed { position, revision: moment.at() })
}
