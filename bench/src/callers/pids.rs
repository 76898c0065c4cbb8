use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

use super::Used;

/// Processes of a system on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pids(pub Vec<u32>);

impl Pids {
    /// What they have used so far. If one is gone, or none is named, nothing is known.
    pub(crate) fn used(&self) -> Option<Used> {
        let mut all = Used::default();
        for pid in &self.0 {
            all.cpu_us = all.cpu_us.saturating_add(cpu_us(*pid)?);
            all.resident_bytes = all.resident_bytes.max(resident_bytes(*pid)?);
        }
        (!self.0.is_empty()).then_some(all)
    }
}

fn cpu_us(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Fields are counted after the name, which may hold anything but ends in `)`.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let ticks = field(11)?.saturating_add(field(12)?);
    Some(ticks.saturating_mul(1_000_000) / clock_ticks_per_second())
}

fn resident_bytes(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(page_size() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_uses_is_known_while_it_is_there() {
        assert_eq!(Pids::default().used().map(|used| used.cpu_us), None);
        if cfg!(target_os = "linux") {
            let own = Pids(vec![std::process::id()]).used().unwrap();
            assert!(own.resident_bytes > 1 << 16, "{own:?}");
            // No process has this number: it is above the largest that Linux gives.
            assert!(Pids(vec![1 << 23]).used().is_none());
        }
    }
}
