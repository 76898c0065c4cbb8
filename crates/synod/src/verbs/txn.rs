//! `synod txn`: what the log says of transactions.

use serde::Serialize;
use synod_client::machine::{SessionId, TxnId, TxnView, Verdict};

use super::ask::{ask, failure};
use crate::{
    cli::{Common, Output, TxnVerb},
    exit::{Code, Failure},
    print,
};

#[derive(Serialize)]
struct Shown {
    txn: String,
    verdict: &'static str,
    decided_at_ms: Option<u64>,
    cause: Option<String>,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    participant: String,
    acknowledged: bool,
}

impl Shown {
    fn new(view: &TxnView) -> Shown {
        Shown {
            txn: view.txn.to_string(),
            verdict: match view.verdict {
                Verdict::InProgress => "in progress",
                Verdict::Committed => "committed",
                Verdict::Aborted => "aborted",
                Verdict::Retired => "retired",
            },
            decided_at_ms: view.decided_at_ms,
            cause: view.cause.as_ref().map(|cause| format!("{cause:?}")),
            parts: view
                .parts
                .iter()
                .map(|(name, acknowledged)| Part {
                    participant: name.to_string(),
                    acknowledged: *acknowledged,
                })
                .collect(),
        }
    }

    fn line(&self) -> String {
        let parts: Vec<_> = self
            .parts
            .iter()
            .map(|part| {
                let mark = if part.acknowledged { "acknowledged" } else { "waiting" };
                format!("{} {mark}", part.participant)
            })
            .collect();
        let cause = self.cause.as_deref().map(|cause| format!("  {cause}")).unwrap_or_default();
        format!("{:<12} {:<12} {}{cause}", self.txn, self.verdict, parts.join(", "))
    }
}

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &TxnVerb) -> Result<(), Failure> {
    match verb {
        TxnVerb::Ls { limit } => list(common, *limit),
        TxnVerb::Show { txn } => show(common, parse(txn)?),
    }
}

fn list(common: &Common, limit: u32) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        txns: Vec<Shown>,
        more: bool,
    }
    let (views, more) =
        ask(common, |client| async move { client.txns(None, limit).await.map_err(failure) })?;
    let txns: Vec<_> = views.iter().map(Shown::new).collect();
    match common.output {
        Output::Json => print::json(&Listed { schema: "synod.txn.list/1", txns, more }),
        Output::Text => print::lines(&txns.iter().map(Shown::line).collect::<Vec<_>>().join("\n")),
    }
}

fn show(common: &Common, txn: TxnId) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct One {
        schema: &'static str,
        #[serde(flatten)]
        txn: Shown,
    }
    let view = ask(common, |client| async move { client.txn_view(txn).await.map_err(failure) })?;
    let shown = Shown::new(&view);
    match common.output {
        Output::Json => print::json(&One { schema: "synod.txn/1", txn: shown }),
        Output::Text => print::lines(&shown.line()),
    }
}

fn parse(text: &str) -> Result<TxnId, Failure> {
    let parts = text.split_once('.').and_then(|(session, n)| {
        Some(TxnId { session: SessionId::new(session.parse().ok()?), n: n.parse().ok()? })
    });
    parts.ok_or_else(|| {
        Failure::new(Code::Usage, "SYN-TXN-001", format!("{text:?} names no transaction"))
            .hint("a transaction is SESSION.N: 17.4")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_read_as_it_is_printed() {
        let txn = TxnId { session: SessionId::new(17), n: 4 };
        assert_eq!(parse(&txn.to_string()).unwrap(), txn);
        for wrong in ["", "17", "17.", ".4", "17-4", "a.b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
