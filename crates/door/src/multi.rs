use hyper::StatusCode;
use serde_json::{Value, json};
use synod_client::{
    Multi,
    machine::{self, Entry, Expect, Guard, Hold, LeaseId, Mutation, Name, Revision},
};

use crate::{
    answer::Answer, ask::Ask, fault::Fault, kv::Row, leases::own, numbers::Count, octets,
    shape::shape,
};

shape! {
    /// Guards, writes and reads that are of one moment: all is done if every guard holds, else
    /// nothing.
    MultiRequest {
        /// What must hold of keys.
        guards: Option<Vec<GuardRow>>,
        /// What must be held still.
        holds: Option<Vec<HoldRow>>,
        /// What is then written; a key once at most.
        writes: Option<Vec<WriteRow>>,
        /// The lease of the caller with which what is set ends; without, it stands for good.
        lease: Option<Count>,
        /// Keys that are read, after the writes; also when a guard does not hold.
        reads: Option<Vec<KeyRow>>,
    }
}

shape! {
    /// What must hold of one key: one of `absent`, `present`, `revision`, and `value` or
    /// `value_base64`.
    GuardRow {
        /// Which.
        key: Option<String>,
        /// Which, where it is no text.
        key_base64: Option<String>,
        /// It does not exist.
        absent: Option<bool>,
        /// It exists.
        present: Option<bool>,
        /// It was last set at this revision.
        revision: Option<Count>,
        /// It holds this.
        value: Option<String>,
        /// It holds this, which is no text.
        value_base64: Option<String>,
    }
}

shape! {
    /// What must be held still: a `lock` or an `election` under its `token`, or a `claim` for its
    /// `owner`. What is fenced this way cannot be written by a holder that was deposed.
    HoldRow {
        /// The name of a lock.
        lock: Option<String>,
        /// The name of an election.
        election: Option<String>,
        /// The token of the grant.
        token: Option<Count>,
        /// A name that is claimed.
        claim: Option<String>,
        /// For whom.
        owner: Option<String>,
    }
}

shape! {
    /// One write: of a value, or of nothing with `delete`.
    WriteRow {
        /// Which key.
        key: Option<String>,
        /// Which key, where it is no text.
        key_base64: Option<String>,
        /// What it is to hold.
        value: Option<String>,
        /// What it is to hold, where that is no text.
        value_base64: Option<String>,
        /// Whether it is removed.
        delete: Option<bool>,
    }
}

shape! {
    /// One key.
    KeyRow {
        /// Which.
        key: Option<String>,
        /// Which, where it is no text.
        key_base64: Option<String>,
    }
}

shape! {
    /// All was done.
    MultiDone {
        /// The revision of the writes, or of the state when there were none.
        revision: Count,
        /// The keys that were read and are there.
        reads: Vec<Row>,
    }
}

pub(crate) async fn multi(ask: Ask) -> Result<Answer, Fault> {
    let request: MultiRequest = ask.document()?;
    let guards = request.guards.unwrap_or_default().into_iter().map(guard);
    let writes = request.writes.unwrap_or_default().into_iter().map(write);
    let holds = request.holds.unwrap_or_default().into_iter().map(hold);
    let lease = match request.lease {
        Some(lease) => Some(own(&ask, LeaseId::new(lease.0)).await?.lease),
        None => None,
    };
    let reads = request.reads.unwrap_or_default().into_iter();
    let reads = reads.map(|row| octets::either("key", row.key, row.key_base64));
    let multi = machine::Multi {
        guards: guards.collect::<Result<_, Fault>>()?,
        holds: holds.collect::<Result<_, Fault>>()?,
        mutations: writes.collect::<Result<_, Fault>>()?,
        lease,
        reads: reads.collect::<Result<_, Fault>>()?,
    };
    let keys = multi.reads.clone();
    let rows = |found: &[Option<Entry>]| -> Vec<Row> {
        let pairs = keys.iter().zip(found);
        pairs.filter_map(|(key, entry)| Some(Row::new(key, entry.as_ref()?))).collect()
    };
    match ask.client.kv().multi_request(multi).await? {
        Multi::Done { revision, reads } => Ok(done(revision, rows(&reads))),
        Multi::Refused { failed, reads } => {
            let said = format!("number {failed} (from 0) of guards, then holds, does not hold");
            let status = StatusCode::PRECONDITION_FAILED;
            let present: Value = json!({ "failed": failed, "reads": rows(&reads) });
            Err(Fault::new(status, "mismatch", said).with("present", present))
        }
    }
}

fn done(revision: Revision, reads: Vec<Row>) -> Answer {
    Answer::json(&MultiDone { revision: Count(revision.get()), reads }).at(revision)
}

pub(crate) fn guard(row: GuardRow) -> Result<Guard, Fault> {
    let key = octets::either("key", row.key, row.key_base64)?;
    let value = match (row.value, row.value_base64) {
        (None, None) => None,
        (text, base64) => Some(Expect::Value(octets::either("value", text, base64)?)),
    };
    let mut said = [
        row.absent.filter(|absent| *absent).map(|_| Expect::Absent),
        row.present.filter(|present| *present).map(|_| Expect::Present),
        row.revision.map(|Count(revision)| Expect::Revision(Revision::new(revision))),
        value,
    ]
    .into_iter()
    .flatten();
    match (said.next(), said.next()) {
        (Some(expect), None) => Ok(Guard { key, expect }),
        _ => Err(Fault::bad("a guard says one of absent, present, revision and value")),
    }
}

pub(crate) fn hold(row: HoldRow) -> Result<Hold, Fault> {
    let token = row.token.map(|token| Revision::new(token.0));
    match (row.lock, row.election, token, row.claim, row.owner) {
        (Some(lock), None, Some(token), None, None) => {
            Ok(Hold::Lock { name: Name::new(lock), token })
        }
        (None, Some(election), Some(token), None, None) => {
            Ok(Hold::Incumbent { election: Name::new(election), token })
        }
        (None, None, None, Some(claim), Some(owner)) => {
            Ok(Hold::Claim { name: Name::new(claim), owner })
        }
        _ => Err(Fault::bad(
            "what is held is lock and token, election and token, or claim and owner",
        )),
    }
}

pub(crate) fn write(row: WriteRow) -> Result<Mutation, Fault> {
    let key = octets::either("key", row.key, row.key_base64)?;
    match (row.delete.unwrap_or_default(), row.value, row.value_base64) {
        (true, None, None) => Ok(Mutation::Delete { key }),
        (true, ..) => Err(Fault::bad("a write has a value, or delete, and not both")),
        (false, text, base64) => {
            Ok(Mutation::Put { key, value: octets::either("value", text, base64)? })
        }
    }
}
