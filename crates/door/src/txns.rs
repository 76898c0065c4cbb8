use hyper::StatusCode;
use synod_client::{
    Outcome,
    machine::{AbortCause, Guard, Mutation, SessionId, TxnId, TxnView, Verdict, branch::Work},
};

use crate::{
    answer::Answer,
    ask::Ask,
    fault::Fault,
    multi::{GuardRow, HoldRow, WriteRow, guard, hold, write},
    numbers,
    numbers::Count,
    shape::shape,
};

shape! {
    /// A transaction, as far as the log knows it.
    TxnRow {
        /// Which.
        txn: String,
        /// `in_progress`; or, for ever, `committed`, `aborted`, or `retired`: so old that only
        /// people know.
        verdict: String,
        /// When it was decided, in milliseconds since 1970.
        decided_at_ms: Option<Count>,
        /// Why it was aborted, where that is on record.
        cause: Option<String>,
        /// Its participants.
        parts: Vec<PartRow>,
    }
}

shape! {
    /// A participant of a transaction.
    PartRow {
        /// Its name.
        participant: String,
        /// Whether it has acknowledged the verdict.
        acknowledged: bool,
    }
}

shape! {
    /// Transactions that are decided and not acknowledged by all, in the order of their ids.
    TxnRows {
        /// Those.
        txns: Vec<TxnRow>,
        /// After which the list goes on, if there are more: give it as `after`.
        next: Option<String>,
    }
}

shape! {
    /// A transaction over shards: at all of them, and at the cluster's own keys, or at none.
    TxnRequest {
        /// What each participant is to do.
        parts: Vec<PartRequest>,
        /// What must hold of the cluster's own keys at the moment of the decision.
        guards: Option<Vec<GuardRow>>,
        /// What must be held still at that moment.
        holds: Option<Vec<HoldRow>>,
        /// What is written to the cluster's own keys at that moment.
        writes: Option<Vec<WriteRow>>,
    }
}

shape! {
    /// What one participant is to do; it votes no where a guard does not hold, or a key is locked.
    PartRequest {
        /// Its name.
        participant: String,
        /// What must hold of its keys.
        guards: Option<Vec<GuardRow>>,
        /// What is written there.
        writes: Option<Vec<WriteRow>>,
    }
}

shape! {
    /// It has committed; the participants are being told.
    TxnDone {
        /// Which.
        txn: String,
    }
}

/// Drives a transaction for the caller. The door's process is its owner: should that die before the
/// decision, the cluster aborts it when it misses the owner's session, and no shard waits for ever.
pub(crate) async fn commit(ask: Ask) -> Result<Answer, Fault> {
    if ask.keyed {
        let said = "a transaction takes no Idempotency-Key";
        return Err(Fault::bad(said).hint("its own id says how it ended: GET /v1/txns/ID"));
    }
    let request: TxnRequest = ask.document()?;
    let mut txn = ask.client.txn();
    for part in request.parts {
        let (guards, mutations) = (read(part.guards, guard)?, read(part.writes, write)?);
        txn = txn.ask(part.participant, Work { guards, mutations });
    }
    for Guard { key, expect } in read(request.guards, guard)? {
        txn = txn.require(key, expect);
    }
    for held in read(request.holds, hold)? {
        txn = txn.require_hold(held);
    }
    for mutation in read(request.writes, write)? {
        txn = match mutation {
            Mutation::Put { key, value } => txn.put(key, value),
            Mutation::Delete { key } => txn.delete(key),
        };
    }
    match txn.commit().await? {
        Outcome::Committed { txn } => Ok(Answer::json(&TxnDone { txn: txn.to_string() })),
        Outcome::Aborted { txn, why } => {
            let fault = Fault::new(StatusCode::CONFLICT, "aborted", why.to_string());
            Err(fault.hint("nothing of it was done").with("txn", txn.to_string().into()))
        }
    }
}

fn read<Row, T>(
    rows: Option<Vec<Row>>,
    one: impl Fn(Row) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    rows.unwrap_or_default().into_iter().map(one).collect()
}

impl TxnRow {
    fn new(view: &TxnView) -> TxnRow {
        let verdict = match view.verdict {
            Verdict::InProgress => "in_progress",
            Verdict::Committed => "committed",
            Verdict::Aborted => "aborted",
            Verdict::Retired => "retired",
        };
        let parts = view.parts.iter().map(|(participant, acknowledged)| PartRow {
            participant: participant.to_string(),
            acknowledged: *acknowledged,
        });
        TxnRow {
            txn: view.txn.to_string(),
            verdict: verdict.to_owned(),
            decided_at_ms: view.decided_at_ms.map(Count),
            cause: view.cause.as_ref().map(AbortCause::to_string),
            parts: parts.collect(),
        }
    }
}

pub(crate) async fn show(ask: Ask) -> Result<Answer, Fault> {
    let view = ask.client.txn_view(parse(&ask.text("id")?)?).await?;
    Ok(Answer::json(&TxnRow::new(&view)))
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let after = ask.query.text("after").map(|after| parse(&after)).transpose()?;
    let (views, more) = ask.client.txns(after, ask.limit()).await?;
    let next = views.last().map(|view| view.txn.to_string()).filter(|_| more);
    Ok(Answer::json(&TxnRows { txns: views.iter().map(TxnRow::new).collect(), next }))
}

fn parse(text: &str) -> Result<TxnId, Fault> {
    let parts = text.split_once('.').and_then(|(session, n)| {
        Some(TxnId { session: SessionId::new(numbers::read(session)?), n: numbers::read(n)? })
    });
    parts.ok_or_else(|| {
        let said = format!("{text:?} names no transaction");
        Fault::bad(said).hint("a transaction is SESSION.NUMBER, as lists show it")
    })
}
