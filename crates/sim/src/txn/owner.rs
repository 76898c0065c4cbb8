use std::collections::BTreeMap;

use bytes::Bytes;
use fastrand::Rng;
use synod_machine::{
    AbortCause, Command, Entry, FenceCause, Proposal, Rejection, Reply, Request, RequestId,
    Revision, Seq, SessionId, TxnId, Verdict,
    door::{Call, Said},
    owner::{GivenUp, Numbers, Phase},
    participant_door as door,
};
use synod_replica::Response;

use super::{
    Acts,
    transfer::Transfer,
    work::{self, participant_name},
};
use crate::{
    checks::{
        Watch,
        books::Standing,
        force,
        transactions::{self, one_verdict},
    },
    errand::{Errand, Heard},
    plan::{MS, Plan},
    violation::{Checked, Violation, demand},
};

/// How long an owner waits for a participant before it speaks again.
const AGAIN_US: u64 = 60 * MS;

/// How long it tells participants the verdict before it leaves the rest to their own asking.
const TELLS_US: u64 = 300 * MS;

/// How long it waits for the log's word on its commit before it gives up, at least and at most.
const INSISTS_US: (u64, u64) = (50 * MS, 1_500 * MS);

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
    /// Whether somebody at its keyboard ends by force what it has begun.
    forced: bool,
    /// The number of the first patron of services, if there are any.
    patrons: Option<usize>,
    /// What it asks beside its transfer.
    aside: Option<(Errand, Aside)>,
    /// Transfers still to be made once trouble has ended; `None` before.
    left: Option<u32>,
}

#[derive(Debug)]
enum Doing {
    Thinking { until_us: u64 },
    Opening(Box<Errand>),
    Moving(Box<Transfer>),
    Resting,
}

/// What is asked beside a transfer.
#[derive(Clone, Copy, Debug)]
enum Aside {
    /// To keep the session.
    Keep(SessionId),
    /// To retire transactions, the one under way perhaps among them: the log must not mind.
    Retire(RequestId),
    /// To end its transaction or its session by force, as an operator would.
    Force,
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
            forced: plan.operators,
            patrons: (plan.patrons > 0).then_some(usize::from(plan.clients)),
            aside: None,
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
        self.aside = None;
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

    /// Whether only the log knows what becomes of its commit.
    pub(crate) fn is_deciding(&self) -> bool {
        matches!(&self.doing, Doing::Moving(transfer)
            if transfer.transaction.phase() == Phase::Proposed)
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
            Doing::Thinking { .. } => self.begin(now, looks, &mut acts, watch)?,
            Doing::Opening(errand) => {
                if errand.wake_us() <= now {
                    acts.calls.push(errand.again(now, &mut self.rng));
                }
                acts.wake_at(errand.wake_us());
            }
            Doing::Moving(_) => self.go_on(now, &mut acts, watch)?,
        }
        self.tend_aside(now, &mut acts);
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
        self.hear_aside(now, call, response, &mut acts, watch)?;
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
                    watch.books.told(txn, Verdict::Aborted, now);
                }
            }
            door::Said::Finished => transfer.transaction.finished(&name),
            _ => {}
        }
        transactions::owner_stands(&transfer.transaction, transfer.names())?;
        self.go_on(now, &mut acts, watch)?;
        Ok(acts)
    }

    fn begin(
        &mut self,
        now: u64,
        looks: &[Option<&BTreeMap<Bytes, Entry>>],
        acts: &mut Acts,
        watch: &mut Watch,
    ) -> Checked {
        match &mut self.left {
            Some(0) => {
                self.doing = Doing::Resting;
                return Ok(());
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
            self.doing = Doing::Opening(Box::new(errand));
            return Ok(());
        };
        let txn = numbers.begin();
        watch.transactions.begins(txn, numbers)?;
        let until_us = now + self.rng.u64(20 * MS..800 * MS);
        let transfer = Transfer::new(txn, looks, now, until_us, self.patrons, &mut self.rng);
        watch.books.begins(txn, transfer.intent.clone(), now);
        if let Some((place, Some(keys))) = self.rng.choice(looks.iter().enumerate()) {
            let mut standing = Standing::default();
            work::read(place, keys, &mut standing);
            standing.lists.into_iter().for_each(|(list, read)| watch.books.read(list, read));
        }
        self.doing = Doing::Moving(Box::new(transfer));
        self.begin_aside(txn, watch);
        acts.wake_at(now);
        Ok(())
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
                    transfer.give_up_voting(&mut self.rng);
                    let txn = transfer.transaction.txn();
                    watch.transactions.given_up(txn);
                    watch.books.told(txn, Verdict::Aborted, now);
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
                let Some((errand, id)) = &mut transfer.deciding else { return Ok(()) };
                if transfer.until_us <= now && id.is_some() {
                    return self.give_up(now, acts, watch);
                }
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
            // What it asks beside this is not to be forgotten yet.
            let open = self.aside.as_ref().and_then(|(_, aside)| aside.seq());
            (Some(id), open.unwrap_or(id.seq).min(id.seq))
        } else {
            (None, Seq::ZERO)
        };
        transfer.until_us = now + self.rng.u64(INSISTS_US.0..INSISTS_US.1);
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
                watch.books.told(txn, *verdict, now);
                transfer.transaction.learn(*verdict);
                transfer.until_us = now + TELLS_US;
                transfer.again_us = now;
                self.go_on(now, acts, watch)
            }
            Reply::Rejected(Rejection::SessionEnded) => {
                transfer.fenced = true;
                self.give_up(now, acts, watch)
            }
            other => one_verdict::is_none(txn, other),
        }
    }

    /// A commit may be in the log: only the log knows what became of it.
    fn give_up(&mut self, now: u64, acts: &mut Acts, watch: &mut Watch) -> Checked {
        let Doing::Moving(transfer) = &mut self.doing else { return Ok(()) };
        match transfer.transaction.give_up() {
            GivenUp::AskTheLog(command) => self.decide(now, command, acts, watch),
            GivenUp::Over => {
                transfer.until_us = now + TELLS_US;
                transfer.again_us = now;
                self.go_on(now, acts, watch)
            }
        }
    }

    /// Now and then something is asked beside the transfer of `txn`.
    fn begin_aside(&mut self, txn: TxnId, watch: &mut Watch) {
        if self.aside.is_some() {
            return;
        }
        if self.forced && self.rng.u8(0..8) == 0 {
            let command = self.force(txn);
            let call = Call::Submit(Request { id: None, acked: Seq::ZERO, command });
            let errand = Errand::new(3, call, self.voters, self.patience_us, &mut self.rng);
            self.aside = Some((errand, Aside::Force));
            return;
        }
        let (aside, call) = match self.rng.u8(0..12) {
            0..=1 => (Aside::Keep(txn.session), Call::KeepAlive { session: txn.session }),
            2..=3 => {
                self.seq = self.seq.next();
                let id = RequestId { session: txn.session, seq: self.seq };
                // Those before this one are over. If it is careless, this one is as well.
                let below = txn.n + self.rng.u64(0..=1);
                let command = Command::Retire { below };
                let request = Request { id: Some(id), acked: id.seq, command };
                watch.clients.asks(&request);
                (Aside::Retire(id), Call::Submit(request))
            }
            _ => return,
        };
        let errand = Errand::new(2, call, self.voters, self.patience_us, &mut self.rng);
        self.aside = Some((errand, aside));
    }

    fn force(&mut self, txn: TxnId) -> Command {
        if self.rng.bool() {
            let (session, cause) = (txn.session, FenceCause::Operator);
            return Command::Fence { session, cause, guard: None };
        }
        let (actor, reason) = ("operator".to_owned(), "it hangs".to_owned());
        let cause = AbortCause::Operator { actor, reason };
        Command::Decide { txn, outcome: Proposal::Abort { cause } }
    }

    fn tend_aside(&mut self, now: u64, acts: &mut Acts) {
        let Some((errand, _)) = &mut self.aside else { return };
        if errand.wake_us() <= now {
            acts.calls.push(errand.again(now, &mut self.rng));
        }
        acts.wake_at(errand.wake_us());
    }

    fn hear_aside(
        &mut self,
        now: u64,
        call: u64,
        response: &Response,
        acts: &mut Acts,
        watch: &mut Watch,
    ) -> Checked {
        let Some((errand, aside)) = &mut self.aside else { return Ok(()) };
        match (errand.hear(now, call, response, &mut self.rng), *aside) {
            (Heard::Nothing, _) => return Ok(()),
            (Heard::Later, _) => {
                acts.wake_at(errand.wake_us());
                return Ok(());
            }
            (Heard::Said(Said::Kept), Aside::Keep(session)) => {
                watch.clients.kept(session, errand.sent_us());
            }
            (Heard::Said(Said::Reply(reply)), Aside::Retire(id)) => {
                watch.clients.answered(id, Revision::ZERO, reply)?;
            }
            (Heard::Said(Said::Reply(Reply::Verdict(verdict))), Aside::Force) => {
                force::leaves_none_open(*verdict)?;
            }
            (Heard::Said(_), Aside::Keep(_) | Aside::Force) => {}
            (Heard::Said(said), Aside::Retire(_)) => {
                demand!(false, "H", "owner {}: a retire is answered with {said:?}", self.place);
            }
        }
        self.aside = None;
        Ok(())
    }

    fn end(&mut self, now: u64, acts: &mut Acts) {
        if let Doing::Moving(transfer) = &self.doing
            && let Some((_, numbers)) = &mut self.session
        {
            numbers.end(transfer.transaction.txn());
            if transfer.fenced {
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

impl Aside {
    fn seq(self) -> Option<Seq> {
        match self {
            Aside::Keep(_) | Aside::Force => None,
            Aside::Retire(id) => Some(id.seq),
        }
    }
}
