//! `synod request settle`: what became of a request whose answer was lost.

use serde::Serialize;
use synod_client::{
    Error, Refused, Settled,
    machine::{
        BarrierReply, ClaimReply, CounterReply, ElectionReply, JournalReply, LockReply,
        RegisterReply, Rejection, Reply, RequestId, Seq, SessionId,
    },
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
    let settled = ask(common, |client| async move {
        client.settle(id).await.map_err(|error| unsettled(id, error))
    })?;
    let reply = match settled {
        Settled::Applied(reply) => Some(words(&reply)),
        Settled::Never => None,
    };
    let applied = reply.is_some();
    match (common.output, reply) {
        (Output::Json | Output::Jsonl, reply) => {
            let request = id.to_string();
            print::json(&Shown { schema: "synod.request/1", request, applied, reply })?;
        }
        (Output::Text, Some(reply)) => print::lines(&format!("{id} was applied: {reply}"))?,
        (Output::Text, None) => print::lines(&format!("{id} was not applied and never will be"))?,
    }
    if applied { Ok(()) } else { Err(Failure::silent(Code::No)) }
}

/// The reply that was lost.
fn words(reply: &Reply) -> String {
    let nothing = "nothing was changed";
    match reply {
        Reply::Session(session) => format!("session {session} was opened"),
        Reply::Done(at) => format!("done at revision {at}"),
        Reply::Written(at) => format!("written at revision {at}"),
        Reply::Deleted { existed: true, revision } => format!("removed at revision {revision}"),
        Reply::Deleted { existed: false, .. } => "there was nothing to remove".to_owned(),
        Reply::Mismatch(Some(found)) => {
            format!("the key was last set at revision {}; {nothing}", found.modified)
        }
        Reply::Mismatch(None) => format!("the key did not exist; {nothing}"),
        Reply::MultiDone { revision, .. } => format!("done at revision {revision}"),
        Reply::MultiRefused { failed, .. } => {
            format!("requirement {} did not hold; {nothing}", failed.saturating_add(1))
        }
        Reply::SettledApplied(inner) => words(&(**inner).clone().into()),
        Reply::SettledNever => "settled as never applied".to_owned(),
        Reply::Verdict(verdict) => format!("the transaction is {}", super::txn::word(*verdict)),
        Reply::Rejected(why) => format!("rejected: {why}; {nothing}"),
        Reply::Lease(lease) => format!("lease {lease} was granted"),
        Reply::Lock(LockReply::Held { token }) => format!("held with token {token}"),
        Reply::Lock(LockReply::Queued { at, holder }) => {
            format!("queued at revision {at} behind {}", holder.owner)
        }
        Reply::Lock(LockReply::Taken { by }) => format!("{} holds it; {nothing}", by.owner),
        Reply::Lock(LockReply::Released { revision, .. }) => {
            format!("released at revision {revision}")
        }
        Reply::Lock(LockReply::Absent) | Reply::Claim(ClaimReply::Absent) => {
            "there was nothing to release".to_owned()
        }
        Reply::Register(RegisterReply::Chosen { at, ours: true, .. }) => {
            format!("chosen at revision {at}")
        }
        Reply::Register(RegisterReply::Chosen { at, by, ours: false, .. }) => {
            format!("{by} had chosen at revision {at}; {nothing}")
        }
        Reply::Counter(reply) => counted(reply),
        Reply::Barrier(reply) => met(reply),
        Reply::Journal(reply) => written(reply),
        Reply::Election(reply) => elected(reply),
        Reply::Claim(ClaimReply::Taken { at }) => format!("claimed at revision {at}"),
        Reply::Claim(ClaimReply::TakenBy(claim)) => format!("{} has it; {nothing}", claim.owner),
        Reply::Claim(ClaimReply::Released { revision }) => {
            format!("released at revision {revision}")
        }
    }
}

fn counted(reply: &CounterReply) -> String {
    let nothing = "nothing was changed";
    match reply {
        CounterReply::Value { value, revision } => format!("{value} since revision {revision}"),
        CounterReply::Overflow { value } => {
            format!("the counter is {value} and cannot be counted so far; {nothing}")
        }
        CounterReply::Mismatch { value: Some(value) } => {
            format!("the counter was {value}; {nothing}")
        }
        CounterReply::Mismatch { value: None } => format!("there was no such counter; {nothing}"),
        CounterReply::Deleted { revision, .. } => format!("removed at revision {revision}"),
        CounterReply::Absent => "there was nothing to remove".to_owned(),
    }
}

fn met(reply: &BarrierReply) -> String {
    match reply {
        BarrierReply::Waiting { arrived, of, at } => {
            format!("{arrived} of {of} had come at revision {at}")
        }
        BarrierReply::Open { at } => format!("open since revision {at}"),
        BarrierReply::Left { here, revision } => {
            format!("left at revision {revision}; {here} were still there")
        }
        BarrierReply::Removed { revision } => format!("removed at revision {revision}"),
        BarrierReply::Absent => "there was nobody to leave and nothing to remove".to_owned(),
    }
}

fn written(reply: &JournalReply) -> String {
    let nothing = "nothing was changed";
    match reply {
        JournalReply::Appended { position, revision } => {
            format!("appended at position {position}, revision {revision}")
        }
        JournalReply::Trimmed { upto, .. } => format!("trimmed up to position {upto}"),
        JournalReply::Committed { position, .. } => format!("the offset is {position}"),
        JournalReply::Behind { position } => format!("the offset was {position}; {nothing}"),
        JournalReply::Beyond { last } => format!("the last position was {last}; {nothing}"),
        JournalReply::Forgotten { position, .. } => {
            format!("the offset, which was {position}, is forgotten")
        }
        JournalReply::Absent => "there was no such journal or group".to_owned(),
    }
}

fn elected(reply: &ElectionReply) -> String {
    let nothing = "nothing was changed";
    match reply {
        ElectionReply::Incumbent { token } => format!("the incumbent, with token {token}"),
        ElectionReply::Waiting { at, .. } => format!("a candidate that waited at revision {at}"),
        ElectionReply::Done { revision } => format!("done at revision {revision}"),
        ElectionReply::Left { revision, .. } => format!("left at revision {revision}"),
        ElectionReply::HandingOver { to, .. } => {
            format!("the incumbent was told to leave for {}", to.candidate)
        }
        ElectionReply::NotIncumbent { .. } => format!("not the incumbent; {nothing}"),
        ElectionReply::Barred { bar } => format!("{bar}; {nothing}"),
        ElectionReply::Absent => format!("there was no such candidate; {nothing}"),
    }
}

/// Why there is no answer for good. What the log has forgotten stays unknown: it is no "no".
fn unsettled(id: RequestId, error: Error) -> Failure {
    match &error {
        Error::Refused { why: Refused::Log(Rejection::UnknownSession) } => {
            let what = format!("no session {} was ever opened", id.session);
            Failure::new(Code::Usage, "SYN-REQ-002", what).hint("is this the right cluster?")
        }
        Error::Refused { why: Refused::Log(why) } => {
            Failure::new(Code::Unknown, "SYN-REQ-003", format!("{id}: {why}"))
        }
        _ => failure(error),
    }
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
