use synod_client::machine::{AbortCause, SessionId, TxnId, TxnView, Verdict};

use crate::{answer::Answer, ask::Ask, fault::Fault, numbers, numbers::Count, shape::shape};

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
