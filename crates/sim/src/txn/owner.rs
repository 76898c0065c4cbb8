use std::collections::BTreeMap;

use bytes::Bytes;
use fastrand::Rng;
use synod_machine::{
    Command, Entry, ParticipantName, Rejection, Reply, Request, RequestId, Revision, Seq,
    SessionId, TxnId, Verdict,
    branch::Work,
    door::{Call, Said},
    owner::{GivenUp, Numbers, Owner as Transaction, Phase},
    participant_door as door,
};
use synod_replica::Response;

use super::{
    Acts,
    work::{self, participant_name},
};
use crate::{
    checks::Watch,
    errand::{Errand, Heard},
    plan::{MS, Plan},
    violation::{Checked, Violation, demand},
};

/// How long an owner waits for a participant before it speaks again.
const AGAIN_US: u64 = 60 * MS;

/// How long it tells participants the verdict before it leaves the rest to their own asking.
const TELLS_US: u64 = 300 * MS;

/// The most that is moved at once.
const AMOUNT_MAX: i64 = 10;

/// One owner: a process without a disk, which dies and is replaced.
#[derive(Debug)]
pub(crate) struct Owner {
    place: usize,
    life: u64,
    rng: Rng,
    voters: u16,
    ttl_ms: u64,
    think_us: (u64, u64),
    patience_us: u64,
    session: Option<(SessionId, Numbers)>,
    seq: Seq,
    doing: Doing,
    /// Transfers still to be made once trouble has ended; `None` before.
    left: Option<u32>,
}

#[derive(Debug)]
enum Doing {
    Thinking { until_us: u64 },
    Opening(Errand),
    Moving(Box<Move>),
    Resting,
}

/// A transfer under way.
#[derive(Debug)]
struct Move {
    transaction: Transaction,
    works: BTreeMap<ParticipantName, (usize, Work)>,
    /// When to speak to the participants again.
    again_us: u64,
    /// When to give up, or to stop telling.
    until_us: u64,
    /// The decision on its way to the log, with its request's number if it has one.
    deciding: Option<(Errand, Option<RequestId>)>,
    /// What had been seen of the log when the decision was first proposed.
    floor: Revision,
}

impl Owner {
    /// The owner at `place`.
    pub(crate) fn new(place: usize, plan: &Plan, rng: Rng) -> Owner {
        Owner {
            place,
            life: 1,
            rng,
            voters: plan.voters,
            ttl_ms: plan.ttl_ms,
            think_us: plan.think_us,
            patience_us: plan.patience_us.1,
            session: None,
            seq: Seq::ZERO,
            doing: Doing::Thinking { until_us: 0 },
            left: None,
        }
    }

    /// Which process it is.
    pub(crate) fn life(&self) -> u64 {
        self.life
    }

    /// It dies, and another takes its place that knows nothing of it.
    pub(crate) fn replace(&mut self, now: u64) {
        self.life += 1;
        self.session = None;
        self.doing = Doing::Thinking { until_us: now };
    }

    /// Trouble has ended: a few more transfers, and then rest.
    pub(crate) fn wind_up(&mut self, transfers: u32) {
        self.left = Some(transfers);
    }

    /// Whether it has done all it wanted.
    pub(crate) fn rests(&self) -> bool {
        matches!(self.doing, Doing::Resting)
    }

    /// What it is doing, for the story.
    pub(crate) fn doing(&self) -> String {
        format!("owner {} ({:?}): {:?}", self.place, self.session.as_ref().map(|s| s.0), self.doing)
    }

    /// Its moment to wake. `looks` are the participants' keys as one sees them now.
    pub(crate) fn wake(
        &mut self,
        now: u64,
        looks: &[Option<&BTreeMap<Bytes, Entry>>],
        watch: &mut Watch,
    ) -> Result<Acts, Violation> {
        let mut acts = Acts::default();
        match &mut self.doing {
            Doing::Resting => {}
            Doing::Thinking { until_us } if now < *until_us => acts.wake_at(*until_us),
            Doing::Thinking { .. } => self.begin(now, looks, &mut acts),
            Doing::Opening(errand) => {
                if errand.wake_us() <= now {
                    acts.calls.push(errand.again(now, &mut self.rng));
                }
                acts.wake_at(errand.wake_us());
            }
            Doing::Moving(_) => self.go_on(now, &mut acts, watch)?,
        }
        Ok(acts)
    }

    /// A node answers.
    pub(crate) fn hear(
        &mut self,
        now: u64,
        call: u64,
        response: &Response,
        watch: &mut Watch,
    ) -> Result<Acts, Violation> {
        let mut acts = Acts::default();
        let errand = match &mut self.doing {
            Doing::Opening(errand) => errand,
            Doing::Moving(transfer) => match &mut transfer.deciding {
                Some((errand, _)) => errand,
                None => return Ok(acts),
            },
            Doing::Thinking { .. } | Doing::Resting => return Ok(acts),
        };
        match errand.hear(now, call, response, &mut self.rng) {
            Heard::Nothing => {}
            Heard::Later => acts.wake_at(errand.wake_us()),
            Heard::Said(said) => {
                let said = said.clone();
                self.take_in(now, said, &mut acts, watch)?;
            }
        }
        Ok(acts)
    }

    /// A participant speaks about `txn`.
    pub(crate) fn report(
        &mut self,
        now: u64,
        from: usize,
        txn: TxnId,
        said: &door::Said,
        watch: &mut Watch,
    ) -> Result<Acts, Violation> {
        let mut acts = Acts::default();
        let Doing::Moving(transfer) = &mut self.doing else { return Ok(acts) };
        if transfer.transaction.txn() != txn {
            return Ok(acts);
        }
        let name = participant_name(from);
        match said {
            door::Said::Vote(vote) => {
                transfer.transaction.vote(&name, vote);
                if transfer.transaction.phase() == Phase::Aborted {
                    watch.transactions.given_up(txn);
                }
            }
            door::Said::Finished => transfer.transaction.finished(&name),
            _ => {}
        }
        self.go_on(now, &mut acts, watch)?;
        Ok(acts)
    }

    fn begin(&mut self, now: u64, looks: &[Option<&BTreeMap<Bytes, Entry>>], acts: &mut Acts) {
        match &mut self.left {
            Some(0) => {
                self.doing = Doing::Resting;
                return;
            }
            Some(left) if self.session.is_some() => *left -= 1,
            Some(_) | None => {}
        }
        let Some((_, numbers)) = &mut self.session else {
            let owner = format!("owner {}", self.place);
            let command = Command::OpenSession { owner, ttl_ms: self.ttl_ms };
            let call = Call::Submit(Request { id: None, acked: Seq::ZERO, command });
            let mut errand = Errand::new(1, call, self.voters, self.patience_us, &mut self.rng);
            acts.calls.push(errand.again(now, &mut self.rng));
            acts.wake_at(errand.wake_us());
            self.doing = Doing::Opening(errand);
            return;
        };
        let txn = numbers.begin();
        let works = transfer(looks, &mut self.rng);
        let transaction = Transaction::begin(txn, works.keys().cloned());
        let until_us = now + self.rng.u64(20 * MS..800 * MS);
        self.doing = Doing::Moving(Box::new(Move {
            transaction,
            works,
            again_us: now,
            until_us,
            deciding: None,
            floor: Revision::ZERO,
        }));
        acts.wake_at(now);
    }

    /// Carries the transfer on: asks, decides, tells.
    fn go_on(&mut self, now: u64, acts: &mut Acts, watch: &mut Watch) -> Checked {
        let Doing::Moving(transfer) = &mut self.doing else { return Ok(()) };
        match transfer.transaction.phase() {
            Phase::Voting => {
                if transfer.deciding.is_none()
                    && let Some(command) = transfer.transaction.proposal()
                {
                    return self.decide(now, command, acts, watch);
                }
                if transfer.until_us <= now {
                    let given_up = transfer.transaction.give_up();
                    assert!(given_up == GivenUp::Over, "nothing was proposed");
                    watch.transactions.given_up(transfer.transaction.txn());
                    transfer.until_us = now + TELLS_US;
                    transfer.again_us = now;
                    return self.go_on(now, acts, watch);
                }
                if transfer.again_us <= now {
                    transfer.ask(acts);
                    transfer.again_us = now + AGAIN_US;
                }
                acts.wake_at(transfer.again_us.min(transfer.until_us));
            }
            Phase::Proposed => {
                let Some((errand, _)) = &mut transfer.deciding else { return Ok(()) };
                if errand.wake_us() <= now {
                    acts.calls.push(errand.again(now, &mut self.rng));
                }
                acts.wake_at(errand.wake_us());
            }
            Phase::Committed | Phase::Aborted => {
                let to_tell = transfer.transaction.to_tell();
                if to_tell.is_empty() || transfer.until_us <= now {
                    self.end(now, acts);
                    return Ok(());
                }
                if transfer.again_us <= now {
                    transfer.tell(&to_tell, acts);
                    transfer.again_us = now + AGAIN_US;
                }
                acts.wake_at(transfer.again_us.min(transfer.until_us));
            }
        }
        Ok(())
    }

    /// Puts a decision into the log: a commit under a number of the session, an abort without.
    fn decide(
        &mut self,
        now: u64,
        command: Command,
        acts: &mut Acts,
        watch: &mut Watch,
    ) -> Checked {
        let Doing::Moving(transfer) = &mut self.doing else { return Ok(()) };
        let Some((session, _)) = &self.session else { return Ok(()) };
        let commits = transfer.deciding.is_none();
        let (id, acked) = if commits {
            self.seq = self.seq.next();
            let id = RequestId { session: *session, seq: self.seq };
            (Some(id), id.seq)
        } else {
            (None, Seq::ZERO)
        };
        let request = Request { id, acked, command };
        watch.clients.asks(&request);
        watch.transactions.proposes(&request.command)?;
        transfer.floor = watch.clients.shown();
        let patience = self.patience_us;
        let call = Call::Submit(request);
        let mut errand = Errand::new(1, call, self.voters, patience, &mut self.rng);
        acts.calls.push(errand.again(now, &mut self.rng));
        acts.wake_at(errand.wake_us());
        transfer.deciding = Some((errand, id));
        Ok(())
    }

    fn take_in(&mut self, now: u64, said: Said, acts: &mut Acts, watch: &mut Watch) -> Checked {
        let Said::Reply(reply) = said else {
            demand!(false, "H", "owner {}: a request is answered with {said:?}", self.place);
            return Ok(());
        };
        match &mut self.doing {
            Doing::Opening(_) => {
                if let Reply::Session(session) = reply {
                    self.session = Some((session, Numbers::new(session)));
                    self.seq = Seq::ZERO;
                }
                self.think(now, acts);
                Ok(())
            }
            Doing::Moving(transfer) => {
                let id = transfer.deciding.as_ref().and_then(|(_, id)| *id);
                if let Some(id) = id {
                    watch.clients.answered(id, transfer.floor, &reply)?;
                }
                self.decided(now, &reply, acts, watch)
            }
            Doing::Thinking { .. } | Doing::Resting => Ok(()),
        }
    }

    fn decided(&mut self, now: u64, reply: &Reply, acts: &mut Acts, watch: &mut Watch) -> Checked {
        let Doing::Moving(transfer) = &mut self.doing else { return Ok(()) };
        let txn = transfer.transaction.txn();
        match reply {
            Reply::Verdict(verdict @ (Verdict::Committed | Verdict::Aborted)) => {
                watch.told(txn, *verdict)?;
                transfer.transaction.learn(*verdict);
                transfer.until_us = now + TELLS_US;
                transfer.again_us = now;
                self.go_on(now, acts, watch)
            }
            Reply::Rejected(Rejection::SessionEnded) => {
                // The session is fenced: only the log knows what became of the commit.
                let GivenUp::AskTheLog(command) = transfer.transaction.give_up() else {
                    return Ok(());
                };
                self.decide(now, command, acts, watch)
            }
            other => {
                demand!(false, "H1", "{txn} is decided with {other:?}");
                Ok(())
            }
        }
    }

    fn end(&mut self, now: u64, acts: &mut Acts) {
        if let Doing::Moving(transfer) = &self.doing
            && let Some((_, numbers)) = &mut self.session
        {
            numbers.end(transfer.transaction.txn());
            let asked_twice = transfer.deciding.as_ref().is_some_and(|(_, id)| id.is_none());
            if asked_twice {
                self.session = None;
            }
        }
        self.think(now, acts);
    }

    fn think(&mut self, now: u64, acts: &mut Acts) {
        let until_us = now + self.rng.u64(self.think_us.0..=self.think_us.1);
        self.doing = Doing::Thinking { until_us };
        acts.wake_at(until_us);
    }
}

impl Move {
    fn ask(&self, acts: &mut Acts) {
        let txn = self.transaction.txn();
        for name in self.transaction.to_ask() {
            let Some((place, work)) = self.works.get(name) else { continue };
            acts.errands.push((*place, door::Call::Prepare { txn, work: work.clone() }));
        }
    }

    fn tell(&self, to_tell: &[(ParticipantName, Verdict)], acts: &mut Acts) {
        let txn = self.transaction.txn();
        for (name, verdict) in to_tell {
            let Some((place, _)) = self.works.get(name) else { continue };
            acts.errands.push((*place, door::Call::Finish { txn, verdict: *verdict }));
        }
    }
}

/// Moves an amount from one participant to another, and sometimes looks at a third.
fn transfer(
    looks: &[Option<&BTreeMap<Bytes, Entry>>],
    rng: &mut Rng,
) -> BTreeMap<ParticipantName, (usize, Work)> {
    let from = rng.usize(0..looks.len());
    let to = (from + rng.usize(1..looks.len())) % looks.len();
    let amount = rng.i64(1..=AMOUNT_MAX);
    let mut works = BTreeMap::new();
    for (place, amount) in [(from, -amount), (to, amount)] {
        // Who cannot look at both moves nothing.
        let work = match (looks[from], looks[to], looks[place]) {
            (Some(_), Some(_), Some(keys)) => work::share(keys, amount, rng),
            _ => Work::default(),
        };
        works.insert(participant_name(place), (place, work));
    }
    works
}
