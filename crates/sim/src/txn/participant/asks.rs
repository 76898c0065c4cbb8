//! What a participant asks of nodes, and what it makes of the answers.

use synod_machine::{
    BranchIncarnation, Command, ParticipantName, Rejection, Reply, Request, RequestId, Seq,
    SessionId, TxnId,
    branch::Input,
    door::{Call, Said},
};
use synod_paxos::Tick;
use synod_replica::Response;

use super::{
    super::{Acts, work::participant_name},
    Participant, merge,
};
use crate::{
    checks::Watch,
    errand::{Errand, Heard},
    plan::MS,
    violation::{Violation, demand},
};

/// How long an unanswered call of a participant waits.
const PATIENCE_US: u64 = 150 * MS;

/// How long it attends before it asks anew.
const ATTENDS_US: u64 = 400 * MS;

/// In how much of that a node answers, if only that there is no news.
const NO_NEWS_US: u64 = 300 * MS;

/// How long its session lives without a word; it only serves to enroll.
const TTL_MS: u64 = 10_000;

/// What a call of a participant is for; one of each at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Enroll,
    Attend,
    Propose,
    Acknowledge,
}

/// How far a participant is known to the log in this life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enrolled {
    No,
    WithSession(SessionId),
    Yes,
}

impl Participant {
    /// A node answers.
    pub(crate) fn hear(
        &mut self,
        now: u64,
        call: u64,
        response: &Response,
        watch: &mut Watch,
    ) -> Result<Acts, Violation> {
        let Some(up) = &mut self.up else { return Ok(Acts::default()) };
        for (purpose, errand) in &mut up.errands {
            match errand.hear(now, call, response, &mut self.rng) {
                Heard::Nothing => {}
                Heard::Later => break,
                Heard::Said(said) => {
                    let (purpose, said) = (*purpose, said.clone());
                    let done = up.errands.remove(&purpose);
                    return self.take_in(now, purpose, done, said, watch);
                }
            }
        }
        Ok(self.busy(now))
    }

    fn take_in(
        &mut self,
        now: u64,
        purpose: Purpose,
        errand: Option<Errand>,
        said: Said,
        watch: &mut Watch,
    ) -> Result<Acts, Violation> {
        let place = self.place;
        let mut acts = Acts::default();
        match (purpose, said) {
            (Purpose::Enroll, Said::Reply(reply)) => self.enroll(&reply, watch),
            (Purpose::Attend, Said::Verdicts(verdicts)) => {
                for (txn, verdict) in verdicts {
                    watch.told(txn, verdict)?;
                    let input = Input::Finish { asker: None, txn, verdict };
                    merge(&mut acts, self.step(now, input, watch)?);
                }
            }
            (Purpose::Propose, Said::Reply(Reply::Verdict(verdict))) => {
                let asked = errand.as_ref().and_then(|errand| decides(errand.call()));
                if let Some(txn) = asked {
                    watch.told(txn, verdict)?;
                    watch.doubt_ends(txn, verdict);
                    let input = Input::Finish { asker: None, txn, verdict };
                    merge(&mut acts, self.step(now, input, watch)?);
                }
            }
            (Purpose::Propose, Said::Reply(_)) => {}
            (Purpose::Acknowledge, Said::Reply(Reply::Done(_))) => {
                let txns = errand.as_ref().map(|errand| acknowledges(errand.call()));
                let txns = txns.unwrap_or_default();
                if let Some(up) = &mut self.up {
                    up.finished.retain(|txn| !txns.contains(txn));
                }
                merge(&mut acts, self.step(now, Input::Acknowledged(txns), watch)?);
            }
            (Purpose::Acknowledge, Said::Reply(Reply::Rejected(_))) => {}
            (purpose, said) => {
                demand!(false, "H", "participant {place}: {purpose:?} is answered with {said:?}");
            }
        }
        self.errands(now, &mut acts);
        Ok(acts)
    }

    fn enroll(&mut self, reply: &Reply, watch: &mut Watch) {
        let (name, incarnation) = (participant_name(self.place), self.incarnation());
        let Some(up) = &mut self.up else { return };
        match reply {
            Reply::Session(session) => {
                up.enrolled = Enrolled::WithSession(*session);
                watch.clients.asks(&register(*session, name, incarnation));
            }
            Reply::Rejected(Rejection::SessionEnded) => up.enrolled = Enrolled::No,
            _ => up.enrolled = Enrolled::Yes,
        }
    }

    pub(super) fn busy(&mut self, now: u64) -> Acts {
        let mut acts = Acts::default();
        self.errands(now, &mut acts);
        acts
    }

    /// Begins what there is to ask of the nodes, tries again what was not answered, and says when
    /// to be woken.
    pub(super) fn errands(&mut self, now: u64, acts: &mut Acts) {
        if let Some(up) = &mut self.up
            && up.errands.get(&Purpose::Attend).is_some_and(|errand| errand.wake_us() <= now)
        {
            // It asks anew: what is in doubt may have changed.
            up.errands.remove(&Purpose::Attend);
        }
        for purpose in [Purpose::Enroll, Purpose::Attend, Purpose::Propose, Purpose::Acknowledge] {
            self.begin(purpose);
        }
        let Some(up) = &mut self.up else { return };
        for errand in up.errands.values_mut() {
            if errand.wake_us() <= now {
                acts.calls.push(errand.again(now, &mut self.rng));
            }
            acts.wake_at(errand.wake_us());
        }
        let until = up.readers.first_until();
        for at in up.branches.wake_at().into_iter().chain(until) {
            let at_us = up.clock.moment_us(Tick::from_micros(at.0 * MS));
            acts.wake_at(at_us.max(now + MS));
        }
    }

    fn begin(&mut self, purpose: Purpose) {
        let name = participant_name(self.place);
        let incarnation = self.incarnation();
        let Some(up) = &mut self.up else { return };
        if up.errands.contains_key(&purpose) {
            return;
        }
        let call = match purpose {
            Purpose::Enroll => match up.enrolled {
                Enrolled::No => Some(open_session(&name)),
                Enrolled::WithSession(session) => {
                    Some(Call::Submit(register(session, name, incarnation)))
                }
                Enrolled::Yes => None,
            },
            Purpose::Attend => (up.enrolled == Enrolled::Yes).then(|| up.branches.attend()),
            Purpose::Propose => (!up.proposals.is_empty()).then(|| unnamed(up.proposals.remove(0))),
            Purpose::Acknowledge => {
                (!up.finished.is_empty() && up.enrolled == Enrolled::Yes).then(|| {
                    let txns = up.finished.iter().copied().collect();
                    unnamed(Command::Ack { participant: name, txns })
                })
            }
        };
        let Some(call) = call else { return };
        let (patience, within) = match purpose {
            Purpose::Attend => (ATTENDS_US, NO_NEWS_US),
            _ => (PATIENCE_US, PATIENCE_US),
        };
        let errand = Errand::new(1 + purpose as u64, call, self.voters, patience, &mut self.rng);
        up.errands.insert(purpose, errand.answered_within(within));
    }
}

fn open_session(name: &ParticipantName) -> Call {
    unnamed(Command::OpenSession { owner: name.as_str().to_owned(), ttl_ms: TTL_MS })
}

fn register(session: SessionId, name: ParticipantName, incarnation: BranchIncarnation) -> Request {
    let id = RequestId { session, seq: Seq::new(1) };
    let address = "nowhere:1".to_owned();
    let command = Command::RegisterParticipant { name, incarnation, address };
    Request { id: Some(id), acked: Seq::ZERO, command }
}

/// A command that may safely be done twice.
fn unnamed(command: Command) -> Call {
    Call::Submit(Request { id: None, acked: Seq::ZERO, command })
}

fn decides(call: &Call) -> Option<TxnId> {
    match call {
        Call::Submit(Request { command: Command::Decide { txn, .. }, .. }) => Some(*txn),
        _ => None,
    }
}

fn acknowledges(call: &Call) -> Vec<TxnId> {
    match call {
        Call::Submit(Request { command: Command::Ack { txns, .. }, .. }) => txns.clone(),
        _ => Vec::new(),
    }
}
