//! What a holder does next.

use synod_machine::{Command, LeaseCommand, LeaseId, Request, RequestId, Revision, door::Call};

use super::{Doing, Has, Holder, SESSION_MS, Stake, TTL_MS, What};
use crate::{
    checks::Watch,
    plan::MS,
    prize::{self, Prize},
    sights::Sight,
};

impl Holder {
    pub(super) fn next(&mut self, now: u64, watch: &mut Watch) -> Option<(What, Command)> {
        if self.doing == Doing::Resting {
            return None;
        }
        if self.session.is_none() {
            let owner = format!("holder {}", self.place);
            return Some((What::Open, Command::OpenSession { owner, ttl_ms: SESSION_MS }));
        }
        if self.left == Some(0) {
            self.doing = Doing::Leaving;
        }
        let Some(lease) = self.lease.as_ref().map(|lease| lease.id) else {
            if self.doing == Doing::Leaving {
                self.doing = Doing::Resting;
                return None;
            }
            let ttl_ms = self.rng.u64(TTL_MS.0..=TTL_MS.1);
            let grant = Command::Lease(LeaseCommand::Grant { ttl_ms });
            return Some((What::Grant { ttl_us: ttl_ms * MS }, grant));
        };
        if let (Doing::Living, Some(Stake { prize, has: Has::It(token) })) =
            (self.doing, &self.stake)
            && self.rng.bool()
        {
            if matches!(prize, Prize::Office(_)) && self.rng.u8(0..3) == 0 {
                // Somebody looks who has it, and would rather have another.
                return Some((What::Order, prize::order(self.holders, &mut self.rng)));
            }
            let command = prize.use_it(lease, *token, &mut self.standing, &mut self.rng);
            return Some((What::Use, command));
        }
        let gives_back = self.stake.is_some() || self.doing == Doing::Leaving;
        if gives_back && !self.is_reaped(now, watch) {
            return None;
        }
        match &self.stake {
            _ if self.doing == Doing::Leaving => {
                watch.leases.gives_up(self.place);
                Some((What::Revoke, Command::Lease(LeaseCommand::Revoke { lease })))
            }
            Some(Stake { prize, .. }) => {
                // It has held it for a while: from here on it does not count on it.
                watch.leases.lets_go(self.place, prize.name());
                Some((What::Release, prize.give_back(lease)))
            }
            None => Some(self.something(lease, watch)),
        }
    }

    /// What it does under what it has must have ended before it gives that back, or it would go on
    /// beside what the next one does.
    fn is_reaped(&mut self, now: u64, watch: &mut Watch) -> bool {
        match self.child.reap(now, &mut self.rng) {
            Err(ends_us) if !self.hasty => {
                watch.seen.see(Sight::ChildAwaited);
                self.think_until_us = ends_us;
                false
            }
            Err(_) => true,
            Ok(()) => {
                self.child.kill(self.place, watch);
                true
            }
        }
    }

    /// What it does that has nothing.
    fn something(&mut self, lease: LeaseId, watch: &mut Watch) -> (What, Command) {
        if self.breaks && self.rng.u8(0..8) == 0 {
            return (What::Break, prize::break_something(lease, &mut self.rng));
        }
        if self.elections && self.rng.u8(0..4) == 0 {
            return (What::Order, prize::order(self.holders, &mut self.rng));
        }
        if self.rng.u8(0..16) == 0 {
            let upto = self.watched.1.get().saturating_sub(self.rng.u64(5..40));
            return (What::Compact, Command::Compact { upto: Revision::new(upto) });
        }
        if self.rng.u8(0..12) == 0 {
            watch.leases.gives_up(self.place);
            return (What::Revoke, Command::Lease(LeaseCommand::Revoke { lease }));
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        let prize = Prize::draw(self.elections, &mut self.rng);
        let ask = prize.ask(lease, &mut self.standing, &mut self.rng);
        (What::Acquire { prize, floor: Revision::ZERO }, ask)
    }

    /// Whoever waits may give it up; a candidate that said that it must not be granted, or is too
    /// far behind, would wait for ever.
    pub(super) fn relent(&mut self, now: u64, watch: &mut Watch) {
        let (Some(lease), Some(Stake { prize, has: Has::Queued(after) })) =
            (self.lease.as_ref().map(|lease| lease.id), &self.stake)
        else {
            return;
        };
        let (prize, after) = (prize.clone(), *after);
        let what = What::Relent { after };
        let chance = self.rng.u8(0..24);
        let relent = match prize.relent(lease, &mut self.standing, &mut self.rng) {
            Some(relent) => relent,
            None if chance > 0 => return,
            None => prize.give_back(lease),
        };
        self.think(now);
        match chance {
            // The rules may be such that its turn never comes.
            0..=1 => self.ask_again(now, What::Release, prize.give_back(lease), watch),
            2..=9 => self.ask_again(now, what, relent, watch),
            10..=13 => {
                let again = prize.stand_again(lease, &mut self.standing, &mut self.rng);
                self.stake = None;
                self.ask_again(now, What::Acquire { prize, floor: after }, again, watch);
            }
            14.. if self.left.is_some() => self.ask_again(now, what, relent, watch),
            14.. => return,
        }
        self.waiting = None;
    }

    /// Whether it is a candidate that waits.
    pub(super) fn stands(&self) -> bool {
        matches!(self.stake, Some(Stake { prize: Prize::Office(_), has: Has::Queued(_) }))
    }

    pub(super) fn ask_again(&mut self, now: u64, what: What, command: Command, watch: &mut Watch) {
        let Some(session) = self.session.filter(|_| self.main.is_none()) else { return };
        self.seq = self.seq.next();
        let id = RequestId { session, seq: self.seq };
        let request = Request { id: Some(id), acked: id.seq, command };
        watch.clients.asks(&request);
        self.main = Some((what, self.errand(Call::Submit(request)), now));
    }
}
