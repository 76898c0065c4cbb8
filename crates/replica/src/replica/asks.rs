//! Calls of clients: where each waits, and what it hears when its time is up.

use std::time::Duration;

use synod_machine::{
    Command, LeaseCommand, Query, Request,
    door::{Ask, Call, Freshness, NotApplied, Refusal, Said},
    limits::{Misuse, TXNS_MAX},
};
use synod_paxos::{self as paxos, Tick};

use super::Replica;
use crate::{
    ClientId, Lapsed, Output, Response,
    attendants::Attendant,
    calls::Place,
    nearby::Until,
    reads::{Question, Waiting},
    watchers::{News, Wanted},
};

/// When somebody who found the queue full should try again: a few syncs later.
pub(super) const RETRY_AFTER_MS: u32 = 50;

impl Replica {
    pub(super) fn asked(&mut self, client: ClientId, ask: Ask, out: &mut Output) {
        let deadline = self.now.after(Duration::from_millis(ask.within_ms.into()));
        let answered = match ask.call {
            Call::Submit(request) => self.submit(client, deadline, &request, out),
            Call::KeepAlive { session } => {
                if self.reign.is_serving() {
                    self.sessions.heard(session, self.now);
                }
                self.ask_reign(client, deadline, Question::KeepAlive(session), out)
            }
            Call::Read { query, freshness } => self.read(client, deadline, query, freshness, out),
            Call::Attend { participant, in_doubt, finished } => {
                let attendant = Attendant { participant, in_doubt, finished };
                self.attend(client, deadline, attendant)
            }
            Call::Renew { lease } => {
                if self.reign.is_serving() {
                    self.leases.heard(lease, self.now);
                }
                self.ask_reign(client, deadline, Question::Renew(lease), out)
            }
            Call::Watch { interest, after } => {
                self.watch(client, deadline, Wanted::One((interest, after)))
            }
            Call::WatchAny { watches } => self.watch(client, deadline, Wanted::Any(watches)),
            // The names of nodes are the driver's, and so is how the node stands.
            Call::HandOver { .. } | Call::Status => {
                let why = "this is the driver's to answer".to_owned();
                Some(Response::Said(Said::Refused(Refusal::Misuse(why))))
            }
        };
        out.responses.extend(answered.map(|response| (client, response)));
    }

    /// The caller is gone. What was proposed for it takes its course.
    pub(super) fn gone(&mut self, client: ClientId) {
        match self.calls.close(client) {
            Some(Place::Queue(ticket)) => self.queue.leave(client, ticket),
            Some(Place::Attendants) => self.attendants.leave(client),
            Some(Place::Watchers) => drop(self.watchers.leave(client)),
            Some(Place::Nearby(until)) => self.nearby.leave(until, client),
            Some(Place::Log | Place::Reads) | None => {}
        }
    }

    /// Tells those whose time is up the truth about it.
    pub(super) fn expire(&mut self, out: &mut Output) {
        for (client, place) in self.calls.expired(self.now) {
            let said = match place {
                Place::Queue(ticket) => {
                    self.queue.leave(client, ticket);
                    Said::NotApplied(self.why_not_in_time())
                }
                Place::Log => Said::Unknown,
                Place::Reads => Said::NotApplied(self.why_not_in_time()),
                Place::Attendants => {
                    self.attendants.leave(client);
                    Said::Verdicts(Vec::new())
                }
                Place::Watchers => self.unchanged(client),
                Place::Nearby(until) => {
                    self.nearby.leave(until, client);
                    Said::NotApplied(self.why_not_far_enough(until))
                }
            };
            out.responses.push((client, Response::Said(said)));
        }
    }

    fn why_not_in_time(&self) -> NotApplied {
        match self.reign.is_serving() && self.peer.has_quorum() {
            true => NotApplied::Deadline,
            false => NotApplied::NoQuorum,
        }
    }

    fn why_not_far_enough(&self, until: Until) -> NotApplied {
        match until {
            Until::Revision(_) => NotApplied::Behind { revision: self.state.machine.revision() },
            Until::Fathomed(_) if self.peer.leader().is_none() => NotApplied::NoQuorum,
            Until::Fathomed(_) | Until::Applied(_) => NotApplied::Deadline,
        }
    }

    pub(super) fn not_leader(&self) -> Response {
        Response::NotLeader(self.peer.leader_or_heir())
    }

    fn submit(
        &mut self,
        client: ClientId,
        deadline: Tick,
        request: &Request,
        out: &mut Output,
    ) -> Option<Response> {
        if let Err(refusal) = check(request) {
            return Some(Response::Said(Said::Refused(refusal)));
        }
        if !self.reign.takes_in() {
            return Some(self.not_leader());
        }
        if deadline <= self.now {
            return Some(Response::Said(Said::NotApplied(NotApplied::Deadline)));
        }
        if let Some(id) = request.id
            && !self.state.machine.knows_of(id.session)
        {
            // Whose a session is, the door can tell only when its opening is applied here: a
            // request in one still to be opened, by whoever guessed its number, must not get
            // behind the opening into the log. That there is none only a leader may say.
            return self.ask_reign(client, deadline, Question::Opened(id.session), out);
        }
        // A retry while the first copy is under way waits with it. The session table would answer
        // a second copy rightly too: this only spares the log.
        let place = match request.id {
            Some(id) if self.proposed.join(client, id) => Some(Place::Log),
            Some(id) => self.queue.join(client, id).map(Place::Queue),
            None => None,
        };
        match place.or_else(|| self.queue.offer(client, request, self.now).map(Place::Queue)) {
            Some(place) => {
                self.calls.open(client, deadline, place);
                None
            }
            None => {
                let full = NotApplied::Overloaded { retry_after_ms: RETRY_AFTER_MS };
                Some(Response::Said(Said::NotApplied(full)))
            }
        }
    }

    fn read(
        &mut self,
        client: ClientId,
        deadline: Tick,
        query: Query,
        freshness: Freshness,
        out: &mut Output,
    ) -> Option<Response> {
        if let Err(misuse) = query.check() {
            return Some(Response::Said(Said::Refused(misuse.into())));
        }
        match freshness {
            Freshness::Stale => {
                let answer = self.state.machine.query(&query);
                Some(Response::Said(Said::Stale { answer, age_ms: self.age_ms() }))
            }
            Freshness::Linearizable => self.ask_reign(client, deadline, Question::Read(query), out),
            Freshness::AtLeast(least) if self.state.machine.revision() >= least => {
                Some(Response::Said(Said::Answer(self.state.machine.query(&query))))
            }
            Freshness::AtLeast(least) => {
                self.wait_nearby(client, deadline, Until::Revision(least), query);
                None
            }
            Freshness::Nearby => {
                let told = self.step_peer(paxos::Input::ReadNearby, out);
                let [round] = told.joined[..] else {
                    panic!("one read waits for the rounds {:?}", told.joined);
                };
                self.wait_nearby(client, deadline, Until::Fathomed(round), query);
                self.take_in(told, out);
                None
            }
        }
    }

    /// How long ago this state lacked nothing for sure, rounded up.
    fn age_ms(&self) -> Option<u32> {
        let age = self.now.since(self.nearby.current_at()?).as_micros().div_ceil(1_000);
        Some(u32::try_from(age).unwrap_or(u32::MAX))
    }

    fn wait_nearby(&mut self, client: ClientId, deadline: Tick, until: Until, query: Query) {
        self.calls.open(client, deadline, Place::Nearby(until));
        self.nearby.wait(until, client, query);
    }

    /// The lease ran out before the answer left: the question is asked again, as if it had just
    /// come.
    pub(super) fn lapsed(&mut self, lapsed: Lapsed, out: &mut Output) {
        let Lapsed { client, deadline, question } = lapsed;
        let answered = self.ask_reign(client, deadline, question, out);
        out.responses.extend(answered.map(|response| (client, response)));
    }

    /// A question that only a real reign may answer.
    fn ask_reign(
        &mut self,
        client: ClientId,
        deadline: Tick,
        question: Question,
        out: &mut Output,
    ) -> Option<Response> {
        if !self.reign.takes_in() {
            return Some(self.not_leader());
        }
        if deadline <= self.now {
            return Some(Response::Said(Said::NotApplied(NotApplied::Deadline)));
        }
        self.calls.open(client, deadline, Place::Reads);
        self.reads.postpone(Waiting { client, question });
        self.ask_barriers(out);
        None
    }

    /// Any node may tell what has changed: it tells how far it has come, and since when it has not
    /// known a quorum to be there.
    fn watch(&mut self, client: ClientId, deadline: Tick, wanted: Wanted) -> Option<Response> {
        if let Err(misuse) = wanted.check() {
            return Some(Response::Said(Said::Refused(misuse.into())));
        }
        if let Some(news) = wanted.news(&self.state.machine) {
            return Some(Response::Said(self.watched(news)));
        }
        self.calls.open(client, deadline, Place::Watchers);
        self.watchers.wait(client, wanted);
        None
    }

    /// Whoever waits in vain has been told everything: what it waits for has not changed, though
    /// the history may have forgotten since when.
    fn unchanged(&mut self, client: ClientId) -> Said {
        let wanted = self.watchers.leave(client);
        let none = wanted.map_or(News::Any(Vec::new()), |wanted| wanted.none(&self.state.machine));
        self.watched(none)
    }

    pub(super) fn watched(&mut self, news: News) -> Said {
        self.look_for_quorum();
        let silent = self.now.since(self.quorum_at).as_millis();
        let silent_ms = u32::try_from(silent).unwrap_or(u32::MAX);
        match news {
            News::One(news) => Said::Watched { news, silent_ms },
            News::Any(news) => {
                Said::WatchedAny { news, upto: self.state.machine.revision(), silent_ms }
            }
        }
    }

    /// Takes note of when a quorum was last known to be there: by leading with one, or from a
    /// leader, who abdicates without one.
    pub(super) fn look_for_quorum(&mut self) {
        if self.peer.has_quorum() {
            self.quorum_at = self.now;
        } else if let Some(leader) = self.peer.leader()
            && let Some(heard) = self.peer.heard(leader, self.now)
        {
            self.quorum_at = self.quorum_at.max(heard.at);
        }
    }

    /// Any node may tell a verdict: it never changes.
    fn attend(
        &mut self,
        client: ClientId,
        deadline: Tick,
        attendant: Attendant,
    ) -> Option<Response> {
        if let Err(misuse) = check_attendant(&attendant) {
            return Some(Response::Said(Said::Refused(misuse.into())));
        }
        let news = attendant.news(&self.state.machine);
        if !news.is_empty() || deadline <= self.now {
            return Some(Response::Said(Said::Verdicts(news)));
        }
        self.calls.open(client, deadline, Place::Attendants);
        self.attendants.wait(client, attendant);
        None
    }
}

/// What a client may not propose at all, whoever it is, and what breaks a limit.
fn check(request: &Request) -> Result<(), Refusal> {
    let of_a_leader = match &request.command {
        Command::LeaderStart { .. } => true,
        Command::Fence { guard, .. } => guard.is_some(),
        Command::Lease(LeaseCommand::Expire { .. }) => true,
        _ => false,
    };
    if of_a_leader {
        return Err(Refusal::Misuse("only a leader proposes this, by itself".to_owned()));
    }
    Ok(request.check()?)
}

fn check_attendant(attendant: &Attendant) -> Result<(), Misuse> {
    let longer = attendant.in_doubt.len().max(attendant.finished.len());
    if longer > TXNS_MAX {
        let (got, max) = (longer as u64, TXNS_MAX as u64);
        return Err(Misuse::TooMuch { what: "transactions of one wait", got, max });
    }
    Ok(())
}
