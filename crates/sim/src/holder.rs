mod next;

use fastrand::Rng;
use synod_machine::{
    Answer, ElectionReply, Interest, LeaseId, Rejection, Reply, Request, RequestId, Revision, Seq,
    SessionId,
    door::{Ask, Call, Said},
};
use synod_paxos::{NodeId, Tick};
use synod_replica::Response;

use crate::{
    checks::{Watch, clients::true_answers, leases::told},
    child::Child,
    clock::Clock,
    errand::{Errand, Heard},
    event::Caller,
    plan::{MS, Plan},
    planted::Plant,
    prize::{self, Came, Prize, Standing},
    sights::Sight,
    violation::{Checked, Violation},
};

/// Sessions of holders do not end by silence: what ends is their leases.
const SESSION_MS: u64 = 10 * 60 * 1_000;

/// How long a lease may live without a renewal.
const TTL_MS: (u64, u64) = (100, 1_500);

/// A watch waits for so many times as long as anything else.
const WATCHES: u64 = 4;

/// How far the rate of a holder's clock may be off, in parts of a million: with a node's, which is
/// off by 200 at most, that is just what leases allow for.
pub(crate) const DRIFT_PPM: i64 = 15_000;

/// One that holds leases, contends for locks and offices, and watches what changes. It does what a
/// client's library does: it counts its lease on its own clock, from before the renewal was sent.
#[derive(Debug)]
pub(crate) struct Holder {
    place: usize,
    rng: Rng,
    clock: Clock,
    voters: u16,
    patience_us: u64,
    session: Option<SessionId>,
    seq: Seq,
    lease: Option<Lease>,
    stake: Option<Stake>,
    doing: Doing,
    /// What it is waiting to have done, and since when.
    main: Option<(What, Errand, u64)>,
    renewal: Option<Errand>,
    waiting: Option<Errand>,
    watch: Errand,
    watched: (Interest, Revision),
    think_until_us: u64,
    /// Whether it goes on asking for a lease that has run out on its own clock: the log may have
    /// waited longer, and who is told that it lives may count on it again.
    clings: bool,
    /// Whether there are elections, and how many holders.
    elections: bool,
    holders: u16,
    /// Whether somebody takes away what others have.
    breaks: bool,
    /// How it stands for offices.
    standing: Standing,
    /// What it does under what it has.
    child: Child,
    /// Whether it gives back what it has before that has ended.
    hasty: bool,
    /// What had been seen of the log when it asked last.
    floor: Revision,
    /// Rounds still to go once trouble has ended; `None` before.
    left: Option<u32>,
}

#[derive(Clone, Debug)]
struct Lease {
    id: LeaseId,
    ttl_us: u64,
    /// Until when it stands, on the holder's clock.
    until: Tick,
    renew_at: Tick,
}

#[derive(Clone, Debug)]
struct Stake {
    prize: Prize,
    has: Has,
}

/// Whether it has what it asked for.
#[derive(Clone, Copy, Debug)]
enum Has {
    /// Under this token.
    It(Revision),
    /// Its place in the queue; it waits.
    Queued(Revision),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Living,
    Leaving,
    Resting,
}

#[derive(Clone, Debug)]
enum What {
    Open,
    Grant {
        ttl_us: u64,
    },
    /// After a gap in what it was told, up to `floor`, it asks where it stands.
    Acquire {
        prize: Prize,
        floor: Revision,
    },
    /// It waits on after this revision.
    Relent {
        after: Revision,
    },
    Release,
    /// It says something of it, or does something under it.
    Use,
    Order,
    /// Somebody takes away what another has.
    Break,
    Revoke,
    Compact,
}

/// What a holder wants of the world: calls to make, and when to be woken.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    pub(crate) calls: Vec<(u16, u64, Ask)>,
    pub(crate) wake_us: Option<u64>,
}

impl Holder {
    /// The holder of this place.
    pub(crate) fn new(place: usize, plan: &Plan, plant: Option<Plant>, mut rng: Rng) -> Holder {
        let off = if plan.drift_ppm > 0 { DRIFT_PPM } else { 0 };
        let clock = Clock::new(0, rng.i64(-off..=off));
        let patience_us = plan.patience_us.1;
        let interest = match rng.bool() {
            true => Interest::Keys { prefix: "key ".into() },
            false => Prize::draw(plan.elections, &mut rng).interest(),
        };
        let clings = rng.bool();
        let watch = watch(place, &interest, Revision::ZERO, (plan.voters, patience_us), &mut rng);
        Holder {
            place,
            rng,
            clock,
            voters: plan.voters,
            patience_us,
            session: None,
            seq: Seq::ZERO,
            lease: None,
            stake: None,
            doing: Doing::Living,
            main: None,
            renewal: None,
            waiting: None,
            watch,
            watched: (interest, Revision::ZERO),
            think_until_us: 0,
            clings,
            elections: plan.elections,
            holders: plan.holders,
            breaks: plan.breaks,
            standing: Standing::new(place),
            child: Child::default(),
            hasty: plant == Some(Plant::ReleaseBeforeReaped),
            floor: Revision::ZERO,
            left: None,
        }
    }

    /// Whether it has done all it wanted.
    pub(crate) fn rests(&self) -> bool {
        self.doing == Doing::Resting
    }

    /// Trouble has ended: a few more rounds, and then rest.
    pub(crate) fn wind_up(&mut self, rounds: u32) {
        self.left = Some(rounds);
    }

    /// What it is doing, for the story.
    pub(crate) fn doing(&self) -> String {
        format!(
            "holder {} (session {:?}): {:?}, {:?}, {:?}, {:?}",
            self.place, self.session, self.doing, self.lease, self.stake, self.main
        )
    }

    /// Its moment to wake has come.
    pub(crate) fn wake(&mut self, now: u64, watch: &mut Watch) -> Result<Wants, Violation> {
        let mut wants = Wants::default();
        if self.rests() {
            return Ok(wants);
        }
        self.look_at_the_clock(now, watch);
        self.begin(now, watch);
        let Holder { rng, main, renewal, waiting, watch: news, .. } = self;
        let main = main.as_mut().map(|(_, errand, _)| errand);
        for errand in [main, renewal.as_mut(), waiting.as_mut(), Some(news)].into_iter().flatten() {
            if now >= errand.wake_us() {
                wants.calls.push(errand.again(now, rng));
            }
        }
        wants.wake_us = self.wake_us(now);
        Ok(wants)
    }

    /// Its lease is about to be ended: it may ask for it now, at the node that does. Whatever it
    /// asked before, it waits for that no more.
    pub(crate) fn asks_now(&mut self, ended: LeaseId, node: NodeId) -> bool {
        let asks = self.lease.as_ref().is_some_and(|lease| lease.id == ended)
            && self.doing == Doing::Living
            && self.rng.bool();
        if asks {
            let errand = self.errand(Call::Renew { lease: ended });
            self.renewal = Some(errand.beginning_at(node.get()));
        }
        asks
    }

    /// An answer has come.
    pub(crate) fn hear(
        &mut self,
        now: u64,
        call: u64,
        response: &Response,
        watch: &mut Watch,
    ) -> Result<Wants, Violation> {
        self.look_at_the_clock(now, watch);
        if let Some((what, mut errand, since)) = self.main.take() {
            match errand.hear(now, call, response, &mut self.rng) {
                Heard::Said(said) => {
                    if let (Call::Submit(Request { id: Some(id), .. }), Said::Reply(reply)) =
                        (errand.call(), said)
                    {
                        watch.clients.answered(*id, self.floor, reply)?;
                    }
                    self.done(now, &what, since, said, watch)?;
                }
                Heard::Nothing | Heard::Later => self.main = Some((what, errand, since)),
            }
        }
        if let Some(mut errand) = self.renewal.take() {
            match errand.hear(now, call, response, &mut self.rng) {
                Heard::Said(said) => self.renewed(now, errand.sent_us(), said, watch)?,
                Heard::Nothing | Heard::Later => self.renewal = Some(errand),
            }
        }
        if let Some(mut errand) = self.waiting.take() {
            match errand.hear(now, call, response, &mut self.rng) {
                Heard::Said(said) => self.woken(now, said, watch)?,
                Heard::Nothing | Heard::Later => self.waiting = Some(errand),
            }
        }
        if let Heard::Said(said) = self.watch.hear(now, call, response, &mut self.rng) {
            let (interest, after) = &mut self.watched;
            *after = watch.leases.watched(Caller::Holder(self.place), interest, *after, said)?;
            let habits = (self.voters, self.patience_us);
            self.watch = self::watch(self.place, interest, *after, habits, &mut self.rng);
        }
        self.wake(now, watch)
    }

    /// A lease that its own clock says is over is over for its owner, whatever the log says.
    fn look_at_the_clock(&mut self, now: u64, watch: &mut Watch) {
        let tick = self.clock.tick(now);
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.until <= tick) else { return };
        if self.child.runs() {
            watch.seen.see(Sight::ChildKilled);
        }
        if !self.clings {
            watch.seen.see(Sight::LeaseRanOut);
            return self.lost(watch);
        }
        // It counts on nothing until it hears more, and asks at once.
        if let Some(Stake { prize, has: Has::It(_) }) = &self.stake {
            watch.leases.lets_go(self.place, prize.name());
        }
        self.child.kill(self.place, watch);
        lease.renew_at = lease.renew_at.min(tick);
    }

    fn lost(&mut self, watch: &mut Watch) {
        watch.leases.gives_up(self.place);
        self.child.kill(self.place, watch);
        (self.lease, self.stake, self.renewal, self.waiting) = (None, None, None, None);
    }

    /// Takes up what is to be done next.
    fn begin(&mut self, now: u64, watch: &mut Watch) {
        let tick = self.clock.tick(now);
        if let Some(lease) = self.lease.as_ref().filter(|lease| lease.renew_at <= tick)
            && self.renewal.is_none()
            && self.doing == Doing::Living
        {
            let call = Call::Renew { lease: lease.id };
            self.renewal = Some(self.errand(call));
        }
        if self.main.is_some() || now < self.think_until_us {
            return;
        }
        if self.waiting.is_some() {
            return self.relent(now, watch);
        }
        self.child.look(now, self.place, watch);
        let Some((what, command)) = self.next(now, watch) else { return };
        let call = match (&what, self.session) {
            (What::Open, _) | (_, None) => {
                Call::Submit(Request { id: None, acked: Seq::ZERO, command })
            }
            (_, Some(session)) => {
                self.seq = self.seq.next();
                let id = RequestId { session, seq: self.seq };
                let request = Request { id: Some(id), acked: id.seq, command };
                watch.clients.asks(&request);
                self.floor = watch.clients.shown();
                Call::Submit(request)
            }
        };
        self.main = Some((what, self.errand(call), now));
    }

    /// What it wanted is done.
    fn done(
        &mut self,
        now: u64,
        what: &What,
        since: u64,
        said: &Said,
        watch: &mut Watch,
    ) -> Checked {
        let Said::Reply(reply) = said else {
            let place = self.place;
            return true_answers::is_no_answer(format_args!("holder {place}: {what:?}"), said);
        };
        self.think(now);
        match (what, reply) {
            (What::Open, Reply::Session(session)) => self.session = Some(*session),
            (What::Grant { ttl_us }, Reply::Lease(id)) => {
                // It may have been granted to the first word of many: it counts from that.
                let until = self.clock.tick(since).after(std::time::Duration::from_micros(*ttl_us));
                let (id, ttl_us, renew_at) = (*id, *ttl_us, Tick::ZERO);
                self.lease = Some(Lease { id, ttl_us, until, renew_at });
                watch.leases.granted(self.place, id, self.clock.moment_us(until))?;
                self.look_at_the_clock(now, watch);
            }
            (What::Acquire { prize, floor }, reply) if let Some(came) = prize::came(reply) => {
                self.asked(now, prize, *floor, came, watch)?;
            }
            (What::Relent { after }, Reply::Election(ElectionReply::Done { .. })) => {
                self.wait_after(*after);
            }
            (What::Order, Reply::Election(_)) => {}
            (What::Use, Reply::Election(_) | Reply::MultiDone { .. }) => {}
            (What::Use, Reply::MultiRefused { .. }) => {
                if let Some(Stake { prize, has: Has::It(token) }) = self.stake.take() {
                    watch.leases.is_refused(self.place, (prize.name(), token), now)?;
                    watch.leases.lets_go(self.place, prize.name());
                    self.child.kill(self.place, watch);
                }
            }
            (What::Break, reply) if prize::is_broken(reply) => {}
            (What::Release, reply) if prize::is_given_back(reply) => self.stake = None,
            (What::Revoke, Reply::Done(_)) => self.lost(watch),
            (What::Compact, Reply::Done(_)) => {}
            (
                What::Acquire { .. }
                | What::Relent { .. }
                | What::Use
                | What::Release
                | What::Revoke,
                Reply::Rejected(Rejection::LeaseEnded),
            ) => {
                // Its clock must have said so before, or it would have counted on it.
                watch.leases.is_over(self.place, now)?;
                self.lost(watch);
            }
            (what, reply) => {
                let place = self.place;
                true_answers::is_no_answer(format_args!("holder {place}: {what:?}"), reply)?;
            }
        }
        Ok(())
    }

    /// What asking for something came to.
    fn asked(
        &mut self,
        now: u64,
        prize: &Prize,
        floor: Revision,
        came: Came,
        watch: &mut Watch,
    ) -> Checked {
        match came {
            Came::Held(token) => self.holds(now, prize.clone(), token, watch)?,
            Came::Queued(at) if self.lease.is_some() => {
                watch.seen.see(Sight::Queued);
                self.stake = Some(Stake { prize: prize.clone(), has: Has::Queued(at) });
                self.wait_after(at.max(floor));
            }
            Came::Queued(_) | Came::Taken => {}
        }
        Ok(())
    }

    fn renewed(&mut self, now: u64, sent_us: u64, said: &Said, watch: &mut Watch) -> Checked {
        let tick = self.clock.tick(sent_us);
        let Some(lease) = &mut self.lease else { return Ok(()) };
        match said {
            Said::Kept => {
                let ttl = std::time::Duration::from_micros(lease.ttl_us);
                lease.until = lease.until.max(tick.after(ttl));
                lease.renew_at = tick.after(ttl / 3);
                let until_us = self.clock.moment_us(lease.until);
                watch.leases.extended(lease.id, until_us)?;
                watch.seen.see(Sight::Renewed);
                let stake = self.stake.as_ref().filter(|_| self.main.is_none());
                if let Some(Stake { prize, has: Has::It(token) }) = stake {
                    let held = (prize.name(), *token);
                    watch.leases.goes_on(self.place, held, (now, until_us))?;
                }
            }
            Said::Reply(Reply::Rejected(Rejection::LeaseEnded)) => {
                watch.leases.is_over(self.place, now)?;
                self.lost(watch);
            }
            said => {
                let place = self.place;
                true_answers::is_no_answer(format_args!("holder {place}: a renewal"), said)?;
            }
        }
        Ok(())
    }

    /// What it waits for has come to somebody.
    fn woken(&mut self, now: u64, said: &Said, watch: &mut Watch) -> Checked {
        let Some(Stake { prize, has: Has::Queued(at) }) = self.stake.clone() else { return Ok(()) };
        let Some(lease) = self.lease.as_ref().map(|lease| lease.id) else { return Ok(()) };
        let Said::Watched { news, .. } = said else {
            let place = self.place;
            return told::is_no_news(format_args!("holder {place}: a wait is answered with"), said);
        };
        match news {
            Answer::Changes { changes, upto } => {
                let mut rows = changes.iter().flat_map(|(_, row)| row);
                if let Some(token) = rows.find_map(|change| Prize::comes_to(lease, change)) {
                    watch.seen.see(Sight::Woken);
                    return self.holds(now, prize, token, watch);
                }
                self.wait_after(at.max(*upto));
            }
            // What was missed may have been its own turn: it asks again where it stands.
            Answer::Gap { forgotten } => {
                let ask = prize.ask_again(lease, &self.standing);
                self.stake = None;
                self.ask_again(now, What::Acquire { prize, floor: *forgotten }, ask, watch);
            }
            answer => {
                let place = self.place;
                told::is_no_news(format_args!("holder {place}: a wait hears"), answer)?;
            }
        }
        Ok(())
    }

    fn holds(&mut self, now: u64, prize: Prize, token: Revision, watch: &mut Watch) -> Checked {
        let Some(lease) = &self.lease else { return Ok(()) };
        let until_us = self.clock.moment_us(lease.until);
        let held = (prize.name(), token);
        watch.leases.holds(self.place, lease.id, held, (now, until_us))?;
        if until_us > now {
            watch.begins(self.place, lease.id, held)?;
            self.child.begin();
        }
        self.stake = Some(Stake { prize, has: Has::It(token) });
        self.think(now);
        Ok(())
    }

    fn wait_after(&mut self, after: Revision) {
        let Some(Stake { prize, .. }) = &self.stake else { return };
        let interest = prize.interest();
        let habits = (self.voters, self.patience_us);
        self.waiting = Some(watch(self.place, &interest, after, habits, &mut self.rng));
    }

    fn think(&mut self, now: u64) {
        self.think_until_us = now + self.rng.u64(0..80 * MS);
    }

    fn errand(&mut self, call: Call) -> Errand {
        let name = 300 + self.place as u64;
        Errand::new(name, call, self.voters, self.patience_us, &mut self.rng)
    }

    fn wake_us(&self, now: u64) -> Option<u64> {
        if self.doing == Doing::Resting {
            return None;
        }
        let main = self.main.as_ref().map(|(_, errand, _)| errand);
        let errands = [main, self.renewal.as_ref(), self.waiting.as_ref(), Some(&self.watch)];
        let errands = errands.into_iter().flatten().map(Errand::wake_us);
        let lease = self.lease.iter().flat_map(|lease| {
            let renew = self.renewal.is_none().then_some(lease.renew_at);
            let ends = (!self.clings || self.child.runs()).then_some(lease.until);
            renew.into_iter().chain(ends).map(|tick| self.clock.moment_us(tick))
        });
        let idle = self.main.is_none() && (self.waiting.is_none() || self.stands());
        let think = idle.then_some(self.think_until_us);
        errands.chain(lease).chain(think).min().map(|at_us| at_us.max(now + 1))
    }
}

fn watch(
    place: usize,
    interest: &Interest,
    after: Revision,
    (voters, patience_us): (u16, u64),
    rng: &mut Rng,
) -> Errand {
    let call = Call::Watch { interest: interest.clone(), after };
    let patience_us = WATCHES * patience_us;
    let within_us = patience_us / if rng.bool() { 1 } else { 2 };
    let errand = Errand::new(400 + place as u64, call, voters, patience_us, rng);
    errand.answered_within(within_us)
}
