//! What was chosen is applied, and who waited for it hears.

use std::time::Duration;

use synod_machine::{
    Applied, LeaseId, Rejection, Reply, SessionId, TxnId, Verdict,
    door::{NotApplied, Said},
};
use synod_paxos::{Chosen, Fathomed};

use super::{Replica, asks::RETRY_AFTER_MS, lead::wait_for};
use crate::{
    ClientId, Lapsed, Leased, Output, Response,
    attendants::Touched,
    calls::Place,
    nearby::Until,
    proposed::Owner,
    reads::{Question, Waiting},
};

impl Replica {
    pub(super) fn learn(&mut self, chosen: Chosen, out: &mut Output) {
        let Chosen { slot, decree } = chosen;
        let happened = self.state.apply(slot, &decree);
        self.snapshots.grew(decree.bytes());
        self.hear(&happened.touched, &happened.applied);
        for (client, news) in self.attendants.told(&happened.touched, &self.state.machine) {
            self.tell_news(client, news, out);
        }
        for (client, news) in self.watchers.told(happened.since, &self.state.machine) {
            let said = self.watched(news);
            self.answer(client, Response::Said(said), out);
        }
        out.checkpoints.extend(happened.checkpoint);
        out.passed.extend(self.stages.chosen(slot, self.now));
        let Some(sent) = self.proposed.decided(slot) else { return };
        // The places of the replies are ours only if the decree is. (One with the same bytes is:
        // it says the same, and was answered the same.) Else a later reign has been here.
        let mut replies = match sent.is(&decree) {
            true => happened.applied,
            false => Vec::new(),
        }
        .into_iter();
        for owner in sent.owners {
            let reply = replies.next().map(|applied| applied.reply);
            self.tell_owner(owner, reply, out);
        }
    }

    /// Answers on whose behalf something was proposed; without a reply it is unknown what became
    /// of it.
    pub(super) fn tell_owner(&mut self, owner: Owner, reply: Option<Reply>, out: &mut Output) {
        match owner {
            Owner::Callers { callers, .. } => {
                let said = reply.map_or(Said::Unknown, Said::Reply);
                for client in callers {
                    self.answer(client, Response::Said(said.clone()), out);
                }
            }
            Owner::Start => {}
            Owner::Fence(_) | Owner::Expiry(_) if reply.is_none() => {}
            Owner::Fence(session) => self.fence_was_applied(session, out),
            Owner::Expiry(lease) => self.expiry_was_applied(lease, out),
        }
    }

    /// A participant that waited hears what there is for it.
    pub(super) fn tell_news(
        &mut self,
        client: ClientId,
        news: Vec<(TxnId, Verdict)>,
        out: &mut Output,
    ) {
        self.answer(client, Response::Said(Said::Verdicts(news)), out);
    }

    pub(super) fn fence_was_applied(&mut self, session: SessionId, out: &mut Output) {
        let lives = self.state.session(session).is_some();
        for client in self.sessions.fate(session, lives, self.now) {
            self.answer(client, kept(lives), out);
        }
    }

    pub(super) fn expiry_was_applied(&mut self, lease: LeaseId, out: &mut Output) {
        let lives = self.state.lease(lease).is_some();
        for client in self.leases.fate(lease, lives, self.now) {
            self.answer(client, renewed(lives, true), out);
        }
    }

    /// A request that was applied is a sign of life of its session, and of the lease that it uses.
    fn hear(&mut self, touched: &Touched, applied: &[Applied]) {
        if !self.reign.is_serving() {
            return;
        }
        for session in touched.owners() {
            self.sessions.heard(session, self.now);
        }
        for lease in touched.leases(applied) {
            self.leases.heard(lease, self.now);
        }
        for applied in applied.iter().filter(|applied| !applied.repeated) {
            match applied.reply {
                Reply::Session(session) => {
                    if let Some(view) = self.state.session(session) {
                        let ttl = Duration::from_millis(view.ttl_ms);
                        self.sessions.opened(session, ttl, self.now);
                    }
                }
                Reply::Lease(lease) => {
                    if let Some(view) = self.state.lease(lease) {
                        self.leases.opened(lease, wait_for(view.ttl_ms), self.now);
                    }
                }
                _ => {}
            }
        }
    }

    /// Answers what was confirmed, as far as the state has come.
    pub(super) fn answer_reads(&mut self, out: &mut Output) {
        for (Waiting { client, question }, leased) in self.reads.answerable(self.state.applied) {
            let Some(response) = self.answer_to(client, &question) else { continue };
            match leased {
                None => self.answer(client, response, out),
                Some(until) => {
                    let Some(deadline) = self.calls.deadline(client) else { continue };
                    self.calls.close(client);
                    let again = Lapsed { client, deadline, question };
                    out.leased.push(Leased { client, response, until, again });
                }
            }
        }
    }

    /// `None`: whoever asks has to wait, and is in the list of those who do.
    fn answer_to(&mut self, client: ClientId, question: &Question) -> Option<Response> {
        match question {
            Question::Read(query) => {
                Some(Response::Said(Said::Answer(self.state.machine.query(query))))
            }
            Question::KeepAlive(session) => self.keep_alive(client, *session),
            Question::Renew(lease) => self.renew(client, *lease),
            Question::Opened(session) => Some(unheard(self.state.machine.knows_of(*session))),
        }
    }

    /// It is known how far the state must have come for reads that wait here.
    pub(super) fn fathomed(&mut self, fathomed: Fathomed) {
        let until = Until::Applied(fathomed.upto);
        for client in self.nearby.fathomed(fathomed) {
            self.calls.moves_to(client, Place::Nearby(until));
        }
    }

    /// Answers reads for which this node's own state has come far enough.
    pub(super) fn answer_nearby(&mut self, out: &mut Output) {
        let (applied, revision) = (self.state.applied, self.state.machine.revision());
        for (client, query) in self.nearby.answerable(applied, revision) {
            let answer = self.state.machine.query(&query);
            self.answer(client, Response::Said(Said::Answer(answer)), out);
        }
    }

    fn keep_alive(&mut self, client: ClientId, session: SessionId) -> Option<Response> {
        let lives = self.state.session(session).is_some();
        if lives && self.sessions.waits_for_end(session, client) {
            return None;
        }
        Some(kept(lives))
    }

    fn renew(&mut self, client: ClientId, lease: LeaseId) -> Option<Response> {
        let lives = self.state.lease(lease).is_some();
        if lives && self.leases.waits_for_end(lease, client) {
            return None;
        }
        let known = self.state.machine.knows_of_lease(lease);
        Some(renewed(lives, known))
    }
}

/// What is said of a lease.
fn renewed(lives: bool, known: bool) -> Response {
    Response::Said(match (lives, known) {
        (true, _) => Said::Kept,
        (false, true) => Said::Reply(Reply::Rejected(Rejection::LeaseEnded)),
        (false, false) => Said::Reply(Reply::Rejected(Rejection::UnknownLease)),
    })
}

/// What a request hears that came before the opening of its session.
fn unheard(opened_since: bool) -> Response {
    Response::Said(match opened_since {
        true => Said::NotApplied(NotApplied::Overloaded { retry_after_ms: RETRY_AFTER_MS }),
        false => Said::Reply(Reply::Rejected(Rejection::UnknownSession)),
    })
}

fn kept(lives: bool) -> Response {
    Response::Said(match lives {
        true => Said::Kept,
        false => Said::Reply(Reply::Rejected(Rejection::SessionEnded)),
    })
}
