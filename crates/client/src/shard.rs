use bytes::Bytes;
use synod_machine::{
    Entry, ParticipantName, TxnId, Verdict,
    branch::Work,
    door::NotApplied,
    participant_door::{Ask, Call, Freshness, InDoubt, Info, Said},
};
use synod_net::AskError;
use tokio::time::timeout_at;

use crate::{
    client::{Client, nonsense},
    core::Core,
    deadline::Deadline,
    error::{Error, Unreached, Why},
    kv::Page,
    party::Party,
    wire::{decode, encode},
};

/// A participant as others see it.
///
/// A read sees every transaction that anybody was told has committed before the read began: where
/// one is in doubt, the read waits for its end, and is *not applied* if that does not come in time.
/// [`Shard::stale`] waits for nothing. Neither needs leader or quorum once the address is known.
///
/// Two reads are of two moments, also of one participant: what must be seen at one moment is put
/// as guards into a transaction over all of it.
#[derive(Clone, Debug)]
pub struct Shard {
    client: Client,
    name: ParticipantName,
    freshness: Freshness,
}

/// What one question to a participant came to.
#[derive(Debug)]
pub(crate) enum Heard {
    Said(Said),
    /// Nothing was sent.
    Unsent(Unreached),
    /// It may have been heard.
    Lost,
}

impl Shard {
    pub(crate) fn new(client: Client, name: &str) -> Shard {
        Shard { client, name: ParticipantName::new(name), freshness: Freshness::Committed }
    }

    /// The same participant, read as of the last transaction that has finished there: what is in
    /// doubt is as if it had not been.
    #[must_use]
    pub fn stale(&self) -> Shard {
        Shard { freshness: Freshness::Finished, ..self.clone() }
    }

    /// One key.
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Option<Entry>, Error> {
        match self.ask(Call::Get { key: key.into(), freshness: self.freshness }).await? {
            Said::Key { entry, .. } => Ok(entry),
            said => Err(no_answer(said)),
        }
    }

    /// Up to `limit` keys that begin with `prefix` and come after `after`.
    pub async fn scan(
        &self,
        prefix: impl Into<Bytes>,
        after: Option<Bytes>,
        limit: u32,
    ) -> Result<Page, Error> {
        let (prefix, freshness) = (prefix.into(), self.freshness);
        match self.ask(Call::Scan { prefix, after, limit, freshness }).await? {
            Said::Keys { revision, entries, more } => Ok(Page { revision, entries, more }),
            said => Err(no_answer(said)),
        }
    }

    /// Every key, page by page: each page is of one moment, the whole is not.
    pub async fn scan_all(&self) -> Result<Vec<(Bytes, Entry)>, Error> {
        let mut all: Vec<(Bytes, Entry)> = Vec::new();
        loop {
            let after = all.last().map(|(key, _)| key.clone());
            let page = self.scan(Bytes::new(), after, PAGE_KEYS).await?;
            let last = !page.more || page.entries.is_empty();
            all.extend(page.entries);
            if last {
                return Ok(all);
            }
        }
    }

    /// Transactions of which it holds a prepared branch, the oldest id first.
    pub async fn in_doubt(&self) -> Result<Vec<TxnId>, Error> {
        Ok(self.in_doubt_branches().await?.into_iter().map(|branch| branch.txn).collect())
    }

    /// As [`Shard::in_doubt`], with what each branch holds.
    pub async fn in_doubt_branches(&self) -> Result<Vec<InDoubt>, Error> {
        match self.ask(Call::InDoubt).await? {
            Said::InDoubt(branches) => Ok(branches),
            said => Err(no_answer(said)),
        }
    }

    /// Who it is and how it stands.
    pub async fn info(&self) -> Result<Info, Error> {
        match self.ask(Call::Info).await? {
            Said::Info(info) => Ok(info),
            said => Err(no_answer(said)),
        }
    }

    /// Microseconds of a round trip to it.
    pub async fn rtt_us(&self) -> Result<u64, Error> {
        let deadline = self.client.deadline();
        let party = self.client.core.find(&self.name, deadline).await?;
        let line = timeout_at(deadline.at(), party.line(&self.client.core.route.wire)).await;
        match line {
            Ok(Ok(line)) => Ok(u64::try_from(line.rtt().as_micros()).unwrap_or(u64::MAX)),
            Ok(Err(unreached)) => Err(Error::not_applied(Why::Participant(unreached))),
            Err(_) => Err(Error::not_applied(Why::NoAnswer)),
        }
    }

    /// Asks; once more where the log says that it is now, when it is not where it was.
    async fn ask(&self, call: Call) -> Result<Said, Error> {
        let (core, deadline) = (&self.client.core, self.client.deadline());
        let mut party = core.find(&self.name, deadline).await?;
        // Where it was, nobody may answer any more, and silence takes time: half of it is kept for
        // where it is now.
        let first = deadline.or_after(deadline.left() / 2);
        let mut heard = core.ask_participant(&party, &call, first).await;
        if matches!(heard, Heard::Unsent(_) | Heard::Lost) {
            party = core.find_anew(&self.name, deadline).await?;
            heard = core.ask_participant(&party, &call, deadline).await;
        }
        if matches!(heard, Heard::Said(Said::NotApplied(NotApplied::Locked { .. }))) {
            // It is there, and waits for a transaction in doubt: so does this, for all of its time.
            heard = core.ask_participant(&party, &call, deadline).await;
        }
        match heard {
            Heard::Said(said) => Ok(said),
            Heard::Unsent(unreached) => Err(Error::not_applied(Why::Participant(unreached))),
            Heard::Lost => Err(Error::not_applied(Why::NoAnswer)),
        }
    }
}

/// Keys asked for at once when all are wanted; the participant stops at 1 MiB anyway.
const PAGE_KEYS: u32 = 1_000;

fn no_answer(said: Said) -> Error {
    match said {
        Said::NotApplied(why) => Error::not_applied(Why::Node(why)),
        Said::Refused(why) => Error::door(why),
        _ => nonsense(),
    }
}

impl Core {
    /// Phase 1.
    pub(crate) async fn solicit(
        &self,
        party: &Party,
        txn: TxnId,
        work: &Work,
        deadline: Deadline,
    ) -> Heard {
        self.ask_participant(party, &Call::Prepare { txn, work: work.clone() }, deadline).await
    }

    /// Phase 2.
    pub(crate) async fn tell_verdict(
        &self,
        party: &Party,
        txn: TxnId,
        verdict: Verdict,
        deadline: Deadline,
    ) -> Heard {
        self.ask_participant(party, &Call::Finish { txn, verdict }, deadline).await
    }

    async fn ask_participant(&self, party: &Party, call: &Call, deadline: Deadline) -> Heard {
        let line = match timeout_at(deadline.at(), party.line(&self.route.wire)).await {
            Ok(Ok(line)) => line,
            Ok(Err(unreached)) => return Heard::Unsent(unreached),
            Err(_) => return Heard::Unsent(party.trouble_or_silence()),
        };
        let asked = encode(&Ask { within_ms: deadline.within_ms(), call: call.clone() });
        // What is read may have a transaction in doubt to wait for; all else has a disk.
        let asking = async {
            match call {
                Call::Prepare { .. } | Call::Finish { .. } => line.ask_together(asked).await,
                _ => line.ask(asked).await,
            }
        };
        match timeout_at(deadline.at(), asking).await {
            Ok(Ok(bytes)) => decode::<Said>(&bytes).map_or(Heard::Lost, Heard::Said),
            Ok(Err(error @ AskError::Connect { .. })) => {
                Heard::Unsent(Unreached::new(party.name(), party.address(), &error))
            }
            Ok(Err(_)) | Err(_) => Heard::Lost,
        }
    }
}
