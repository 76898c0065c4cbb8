//! Running universes with a bug in them until one of them fails.

use std::{
    collections::VecDeque,
    error::Error,
    fmt, fs,
    path::Path,
    process::Command,
    str::FromStr,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use synod_sim::{Run, run};

use super::copy::PLANTED_ENV;

/// Seeds that a bug may hide for.
pub(crate) const SEEDS: u64 = 2_000;

/// Beyond so much memory, in pages of the kernel, a universe will not end.
const PAGES_MAX: u64 = (2 << 30) / 4_096;

/// What separates the parts of an answer: no message of ours holds one.
const BETWEEN: char = '\t';

/// One hunt: which bug, and from which seed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) number: usize,
    pub(super) first: u64,
    pub(super) seeds: u64,
}

/// How it was caught.
#[derive(Clone, Debug)]
pub(crate) struct Catch {
    pub(super) seeds: u64,
    pub(super) invariant: String,
    pub(super) what: String,
}

/// What a hunt has come to; the error says why nobody knows.
pub(super) type Answer = Result<Option<Catch>, String>;

/// Ends this process when a hunt for so many seeds goes on and on, or takes all memory: a bug may
/// keep a universe from ever ending.
pub(crate) fn watch(seeds: u64) {
    let limit =
        Duration::from_secs(30).saturating_add(Duration::from_millis(seeds.saturating_mul(300)));
    let started = Instant::now();
    thread::spawn(move || {
        while started.elapsed() < limit && pages() < PAGES_MAX {
            thread::sleep(Duration::from_millis(100));
        }
        eprintln!("given up after {:.0?}", started.elapsed());
        std::process::exit(1);
    });
}

/// The memory of this process, where the kernel tells.
fn pages() -> u64 {
    let said = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    said.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}

/// Runs universes one after the other until one of them fails.
pub(crate) fn here(first: u64, seeds: u64) -> Option<Catch> {
    // A failed assertion is an answer here like any other: no need to shout.
    std::panic::set_hook(Box::new(|_| {}));
    let summary = run(&Run { first, seeds, threads: 1, ..Run::default() }, |_| {});
    let violation = &summary.failures.first()?.violation;
    let what = violation.what.lines().next().unwrap_or_default().replace(BETWEEN, " ");
    Some(Catch { seeds: summary.seeds, invariant: violation.invariant.to_owned(), what })
}

/// Runs every job in a process of `program`, as many side by side as there are cores, and hands
/// each answer on as it comes.
pub(super) fn all(
    program: &Path,
    jobs: impl IntoIterator<Item = Job>,
    mut heard: impl FnMut(Job, Answer) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let jobs: Mutex<VecDeque<Job>> = Mutex::new(jobs.into_iter().collect());
    let (done, answers) = mpsc::channel();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            let (jobs, done) = (&jobs, done.clone());
            scope.spawn(move || {
                let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(job) = next() {
                    // Nobody listens any more when another hunt has failed: then this one may too.
                    let _ =
                        done.send((job, there(program, job).map_err(|error| error.to_string())));
                }
            });
        }
        drop(done);
        for (job, answer) in answers {
            if let Err(error) = heard(job, answer) {
                jobs.lock().unwrap_or_else(PoisonError::into_inner).clear();
                return Err(error);
            }
        }
        Ok(())
    })
}

fn there(program: &Path, job: Job) -> Result<Option<Catch>, Box<dyn Error>> {
    let output = Command::new(program)
        .args(["hunt", &job.first.to_string(), &job.seeds.to_string()])
        .env(PLANTED_ENV, job.number.to_string())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("bug {}: {}: {said}", job.number, output.status).into());
    }
    let said = String::from_utf8(output.stdout)?;
    if said.is_empty() { Ok(None) } else { said.trim_end().parse().map(Some) }
}

impl fmt::Display for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{BETWEEN}{}{BETWEEN}{}", self.seeds, self.invariant, self.what)
    }
}

impl FromStr for Catch {
    type Err = Box<dyn Error>;

    fn from_str(said: &str) -> Result<Catch, Box<dyn Error>> {
        let parts: Vec<&str> = said.splitn(3, BETWEEN).collect();
        let [seeds, invariant, what] = parts[..] else { return Err(said.into()) };
        Ok(Catch { seeds: seeds.parse()?, invariant: invariant.to_owned(), what: what.to_owned() })
    }
}
