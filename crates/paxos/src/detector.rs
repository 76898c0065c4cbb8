//! When is silence an absence? A failure detector over inter-arrival times.
//!
//! Only liveness rests on it: a wrong suspicion costs an election, a late one costs waiting.

use std::{collections::VecDeque, time::Duration};

use crate::Tick;

/// How the silence that makes a peer suspect is derived from the intervals at which it was heard.
///
/// All arithmetic is in whole microseconds, so that equal histories give equal suspicions on every
/// machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The same silence always, whatever was heard before.
    Fixed {
        /// That silence.
        timeout: Duration,
    },
    /// Phi accrual (Hayashibara et al., *The φ Accrual Failure Detector*) at [`PHI`]: the silence
    /// that intervals with the mean and deviation of the last [`WINDOW_SAMPLES`] would exceed once
    /// in 10^φ times, if they were normally distributed.
    PhiAccrual,
    /// [`EWMA_FACTOR`] times an exponentially weighted moving average of the intervals, which rises
    /// fast and falls slowly: stalls are rare and long, so that a mean forgets the last one before
    /// the next, and what matters is how long they are.
    Ewma,
}

/// The suspicion level at which [`Policy::PhiAccrual`] suspects.
pub const PHI: u32 = 8;

/// How many intervals [`Policy::PhiAccrual`] looks back on. At a heartbeat of 20 ms these are four
/// seconds, after which an outlier is forgotten.
pub const WINDOW_SAMPLES: usize = 200;

/// How many times its average [`Policy::Ewma`] waits.
pub const EWMA_FACTOR: u64 = 3;

/// How many standard deviations above its mean a normal variable is once in 10^[`PHI`] times, in
/// thousandths. At one fixed threshold φ is a straight line in the deviation, so no logarithm is
/// needed.
const PHI_DEVIATIONS_MILLI: u64 = 5_612;

/// The weight, one in so many, of an interval above the average: one stall counts at once.
const EWMA_RISE: i64 = 2;

/// The weight, one in so many, of an interval below the average: at a heartbeat of 20 ms a stall is
/// half forgotten after 14 seconds.
const EWMA_FALL: i64 = 1_024;

/// A deviation is taken to be at least the mean divided by this: a peer that was regular for four
/// seconds is not therefore a clock.
const DEVIATION_MIN_DIVISOR: u64 = 10;

/// Until so many intervals are known, a peer is a stranger.
const SAMPLES_MIN: u64 = 8;

/// How many times the floor a stranger may be silent: hardly ever too short where a rhythm has
/// still to be learned (`docs/detectors.md`), and much sooner over than the longest silence.
const STRANGER_FACTOR: u32 = 3;

/// What one node knows of how regularly it hears one other.
///
/// ```
/// use std::time::Duration;
/// use synod_paxos::{Detector, Policy, Tick};
/// let ms = Duration::from_millis;
/// let fixed = Policy::Fixed { timeout: ms(150) };
/// let mut peer = Detector::new(fixed, ms(100), ms(1_000), Tick::ZERO);
/// peer.heard(Tick::from_micros(20_000));
/// assert!(!peer.suspects(Tick::from_micros(169_999)));
/// assert!(peer.suspects(Tick::from_micros(170_000)));
/// ```
#[derive(Clone, Debug)]
pub struct Detector {
    min: Duration,
    max: Duration,
    heard_at: Tick,
    spared_until: Tick,
    /// The silence under way is partly our own: when it ends, it says nothing of the peer.
    spared: bool,
    intervals: Intervals,
}

/// What a policy remembers of the intervals, and nothing else.
#[derive(Clone, Debug)]
enum Intervals {
    Fixed { timeout: Duration },
    PhiAccrual { window: VecDeque<u64>, sum: u64, squares: u128 },
    Ewma { average: i64, samples: u64 },
}

impl Detector {
    /// Knows nothing yet, and counts the peer as heard at `since`. Whatever the policy says, a peer
    /// silent for less than `min` is not suspected and one silent for `max` is.
    pub fn new(policy: Policy, min: Duration, max: Duration, since: Tick) -> Detector {
        assert!(min <= max, "suspect_min {min:?} is above suspect_max {max:?}");
        let intervals = match policy {
            Policy::Fixed { timeout } => Intervals::Fixed { timeout },
            Policy::PhiAccrual => {
                Intervals::PhiAccrual { window: VecDeque::new(), sum: 0, squares: 0 }
            }
            Policy::Ewma => Intervals::Ewma { average: 0, samples: 0 },
        };
        Detector { min, max, heard_at: since, spared_until: since, spared: false, intervals }
    }

    /// The peer was heard. Call it once per heartbeat round, not for every word: what is learned is
    /// the rhythm.
    ///
    /// A silence of `max` or longer was an absence, and one that spans our own stall was ours:
    /// neither teaches anything about the rhythm.
    pub fn heard(&mut self, now: Tick) {
        let interval = now.since(self.heard_at);
        if !self.spared && interval < self.max {
            self.intervals.learn(micros(interval));
        }
        self.returned(now);
    }

    /// The peer was heard after an absence, which teaches nothing: its process began anew. What was
    /// learned before stands, for machine, disk and line are the same.
    pub fn returned(&mut self, now: Tick) {
        self.heard_at = self.heard_at.max(now);
        self.spared = false;
    }

    /// Our own tick was late, so the silence may be ours: what the peer said lies unread. It is not
    /// suspected before `until`, the end of the next round.
    pub fn late(&mut self, until: Tick) {
        self.spared_until = self.spared_until.max(until);
        self.spared = true;
    }

    /// Whether the peer has been silent for too long.
    pub fn suspects(&self, now: Tick) -> bool {
        now >= self.suspect_at()
    }

    /// Whether one may tell others that the peer is there. A stranger is vouched for no longer than
    /// the floor: who has just come back would hold back those who know its rhythm.
    pub fn vouches(&self, now: Tick) -> bool {
        let known = self.intervals.silence().is_some();
        !self.suspects(now) && (known || now.since(self.heard_at) < self.min)
    }

    /// The moment from which the peer is suspected unless it is heard before.
    pub fn suspect_at(&self) -> Tick {
        let silence = self.intervals.silence().unwrap_or(self.min * STRANGER_FACTOR);
        let silence = silence.clamp(self.min, self.max);
        self.heard_at.after(silence).max(self.spared_until)
    }

    /// The moment at which the peer was last heard.
    pub fn heard_at(&self) -> Tick {
        self.heard_at
    }
}

impl Intervals {
    /// Takes in one more interval.
    fn learn(&mut self, interval: u64) {
        match self {
            Intervals::Fixed { .. } => {}
            Intervals::PhiAccrual { window, sum, squares } => {
                if window.len() == WINDOW_SAMPLES {
                    let oldest = window.pop_front().expect("a full window is not empty");
                    *sum -= oldest;
                    *squares -= square(oldest);
                }
                window.push_back(interval);
                *sum += interval;
                *squares += square(interval);
            }
            Intervals::Ewma { average, samples } => {
                let above = interval as i64 - *average;
                *average += match (*samples, above > 0) {
                    (0, _) => above,
                    (_, true) => above / EWMA_RISE,
                    (_, false) => above / EWMA_FALL,
                };
                *samples += 1;
            }
        }
    }

    /// The silence that is too long, when enough is known to say.
    fn silence(&self) -> Option<Duration> {
        match self {
            Intervals::Fixed { timeout } => Some(*timeout),
            Intervals::PhiAccrual { window, sum, squares } => {
                let count = window.len() as u64;
                if count < SAMPLES_MIN {
                    return None;
                }
                let mean = sum / count;
                let variance = (squares / u128::from(count)).saturating_sub(square(mean));
                let deviation = u64::try_from(variance.isqrt()).unwrap_or(u64::MAX);
                let deviation = deviation.max(mean / DEVIATION_MIN_DIVISOR);
                let above = deviation.saturating_mul(PHI_DEVIATIONS_MILLI) / 1_000;
                Some(Duration::from_micros(mean.saturating_add(above)))
            }
            Intervals::Ewma { average, samples } if *samples >= SAMPLES_MIN => {
                let average = u64::try_from(*average).unwrap_or(0);
                Some(Duration::from_micros(average.saturating_mul(EWMA_FACTOR)))
            }
            Intervals::Ewma { .. } => None,
        }
    }
}

/// An interval in whole microseconds, at most an hour, so that a window of them can be summed.
fn micros(interval: Duration) -> u64 {
    u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).min(3_600_000_000)
}

fn square(micros: u64) -> u128 {
    u128::from(micros) * u128::from(micros)
}

impl Default for Policy {
    /// The winner of the comparison in `docs/detectors.md`.
    fn default() -> Policy {
        Policy::Ewma
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_millis(1_000);
    const ROUND: u64 = 20_000;

    fn at(micros: u64) -> Tick {
        Tick::from_micros(micros)
    }

    fn detector(policy: Policy) -> Detector {
        Detector::new(policy, MIN, MAX, Tick::ZERO)
    }

    /// A detector that has heard its peer after each of `intervals`.
    fn taught(policy: Policy, intervals: impl IntoIterator<Item = u64>) -> (Detector, u64) {
        let mut detector = detector(policy);
        let mut now = 0;
        for interval in intervals {
            now += interval;
            detector.heard(at(now));
        }
        (detector, now)
    }

    fn silence(detector: &Detector) -> Duration {
        detector.suspect_at().since(detector.heard_at())
    }

    fn policies() -> [Policy; 3] {
        let timeout = Duration::from_millis(150);
        [Policy::Fixed { timeout }, Policy::PhiAccrual, Policy::Ewma]
    }

    /// A regular peer is suspected at the floor: adaptivity never makes us hastier than that.
    #[test]
    fn a_regular_peer_is_suspected_at_the_floor() {
        for policy in [Policy::PhiAccrual, Policy::Ewma] {
            let (detector, _) = taught(policy, [ROUND; 300]);
            assert_eq!(silence(&detector), MIN, "{policy:?}");
        }
    }

    /// A peer that was never heard, or seldom, is given more than the floor and less than the
    /// ceiling, unless the two are close.
    #[test]
    fn a_stranger_is_given_three_times_the_floor() {
        for policy in [Policy::PhiAccrual, Policy::Ewma] {
            assert_eq!(silence(&detector(policy)), MIN * 3, "{policy:?}");
            let (few, _) = taught(policy, [ROUND; 7]);
            assert_eq!(silence(&few), MIN * 3, "{policy:?}");
            let close = Detector::new(policy, MIN, MIN * 2, Tick::ZERO);
            assert_eq!(silence(&close), MIN * 2, "{policy:?}");
        }
    }

    /// A stranger is vouched for within the floor, others for as long as they are not suspected.
    #[test]
    fn nobody_vouches_for_a_stranger_beyond_the_floor() {
        for (intervals, vouched) in [(7, MIN), (8, Duration::from_millis(300))] {
            let (detector, now) = taught(Policy::Ewma, vec![100_000; intervals]);
            assert_eq!(silence(&detector), Duration::from_millis(300));
            let until = at(now).after(vouched);
            assert!(detector.vouches(at(until.micros() - 1)), "{intervals} intervals");
            assert!(!detector.vouches(until), "{intervals} intervals");
        }
    }

    /// Irregular peers are given longer, by the policies that learn.
    #[test]
    fn jitter_lengthens_the_silence_of_the_policies_that_learn() {
        let jitter = || (0..300).map(|beat| if beat % 5 == 0 { 100_000 } else { ROUND });
        let (phi, _) = taught(Policy::PhiAccrual, jitter());
        let (ewma, _) = taught(Policy::Ewma, jitter());
        let (fixed, _) = taught(policies()[0], jitter());
        assert!(silence(&phi) > Duration::from_millis(200), "{:?}", silence(&phi));
        assert!(silence(&ewma) > Duration::from_millis(180), "{:?}", silence(&ewma));
        assert_eq!(silence(&fixed), Duration::from_millis(150));
    }

    /// Phi at 8 of a normal rhythm is mean + 5.612 deviations: Q(5.612) = 10^-8.
    #[test]
    fn phi_is_linear_in_the_deviation() {
        let swing = (0..WINDOW_SAMPLES).map(|beat| if beat % 2 == 0 { 60_000 } else { 100_000 });
        let (detector, _) = taught(Policy::PhiAccrual, swing);
        assert_eq!(silence(&detector), Duration::from_micros(80_000 + 5_612 * 20));
    }

    /// The window slides: what is older than it is forgotten exactly.
    #[test]
    fn an_outlier_is_forgotten_when_it_leaves_the_window() {
        let (mut detector, mut now) = taught(Policy::PhiAccrual, [900_000]);
        for _ in 0..WINDOW_SAMPLES - 1 {
            now += ROUND;
            detector.heard(at(now));
        }
        assert!(silence(&detector) > Duration::from_millis(300));
        detector.heard(at(now + ROUND));
        assert_eq!(silence(&detector), MIN);
    }

    /// The average rises fast and falls slowly: half of one stall is still in it after 14 seconds.
    #[test]
    fn a_stall_is_remembered_longer_than_the_time_to_the_next() {
        let (mut detector, mut now) = taught(Policy::Ewma, [ROUND; 300]);
        now += 420_000;
        detector.heard(at(now));
        assert_eq!(silence(&detector), Duration::from_millis(660));
        for _ in 0..700 {
            now += ROUND;
            detector.heard(at(now));
        }
        let half = silence(&detector);
        assert!((355..=370).contains(&half.as_millis()), "{half:?}");
    }

    /// An absence is no interval: a peer that was away for long is soon detected again.
    #[test]
    fn an_absence_teaches_nothing() {
        for policy in [Policy::PhiAccrual, Policy::Ewma] {
            let (mut detector, now) = taught(policy, [ROUND; 300]);
            detector.heard(at(now + 5_000_000));
            assert_eq!(silence(&detector), MIN, "{policy:?}");
        }
    }

    /// A peer whose process began anew was away, however short: killed and back again and again, it
    /// is detected as soon as ever.
    #[test]
    fn a_return_teaches_nothing_and_what_was_learned_stands() {
        for policy in policies() {
            for learned in [ROUND, 150_000] {
                let (mut detector, mut now) = taught(policy, [learned; 300]);
                let before = silence(&detector);
                for away in [30_000, 300_000, 900_000] {
                    now += away;
                    detector.returned(at(now));
                    assert_eq!(detector.heard_at(), at(now));
                    assert_eq!(silence(&detector), before, "{policy:?}, away for {away}");
                }
            }
        }
    }

    /// A stall that was taken for a crash is learned all the same: the next of its kind is not.
    #[test]
    fn a_wrong_suspicion_is_not_repeated() {
        let (mut detector, mut now) = taught(Policy::default(), [ROUND; 300]);
        for stall in 0..3 {
            now += 250_000;
            assert_eq!(detector.suspects(at(now)), stall == 0, "stall {stall}");
            detector.heard(at(now));
            for _ in 0..10 {
                now += ROUND;
                detector.heard(at(now));
            }
        }
    }

    /// A late tick of ours spares every peer until the end of the next round, and the interval
    /// across it is not held against the peer.
    #[test]
    fn our_own_late_tick_makes_nobody_suspect() {
        for policy in policies() {
            let (mut detector, now) = taught(policy, [ROUND; 300]);
            let before = silence(&detector);
            let woke = now + 700_000;
            assert!(detector.suspects(at(woke)), "{policy:?}");
            detector.late(at(woke + ROUND));
            assert!(!detector.suspects(at(woke + ROUND - 1)), "{policy:?}");
            assert!(detector.suspects(at(woke + ROUND)), "{policy:?}");
            detector.heard(at(woke + 1));
            assert_eq!(silence(&detector), before, "{policy:?}");
        }
    }

    /// Words that overtake each other do not move the clock of a detector back.
    #[test]
    fn hearing_an_earlier_moment_changes_nothing_that_was_heard() {
        let (mut detector, now) = taught(Policy::Ewma, [ROUND; 20]);
        detector.heard(at(now - 5_000));
        assert_eq!(detector.heard_at(), at(now));
    }

    proptest! {
        /// Between floor and ceiling, whatever was heard; and suspicion, once due, stays.
        #[test]
        fn every_silence_lies_between_floor_and_ceiling(
            which in 0usize..3,
            intervals in proptest::collection::vec(0u64..3_000_000, 0..400),
            beyond in 0u64..10_000_000,
        ) {
            let (detector, now) = taught(policies()[which], intervals);
            let silence = silence(&detector);
            prop_assert!(MIN <= silence && silence <= MAX, "{silence:?}");
            prop_assert!(!detector.suspects(at(now).after(MIN - Duration::from_micros(1))));
            prop_assert!(detector.suspects(at(now + beyond).after(MAX)));
            prop_assert!(detector.suspects(detector.suspect_at()));
        }

        /// The sums that phi keeps as the window slides equal those of the window.
        #[test]
        fn the_sliding_sums_are_those_of_the_window(
            intervals in proptest::collection::vec(0u64..1_000_000, 0..500),
        ) {
            let (detector, _) = taught(Policy::PhiAccrual, intervals);
            let Intervals::PhiAccrual { window, sum, squares } = detector.intervals else {
                unreachable!("made with this policy")
            };
            prop_assert_eq!(window.iter().sum::<u64>(), sum);
            prop_assert_eq!(window.iter().map(|&interval| square(interval)).sum::<u128>(), squares);
        }
    }
}
