use bytes::Bytes;
use fastrand::Rng;
use synod_machine::{
    Answer, Command, Expect, Guard, Multi, Mutation, Query, Rejection, Reply, Request, RequestId,
    Revision, Seq, SessionId,
    door::{Ask, Call, Freshness, Said},
};
use synod_replica::Response;

use crate::{
    checks::clients::{Clients, true_answers},
    errand::{Errand, Heard},
    plan::Plan,
    prize::Prize,
    trade::{Trade, Wanted},
    violation::Checked,
};

/// How long a client insists on a request before it gives it up and has it settled.
const INSISTS_US: u64 = 1_500_000;

/// One client: it opens a session, thinks, asks, insists, and settles what it gave up.
#[derive(Debug)]
pub(crate) struct Client {
    name: usize,
    rng: Rng,
    /// Chance of how fresh its reads are.
    tastes: Rng,
    habits: Habits,
    session: Option<SessionId>,
    /// The number of the last request of the session.
    seq: Seq,
    values: u64,
    /// The node that it asks first, as one that runs beside it; `None` asks any.
    home: Option<u16>,
    /// What it asks of services, if it is a patron of them.
    trade: Option<Trade>,
    doing: Doing,
    /// Requests still to be asked once trouble has ended; `None` before.
    left: Option<u32>,
}

/// What of the plan concerns clients.
#[derive(Clone, Debug)]
struct Habits {
    voters: u16,
    keys: u16,
    reads: u8,
    think_us: (u64, u64),
    patience_us: (u64, u64),
    ttl_ms: u64,
    /// Whether a call may come to a node twice, as it does not on a real connection.
    calls_come_twice: bool,
    /// Whether it reads at any node too.
    reading: bool,
    /// Whether there are locks to read of, and offices.
    holders: Option<bool>,
}

#[derive(Debug)]
enum Doing {
    Thinking,
    Asking(Box<Asking>),
    Resting,
}

#[derive(Debug)]
struct Asking {
    errand: Errand,
    what: What,
    /// What any client had been shown when this was first asked.
    floor: Revision,
    gives_up_us: u64,
    /// Whether it gives up as soon as a node says no.
    hurried: bool,
}

#[derive(Clone, Debug)]
enum What {
    Open,
    Change(RequestId),
    Settle {
        with: RequestId,
        about: RequestId,
    },
    Look(Bytes),
    /// At least this revision; whatever is there if it is zero.
    Past(Bytes, Revision),
    Keep(SessionId),
    Read(Query),
    /// As of at least this revision; whatever is there if it is zero.
    ReadPast(Query, Revision),
    Renew,
}

/// What a client wants of the world: a call to make, if any, and when to be woken.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    pub(crate) call: Option<(u16, u64, Ask)>,
    pub(crate) wake_us: Option<u64>,
}

impl Client {
    /// The `name`th client of a universe.
    pub(crate) fn new(name: usize, plan: &Plan, mut rng: Rng) -> Client {
        let habits = Habits {
            voters: plan.voters,
            keys: plan.keys,
            reads: plan.reads,
            think_us: plan.think_us,
            patience_us: plan.patience_us,
            ttl_ms: plan.ttl_ms,
            calls_come_twice: plan.network.doubled > 0,
            reading: plan.reading,
            holders: (plan.holders > 0).then_some(plan.elections),
        };
        let seq = Seq::ZERO;
        let home = rng.bool().then(|| rng.u16(1..=plan.voters));
        Client {
            name,
            rng,
            tastes: Rng::with_seed(0xF4E5 + name as u64),
            habits,
            session: None,
            seq,
            values: 0,
            home,
            trade: None,
            doing: Doing::Thinking,
            left: None,
        }
    }

    /// The `name`th client, which is a patron of services and asks for nothing else.
    pub(crate) fn patron(name: usize, plan: &Plan, mut rng: Rng) -> Client {
        let trade = Some(Trade::new(name, plan, rng.fork()));
        Client { trade, ..Client::new(name, plan, rng) }
    }

    /// Whether it has done all it wanted.
    pub(crate) fn rests(&self) -> bool {
        matches!(self.doing, Doing::Resting)
    }

    /// Trouble has ended: a few more requests, which must all be done, and then rest.
    pub(crate) fn wind_up(&mut self, requests: u32) {
        self.left = Some(requests);
    }

    /// What it is doing, for the story.
    pub(crate) fn doing(&self) -> String {
        format!("client {} (session {:?}): {:?}", self.name, self.session, self.doing)
    }

    /// Its moment to wake has come.
    pub(crate) fn wake(
        &mut self,
        now: u64,
        clients: &mut Clients,
    ) -> Result<Wish, crate::violation::Violation> {
        Ok(match &mut self.doing {
            Doing::Resting => Wish::default(),
            Doing::Thinking => match &mut self.left {
                Some(0) => {
                    self.doing = Doing::Resting;
                    Wish::default()
                }
                left => {
                    if let Some(left) = left.as_mut().filter(|_| self.session.is_some()) {
                        *left -= 1;
                    }
                    self.begin(now, clients)
                }
            },
            Doing::Asking(asking) if now < asking.errand.wake_us() => {
                Wish { call: None, wake_us: Some(asking.errand.wake_us()) }
            }
            Doing::Asking(asking) if now >= asking.gives_up_us && self.left.is_none() => {
                let what = asking.what.clone();
                let untouched = asking.errand.is_untouched() && !self.habits.calls_come_twice;
                self.give_up(now, &what, untouched, clients)?
            }
            Doing::Asking(asking) => {
                if let What::Look(_) | What::Read(_) = asking.what {
                    // Only an answer to this try will be taken: it must see what was seen by now.
                    asking.floor = clients.shown();
                }
                let call = asking.errand.again(now, &mut self.rng);
                Wish { call: Some(call), wake_us: Some(asking.errand.wake_us()) }
            }
        })
    }

    /// An answer has come.
    pub(crate) fn hear(
        &mut self,
        now: u64,
        call: u64,
        response: &Response,
        clients: &mut Clients,
    ) -> Result<Wish, crate::violation::Violation> {
        let Doing::Asking(asking) = &mut self.doing else { return Ok(Wish::default()) };
        let said = match asking.errand.hear(now, call, response, &mut self.rng) {
            Heard::Nothing => return Ok(Wish::default()),
            Heard::Later => {
                if asking.hurried {
                    // It takes a no for an answer.
                    asking.gives_up_us = now;
                }
                return Ok(Wish { call: None, wake_us: Some(asking.errand.wake_us()) });
            }
            Heard::Said(said) => said,
        };
        let (what, floor, sent_us) = (asking.what.clone(), asking.floor, asking.errand.sent_us());
        self.take_in(&what, floor, sent_us, said, clients)?;
        Ok(self.think(now))
    }

    fn take_in(
        &mut self,
        what: &What,
        floor: Revision,
        sent_us: u64,
        said: &Said,
        clients: &mut Clients,
    ) -> Checked {
        match (what, said) {
            (What::Open, Said::Reply(Reply::Session(session))) => {
                self.session = Some(*session);
                self.seq = Seq::ZERO;
            }
            (What::Open, _) => {}
            (What::Change(id) | What::Settle { with: id, .. }, Said::Reply(reply)) => {
                clients.answered(*id, floor, reply)?;
                if let Some(trade) = &mut self.trade {
                    trade.hears(reply);
                }
                if let Reply::Rejected(Rejection::SessionEnded) = reply {
                    self.session = None;
                }
            }
            (What::Keep(session), Said::Kept) => clients.kept(*session, sent_us),
            (What::Keep(_), Said::Reply(Reply::Rejected(Rejection::SessionEnded))) => {
                self.session = None;
            }
            (What::Renew, Said::Kept) => {}
            (What::Renew, Said::Reply(reply)) => {
                if let Some(trade) = &mut self.trade {
                    trade.hears(reply);
                }
            }
            (What::Read(query), Said::Answer(answer)) => {
                clients.looked(query, floor, answer)?;
                if let Some(trade) = &mut self.trade {
                    trade.has_read(answer);
                }
            }
            (What::ReadPast(query, least), Said::Answer(answer) | Said::Stale { answer, .. }) => {
                clients.looked_past(query, *least, answer)?;
            }
            (What::Look(key), Said::Answer(Answer::Key { revision, entry })) => {
                clients.read(key, sent_us, floor, *revision, entry.as_ref())?;
            }
            (What::Past(key, least), Said::Answer(answer) | Said::Stale { answer, .. }) => {
                if let Answer::Key { revision, entry } = answer {
                    clients.read_past(key, *least, *revision, entry.as_ref())?;
                }
            }
            (what, said) => {
                true_answers::is_no_answer(format_args!("client {}: {what:?}", self.name), said)?;
            }
        }
        Ok(())
    }

    fn think(&mut self, now: u64) -> Wish {
        self.doing = Doing::Thinking;
        let (least, most) = self.habits.think_us;
        Wish { call: None, wake_us: Some(now + self.rng.u64(least..=most)) }
    }

    fn begin(&mut self, now: u64, clients: &mut Clients) -> Wish {
        let Some(session) = self.session else {
            let owner = format!("client {}", self.name);
            let command = Command::OpenSession { owner, ttl_ms: self.habits.ttl_ms };
            let request = Request { id: None, acked: Seq::ZERO, command };
            return self.ask(now, What::Open, Call::Submit(request), clients);
        };
        let key = self.key();
        if self.rng.u8(0..8) == 0 {
            let call = Call::KeepAlive { session };
            return self.ask(now, What::Keep(session), call, clients);
        }
        if let Some(trade) = &mut self.trade {
            let wanted = trade.next();
            return self.trade(now, session, wanted, clients);
        }
        if let Some(elections) = self.habits.holders
            && self.tastes.u8(0..6) == 0
        {
            let query = Prize::draw(elections, &mut self.tastes).query();
            return self.read(now, query, clients);
        }
        if self.rng.u8(0..12) < self.habits.reads {
            let query = Query::Get { key: key.clone() };
            let freshness = self.freshness(clients.shown());
            let what = match freshness {
                Freshness::AtLeast(least) => What::Past(key, least),
                Freshness::Stale => What::Past(key, Revision::ZERO),
                Freshness::Linearizable | Freshness::Nearby => What::Look(key),
            };
            return self.ask(now, what, Call::Read { query, freshness }, clients);
        }
        let command = self.change(key);
        let id = self.next_id(session);
        self.submit(now, What::Change(id), id, id.seq, command, clients)
    }

    fn trade(
        &mut self,
        now: u64,
        session: SessionId,
        wanted: Wanted,
        clients: &mut Clients,
    ) -> Wish {
        match wanted {
            Wanted::Done(command) => {
                let id = self.next_id(session);
                self.submit(now, What::Change(id), id, id.seq, command, clients)
            }
            Wanted::Read(query) => self.read(now, query, clients),
            Wanted::Renewed(lease) => self.ask(now, What::Renew, Call::Renew { lease }, clients),
        }
    }

    fn read(&mut self, now: u64, query: Query, clients: &mut Clients) -> Wish {
        let freshness = self.freshness(clients.shown());
        let what = match freshness {
            Freshness::AtLeast(least) => What::ReadPast(query.clone(), least),
            Freshness::Stale => What::ReadPast(query.clone(), Revision::ZERO),
            Freshness::Linearizable | Freshness::Nearby => What::Read(query.clone()),
        };
        self.ask(now, what, Call::Read { query, freshness }, clients)
    }

    fn freshness(&mut self, shown: Revision) -> Freshness {
        if !self.habits.reading {
            return Freshness::Linearizable;
        }
        match self.tastes.u8(0..10) {
            0..=4 => Freshness::Linearizable,
            5..=7 => Freshness::Nearby,
            8 => Freshness::AtLeast(shown),
            _ => Freshness::Stale,
        }
    }

    /// Gives up on what it asked. What may have taken effect is settled, with the number of the
    /// request kept unacknowledged until then; what every node asked says was not applied, is not
    /// and never will be.
    fn give_up(
        &mut self,
        now: u64,
        what: &What,
        untouched: bool,
        clients: &mut Clients,
    ) -> Result<Wish, crate::violation::Violation> {
        if let (What::Change(id), true) = (what, untouched) {
            clients.is_never(*id)?;
            return Ok(self.think(now));
        }
        let about = match (what, self.session) {
            (What::Change(id), Some(_)) => *id,
            (What::Settle { about, .. }, Some(_)) => *about,
            _ => return Ok(self.think(now)),
        };
        let with = self.next_id(about.session);
        let command = Command::Settle { request: about };
        Ok(self.submit(now, What::Settle { with, about }, with, about.seq, command, clients))
    }

    fn submit(
        &mut self,
        now: u64,
        what: What,
        id: RequestId,
        acked: Seq,
        command: Command,
        clients: &mut Clients,
    ) -> Wish {
        let request = Request { id: Some(id), acked, command };
        clients.asks(&request);
        self.ask(now, what, Call::Submit(request), clients)
    }

    fn ask(&mut self, now: u64, what: What, call: Call, clients: &Clients) -> Wish {
        let (least, most) = self.habits.patience_us;
        let patience = self.rng.u64(least..=most);
        let name = 1 + self.name as u64;
        let mut errand = Errand::new(name, call, self.habits.voters, patience, &mut self.rng);
        if let Some(home) = self.home {
            errand = errand.beginning_at(home);
        }
        let call = errand.again(now, &mut self.rng);
        let wake_us = Some(errand.wake_us());
        let (floor, gives_up_us) = (clients.shown(), now + INSISTS_US);
        let hurried = self.rng.u8(0..4) == 0;
        let asking = Asking { errand, what, floor, gives_up_us, hurried };
        self.doing = Doing::Asking(Box::new(asking));
        Wish { call: Some(call), wake_us }
    }

    fn next_id(&mut self, session: SessionId) -> RequestId {
        self.seq = self.seq.next();
        RequestId { session, seq: self.seq }
    }

    fn key(&mut self) -> Bytes {
        Bytes::from(format!("key {}", self.rng.u16(0..self.habits.keys)))
    }

    fn value(&mut self) -> Bytes {
        self.values += 1;
        Bytes::from(format!("{}.{}", self.name, self.values))
    }

    fn change(&mut self, key: Bytes) -> Command {
        let value = self.value();
        match self.rng.u8(0..10) {
            0..=4 => Command::Put { key, value },
            5..=6 => {
                let expect = if self.rng.bool() { Expect::Absent } else { Expect::Present };
                Command::Cas { key, expect, value }
            }
            7 => Command::Delete { key },
            _ => {
                let other = self.key();
                let guards = vec![Guard { key: other.clone(), expect: Expect::Present }];
                let mut mutations = vec![Mutation::Put { key: key.clone(), value }];
                if other != key {
                    mutations.push(Mutation::Delete { key: other });
                }
                Command::Multi(Multi { guards, mutations, reads: vec![key], ..Multi::default() })
            }
        }
    }
}
