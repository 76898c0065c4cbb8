//! What the health pages say, as values.

use std::time::Duration;

use crate::page::Found;

/// A disk thread that has been at one thing for so long does not answer.
const DISK_SILENT_MAX: Duration = Duration::from_secs(10);

/// How the loop and the disk thread are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alive {
    pub(crate) disk_busy_for: Duration,
}

impl Alive {
    pub(crate) fn check(self) -> Found {
        if self.disk_busy_for < DISK_SILENT_MAX {
            return Ok(());
        }
        Err(format!("the disk thread has been at one thing for {:?}", self.disk_busy_for))
    }
}

/// The named checks of readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Quorum,
    LocalRead,
    LinearizableRead,
    StateHash,
    DiskFree,
    Certificate,
}

impl Name {
    pub(crate) const ALL: [Name; 6] = [
        Name::Quorum,
        Name::LocalRead,
        Name::LinearizableRead,
        Name::StateHash,
        Name::DiskFree,
        Name::Certificate,
    ];

    pub(crate) const WORDS: [&'static str; 6] = [
        Name::Quorum.as_str(),
        Name::LocalRead.as_str(),
        Name::LinearizableRead.as_str(),
        Name::StateHash.as_str(),
        Name::DiskFree.as_str(),
        Name::Certificate.as_str(),
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Name::Quorum => "quorum",
            Name::LocalRead => "local_read",
            Name::LinearizableRead => "linearizable_read",
            Name::StateHash => "state_hash",
            Name::DiskFree => "disk_free",
            Name::Certificate => "certificate",
        }
    }
}

/// What the driver knows by itself. The linearizable read takes a round of its own, and room on the
/// disk is asked of the system.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) quorum: Found,
    pub(crate) local_read: Found,
    pub(crate) state_hash: Found,
    pub(crate) certificate: Found,
    pub(crate) disk_full: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk thread that is stuck makes the node dead, not merely unready.
    #[test]
    fn a_stuck_disk_thread_is_not_alive() {
        assert!(Alive { disk_busy_for: Duration::from_millis(20) }.check().is_ok());
        assert!(Alive { disk_busy_for: DISK_SILENT_MAX }.check().is_err());
    }
}
