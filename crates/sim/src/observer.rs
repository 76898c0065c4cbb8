use fastrand::Rng;
use synod_machine::{
    Interest, Revision,
    door::{Call, Said},
};
use synod_replica::Response;

use crate::{
    checks::Watch,
    errand::{Errand, Heard},
    event::Caller,
    holder::Wants,
    plan::Plan,
    prize::Prize,
    trade,
    violation::{Checked, Violation},
};

/// What one observer watches, each in a call of its own,
const WATCHES: usize = 2;
/// and what it watches in one call together.
const TOGETHER: usize = 6;

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
    /// What it watches together, up to where it was told of each.
    together: Vec<(Interest, Revision)>,
    /// A call for some of that, by their places.
    call: (Errand, Vec<usize>),
}

impl Observer {
    /// The observer beside the node of this place.
    pub(crate) fn new(place: usize, plan: &Plan, mut rng: Rng) -> Observer {
        let interests: Vec<Interest> = (0..WATCHES).map(|_| draw(plan, &mut rng)).collect();
        let patience_us = PATIENCE * plan.patience_us.1;
        let some: Vec<Interest> = (0..TOGETHER / 2).map(|_| draw(plan, &mut rng)).collect();
        let together = alike(some, &mut rng);
        let together: Vec<_> = together.into_iter().map(|one| (one, Revision::ZERO)).collect();
        let habits = (place, plan.voters, patience_us);
        let (watches, call) = (Vec::new(), ask_for(&together, habits, &mut rng));
        let voters = plan.voters;
        let mut observer = Observer { place, rng, voters, patience_us, watches, together, call };
        for interest in interests {
            let errand = observer.watch(&interest, Revision::ZERO);
            observer.watches.push((errand, interest, Revision::ZERO));
        }
        observer
    }

    /// Its moment to wake has come.
    pub(crate) fn wake(&mut self, now: u64) -> Wants {
        let mut wants = Wants::default();
        let Observer { watches, call: (call, _), rng, .. } = self;
        let mut wake_us = u64::MAX;
        for errand in watches.iter_mut().map(|(errand, ..)| errand).chain([call]) {
            if now >= errand.wake_us() {
                wants.calls.push(errand.again(now, rng));
            }
            wake_us = wake_us.min(errand.wake_us());
        }
        wants.wake_us = Some(wake_us);
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
        let (errand, places) = &mut self.call;
        if let Heard::Said(said) = errand.hear(now, call, response, &mut self.rng) {
            let places = std::mem::take(places);
            self.hear_of_many(&places, said, watch)?;
        }
        Ok(self.wake(now))
    }

    /// It goes on with some of what it watches; the others are left behind, and come along later.
    fn hear_of_many(&mut self, places: &[usize], said: &Said, watch: &mut Watch) -> Checked {
        let asked: Vec<_> = places.iter().map(|place| self.together[*place].clone()).collect();
        let who = Caller::Observer(self.place);
        let uptos = watch.leases.watched_any(who, &asked, said)?;
        for (place, upto) in places.iter().zip(uptos) {
            self.together[*place].1 = upto;
        }
        let habits = (self.place, self.voters, self.patience_us);
        self.call = ask_for(&self.together, habits, &mut self.rng);
        Ok(())
    }

    fn watch(&mut self, interest: &Interest, after: Revision) -> Errand {
        let call = Call::Watch { interest: interest.clone(), after };
        errand(call, (self.place, self.voters, self.patience_us), &mut self.rng)
    }
}

/// What concerns a call: whose it is, how many nodes there are, and how long it waits.
type Habits = (usize, u16, u64);

fn errand(call: Call, (place, voters, patience_us): Habits, rng: &mut Rng) -> Errand {
    let errand = Errand::new(500 + place as u64, call, voters, patience_us, rng);
    let within_us = rng.u64(patience_us / 8..=patience_us / 2);
    errand.beginning_at(1 + place as u16).answered_within(within_us)
}

/// One in so many calls for many watches what is watched least, which so is left behind for long.
const LEAST_ONE_IN: u8 = 12;

/// A call for most of what there is, in any order.
fn ask_for(
    together: &[(Interest, Revision)],
    habits: Habits,
    rng: &mut Rng,
) -> (Errand, Vec<usize>) {
    let mut wanted = |place: &usize| match place {
        0 => rng.u8(0..LEAST_ONE_IN) == 0,
        _ => rng.u8(0..3) > 0,
    };
    let mut places: Vec<usize> = (0..together.len()).filter(&mut wanted).collect();
    if places.is_empty() {
        places.push(rng.usize(0..together.len()));
    }
    rng.shuffle(&mut places);
    let watches = places.iter().map(|place| together[*place].clone()).collect();
    (errand(Call::WatchAny { watches }, habits, rng), places)
}

/// Each with another that a change of it concerns, too: the same, or more keys.
fn alike(some: Vec<Interest>, rng: &mut Rng) -> Vec<Interest> {
    let pair = |interest: Interest| {
        let other = match &interest {
            Interest::Keys { prefix } if rng.bool() => {
                Interest::Keys { prefix: prefix.slice(..prefix.len() - 1) }
            }
            _ => interest.clone(),
        };
        [interest, other]
    };
    some.into_iter().flat_map(pair).collect()
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
