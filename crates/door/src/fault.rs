use hyper::{
    StatusCode,
    header::{ALLOW, CONNECTION, RETRY_AFTER},
};
use serde_json::{Value, json};
use synod_client::{
    Error, Refused, Why,
    machine::{
        Rejection,
        door::{NotApplied, Refusal},
        limits::Misuse,
    },
};

use crate::answer::Answer;

/// Seconds after which it is worth asking again: an election is over by then.
const RETRY_AFTER_S: u32 = 1;

/// Why a caller is told something else than what it asked for.
#[derive(Clone, Debug)]
pub(crate) struct Fault(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    status: StatusCode,
    /// What a program looks at: one word, and the same for ever.
    code: &'static str,
    /// What a person reads.
    message: String,
    hint: Option<&'static str>,
    /// What is there instead, or what to ask about.
    also: Option<(&'static str, Value)>,
    /// Whether what follows on this connection is not to be trusted.
    closes: bool,
    retry_after_s: Option<u32>,
    allowed: Option<String>,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Fault {
        Fault(Box::new(Told {
            status,
            code,
            message: message.into(),
            hint: None,
            also: None,
            closes: false,
            retry_after_s: None,
            allowed: None,
        }))
    }

    /// It cannot be understood, or contradicts itself.
    pub(crate) fn bad(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// There is no such thing.
    pub(crate) fn absent(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::NOT_FOUND, "absent", message)
    }

    /// The caller may not.
    pub(crate) fn forbidden(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// Another has it.
    pub(crate) fn taken(message: impl Into<String>, present: Value) -> Fault {
        Fault::new(StatusCode::CONFLICT, "taken", message).with("present", present)
    }

    /// The lease has ended, and with it all that hung on it.
    pub(crate) fn lease_ended() -> Fault {
        Fault::new(StatusCode::GONE, "lease_ended", "the lease has ended")
            .hint("what hung on it may be another's by now")
    }

    /// Nothing was done: there is no time, no room, nobody to ask.
    pub(crate) fn not_now(message: impl Into<String>) -> Fault {
        let mut fault = Fault::new(StatusCode::SERVICE_UNAVAILABLE, "not_applied", message);
        fault.0.retry_after_s = Some(RETRY_AFTER_S);
        fault.hint("nothing was done; it is safe to ask again")
    }

    pub(crate) fn hint(mut self, hint: &'static str) -> Fault {
        self.0.hint = Some(hint);
        self
    }

    pub(crate) fn with(mut self, name: &'static str, what: Value) -> Fault {
        self.0.also = Some((name, what));
        self
    }

    /// Nothing more is read of the connection.
    pub(crate) fn closing(mut self) -> Fault {
        self.0.closes = true;
        self
    }

    pub(crate) fn allowing(mut self, methods: String) -> Fault {
        self.0.allowed = Some(methods);
        self
    }

    pub(crate) fn into_answer(self) -> Answer {
        let mut error = json!({ "code": self.0.code, "message": self.0.message });
        if let Some(hint) = self.0.hint {
            error["hint"] = hint.into();
        }
        let mut document = json!({ "error": error });
        if let Some((name, what)) = self.0.also {
            document[name] = what;
        }
        let mut answer = Answer::json_with(self.0.status, &document);
        if self.0.closes {
            answer = answer.header(CONNECTION, "close");
        }
        if let Some(seconds) = self.0.retry_after_s {
            answer = answer.header(RETRY_AFTER, seconds);
        }
        match self.0.allowed {
            Some(methods) => answer.header(ALLOW, methods),
            None => answer,
        }
    }
}

impl From<Misuse> for Fault {
    fn from(misuse: Misuse) -> Fault {
        match misuse {
            Misuse::TooMuch { .. } => {
                Fault::new(StatusCode::BAD_REQUEST, "limit", misuse.to_string())
            }
            _ => Fault::bad(misuse.to_string()),
        }
    }
}

/// What a client's error is called over HTTP. Two of the statuses say what became of the request:
/// 503 that it may be asked again without doing anything twice, 504 that it may have been done.
impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let said = error.to_string();
        match error {
            Error::NotApplied { why } => {
                let mut fault = Fault::not_now(said);
                fault.0.retry_after_s = Some(retry_after_s(&why));
                fault
            }
            Error::SessionEnded { .. } | Error::Connect(_) => Fault::not_now(said),
            Error::NoAnswer { .. } => {
                let mut fault = Fault::not_now(said).hint("to ask again does no harm");
                fault.0.code = "no_answer";
                fault
            }
            Error::Unknown { request } => Fault::new(StatusCode::GATEWAY_TIMEOUT, "unknown", said)
                .hint("POST /v1/requests/ID:settle says for good whether it was applied")
                .with("request", request.to_string().into()),
            Error::TxnUnknown { txn } => Fault::new(StatusCode::GATEWAY_TIMEOUT, "unknown", said)
                .hint("GET /v1/txns/ID says how it ended")
                .with("txn", txn.to_string().into()),
            Error::Refused { why: Refused::Door(refusal) } => refused(&refusal),
            Error::Refused { why: Refused::Log(rejection) } => rejected(&rejection),
            Error::Misuse(misuse) => misuse.into(),
            Error::LeaseLost { .. } => Fault::lease_ended(),
            Error::NotYet { now, .. } => {
                Fault::new(StatusCode::BAD_REQUEST, "not_yet", said).with("now", now.get().into())
            }
            _ => {
                tracing::warn!(%said, "the door cannot ask the cluster");
                Fault::new(StatusCode::BAD_GATEWAY, "door", "the door cannot ask the cluster")
                    .hint("the log of the node says why")
            }
        }
    }
}

fn retry_after_s(why: &Why) -> u32 {
    match why {
        Why::Node(NotApplied::Overloaded { retry_after_ms }) => {
            retry_after_ms.div_ceil(1_000).max(RETRY_AFTER_S)
        }
        _ => RETRY_AFTER_S,
    }
}

fn refused(refusal: &Refusal) -> Fault {
    let said = refusal.to_string();
    match refusal {
        Refusal::Role { .. } => Fault::forbidden(format!("the door's own {said}"))
            .hint("the role in the door's certificate is smaller than its caller's"),
        Refusal::ForeignSession { .. } | Refusal::ForeignLease { .. } => Fault::forbidden(said),
        Refusal::Limit { .. } => Fault::new(StatusCode::BAD_REQUEST, "limit", said),
        _ => Fault::bad(said),
    }
}

fn rejected(rejection: &Rejection) -> Fault {
    let said = rejection.to_string();
    match rejection {
        Rejection::LeaseEnded | Rejection::UnknownLease => Fault::lease_ended(),
        Rejection::KeyReused => Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", said)
            .hint("a key is for one request, and for that one again"),
        Rejection::ForeignLease | Rejection::ForeignClaim => Fault::forbidden(said),
        Rejection::UnknownSession | Rejection::UnknownParticipant(_) => Fault::absent(said),
        Rejection::Forgotten | Rejection::ReplyForgotten => {
            Fault::new(StatusCode::GONE, "forgotten", said)
        }
        Rejection::TooMany { .. } | Rejection::TooManyOpen { .. } => {
            Fault::new(StatusCode::INSUFFICIENT_STORAGE, "table_full", said)
        }
        _ => Fault::bad(said),
    }
}
