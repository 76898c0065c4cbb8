use crate::table::{Digesting, Table};
use crate::{
    BranchIncarnation, Counted, Part, ParticipantName, Rejection, RestoreError,
    coding::{Decoder, Encoder},
};

/// Names are few: each is a process that somebody runs.
pub(crate) const PARTICIPANTS_MAX: u64 = 1_024;

/// Who may take part in transactions: what a commit's parts are held against, and what a scan for
/// branches that nobody spoke of must cover.
#[derive(Clone, Debug)]
pub(crate) struct Participants {
    rows: Table<ParticipantName, (BranchIncarnation, String)>,
}

impl Participants {
    pub(crate) fn new(seed: u64) -> Participants {
        Participants { rows: Table::new(seed) }
    }

    /// Makes one known. `Some` is the store it voted from before, when that is another.
    pub(crate) fn register(
        &mut self,
        name: ParticipantName,
        incarnation: BranchIncarnation,
        address: String,
    ) -> Result<Option<BranchIncarnation>, Rejection> {
        if !self.rows.contains(&name) && self.rows.len() >= PARTICIPANTS_MAX {
            let what = Counted::Participants;
            return Err(Rejection::TooMany { what, limit: PARTICIPANTS_MAX });
        }
        let was = self.rows.insert(name, (incarnation, address));
        Ok(was.map(|(was, _)| was).filter(|was| *was != incarnation))
    }

    pub(crate) fn contains(&self, name: &ParticipantName) -> bool {
        self.rows.contains(name)
    }

    /// The first part whose yes binds nobody: not registered, or it votes from another store now.
    pub(crate) fn lost_vote<'a>(&self, parts: &'a [Part]) -> Option<&'a ParticipantName> {
        let stands = |part: &Part| {
            self.rows.get(&part.participant).is_some_and(|(now, _)| *now == part.incarnation)
        };
        parts.iter().find(|part| !stands(part)).map(|part| &part.participant)
    }

    pub(crate) fn iter(
        &self,
    ) -> impl Iterator<Item = (&ParticipantName, BranchIncarnation, &String)> {
        self.rows.iter().map(|(name, (incarnation, address))| (name, *incarnation, address))
    }

    pub(crate) fn digest(&self, how: Digesting) -> u64 {
        self.rows.digest(how)
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        self.rows.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Participants, RestoreError> {
        Ok(Participants { rows: Table::restore(seed, from)? })
    }
}
