use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    run::{Run, universe},
    story::Told,
    world::Outcome,
};

/// Runs the universes of `run` in threads, and hands their outcomes over in the order of their
/// seeds, with the time that has passed, until `more` wants no more: what is handed over does not
/// depend on how many threads there are.
pub(crate) fn side_by_side(run: &Run, mut more: impl FnMut(u64, Duration, Outcome) -> bool) {
    let began = Instant::now();
    let (given_out, enough) = (AtomicU64::new(0), AtomicBool::new(false));
    let late = || run.within.is_some_and(|within| began.elapsed() >= within);
    let (done, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..run.threads.max(1) {
            let (done, given_out, enough, late) = (done.clone(), &given_out, &enough, &late);
            scope.spawn(move || {
                while !enough.load(Ordering::Relaxed) && !late() {
                    let count = given_out.fetch_add(1, Ordering::Relaxed);
                    if count >= run.seeds {
                        return;
                    }
                    let script = run.script(run.first.wrapping_add(count));
                    let outcome = universe(&script, run.plant, Told::Nothing);
                    if done.send((count, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        for (count, outcome) in outcomes {
            waiting.insert(count, outcome);
            while let Some(outcome) = waiting.remove(&next) {
                if enough.load(Ordering::Relaxed) {
                    break;
                }
                let on = more(run.first.wrapping_add(next), began.elapsed(), outcome);
                enough.store(!on, Ordering::Relaxed);
                next += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(threads: usize, stop_after: u64) -> Vec<(u64, u64)> {
        let run = Run { first: 5, seeds: 7, threads, ..Run::default() };
        let mut seen = Vec::new();
        side_by_side(&run, |seed, _, outcome| {
            seen.push((seed, outcome.digest));
            seed < stop_after
        });
        seen
    }

    /// However many threads there are, the same outcomes come in the same order, up to the same
    /// end.
    #[test]
    fn outcomes_do_not_depend_on_the_number_of_threads() {
        let alone = seen(1, 100);
        assert_eq!(alone.iter().map(|(seed, _)| *seed).collect::<Vec<_>>(), Vec::from_iter(5..12));
        assert_eq!(seen(4, 100), alone);
        assert_eq!(seen(3, 9), alone[..5]);
    }
}
