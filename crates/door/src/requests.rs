use synod_client::{
    Settled,
    machine::{Reply, RequestId, Revision, Seq, SessionId},
};

use crate::{answer::Answer, ask::Ask, fault::Fault, numbers, numbers::Count, shape::shape};

shape! {
    /// What became of a request, for good.
    Settlement {
        /// Which.
        request: String,
        /// Whether it took effect. If not, it never will.
        applied: bool,
        /// The revision of its effect, where it had one of its own.
        revision: Option<Count>,
    }
}

pub(crate) async fn settle(ask: Ask) -> Result<Answer, Fault> {
    let request = parse(&ask.text("id")?)?;
    let (applied, revision) = match ask.client.settle(request).await? {
        Settled::Applied(reply) => (true, revision_of(&reply)),
        Settled::Never => (false, None),
    };
    let revision = revision.map(|revision| Count(revision.get()));
    Ok(Answer::json(&Settlement { request: request.to_string(), applied, revision }))
}

fn parse(text: &str) -> Result<RequestId, Fault> {
    let parts = text.split_once('-').and_then(|(session, seq)| {
        let (session, seq) = (numbers::read(session)?, numbers::read(seq)?);
        Some(RequestId { session: SessionId::new(session), seq: Seq::new(seq) })
    });
    parts.ok_or_else(|| {
        Fault::bad(format!("{text:?} names no request"))
            .hint("a request is SESSION-NUMBER, as the answer 504 told it: 17-42")
    })
}

fn revision_of(reply: &Reply) -> Option<Revision> {
    match reply {
        Reply::Done(at) | Reply::Written(at) => Some(*at),
        Reply::Deleted { revision, .. } | Reply::MultiDone { revision, .. } => Some(*revision),
        _ => None,
    }
}
