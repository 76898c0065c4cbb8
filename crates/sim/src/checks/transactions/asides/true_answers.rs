//! F2: of no request is it said that it was not applied, unless it never will be.

use synod_machine::{Batch, Command, Rejection, Reply, Request, RequestId, Seq, Timestamp};

use super::{Asides, LATE, of};
use crate::violation::{Checked, demand};

/// More requests than a session may have open.
const OPEN_MAX: u64 = 1_100;

impl Asides<'_> {
    /// A request asks what became of itself: whatever it were told, it would have taken effect.
    pub(super) fn nobody_settles_itself(&self) -> Checked {
        let Some((session, _, _)) = self.machine.live_sessions().last() else { return Ok(()) };
        let request = RequestId { session, seq: LATE };
        let reply = self.told(Some(request), Command::Settle { request });
        demand!(
            matches!(reply, Reply::Rejected(Rejection::Misuse(_))),
            "F2",
            "request {request} settles itself, and is told {reply:?}"
        );
        Ok(())
    }

    /// A session has as many requests open as it may, and one more is refused. When there is room
    /// again, a late copy of that one is no request; nor is one that was acknowledged ever said to
    /// have had no effect.
    pub(super) fn what_was_told_never_is_never(&self) -> Checked {
        let Some((session, _, _)) = self.machine.live_sessions().last() else { return Ok(()) };
        let ask = |seq: u64, acked: u64| Request {
            id: Some(RequestId { session, seq: Seq::new(seq) }),
            acked: Seq::new(acked),
            command: Command::Retire { below: 0 },
        };
        let (first, mut later) = (LATE.get() - OPEN_MAX, self.machine.clone());
        let asked: Vec<Request> = (first..LATE.get()).map(|seq| ask(seq, first)).collect();
        let told = self.tell(&mut later, Batch { stamp: Timestamp(0), requests: asked });
        let refused = told.iter().position(|applied| {
            matches!(applied.reply, Reply::Rejected(Rejection::TooManyOpen { .. }))
        });
        let Some(refused) = refused.map(|place| first + place as u64) else { return Ok(()) };
        let requests = vec![ask(LATE.get(), refused), ask(refused, refused)];
        let again = self.tell(&mut later, Batch { stamp: Timestamp(0), requests });
        let again = again.last().map(|applied| applied.reply.clone());
        demand!(
            again == Some(Reply::Rejected(Rejection::SettledNever)),
            "F2",
            "request {refused} of session {session} was refused, and then told {again:?}"
        );
        let request = RequestId { session, seq: Seq::new(first) };
        let settled = self.tell(&mut later, of(None, Command::Settle { request }));
        let settled = settled.last().map(|applied| applied.reply.clone());
        demand!(
            settled != Some(Reply::SettledNever),
            "F2",
            "request {first} of session {session} took effect, and is settled as never"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::transactions::asides::{
        Hears,
        stage::{OWNER, seen},
    };

    /// It is heard as the question of another request.
    #[test]
    fn a_request_that_settles_itself_is_seen() {
        let of_another: Hears = |mut batch| {
            batch.requests[0].id = Some(RequestId { session: OWNER, seq: LATE });
            batch
        };
        assert_eq!(seen(of_another, |asides| asides.nobody_settles_itself()), Some("F2"));
    }

    #[test]
    fn a_request_that_was_refused_and_takes_effect_is_seen() {
        // A copy under another number is another request.
        let another: Hears = |mut batch| {
            if let [_, Request { id: Some(id), .. }] = &mut batch.requests[..] {
                id.seq = Seq::new(u64::MAX);
            }
            batch
        };
        let check = |asides: &Asides<'_>| asides.what_was_told_never_is_never();
        assert_eq!(seen(another, check), Some("F2"));
        // A settle of what was never asked.
        let strange: Hears = |mut batch| {
            for request in &mut batch.requests {
                if let Command::Settle { request } = &mut request.command {
                    request.seq = Seq::new(u64::MAX);
                }
            }
            batch
        };
        assert_eq!(seen(strange, check), Some("F2"));
    }
}
