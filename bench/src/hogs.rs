use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::BenchError;

/// Threads that want every core all the time, until this is dropped.
#[derive(Debug)]
pub(crate) struct Hogs {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Hogs {
    /// One for each core, so much nicer to others than this process is.
    pub(crate) fn start(nice: u8) -> Result<Hogs, BenchError> {
        let cores = thread::available_parallelism().map_err(BenchError::io("how many cores"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut hogs = Hogs { stop: Arc::clone(&stop), threads: Vec::new() };
        for _ in 0..cores.get() {
            let stop = Arc::clone(&stop);
            let hog = thread::Builder::new().name("hog".to_owned()).spawn(move || {
                // On Linux a thread has a niceness of its own (nice(2), "C library/kernel
                // differences"). Being nicer is always allowed.
                let _ = rustix::process::nice(i32::from(nice));
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            hogs.threads.push(hog.map_err(BenchError::io("a thread"))?);
        }
        Ok(hogs)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for hog in self.threads.drain(..) {
            // It has nothing that could panic.
            let _ = hog.join();
        }
    }
}
