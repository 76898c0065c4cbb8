use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde::{Deserialize, Serialize};

use crate::clock::Age;
use crate::limits::REPLY_BYTES_MAX;
use crate::table::{Digesting, Table};
use crate::{
    Counted, FenceCause, Rejection, Reply, RequestId, RestoreError, Seq, SessionId,
    coding::{Decoder, Encoder},
    owner_name,
};

/// Sessions that have not ended, of all clients together.
pub(crate) const SESSIONS_MAX: u64 = 100_000;
/// And of one client: whoever opens more than it ends takes its own room and nobody else's.
pub(crate) const SESSIONS_OF_OWNER_MAX: u64 = 1_024;
/// Replies that a session may have unacknowledged: a client that pipelines deeper than this gains
/// nothing, and every one is memory on every node.
pub(crate) const REPLIES_MAX: u64 = 1_024;
/// Bytes of values in those replies. One reply of the largest size must always find room.
pub(crate) const REPLIES_BYTES_MAX: u64 = 2 * REPLY_BYTES_MAX as u64;
/// Requests of one session that are held to be never: settled, or refused when it was full.
pub(crate) const TOMBSTONES_MAX: u64 = 4_096;
/// Replies of an ended session are known for a day: whoever asks later has lost interest.
pub(crate) const ENDED_MS: u64 = 24 * 60 * 60 * 1_000;
/// And of so many ended sessions at most, the latest: a short command-line call is one.
pub(crate) const ENDED_MAX: u64 = 8_192;
/// And so many bytes of values in them.
pub(crate) const ENDED_BYTES_MAX: u64 = 64 << 20;

/// Who may ask, and what they were told: the reply of every request that was not acknowledged yet,
/// so that a repeat is answered and not done again.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    last: SessionId,
    live: Table<SessionId, Session>,
    ended: Table<SessionId, Ended>,
    replies: Table<RequestId, Kept>,
    forgotten: u64,
    /// How many sessions each owner has that have not ended. Follows from `live`.
    owners: BTreeMap<String, u64>,
    /// Ended sessions, the first to be forgotten first. Follows from `ended`.
    queue: BTreeSet<(Age, SessionId)>,
    /// Bytes of replies of ended sessions. Follows from `ended`.
    ended_bytes: u64,
}

/// A session that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) owner: String,
    pub(crate) ttl_ms: u64,
    pub(crate) renewals: u64,
    held: Held,
}

/// What is remembered of a session's requests.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Held {
    /// Below it everything is forgotten.
    acked: Seq,
    replies: u64,
    bytes: u64,
    tombstones: u64,
}

/// A session that has ended, while its replies are still known.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Ended {
    at: Age,
    cause: FenceCause,
    held: Held,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Kept {
    Reply(Reply),
    /// It has not taken effect and never will.
    Never,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No such session was ever opened.
    Unopened,
    Live,
    /// Nothing of it can take effect any more.
    Ended,
}

/// What becomes of a request that names itself.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It has not been here: do it, and [`Sessions::keep`] the reply.
    Fresh,
    /// It took effect before, and this was its reply.
    Repeat(Reply),
    /// It does not take effect.
    Refused(Rejection),
    /// Nor does anything else of this session, which is to be ended: it goes on asking after all
    /// the refusals that can be remembered.
    Overrun,
}

impl Sessions {
    pub(crate) fn new(seed: u64) -> Sessions {
        Sessions {
            last: SessionId::ZERO,
            live: Table::new(seed),
            ended: Table::new(seed.wrapping_add(1)),
            replies: Table::new(seed.wrapping_add(2)),
            forgotten: 0,
            owners: BTreeMap::new(),
            queue: BTreeSet::new(),
            ended_bytes: 0,
        }
    }

    pub(crate) fn open(&mut self, owner: String, ttl_ms: u64) -> Result<SessionId, Rejection> {
        if self.live.len() >= SESSIONS_MAX {
            return Err(Rejection::TooMany { what: Counted::Sessions, limit: SESSIONS_MAX });
        }
        let of_owner = self.owners.entry(owner_name(&owner).to_owned()).or_default();
        if *of_owner >= SESSIONS_OF_OWNER_MAX {
            let (what, limit) = (Counted::SessionsOfOwner, SESSIONS_OF_OWNER_MAX);
            return Err(Rejection::TooMany { what, limit });
        }
        *of_owner = of_owner.saturating_add(1);
        self.last = self.last.next();
        let session = Session { owner, ttl_ms, renewals: 0, held: Held::default() };
        self.live.insert(self.last, session);
        Ok(self.last)
    }

    pub(crate) fn standing(&self, session: SessionId) -> Standing {
        if session == SessionId::ZERO || session > self.last {
            Standing::Unopened
        } else if self.live.contains(&session) {
            Standing::Live
        } else {
            Standing::Ended
        }
    }

    /// Decides whether a request takes effect: the one place where a repeat is told from a request
    /// that has not been here. Any word of a live session is a sign of life.
    pub(crate) fn admit(&mut self, id: RequestId, acked: Seq) -> Admission {
        if let Some(held) = self.hear(id.session, acked) {
            return self.admit_live(id, held);
        }
        match self.standing(id.session) {
            Standing::Unopened => Admission::Refused(Rejection::UnknownSession),
            // It is not live, or it would have been heard.
            Standing::Ended | Standing::Live => self.admit_late(id),
        }
    }

    /// Keeps the reply of a request that was [`Admission::Fresh`].
    pub(crate) fn keep(&mut self, id: RequestId, reply: Reply) {
        let bytes = reply.weight();
        self.replies.insert(id, Kept::Reply(reply));
        let add = |held: &mut Held| {
            held.replies = held.replies.saturating_add(1);
            held.bytes = held.bytes.saturating_add(bytes);
        };
        // The request may have ended its own session.
        if self.live.change(&id.session, |session| add(&mut session.held)).is_none() {
            self.ended.change(&id.session, |ended| add(&mut ended.held));
            self.ended_bytes = self.ended_bytes.saturating_add(bytes);
        }
    }

    /// Ends a session; whether it was live.
    pub(crate) fn end(&mut self, session: SessionId, cause: FenceCause, now: Age) -> bool {
        let Some(Session { held, owner, .. }) = self.live.remove(&session) else { return false };
        self.owner_lost_one(owner_name(&owner));
        self.ended.insert(session, Ended { at: now, cause, held });
        self.queue.insert((now, session));
        self.ended_bytes = self.ended_bytes.saturating_add(held.bytes);
        true
    }

    fn owner_lost_one(&mut self, name: &str) {
        match self.owners.get_mut(name) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            Some(_) => drop(self.owners.remove(name)),
            None => {}
        }
    }

    /// Whether a request took effect; if not, it never will, and from here on that is certain.
    pub(crate) fn settle(&mut self, id: RequestId) -> Reply {
        match self.kept(id) {
            Some(Kept::Reply(reply)) => {
                return match reply.clone().into_first() {
                    None | Some(Reply::SettledNever) => {
                        let why = "a settle is answered by asking it again".to_owned();
                        Reply::Rejected(Rejection::Misuse(why))
                    }
                    Some(first) => Reply::SettledApplied(Box::new(first)),
                };
            }
            Some(Kept::Never) => return Reply::SettledNever,
            None => {}
        }
        match (self.standing(id.session), self.held(id.session)) {
            (Standing::Unopened, _) => Reply::Rejected(Rejection::UnknownSession),
            (_, None) => Reply::Rejected(Rejection::Forgotten),
            (_, Some(held)) if id.seq < held.acked => Reply::Rejected(Rejection::ReplyForgotten),
            (Standing::Ended, Some(_)) => Reply::SettledNever,
            (Standing::Live, Some(held)) if held.tombstones >= TOMBSTONES_MAX => {
                Reply::Rejected(Rejection::TooManyOpen { limit: TOMBSTONES_MAX })
            }
            (Standing::Live, Some(_)) => {
                self.bury(id);
                Reply::SettledNever
            }
        }
    }

    /// The reply of a request that took effect, as far as it is known.
    pub(crate) fn reply(&self, id: RequestId) -> Option<&Reply> {
        match self.kept(id)? {
            Kept::Reply(reply) => Some(reply),
            Kept::Never => None,
        }
    }

    /// Who opened a session that has not ended.
    pub(crate) fn owner(&self, session: SessionId) -> Option<&str> {
        self.live.get(&session).map(|session| session.owner.as_str())
    }

    /// How many requests of a live session have reached the log.
    pub(crate) fn renewals(&self, session: SessionId) -> Option<u64> {
        self.live.get(&session).map(|session| session.renewals)
    }

    /// Sessions that have not ended, after this one.
    pub(crate) fn live_after(
        &self,
        after: SessionId,
    ) -> impl Iterator<Item = (SessionId, &Session)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.live.range((Excluded(after), Unbounded)).map(|(id, session)| (*id, session))
    }

    pub(crate) fn is_any_live(&self, among: Range<SessionId>) -> bool {
        self.live.range(among).next().is_some()
    }

    pub(crate) fn live_count(&self) -> u64 {
        self.live.len()
    }

    pub(crate) fn ended_count(&self) -> u64 {
        self.ended.len()
    }

    pub(crate) fn replies_count(&self) -> u64 {
        self.replies.len()
    }

    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets the replies of sessions that ended long ago, or of the oldest when there are many.
    pub(crate) fn sweep(&mut self, now: Age) {
        while let Some(&(at, session)) = self.queue.first() {
            let old = now.since(at) >= ENDED_MS;
            let many = self.ended.len() > ENDED_MAX || self.ended_bytes > ENDED_BYTES_MAX;
            if !old && !many {
                return;
            }
            self.queue.remove(&(at, session));
            self.forget(session);
        }
    }

    pub(crate) fn digest(&self, how: Digesting) -> impl Serialize + use<> {
        let tables = [self.live.digest(how), self.ended.digest(how), self.replies.digest(how)];
        (self.last, self.forgotten, tables)
    }

    /// The same without what follows from the rest: cheap, and enough to encode.
    pub(crate) fn rows(&self) -> Sessions {
        Sessions {
            last: self.last,
            live: self.live.clone(),
            ended: self.ended.clone(),
            replies: self.replies.clone(),
            forgotten: self.forgotten,
            owners: BTreeMap::new(),
            queue: BTreeSet::new(),
            ended_bytes: 0,
        }
    }

    pub(crate) fn encode<E>(&self, to: &mut Encoder<'_, E>) -> Result<(), E> {
        to.put(&(self.last, self.forgotten))?;
        self.live.encode(to)?;
        self.ended.encode(to)?;
        self.replies.encode(to)
    }

    pub(crate) fn restore(seed: u64, from: &mut Decoder<'_>) -> Result<Sessions, RestoreError> {
        let (last, forgotten) = from.take()?;
        let live: Table<SessionId, Session> = Table::restore(seed, from)?;
        let mut owners = BTreeMap::new();
        for (_, session) in live.iter() {
            let count: &mut u64 = owners.entry(owner_name(&session.owner).to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        let ended: Table<SessionId, Ended> = Table::restore(seed.wrapping_add(1), from)?;
        let replies = Table::restore(seed.wrapping_add(2), from)?;
        let queue = ended.iter().map(|(session, ended)| (ended.at, *session)).collect();
        let bytes = ended.iter().map(|(_, ended)| ended.held.bytes);
        let ended_bytes = bytes.fold(0, u64::saturating_add);
        Ok(Sessions { last, live, ended, replies, forgotten, owners, queue, ended_bytes })
    }

    /// Takes note of a session's word, if it is live, and lets go of the replies that it has.
    fn hear(&mut self, session: SessionId, acked: Seq) -> Option<Held> {
        let from = self.live.seek(&session)?.held.acked;
        let acked = acked.max(from);
        let (mut replies, mut bytes, mut tombstones) = (0u64, 0u64, 0u64);
        if acked > from {
            let below = RequestId { session, seq: from }..RequestId { session, seq: acked };
            self.replies.drain(below, |kept| match kept {
                Kept::Reply(reply) => {
                    replies = replies.saturating_add(1);
                    bytes = bytes.saturating_add(reply.weight());
                }
                Kept::Never => tombstones = tombstones.saturating_add(1),
            });
        }
        self.live.change(&session, |session| {
            session.renewals = session.renewals.saturating_add(1);
            let held = &mut session.held;
            held.acked = acked;
            held.replies = held.replies.saturating_sub(replies);
            held.bytes = held.bytes.saturating_sub(bytes);
            held.tombstones = held.tombstones.saturating_sub(tombstones);
            *held
        })
    }

    fn admit_live(&mut self, id: RequestId, held: Held) -> Admission {
        if id.seq < held.acked {
            return Admission::Refused(Rejection::ReplyForgotten);
        }
        match self.replies.seek(&id) {
            Some(Kept::Reply(reply)) => return Admission::Repeat(reply.clone()),
            Some(Kept::Never) => return Admission::Refused(Rejection::SettledNever),
            None => {}
        }
        if held.replies < REPLIES_MAX && held.bytes < REPLIES_BYTES_MAX {
            return Admission::Fresh;
        }
        // A later copy of it must not take effect either, when there is room again.
        if held.tombstones < TOMBSTONES_MAX {
            self.bury(id);
            return Admission::Refused(Rejection::TooManyOpen { limit: REPLIES_MAX });
        }
        Admission::Overrun
    }

    /// An ended session still hears what it was told; nothing new is done for it.
    fn admit_late(&self, id: RequestId) -> Admission {
        match (self.kept(id), self.held(id.session)) {
            (Some(Kept::Reply(reply)), _) => Admission::Repeat(reply.clone()),
            (Some(Kept::Never), _) => Admission::Refused(Rejection::SettledNever),
            (None, Some(held)) if id.seq < held.acked => {
                Admission::Refused(Rejection::ReplyForgotten)
            }
            (None, Some(_)) => Admission::Refused(Rejection::SessionEnded),
            (None, None) => Admission::Refused(Rejection::Forgotten),
        }
    }

    fn kept(&self, id: RequestId) -> Option<&Kept> {
        self.replies.get(&id)
    }

    fn held(&self, session: SessionId) -> Option<Held> {
        let live = self.live.get(&session).map(|session| session.held);
        live.or_else(|| self.ended.get(&session).map(|ended| ended.held))
    }

    fn bury(&mut self, id: RequestId) {
        self.replies.insert(id, Kept::Never);
        self.live.change(&id.session, |session| {
            session.held.tombstones = session.held.tombstones.saturating_add(1);
        });
    }

    fn forget(&mut self, session: SessionId) {
        let all =
            RequestId { session, seq: Seq::ZERO }..=RequestId { session, seq: Seq::new(u64::MAX) };
        let gone: Vec<RequestId> = self.replies.range(all).map(|(id, _)| *id).collect();
        for id in &gone {
            self.replies.remove(id);
        }
        self.forgotten = self.forgotten.saturating_add(gone.len() as u64);
        if let Some(ended) = self.ended.remove(&session) {
            self.ended_bytes = self.ended_bytes.saturating_sub(ended.held.bytes);
        }
    }
}
