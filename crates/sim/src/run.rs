use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use crate::{
    abreast::side_by_side,
    planted::Plant,
    script::{Changes, Script, Store},
    shrink::shrink,
    sights::{Sight, Sights},
    story::Told,
    violation::Violation,
    world::{Outcome, World},
};

/// Which universes to run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The first seed.
    pub first: u64,
    /// How many seeds, from the first on.
    pub seeds: u64,
    /// What the disks carry in every universe; the seed says it where nobody else does.
    pub store: Option<Store>,
    /// Begin no more seeds after this time.
    pub within: Option<Duration>,
    /// How many seeds run side by side; nothing that is found depends on it.
    pub threads: usize,
    /// A bug to plant into each, to see it caught.
    pub plant: Option<Plant>,
    /// Whether to go on after a universe that failed.
    pub go_on: bool,
    /// Whether to look for the smallest universe that fails like one that does.
    pub shrink: bool,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Universes run.
    pub seeds: u64,
    /// Events in all of them.
    pub events: u64,
    /// How often rare things happened in them.
    pub sights: Sights,
    /// In how many universes each of them did.
    pub seen_in: Sights,
    /// The time they took.
    pub took: Duration,
    /// The digests of all of them, as one.
    pub digest: u64,
    /// The digest of the last one.
    pub last: u64,
    /// Universes in which a property did not hold.
    pub failures: Vec<Failure>,
}

/// A universe in which a property did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What it was: `synod sim replay SCRIPT` runs it again.
    pub script: Script,
    /// The property.
    pub violation: Violation,
    /// The last events before it.
    pub story: Vec<String>,
}

/// What one universe came to.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Events in it.
    pub events: u64,
    /// The digest of all of them: equal for equal seeds, on every machine.
    pub digest: u64,
    /// The property that did not hold, if there is one.
    pub failure: Option<Failure>,
    /// The last events.
    pub story: Vec<String>,
}

impl Default for Run {
    /// Two hundred seeds on all cores, up to the first that fails.
    fn default() -> Run {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (first, seeds, store, within) = (1, 200, None, None);
        Run { first, seeds, store, within, threads, plant: None, go_on: false, shrink: false }
    }
}

impl Run {
    /// Seeds without end: a time ends the run.
    pub const ENDLESS: u64 = u64::MAX;

    /// So many seeds, and none begun after so many minutes. Where only a time is said, it alone
    /// ends the run.
    #[must_use]
    pub fn bounded(self, seeds: Option<u64>, minutes: Option<u16>) -> Run {
        let within = minutes.map(|minutes| Duration::from_secs(60 * u64::from(minutes)));
        let seeds = seeds.unwrap_or(if within.is_some() { Run::ENDLESS } else { self.seeds });
        Run { seeds, within, ..self }
    }

    /// The universe of this seed.
    pub(crate) fn script(&self, seed: u64) -> Script {
        Script { seed, changes: Changes { store: self.store, ..Changes::default() } }
    }
}

impl Summary {
    /// Events for each second of the run.
    pub fn events_per_second(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds, {} events, {:.0} events/s, {} violations, rare states seen {} of {}",
            self.seeds,
            self.events,
            self.events_per_second(),
            self.failures.len(),
            self.sights.kinds_seen(),
            Sight::ALL.len()
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.script, self.violation)?;
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        write!(f, "run it again: synod sim replay {}", self.script)
    }
}

/// Runs universes side by side, each in one thread. `progress` is told what there is after each, in
/// the order of their seeds.
pub fn run(run: &Run, mut progress: impl FnMut(&Summary)) -> Summary {
    let mut summary = Summary::default();
    side_by_side(run, |seed, took, outcome| {
        summary.add(&outcome);
        summary.took = took;
        if outcome.violation.is_some() {
            // The story is told only now: the seed tells the same one again.
            let mut script = run.script(seed);
            if run.shrink {
                script = shrink(&script, run.plant).unwrap_or(script);
            }
            summary.failures.extend(replay(&script, run.plant, Told::End).failure);
        }
        progress(&summary);
        run.go_on || summary.failures.is_empty()
    });
    summary
}

impl Summary {
    /// Each rare state in a line: in how many universes it was seen, and how often.
    pub fn rare_states(&self) -> Vec<String> {
        let line = |sight: Sight| {
            let (universes, times) = (self.seen_in.times(sight), self.sights.times(sight));
            format!("{universes:>7} {times:>9}  {}", sight.name())
        };
        Sight::ALL.into_iter().map(line).collect()
    }

    /// The last universe and its digest, in a line: two builds that differ in one differ here.
    pub fn last_digest(&self, run: &Run) -> String {
        let seed = run.first.wrapping_add(self.seeds.saturating_sub(1));
        format!("seed {seed}: digest {:016x}", self.last)
    }

    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.sights += outcome.sights;
        self.seen_in += outcome.sights.kinds();
        self.digest = self.digest.rotate_left(1) ^ outcome.digest;
        self.last = outcome.digest;
    }
}

/// Runs one universe, with a bug planted in it or none, and tells so much of its story.
pub fn replay(script: &Script, plant: Option<Plant>, told: Told) -> Replay {
    let Outcome { events, digest, violation, story, .. } = universe(script, plant, told);
    let failure = violation.map(|violation| Failure {
        script: script.clone(),
        violation,
        story: story.clone(),
    });
    Replay { events, digest, failure, story }
}

pub(crate) fn universe(script: &Script, plant: Option<Plant>, told: Told) -> Outcome {
    let mut world = match World::new(script, plant, told) {
        Ok(world) => world,
        Err(violation) => {
            return Outcome { violation: Some(violation), ..Outcome::default() };
        }
    };
    // A failed assertion in a replica is a finding like any other. The world is only read after it.
    let checked = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let what = text.unwrap_or("a panic without words").to_owned();
        Err(Violation { invariant: "assertion", what })
    });
    world.outcome(checked)
}
