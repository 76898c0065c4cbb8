//! A turn that is waited for: of a place in the queue of a lock, of a candidate in an election.

use std::{sync::Arc, time::Duration};

use synod_machine::{Answer, Change, Holder, Interest, LeaseId, Name, Office, Query, Revision};

use crate::{
    core::Core,
    cursor::{Cursor, Heard},
    deadline::Deadline,
    error::{Error, Why},
};

/// One node is listened to for so long at a time.
const LISTEN: Duration = Duration::from_secs(1);
/// How long one look at the whole takes at most.
const LOOK: Duration = Duration::from_secs(1);

/// Whose turn it is, of all who wait for the same on their leases.
pub(crate) trait Whose: Sized {
    /// What is listened to.
    fn interest(name: Name) -> Interest;

    /// What is asked when changes of it are forgotten.
    fn query(name: Name) -> Query;

    /// Since a change, if it is one of this.
    fn since(change: Change) -> Option<Self>;

    /// As an answer says, if it is one to the query.
    fn seen(answer: Answer) -> Option<(Revision, Option<Self>)>;

    /// The token under which it is the turn of this lease.
    fn token_of(&self, lease: LeaseId) -> Option<Revision>;
}

impl Whose for Holder {
    fn interest(name: Name) -> Interest {
        Interest::Lock { name }
    }

    fn query(name: Name) -> Query {
        Query::Lock { name }
    }

    fn since(change: Change) -> Option<Holder> {
        if let Change::Lock { holder, .. } = change { holder } else { None }
    }

    fn seen(answer: Answer) -> Option<(Revision, Option<Holder>)> {
        match answer {
            Answer::Lock { revision, lock } => Some((revision, lock.map(|view| view.holder))),
            _ => None,
        }
    }

    fn token_of(&self, lease: LeaseId) -> Option<Revision> {
        (self.lease == lease).then_some(self.token)
    }
}

impl Whose for Office {
    fn interest(name: Name) -> Interest {
        Interest::Election { name }
    }

    fn query(name: Name) -> Query {
        Query::Election { name }
    }

    fn since(change: Change) -> Option<Office> {
        if let Change::Election { office, .. } = change { Some(office) } else { None }
    }

    fn seen(answer: Answer) -> Option<(Revision, Option<Office>)> {
        match answer {
            Answer::Election { revision, election } => {
                Some((revision, Some(election.map(|view| view.office).unwrap_or_default())))
            }
            _ => None,
        }
    }

    fn token_of(&self, lease: LeaseId) -> Option<Revision> {
        let incumbent = self.incumbent.as_ref();
        incumbent.filter(|one| one.lease == lease).map(|one| one.token)
    }
}

/// The turn of one lease.
pub(crate) struct Turn<W> {
    core: Arc<Core>,
    name: Name,
    lease: LeaseId,
    cursor: Cursor,
    /// When it was last heard of.
    whose: W,
    token: Option<Revision>,
}

impl<W: Whose> Turn<W> {
    /// Of one that waits, since it was told at this revision whose turn it is.
    pub(crate) fn new(
        core: &Arc<Core>,
        name: Name,
        lease: LeaseId,
        (at, whose): (Revision, W),
    ) -> Turn<W> {
        let cursor = Cursor::new(core, W::interest(name.clone()), at);
        Turn { core: Arc::clone(core), name, lease, cursor, whose, token: None }
    }

    /// Of one that need not wait.
    pub(crate) fn come(self, token: Revision) -> Turn<W> {
        Turn { token: Some(token), ..self }
    }

    pub(crate) fn lease(&self) -> LeaseId {
        self.lease
    }

    /// Whose it was when that was last heard of.
    pub(crate) fn whose(&self) -> &W {
        &self.whose
    }

    pub(crate) fn into_whose(self) -> W {
        self.whose
    }

    /// The token, if it has come.
    pub(crate) fn token(&self) -> Option<Revision> {
        self.token
    }

    /// Resolves with the token when it has come. May be left at any await: nothing is missed.
    pub(crate) async fn comes(&mut self) -> Result<Revision, Error> {
        loop {
            if let Some(token) = self.token {
                return Ok(token);
            }
            match self.cursor.listen(LISTEN).await? {
                Heard::Changes(changes) => {
                    let all = changes.into_iter().flat_map(|(_, row)| row);
                    all.filter_map(W::since).for_each(|whose| self.hear(whose));
                }
                Heard::Gap { .. } => {
                    let (revision, whose) = look(&self.core, &self.name).await?;
                    self.cursor.skip_to(revision);
                    whose.into_iter().for_each(|whose| self.hear(whose));
                }
                Heard::Nothing => {}
            }
        }
    }

    fn hear(&mut self, whose: W) {
        self.token = whose.token_of(self.lease).or(self.token);
        self.whose = whose;
    }
}

/// Whose turn it is at this moment, if it is anybody's, however often that has to be asked.
pub(crate) async fn look<W: Whose>(
    core: &Core,
    name: &Name,
) -> Result<(Revision, Option<W>), Error> {
    loop {
        match core.read(W::query(name.clone()), Deadline::after(LOOK)).await {
            Ok(answer) => {
                if let Some(seen) = W::seen(answer) {
                    return Ok(seen);
                }
            }
            Err(error @ (Error::Refused { .. } | Error::NotApplied { why: Why::Closed })) => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
}
