//! L2: while the owner of a lease counts on it, by its own clock from before the renewal was sent,
//! the log does not end it, nobody else counts on its locks and offices, and what it does under
//! them is not refused. What an operator takes away is the exception.

use std::collections::BTreeMap;

use synod_machine::{LeaseId, Name, Revision};

use super::Leases;
use crate::{
    sights::Sight,
    violation::{Checked, demand},
};

impl Leases {
    /// The end of a lease is applied; it may have ended before.
    pub(super) fn expires(&mut self, lease: LeaseId, now: u64) -> Checked {
        if !self.live.remove(&lease) {
            return Ok(());
        }
        self.expired.insert(lease, now);
        self.seen.see(Sight::LeaseExpired);
        self.not_too_early(lease)
    }

    /// A holder was granted a lease, and counts on it until then.
    pub(crate) fn granted(&mut self, holder: usize, lease: LeaseId, until_us: u64) -> Checked {
        if !self.broken.has_lease(lease) {
            self.holders.insert(holder, (lease, BTreeMap::new()));
        }
        self.extended(lease, until_us)
    }

    /// A holder has heard that its lease lives, and counts on it until then.
    pub(crate) fn extended(&mut self, lease: LeaseId, until_us: u64) -> Checked {
        let counted = self.counted_on.entry(lease).or_default();
        *counted = (*counted).max(until_us);
        self.not_too_early(lease)
    }

    /// A holder has the lock, and counts on it until then.
    pub(crate) fn holds(
        &mut self,
        holder: usize,
        lease: LeaseId,
        (name, token): (&Name, Revision),
        (now, until_us): (u64, u64),
    ) -> Checked {
        if until_us <= now || self.is_broken(lease, name, token) {
            return Ok(());
        }
        self.is_alone(holder, lease, name, (now, until_us))?;
        if let Some((_, locks)) = self.holders.get_mut(&holder) {
            locks.insert(name.clone(), token);
        }
        self.seen.see(Sight::LockHeld);
        Ok(())
    }

    /// A holder that had let its lease run out has heard that it lives, and its lock with it.
    pub(crate) fn goes_on(
        &mut self,
        holder: usize,
        (name, token): (&Name, Revision),
        (now, until_us): (u64, u64),
    ) -> Checked {
        let Some((lease, _)) = self.holders.get(&holder).filter(|_| until_us > now) else {
            return Ok(());
        };
        if self.is_broken(*lease, name, token) {
            return Ok(());
        }
        self.is_alone(holder, *lease, name, (now, until_us))?;
        if let Some((_, locks)) = self.holders.get_mut(&holder) {
            locks.insert(name.clone(), token);
        }
        Ok(())
    }

    /// Nobody else counts on the lock.
    fn is_alone(
        &self,
        holder: usize,
        lease: LeaseId,
        name: &Name,
        (now, until_us): (u64, u64),
    ) -> Checked {
        if self.clocks_agree {
            for (other, (their, locks)) in &self.holders {
                let until = self.counted_on.get(their).copied().unwrap_or(0);
                demand!(
                    *other == holder || !locks.contains_key(name) || until <= now,
                    "L2",
                    "holders {holder} and {other} count on {name} at once: on lease {lease} until \
                     {until_us} us, on lease {their} until {until} us"
                );
            }
        }
        Ok(())
    }

    /// What a holder does under a lock that it counts on still is refused.
    pub(crate) fn is_refused(
        &mut self,
        holder: usize,
        (name, token): (&Name, Revision),
        now: u64,
    ) -> Checked {
        if self.broken.has_lock(name, token) {
            self.seen.see(Sight::BrokenRefused);
        }
        let Some((lease, locks)) = self.holders.get(&holder) else { return Ok(()) };
        let until = self.counted_on.get(lease).copied().unwrap_or(0);
        demand!(
            !self.clocks_agree || !locks.contains_key(name) || until <= now,
            "L2",
            "holder {holder} is refused at {now} us under {name}; on lease {lease} it counts on it \
             until {until} us"
        );
        Ok(())
    }

    /// Whether the owner of a lease may count on it at this moment.
    pub(in crate::checks) fn counts(&self, lease: LeaseId, now: u64) -> bool {
        self.clocks_agree && self.counted_on.get(&lease).is_some_and(|until| *until > now)
    }

    /// A holder counts on a lock no more.
    pub(crate) fn lets_go(&mut self, holder: usize, name: &Name) {
        if let Some((_, locks)) = self.holders.get_mut(&holder) {
            locks.remove(name);
        }
    }

    /// A holder counts on its lease no more.
    pub(crate) fn gives_up(&mut self, holder: usize) {
        self.holders.remove(&holder);
    }

    /// A holder that counts on its lease still hears that it is over.
    pub(crate) fn is_over(&mut self, holder: usize, now: u64) -> Checked {
        let Some((lease, _)) = self.holders.get(&holder) else { return Ok(()) };
        let until = self.counted_on.get(lease).copied().unwrap_or(0);
        demand!(
            !self.clocks_agree || until <= now,
            "L2",
            "lease {lease} of holder {holder} is over at {now} us; it stands until {until} us"
        );
        Ok(())
    }

    /// A lease ends for its owner's silence only when the owner, too, counts on it no longer.
    fn not_too_early(&self, lease: LeaseId) -> Checked {
        let (Some(ended), Some(until)) = (self.expired.get(&lease), self.counted_on.get(&lease))
        else {
            return Ok(());
        };
        demand!(
            !self.clocks_agree || until <= ended,
            "L2",
            "lease {lease} is ended at {ended} us; its owner counts on it until {until} us"
        );
        Ok(())
    }
}
