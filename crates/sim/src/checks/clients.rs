//! F: a request takes effect at most once, and its client is told the truth about it.

mod at_most_once;
mod seen_before;
pub(crate) mod true_answers;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use synod_machine::{
    Answer, Applied, BarrierReply, ClaimReply, Command, CounterReply, Entry, FenceCause,
    JournalReply, Machine, Query, RegisterReply, Rejection, Reply, Request, RequestId, Revision,
    SessionId,
};

use super::{
    ages::Ages, agreement::asked_for, at_least, linear::Linear, lives::Lives, order::Effect,
    services::Services, shelf::Shelf,
};
use crate::{
    sights::{Sight, Sights},
    violation::{Checked, Violation},
};

/// Who asked what, what came of it, and what was said.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    asked: BTreeMap<RequestId, Command>,
    /// The reply that each request took effect with.
    effects: BTreeMap<RequestId, Reply>,
    /// Requests that somebody was told will never take effect.
    never: BTreeSet<RequestId>,
    shelf: Shelf,
    services: Services,
    /// Which requests of the last slot took effect there, or were refused.
    took: Vec<bool>,
    lives: Lives,
    linear: Linear,
    /// The moment of the universe.
    pub(super) now_us: u64,
    pub(crate) seen: Sights,
    /// The highest revision that any client has been shown.
    shown: Revision,
    pub(crate) ages: Ages,
    /// Whether the history has reads find what was there before: a bug that is planted.
    pub(crate) has_stale_history: bool,
}

impl Clients {
    /// A client is about to send a request for the first time.
    pub(crate) fn asks(&mut self, request: &Request) {
        if let Some(id) = request.id {
            self.asked.insert(id, request.command.clone());
            self.linear.asks(id, &request.command, self.now_us);
        }
    }

    /// The highest revision that any client has been shown by now: what is asked from here on must
    /// see it.
    pub(crate) fn shown(&self) -> Revision {
        self.shown
    }

    /// A client was told that its session lives, in answer to a call of this moment.
    pub(crate) fn kept(&mut self, session: SessionId, sent_us: u64) {
        self.lives.kept(session, sent_us);
    }

    /// A slot has joined the chosen prefix; `machine` has applied it.
    pub(crate) fn applied(&mut self, effect: &Effect, now: u64) -> Checked {
        at_most_once::is_done(effect)?;
        self.took.clear();
        for (request, result) in effect.batch.requests.iter().zip(&effect.results) {
            let took = self.took_effect(request, result)?;
            self.took.push(took);
            self.lives.applied(request, &result.reply, now)?;
            if matches!(
                (&request.command, &result.reply),
                (Command::Fence { cause: FenceCause::Expired, .. }, Reply::Done(_))
            ) {
                self.seen.see(Sight::Expired);
            }
        }
        Ok(())
    }

    /// What the requests of that slot did is what the simplest models of keys and services do.
    pub(crate) fn judge(&mut self, effect: &Effect, machine: &Machine) -> Checked {
        self.services.applied(effect, &self.took, machine, &mut self.shelf)?;
        for key in self.shelf.take_touched() {
            let found = machine.query(&Query::Get { key: key.clone() });
            at_most_once::is_as_each_made_it(&key, &found, &self.shelf)?;
        }
        Ok(())
    }

    /// Whether it did, or was refused: it has not been here.
    fn took_effect(&mut self, request: &Request, result: &Applied) -> Result<bool, Violation> {
        let Some(id) = request.id else { return Ok(true) };
        asked_for::is_its_clients(id, request, self.asked.get(&id))?;
        if let Reply::Rejected(_) = result.reply {
            return Ok(!result.repeated);
        }
        let first = self.effects.get(&id);
        if result.repeated {
            self.seen.see(Sight::Repeat);
            at_most_once::is_repeated(id, &result.reply, first)?;
            return Ok(false);
        }
        if matches!(request.command, Command::Decide { .. }) && first == Some(&result.reply) {
            // A decision that comes after the end of its session is told what stands; it has no
            // effect that could be had twice.
            return Ok(false);
        }
        at_most_once::is_new(id, &result.reply, first)?;
        true_answers::was_not_never(id, self.never.contains(&id))?;
        self.effects.insert(id, result.reply.clone());
        self.seen.see(Sight::Effect);
        self.settled(request, &result.reply)?;
        Ok(true)
    }

    fn settled(&mut self, request: &Request, reply: &Reply) -> Checked {
        let Command::Settle { request: about } = &request.command else { return Ok(()) };
        match reply {
            Reply::SettledNever => self.is_never(*about),
            Reply::SettledApplied(reply) => {
                self.seen.see(Sight::SettledApplied);
                let first = self.effects.get(about).cloned().and_then(Reply::into_first);
                at_most_once::is_settled(*about, reply, first.as_ref())
            }
            _ => Ok(()),
        }
    }

    /// Somebody was told that a request has not taken effect and never will.
    pub(crate) fn is_never(&mut self, id: RequestId) -> Checked {
        true_answers::is_never(id, self.effects.get(&id))?;
        if self.never.insert(id) {
            self.seen.see(Sight::Never);
            self.linear.never(id);
        }
        Ok(())
    }

    /// A client, which had been shown `floor` before it asked, receives the reply to its request.
    pub(crate) fn answered(&mut self, id: RequestId, floor: Revision, reply: &Reply) -> Checked {
        let first = self.effects.get(&id);
        match reply {
            Reply::Rejected(
                Rejection::SessionEnded | Rejection::SettledNever | Rejection::UnknownSession,
            ) => self.is_never(id)?,
            Reply::Rejected(_) => {}
            _ => true_answers::is_what_came_of_it(id, reply, first)?,
        }
        if let Some(revision) = written(self.asked.get(&id), reply) {
            seen_before::is_written_later(id, revision, floor)?;
            self.shows(revision);
        }
        if let (Reply::SettledApplied(inner), Some(Command::Settle { request })) =
            (reply, self.asked.get(&id))
        {
            self.linear.answered(*request, &(**inner).clone().into(), self.now_us);
        }
        self.linear.answered(id, reply, self.now_us);
        Ok(())
    }

    /// A client, which had been shown `floor` before it asked, receives the answer to a
    /// linearizable read that it sent at `sent_us`.
    pub(crate) fn read(
        &mut self,
        key: &Bytes,
        sent_us: u64,
        floor: Revision,
        revision: Revision,
        entry: Option<&Entry>,
    ) -> Checked {
        seen_before::is_read_no_earlier(key, revision, floor)?;
        let expected = self.shelf.as_of(key, revision);
        seen_before::is_what_there_was(key, revision, entry, expected)?;
        self.shows(revision);
        let noted = match entry {
            Some(entry) if self.has_stale_history => {
                let before = Revision::new(entry.modified.get().saturating_sub(1));
                self.shelf.as_of(key, before)
            }
            entry => entry,
        };
        self.linear.read(key, (sent_us, self.now_us), noted);
        Ok(())
    }

    /// A client receives the answer to a read of at least `asked`, sent at `sent_us`, or to one of
    /// whatever some node knew: it is of the revision that it says, and orders nothing.
    pub(crate) fn read_past(
        &mut self,
        key: &Bytes,
        asked: Revision,
        revision: Revision,
        entry: Option<&Entry>,
    ) -> Checked {
        at_least::hears(asked, revision)?;
        if asked > Revision::ZERO {
            self.seen.see(Sight::AtLeastRead);
        }
        at_least::finds(key, revision, entry, self.shelf.as_of(key, revision))
    }

    /// A client, which had been shown `floor` before it asked, receives the answer to a
    /// linearizable read of a service.
    pub(crate) fn looked(&mut self, query: &Query, floor: Revision, answer: &Answer) -> Checked {
        let revision = self.services.read(query, answer)?;
        self.seen.see(match query {
            Query::Lock { .. } | Query::Election { .. } => Sight::PrizeRead,
            _ => Sight::ServiceRead,
        });
        seen_before::is_looked_at_no_earlier(query, revision, floor)?;
        self.shows(revision);
        Ok(())
    }

    /// A client receives the answer to a read of a service of at least `asked`, or of whatever some
    /// node knew.
    pub(crate) fn looked_past(
        &mut self,
        query: &Query,
        asked: Revision,
        answer: &Answer,
    ) -> Checked {
        if let Query::Lock { .. } | Query::Election { .. } = query {
            self.seen.see(Sight::PrizeReadPast);
        }
        at_least::hears(asked, self.services.read(query, answer)?)
    }

    /// What was seen.
    pub(crate) fn sights(&self) -> Sights {
        let mut seen = self.seen;
        seen += self.services.seen;
        seen
    }

    fn shows(&mut self, revision: Revision) {
        self.shown = self.shown.max(revision);
        self.ages.shows(self.now_us, revision);
    }

    /// Everything has come to an end.
    pub(crate) fn ended(&mut self) -> Checked {
        self.linear.ended()
    }
}

/// The revision of a write that this reply tells of.
fn written(command: Option<&Command>, reply: &Reply) -> Option<Revision> {
    if let Some(Command::Once(_)) = command {
        // Whoever asks again under a key hears of what was done long ago.
        return None;
    }
    match reply {
        Reply::Written(revision)
        | Reply::Deleted { existed: true, revision }
        | Reply::Claim(ClaimReply::Released { revision })
        | Reply::Register(RegisterReply::Chosen { at: revision, ours: true, .. })
        | Reply::Counter(
            CounterReply::Value { revision, .. } | CounterReply::Deleted { revision, .. },
        )
        | Reply::Barrier(
            BarrierReply::Left { revision, .. } | BarrierReply::Removed { revision },
        )
        | Reply::Journal(
            JournalReply::Appended { revision, .. } | JournalReply::Forgotten { revision, .. },
        ) => Some(*revision),
        _ => None,
    }
}
