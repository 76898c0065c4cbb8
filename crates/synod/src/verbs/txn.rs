//! `synod txn`: what the log says of transactions.

use serde::Serialize;
use synod_client::{
    Client,
    machine::{AbortCause, SessionId, TxnId, TxnView, Verdict},
};

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
    /// In milliseconds since 1970, as stamped in the log.
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
        let parts = view.parts.iter().map(|(name, acknowledged)| Part {
            participant: name.to_string(),
            acknowledged: *acknowledged,
        });
        Shown {
            txn: view.txn.to_string(),
            verdict: word(view.verdict),
            decided_at_ms: view.decided_at_ms,
            cause: view.cause.as_ref().map(AbortCause::to_string),
            parts: parts.collect(),
        }
    }

    fn line(&self) -> String {
        let parts = self.parts.iter().map(|part| match part.acknowledged {
            true => format!("{} acknowledged", part.participant),
            false => format!("{} waits", part.participant),
        });
        let moment = self.decided_at_ms.and_then(|ms| i64::try_from(ms).ok());
        let moment = moment.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let decided = moment.map(|at| format!("decided {at:.3}"));
        let mut told: Vec<_> = decided.into_iter().chain(self.cause.clone()).chain(parts).collect();
        if told.is_empty() && self.verdict == word(Verdict::Aborted) {
            told.push("no commit of it was ever decided".to_owned());
        }
        format!("{:<10} {:<12} {}", self.txn, self.verdict, told.join(", ")).trim_end().to_owned()
    }
}

/// As people say it.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::InProgress => "in progress",
        Verdict::Committed => "committed",
        Verdict::Aborted => "aborted",
        Verdict::Retired => "retired",
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
        Output::Json => {
            return print::json(&Listed { schema: "synod.txn.list/1", txns, more });
        }
        Output::Jsonl => {
            for txn in txns {
                print::json(&One { schema: ONE, txn })?;
            }
        }
        Output::Text if txns.is_empty() => {
            anstream::eprintln!("every commit is acknowledged by all its participants");
        }
        Output::Text => print::lines(&txns.iter().map(Shown::line).collect::<Vec<_>>().join("\n"))?,
    }
    if more {
        anstream::eprintln!("there are more than {limit}: --limit shows more of them");
    }
    Ok(())
}

const ONE: &str = "synod.txn/1";

#[derive(Serialize)]
struct One {
    schema: &'static str,
    #[serde(flatten)]
    txn: Shown,
}

fn show(common: &Common, txn: TxnId) -> Result<(), Failure> {
    let view = ask(common, |client| async move { look(&client, txn).await })?;
    let shown = Shown::new(&view);
    match common.output {
        Output::Json | Output::Jsonl => print::json(&One { schema: ONE, txn: shown }),
        Output::Text => print::lines(&shown.line()),
    }
}

/// The log says *in progress* of all that it has not decided, also of what nobody has begun: only
/// a session that is open can have a transaction in progress.
async fn look(client: &Client, txn: TxnId) -> Result<TxnView, Failure> {
    let view = client.txn_view(txn).await.map_err(failure)?;
    if view.verdict == Verdict::InProgress {
        let before = txn.session.get().checked_sub(1).map(SessionId::new);
        let (sessions, _) = client.sessions(before, 1).await.map_err(failure)?;
        if sessions.iter().all(|session| session.session != txn.session) {
            let what = format!("no transaction {txn}: session {} is not open", txn.session);
            return Err(Failure::no(what));
        }
    }
    Ok(view)
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

    /// What a person reads: verdict, moment, and who still has to hear of it.
    #[test]
    fn a_line_tells_the_verdict_and_who_waits() {
        let txn = TxnId { session: SessionId::new(17), n: 4 };
        let part = |name: &str, acknowledged| Part { participant: name.to_owned(), acknowledged };
        let mut shown = Shown {
            txn: txn.to_string(),
            verdict: word(Verdict::Committed),
            decided_at_ms: Some(1_795_000_000_250),
            cause: None,
            parts: vec![part("east", true), part("west", false)],
        };
        assert_eq!(
            shown.line(),
            "17.4       committed    decided 2026-11-18T11:06:40.250Z, east acknowledged, \
             west waits"
        );
        (shown.verdict, shown.decided_at_ms, shown.parts) = ("aborted", None, Vec::new());
        shown.cause = Some(AbortCause::Owner.to_string());
        assert_eq!(shown.line(), "17.4       aborted      its owner gave up");
        shown.cause = None;
        assert_eq!(shown.line(), "17.4       aborted      no commit of it was ever decided");
    }
}
