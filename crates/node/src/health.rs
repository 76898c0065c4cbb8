//! What the health pages say, as values.

use std::{fmt, time::Duration};

/// A disk thread that has been at one thing for so long does not answer.
const DISK_SILENT_MAX: Duration = Duration::from_secs(10);

/// How the loop and the disk thread are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alive {
    pub(crate) disk_busy_for: Duration,
}

impl Alive {
    pub(crate) fn check(self) -> Result<(), String> {
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

    pub(crate) fn of(text: &str) -> Option<Name> {
        Name::ALL.into_iter().find(|name| name.as_str() == text)
    }

    pub(crate) fn as_str(self) -> &'static str {
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

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a check found: nothing, or what is wrong.
pub(crate) type Found = Result<(), String>;

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

/// The page: a line a check when asked for or when one failed, and the verdict.
pub(crate) fn page(found: &[(Name, Found)], verbose: bool) -> (bool, String) {
    let ready = found.iter().all(|(_, found)| found.is_ok());
    let mut text = String::new();
    for (name, found) in found {
        match found {
            Ok(()) if verbose => text.push_str(&format!("[+] {name} ok\n")),
            Ok(()) => {}
            Err(why) => text.push_str(&format!("[-] {name} failed: {why}\n")),
        }
    }
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    (ready, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operations §7.1: named checks; what fails says why even without `?verbose`.
    #[test]
    fn a_failed_check_is_named_with_its_reason() {
        let found = [(Name::Quorum, Ok(())), (Name::Certificate, Err("ended".to_owned()))];
        let short = (false, "[-] certificate failed: ended\nnot ready\n".to_owned());
        assert_eq!(page(&found, false), short);
        assert!(page(&found, true).1.starts_with("[+] quorum ok\n"));
        assert_eq!(page(&found[..1], false), (true, "ready\n".to_owned()));
    }

    /// A disk thread that is stuck makes the node dead, not merely unready.
    #[test]
    fn a_stuck_disk_thread_is_not_alive() {
        assert!(Alive { disk_busy_for: Duration::from_millis(20) }.check().is_ok());
        assert!(Alive { disk_busy_for: DISK_SILENT_MAX }.check().is_err());
    }
}
