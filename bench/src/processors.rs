//! What this process uses of the processors, and how busy they are.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Processor time of this process so far, all threads together.
pub(crate) fn own_cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(u64::try_from(used.tv_sec).unwrap_or_default());
    seconds + Duration::from_nanos(u64::try_from(used.tv_nsec).unwrap_or_default())
}
