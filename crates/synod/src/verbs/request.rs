//! `synod request settle`: what became of a request whose answer was lost.

use serde::Serialize;
use synod_client::{
    Settled,
    machine::{RequestId, Seq, SessionId},
};

use super::ask::{ask, failure};
use crate::{
    cli::{Common, Output, RequestVerb},
    exit::{Code, Failure},
    print,
};

#[derive(Serialize)]
struct Shown {
    schema: &'static str,
    request: String,
    applied: bool,
    reply: Option<String>,
}

/// Runs the verb. Exit 0 when it was applied, 1 when it never was and never will be.
pub(crate) fn run(common: &Common, verb: &RequestVerb) -> Result<(), Failure> {
    let RequestVerb::Settle { request } = verb;
    let id = parse(request)?;
    let settled = ask(common, |client| async move { client.settle(id).await.map_err(failure) })?;
    let reply = match settled {
        Settled::Applied(reply) => Some(format!("{reply:?}")),
        Settled::Never => None,
    };
    let applied = reply.is_some();
    match common.output {
        Output::Json => print::json(&Shown {
            schema: "synod.request/1",
            request: id.to_string(),
            applied,
            reply,
        })?,
        Output::Text => print::lines(&match reply {
            Some(reply) => format!("{id} was applied: {reply}"),
            None => format!("{id} was not applied and never will be"),
        })?,
    }
    if applied { Ok(()) } else { Err(Failure::silent_no()) }
}

fn parse(text: &str) -> Result<RequestId, Failure> {
    let parts = text.split_once('-').and_then(|(session, seq)| {
        Some(RequestId {
            session: SessionId::new(session.parse().ok()?),
            seq: Seq::new(seq.parse().ok()?),
        })
    });
    parts.ok_or_else(|| {
        Failure::new(Code::Usage, "SYN-REQ-001", format!("{text:?} names no request"))
            .hint("a request is SESSION-SEQ, as the error that said `unknown` printed it: 17-42")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_is_printed() {
        let id = RequestId { session: SessionId::new(17), seq: Seq::new(42) };
        assert_eq!(parse(&id.to_string()).unwrap(), id);
        for wrong in ["", "17", "17-", "-42", "17.42", "a-b", "17-42-1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
