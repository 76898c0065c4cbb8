//! Compares the policies of the failure detector: how soon a crash is noticed, and how often a
//! living peer is suspected. Virtual time, seeded; the output is the table of `docs/detectors.md`.
//!
//! `cargo run --release -p synod-sim --example detectors`

#![allow(clippy::print_stdout, reason = "a program whose output is its purpose")]

use std::time::Duration;

use fastrand::Rng;
use synod_paxos::{Detector, Policy, Tick, Timing};

/// How often a peer speaks.
const HEARTBEAT_US: u64 = 20_000;

/// Virtual hours over which false suspicions are counted, per policy and condition.
const HOURS: u64 = 2;

/// Crashes per policy and condition.
const CRASHES: u64 = 300;

/// Milliseconds without a leader that one false suspicion is reckoned to cost: phase 1 and the
/// requests that it makes unknown.
const ELECTION_MS: f64 = 50.0;

/// How long a peer lives before it crashes: long enough to fill every window.
const LIFE_US: u64 = 8_000_000;

/// From one kill to the next, of a peer that is killed again and again. The first comes in the
/// middle of it, so that none meets the crash after [`LIFE_US`].
const LIVES_US: u64 = 2_000_000;

/// How long it is away, at least and at most.
const AWAY_US: (u64, u64) = (100_000, 900_000);

/// Starts of an observer per condition, and how long one looks at each: eight heartbeats.
const STARTS: u64 = 10_000;
const START_US: u64 = 8 * HEARTBEAT_US;

/// What goes wrong between two machines that are both alive.
#[derive(Clone, Copy)]
struct Condition {
    name: &'static str,
    /// One way through the network, at least and at most.
    delay_us: (u64, u64),
    /// One in so many words is lost, or none.
    lost_one_in: u64,
    /// The peer's loop stops for a while (a sync on its path, a pause of its machine).
    peer_stalls: Stalls,
    /// Our own loop stops for a while: what arrives meanwhile is read late.
    own_stalls: Stalls,
    /// The peer is killed every [`LIVES_US`], and its next process speaks after [`AWAY_US`].
    killed: bool,
}

/// Stalls of a loop: how often a minute on average, and how long.
#[derive(Clone, Copy)]
struct Stalls {
    a_minute: u64,
    span_us: (u64, u64),
}

const NEVER: Stalls = Stalls { a_minute: 0, span_us: (0, 0) };
const LAN: (u64, u64) = (100, 400);

const CONDITIONS: [Condition; 8] = [
    Condition {
        name: "quiet LAN",
        delay_us: LAN,
        lost_one_in: 0,
        peer_stalls: NEVER,
        own_stalls: NEVER,
        killed: false,
    },
    Condition {
        name: "jitter 0-60 ms, 1 % lost",
        delay_us: (200, 60_000),
        lost_one_in: 100,
        peer_stalls: NEVER,
        own_stalls: NEVER,
        killed: false,
    },
    Condition {
        name: "sync stalls 20-85 ms",
        delay_us: LAN,
        lost_one_in: 0,
        peer_stalls: Stalls { a_minute: 300, span_us: (20_000, 85_000) },
        own_stalls: NEVER,
        killed: false,
    },
    Condition {
        name: "slow disk, stalls 50-250 ms",
        delay_us: LAN,
        lost_one_in: 0,
        peer_stalls: Stalls { a_minute: 120, span_us: (50_000, 250_000) },
        own_stalls: NEVER,
        killed: false,
    },
    Condition {
        name: "long line, jitter 0-250 ms",
        delay_us: (20_000, 270_000),
        lost_one_in: 100,
        peer_stalls: NEVER,
        own_stalls: NEVER,
        killed: false,
    },
    Condition {
        name: "late ticks, busy 2 cores",
        delay_us: LAN,
        lost_one_in: 0,
        peer_stalls: Stalls { a_minute: 240, span_us: (1_000, 60_000) },
        own_stalls: Stalls { a_minute: 240, span_us: (1_000, 60_000) },
        killed: false,
    },
    Condition {
        name: "pauses 50-400 ms",
        delay_us: LAN,
        lost_one_in: 0,
        peer_stalls: Stalls { a_minute: 12, span_us: (50_000, 400_000) },
        own_stalls: Stalls { a_minute: 12, span_us: (50_000, 400_000) },
        killed: false,
    },
    Condition {
        name: "killed and back within 1 s, again and again",
        delay_us: LAN,
        lost_one_in: 0,
        peer_stalls: NEVER,
        own_stalls: NEVER,
        killed: true,
    },
];

/// The peers' words as they are read: a stream of moments, in order.
struct Arrivals {
    condition: Condition,
    rng: Rng,
    /// The peer's next heartbeat.
    next_us: u64,
    peer: Stalling,
    own: Stalling,
    /// Sent, and read after these moments; the earliest is read next.
    under_way: Vec<Word>,
    /// When the peer is killed next, and which of its processes that ends.
    killed_us: u64,
    process: u64,
    /// Which process was heard last.
    heard: u64,
}

/// A heartbeat on its way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    at_us: u64,
    process: u64,
}

/// One loop that stalls now and then.
struct Stalling {
    stalls: Stalls,
    from_us: u64,
    until_us: u64,
}

impl Stalling {
    fn new(stalls: Stalls, rng: &mut Rng) -> Stalling {
        let mut stalling = Stalling { stalls, from_us: 0, until_us: 0 };
        stalling.draw(0, rng);
        stalling
    }

    /// The moment at which this loop, due at `at`, really runs.
    fn runs(&mut self, at: u64, rng: &mut Rng) -> u64 {
        while self.until_us <= at {
            self.draw(self.until_us, rng);
        }
        if self.from_us <= at { self.until_us } else { at }
    }

    fn draw(&mut self, after: u64, rng: &mut Rng) {
        if self.stalls.a_minute == 0 {
            (self.from_us, self.until_us) = (u64::MAX, u64::MAX);
            return;
        }
        // Uniform over twice the mean gap.
        let gap = rng.u64(0..2 * 60_000_000 / self.stalls.a_minute);
        self.from_us = after + gap;
        self.until_us = self.from_us + rng.u64(self.stalls.span_us.0..=self.stalls.span_us.1);
    }
}

/// What the observer's loop sees next.
enum Seen {
    /// The peer's heartbeat, read at this moment.
    Heard(u64),
    /// The first heartbeat of a process that was not heard before.
    Returned(u64),
    /// Our own loop stood still and runs again at this moment.
    Woke(u64),
}

impl Arrivals {
    fn new(condition: Condition, seed: u64) -> Arrivals {
        let mut rng = Rng::with_seed(seed);
        let peer = Stalling::new(condition.peer_stalls, &mut rng);
        let own = Stalling::new(condition.own_stalls, &mut rng);
        let killed_us = if condition.killed { LIVES_US / 2 } else { u64::MAX };
        Arrivals {
            condition,
            rng,
            next_us: HEARTBEAT_US,
            peer,
            own,
            under_way: Vec::new(),
            killed_us,
            process: 0,
            heard: 0,
        }
    }

    /// The next thing seen, of a peer that crashes at `crash_us`; `None` when nothing more comes.
    fn next(&mut self, crash_us: u64) -> Option<Seen> {
        loop {
            let first = self.under_way.iter().copied().min();
            if first.is_none_or(|first| self.next_us <= first.at_us) && self.next_us < crash_us {
                self.send(crash_us);
                continue;
            }
            let first = first?;
            let runs = self.own.runs(first.at_us, &mut self.rng);
            if runs > first.at_us + HEARTBEAT_US / 2 {
                // What arrived in the stall is read after it; the loop notices that it was late.
                self.under_way.iter_mut().for_each(|word| word.at_us = word.at_us.max(runs));
                return Some(Seen::Woke(runs));
            }
            let place = self.under_way.iter().position(|word| *word == first).expect("just found");
            self.under_way.swap_remove(place);
            let same = std::mem::replace(&mut self.heard, first.process) == first.process;
            return Some(if same { Seen::Heard(runs) } else { Seen::Returned(runs) });
        }
    }

    fn send(&mut self, crash_us: u64) {
        if self.next_us >= self.killed_us {
            self.next_us = self.killed_us + self.rng.u64(AWAY_US.0..=AWAY_US.1);
            self.killed_us += LIVES_US;
            self.process += 1;
            return;
        }
        let sent = self.peer.runs(self.next_us, &mut self.rng);
        let (least, most) = self.condition.delay_us;
        let delay = self.rng.u64(least..=most);
        let lost = self.condition.lost_one_in;
        if sent < crash_us && (lost == 0 || self.rng.u64(0..lost) > 0) {
            self.under_way.push(Word { at_us: sent + delay, process: self.process });
        }
        // A loop that was late does not make up for missed rounds.
        self.next_us = sent + HEARTBEAT_US;
    }
}

fn detector(policy: Policy) -> Detector {
    let timing = Timing::default();
    Detector::new(policy, timing.suspect_min, timing.suspect_max, Tick::ZERO)
}

/// Takes in one sight; tells whether the living peer had been suspected before it.
fn see(detector: &mut Detector, seen: &Seen) -> bool {
    match *seen {
        Seen::Heard(at) => {
            let suspected = detector.suspects(Tick::from_micros(at));
            detector.heard(Tick::from_micros(at));
            suspected
        }
        // It was away, and rightly suspected if it was.
        Seen::Returned(at) => {
            detector.returned(Tick::from_micros(at));
            false
        }
        Seen::Woke(at) => {
            detector.late(Tick::from_micros(at + HEARTBEAT_US));
            false
        }
    }
}

/// False suspicions an hour of a peer that lives.
fn false_suspicions(policy: Policy, condition: Condition, seed: u64) -> f64 {
    let mut arrivals = Arrivals::new(condition, seed);
    let mut detector = detector(policy);
    let mut count = 0u64;
    while let Some(seen) = arrivals.next(HOURS * 3_600_000_000) {
        count += u64::from(see(&mut detector, &seen));
    }
    count as f64 / HOURS as f64
}

/// How long each of [`CRASHES`] crashes went unnoticed, sorted.
fn detections(policy: Policy, condition: Condition, seed: u64) -> Vec<Duration> {
    let mut spans: Vec<Duration> = (0..CRASHES)
        .map(|crash| {
            let mut arrivals = Arrivals::new(condition, seed ^ (crash + 1));
            let mut detector = detector(policy);
            let crash_us = LIFE_US + arrivals.rng.u64(0..HEARTBEAT_US);
            while let Some(seen) = arrivals.next(crash_us) {
                see(&mut detector, &seen);
            }
            detector.suspect_at().since(Tick::from_micros(crash_us))
        })
        .collect();
    spans.sort();
    spans
}

/// How many in a thousand observers that have just started suspect the living peer before they
/// have heard it for [`START_US`], if they give it one silence as long.
fn hasty_starts(timeout: Duration, condition: Condition, seed: u64) -> f64 {
    let hasty = (0..STARTS).filter(|start| {
        let mut arrivals = Arrivals::new(condition, seed ^ (start + 1));
        let first = loop {
            match arrivals.next(u64::MAX) {
                Some(Seen::Heard(at)) => break at,
                Some(Seen::Returned(_) | Seen::Woke(_)) => {}
                None => unreachable!("a peer that lives goes on speaking"),
            }
        };
        let timing = Timing::default();
        let (min, max) = (timing.suspect_min, timing.suspect_max);
        let policy = Policy::Fixed { timeout };
        let mut detector = Detector::new(policy, min, max, Tick::from_micros(first));
        loop {
            match arrivals.next(u64::MAX) {
                Some(Seen::Heard(at) | Seen::Returned(at)) if at > first + START_US => {
                    break detector.suspects(Tick::from_micros(first + START_US));
                }
                Some(seen) if see(&mut detector, &seen) => break true,
                Some(_) => {}
                None => unreachable!("a peer that lives goes on speaking"),
            }
        }
    });
    hasty.count() as f64 * 1_000.0 / STARTS as f64
}

fn tell_of_strangers() {
    println!("\n| condition | 100 ms | 300 ms | 1000 ms |\n|---|---:|---:|---:|");
    for (seed, condition) in (1_000u64..).step_by(1_000).zip(CONDITIONS) {
        let hasty = |ms| hasty_starts(Duration::from_millis(ms), condition, seed);
        let (floor, three, ceiling) = (hasty(100), hasty(300), hasty(1_000));
        println!("| {} | {floor:.1} | {three:.1} | {ceiling:.1} |", condition.name);
    }
}

fn main() {
    let fixed = |ms| Policy::Fixed { timeout: Duration::from_millis(ms) };
    let policies = [
        ("fixed 100 ms", fixed(100)),
        ("fixed 150 ms", fixed(150)),
        ("fixed 300 ms", fixed(300)),
        ("phi accrual", Policy::PhiAccrual),
        ("EWMA × 3", Policy::Ewma),
    ];
    println!("| condition | policy | median (ms) | max (ms) | false suspicions/h | cost (ms/h) |");
    println!("|---|---|---:|---:|---:|---:|");
    let mut costs = [0.0; 5];
    for (seed, condition) in (1_000u64..).step_by(1_000).zip(CONDITIONS) {
        for ((name, policy), total) in policies.into_iter().zip(&mut costs) {
            let spans = detections(policy, condition, seed);
            let (median, max) = (spans[spans.len() / 2], spans[spans.len() - 1]);
            let wrong = false_suspicions(policy, condition, seed);
            let (median, max) = (median.as_millis(), max.as_millis());
            let cost = median as f64 + wrong * ELECTION_MS;
            *total += cost;
            println!("| {} | {name} | {median} | {max} | {wrong:.1} | {cost:.0} |", condition.name);
        }
    }
    for ((name, _), total) in policies.into_iter().zip(costs) {
        println!("| **all** | {name} | | | | **{total:.0}** |");
    }
    tell_of_strangers();
}
