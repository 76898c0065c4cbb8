//! What this process has used, as the kernel counts it.

use std::fs;

use rustix::{
    param::page_size,
    time::{ClockId, clock_gettime},
};
use synod_machine::door::{Spent, Stages};

/// With where its batches have spent their time.
pub(crate) fn spent(stages: Stages) -> Spent {
    Spent { cpu_us: cpu_us(), resident_bytes: resident_bytes().unwrap_or_default(), stages }
}

fn cpu_us() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let whole = u64::try_from(used.tv_sec).unwrap_or_default().saturating_mul(1_000_000);
    whole.saturating_add(u64::try_from(used.tv_nsec).unwrap_or_default() / 1_000)
}

/// The second word of `/proc/self/statm` counts pages; where there is no such file, nothing is
/// known.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(page_size() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever works uses time; whoever runs holds memory.
    #[test]
    fn a_process_that_works_has_used_something() {
        let before = spent(Stages::default());
        let mut sum = 0u64;
        while cpu_us() <= before.cpu_us {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        if cfg!(target_os = "linux") {
            assert!(before.resident_bytes > 1 << 16, "{before:?}");
        }
    }
}
