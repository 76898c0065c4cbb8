//! The shard's door: who may ask what.

use std::time::Duration;

use synod_client::{
    machine::{
        door::{NotApplied, Refusal},
        participant_door::{Ask, Call, Said},
    },
    net::{Asked, Identity, Role, Who},
};
use tokio::sync::{mpsc, watch};

use super::engine::{self, Engine};

/// The longest that a call may wait here: whoever waits longer asks again.
const WITHIN_MAX: Duration = Duration::from_secs(10 * 60);

/// Lets in whom it may, for as long as there are callers; nobody before the store is introduced.
pub(super) async fn serve(
    mut asked: mpsc::Receiver<Asked>,
    engine: Engine,
    introduced: watch::Receiver<bool>,
) {
    while let Some(Asked { from, body, reply }) = asked.recv().await {
        match let_in(&from, &body, *introduced.borrow()) {
            Ok((call, within)) => engine.ask(call, within, reply),
            Err(said) => engine::answer(reply, &said),
        }
    }
}

/// A store that was never introduced may be an empty one at the address of another: what it says of
/// keys and promises would be taken for what the shard says. Only a quorum knows which it is.
fn let_in(from: &Identity, body: &[u8], introduced: bool) -> Result<(Call, Duration), Said> {
    let call = admit(from, body).map_err(Said::Refused)?;
    if introduced { Ok(call) } else { Err(Said::NotApplied(NotApplied::NoQuorum)) }
}

/// The call, and how long its caller waits for it.
fn admit(from: &Identity, body: &[u8]) -> Result<(Call, Duration), Refusal> {
    let (ask, rest) = postcard::take_from_bytes::<Ask>(body)
        .map_err(|error| Refusal::Malformed(error.to_string()))?;
    if !rest.is_empty() {
        return Err(Refusal::Malformed(format!("{} bytes follow the call", rest.len())));
    }
    let needs = match &ask.call {
        Call::Prepare { .. } | Call::Finish { .. } => Role::Write,
        Call::InDoubt | Call::Get { .. } | Call::Scan { .. } | Call::Info => Role::Read,
    };
    let has = match &from.who {
        Who::Client { role, .. } => *role,
        Who::Node(_) => return Err(too_small("node", needs)),
    };
    if !covers(has, needs) {
        return Err(too_small(has.word(), needs));
    }
    ask.call.check()?;
    Ok((ask.call, Duration::from_millis(ask.within_ms.into()).min(WITHIN_MAX)))
}

/// The ladder of roles; a participant stands beside it and asks nothing of another.
const fn covers(has: Role, needs: Role) -> bool {
    match has {
        Role::Admin => true,
        Role::Write => matches!(needs, Role::Read | Role::Write),
        Role::Read => matches!(needs, Role::Read),
        Role::Participant => false,
    }
}

fn too_small(has: &str, needs: Role) -> Refusal {
    Refusal::Role { has: has.to_owned(), needs: needs.to_string() }
}

#[cfg(test)]
mod tests {
    use synod_client::{
        machine::{
            SessionId, TxnId, Verdict, branch::Work, limits::KEY_BYTES_MAX,
            participant_door::Freshness,
        },
        net::Name,
    };

    use super::*;

    fn bytes(call: Call) -> Vec<u8> {
        postcard::to_stdvec(&Ask { within_ms: 1_000, call }).unwrap()
    }

    fn client(role: Role) -> Identity {
        let name = Name::new("app").unwrap();
        Identity { cluster: name.clone(), who: Who::Client { name, role } }
    }

    fn changes() -> [Call; 2] {
        let txn = TxnId { session: SessionId::new(1), n: 1 };
        [
            Call::Prepare { txn, work: Work::default() },
            Call::Finish { txn, verdict: Verdict::Aborted },
        ]
    }

    #[test]
    fn owners_write_readers_read_and_a_refusal_names_the_role_that_would_do() {
        for call in changes() {
            assert!(admit(&client(Role::Write), &bytes(call.clone())).is_ok());
            assert!(admit(&client(Role::Admin), &bytes(call.clone())).is_ok());
            for role in [Role::Read, Role::Participant] {
                let refused = admit(&client(role), &bytes(call.clone())).unwrap_err();
                assert!(refused.to_string().contains("write may"), "{refused}");
            }
        }
        assert!(admit(&client(Role::Read), &bytes(Call::Info)).is_ok());
        assert!(admit(&client(Role::Participant), &bytes(Call::Info)).is_err());
        let node = Identity { who: Who::Node(Name::new("n1").unwrap()), ..client(Role::Admin) };
        assert!(admit(&node, &bytes(Call::Info)).is_err());
    }

    /// An empty store says of no key that it is absent, and of no transaction how it votes, before
    /// the cluster knows it.
    #[test]
    fn nobody_is_let_in_before_the_store_is_introduced() {
        let get = Call::Get { key: "a".into(), freshness: Freshness::Finished };
        for call in changes().into_iter().chain([get, Call::InDoubt, Call::Info]) {
            let let_in =
                |introduced| let_in(&client(Role::Admin), &bytes(call.clone()), introduced);
            assert_eq!(let_in(false), Err(Said::NotApplied(NotApplied::NoQuorum)), "{call:?}");
            assert!(let_in(true).is_ok(), "{call:?}");
        }
        let refused = let_in(&client(Role::Participant), &bytes(Call::Info), false);
        assert!(matches!(refused, Err(Said::Refused(_))), "{refused:?}");
    }

    /// Keys at and over their limit, and transactions that nobody can have numbered so.
    #[test]
    fn what_breaks_a_limit_is_refused_by_name() {
        let get = |length: usize| Call::Get {
            key: vec![b'k'; length].into(),
            freshness: Freshness::Finished,
        };
        let judged = |call| admit(&client(Role::Admin), &bytes(call));
        assert!(judged(get(1)).is_ok() && judged(get(KEY_BYTES_MAX)).is_ok());
        assert!(matches!(judged(get(0)), Err(Refusal::Misuse(_))));
        let long = judged(get(KEY_BYTES_MAX + 1)).unwrap_err();
        assert!(matches!(long, Refusal::Limit { got: 4_097, max: 4_096, .. }), "{long}");
        for (session, n) in [(0, 1), (1, 0), (1, u64::MAX)] {
            let txn = TxnId { session: SessionId::new(session), n };
            let finish = Call::Finish { txn, verdict: Verdict::Aborted };
            assert!(matches!(judged(finish), Err(Refusal::Misuse(_))), "{txn}");
        }
    }

    #[test]
    fn bytes_that_are_no_call_are_refused_at_every_length() {
        let whole = bytes(changes()[0].clone());
        for length in 0..whole.len() {
            let refused = admit(&client(Role::Admin), &whole[..length]).unwrap_err();
            assert!(matches!(refused, Refusal::Malformed(_)), "{length}: {refused}");
        }
        let more = [whole, vec![0]].concat();
        assert!(matches!(admit(&client(Role::Admin), &more), Err(Refusal::Malformed(_))));
    }
}
