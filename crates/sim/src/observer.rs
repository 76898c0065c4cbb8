use fastrand::Rng;
use synod_machine::{Interest, Revision, door::Call};
use synod_replica::Response;

use crate::{
    checks::Watch,
    errand::{Errand, Heard},
    event::Caller,
    holder::Wants,
    plan::Plan,
    prize::Prize,
    trade,
    violation::Violation,
};

/// What one observer watches at once.
const WATCHES: usize = 4;

/// A watch waits for so many times as long as anything else.
const PATIENCE: u64 = 4;

/// One that watches at one node and nowhere else, as a process beside it does: also while that node
/// sleeps, and when a snapshot brings it what it has slept through. What is watched changes seldom:
/// of what changes always everything is told soon, whatever was missed.
#[derive(Debug)]
pub(crate) struct Observer {
    place: usize,
    rng: Rng,
    voters: u16,
    patience_us: u64,
    watches: Vec<(Errand, Interest, Revision)>,
}

impl Observer {
    /// The observer beside the node of this place.
    pub(crate) fn new(place: usize, plan: &Plan, mut rng: Rng) -> Observer {
        let interests: Vec<Interest> = (0..WATCHES).map(|_| draw(plan, &mut rng)).collect();
        let patience_us = PATIENCE * plan.patience_us.1;
        let mut observer =
            Observer { place, rng, voters: plan.voters, patience_us, watches: Vec::new() };
        for interest in interests {
            let errand = observer.watch(&interest, Revision::ZERO);
            observer.watches.push((errand, interest, Revision::ZERO));
        }
        observer
    }

    /// Its moment to wake has come.
    pub(crate) fn wake(&mut self, now: u64) -> Wants {
        let mut wants = Wants::default();
        for (errand, ..) in &mut self.watches {
            if now >= errand.wake_us() {
                wants.calls.push(errand.again(now, &mut self.rng));
            }
        }
        wants.wake_us = self.watches.iter().map(|(errand, ..)| errand.wake_us()).min();
        wants
    }

    /// An answer has come.
    pub(crate) fn hear(
        &mut self,
        now: u64,
        call: u64,
        response: &Response,
        watch: &mut Watch,
    ) -> Result<Wants, Violation> {
        for place in 0..self.watches.len() {
            let (errand, interest, after) = &mut self.watches[place];
            let Heard::Said(said) = errand.hear(now, call, response, &mut self.rng) else {
                continue;
            };
            let upto =
                watch.leases.watched(Caller::Observer(self.place), interest, *after, said)?;
            let interest = interest.clone();
            self.watches[place] = (self.watch(&interest, upto), interest, upto);
        }
        Ok(self.wake(now))
    }

    fn watch(&mut self, interest: &Interest, after: Revision) -> Errand {
        let call = Call::Watch { interest: interest.clone(), after };
        let name = 500 + self.place as u64;
        let errand = Errand::new(name, call, self.voters, self.patience_us, &mut self.rng);
        let within_us = self.rng.u64(self.patience_us / 8..=self.patience_us / 2);
        errand.beginning_at(1 + self.place as u16).answered_within(within_us)
    }
}

/// Something of what there is.
fn draw(plan: &Plan, rng: &mut Rng) -> Interest {
    match rng.bool() {
        true if plan.patrons > 0 => trade::interest(rng),
        false if plan.holders == 0 => trade::interest(rng),
        true => Interest::Keys { prefix: format!("key {}", rng.u16(0..plan.keys)).into() },
        false => Prize::draw(plan.elections, rng).interest(),
    }
}
