//! Commands of the services: who may, at which revision, and what goes on record.

use super::Machine;
use crate::{
    Act, BarrierCommand, ClaimCommand, ClaimReply, CounterCommand, ElectionCommand, ElectionReply,
    JournalCommand, LeaseCommand, LeaseId, LockCommand, LockReply, Name, Order, RegisterCommand,
    Rejection, Reply, SessionId,
};

impl Machine {
    pub(super) fn lease(
        &mut self,
        own: SessionId,
        command: LeaseCommand,
    ) -> Result<Reply, Rejection> {
        match command {
            LeaseCommand::Grant { ttl_ms } => {
                let owner = self.client(own)?;
                self.services.leases.grant(owner, ttl_ms, self.clock.now).map(Reply::Lease)
            }
            LeaseCommand::Revoke { lease } => match self.uses(own, lease) {
                Ok(_) => Ok(self.end_lease(lease)),
                Err(Rejection::LeaseEnded) => Ok(self.done()),
                Err(rejection) => Err(rejection),
            },
            LeaseCommand::Expire { lease, guard } => {
                let Some(renewals) = self.services.leases.signs_of_life(lease) else {
                    return self.lease_is_over(lease);
                };
                if guard.reign != self.reign || guard.renewals != renewals {
                    return Err(Rejection::ExpiryOverruled);
                }
                Ok(self.end_lease(lease))
            }
            LeaseCommand::Break { lease, actor, reason } => {
                let Some(owner) = self.services.leases.owner(lease).map(str::to_owned) else {
                    return self.lease_is_over(lease);
                };
                // On record before its effect.
                self.audit.note(self.clock.now, Act::LeaseBroken { lease, owner, actor, reason });
                Ok(self.end_lease(lease))
            }
        }
    }

    pub(super) fn lock(
        &mut self,
        own: SessionId,
        command: LockCommand,
    ) -> Result<Reply, Rejection> {
        let (name, lease) = match command {
            LockCommand::Acquire { name, lease, wait } => {
                let contender = (lease, self.uses(own, lease)?);
                let moment = (&mut self.revision, self.clock.now);
                let locks = &mut self.services.locks;
                let reply = locks.acquire(name, contender, wait, moment, &mut self.history)?;
                return Ok(Reply::Lock(reply));
            }
            LockCommand::Release { name, lease } => {
                self.uses(own, lease)?;
                (name, lease)
            }
            LockCommand::Break { name, actor, reason } => {
                let Some(holder) = self.services.locks.holder(&name) else {
                    return Ok(Reply::Lock(LockReply::Absent));
                };
                let (lease, broken) = (holder.lease, name.clone());
                let act = Act::LockBroken { name: broken, holder, actor, reason };
                self.audit.note(self.clock.now, act);
                (name, lease)
            }
        };
        let moment = (&mut self.revision, self.clock.now);
        let locks = &mut self.services.locks;
        Ok(Reply::Lock(locks.release(name, lease, moment, &mut self.history)))
    }

    pub(super) fn claim(
        &mut self,
        own: SessionId,
        command: ClaimCommand,
    ) -> Result<Reply, Rejection> {
        let claims = &mut self.services.claims;
        Ok(Reply::Claim(match command {
            ClaimCommand::Take { name, owner, lease } => {
                let client = match lease {
                    Some(lease) => self.uses(own, lease)?,
                    None => self.client(own)?,
                };
                let moment = (&mut self.revision, self.clock.now);
                let claims = &mut self.services.claims;
                claims.take(name, (owner, client), lease, moment, &mut self.history)?
            }
            ClaimCommand::Release { name, owner } => {
                let client = self.sessions.owner(own).ok_or(Rejection::UnknownSession)?;
                let by = (owner.as_str(), client);
                claims.release(name, by, &mut self.revision, &mut self.history)?
            }
            ClaimCommand::Break { name, actor, reason } => {
                let Some(claim) = claims.view(&name) else {
                    return Ok(Reply::Claim(ClaimReply::Absent));
                };
                self.audit.note(self.clock.now, Act::ClaimBroken { claim, actor, reason });
                claims.end(name, &mut self.revision, &mut self.history)
            }
        }))
    }

    pub(super) fn propose(
        &mut self,
        own: SessionId,
        command: RegisterCommand,
    ) -> Result<Reply, Rejection> {
        let RegisterCommand::Propose { name, value } = command;
        let by = self.client(own)?;
        let moment = (&mut self.revision, self.clock.now);
        let registers = &mut self.services.registers;
        Ok(Reply::Register(registers.propose(name, (value, by), moment, &mut self.history)?))
    }

    pub(super) fn count(
        &mut self,
        own: SessionId,
        command: CounterCommand,
    ) -> Result<Reply, Rejection> {
        let client = self.sessions.owner(own).ok_or(Rejection::UnknownSession)?;
        let (counters, moment) =
            (&mut self.services.counters, (&mut self.revision, &mut self.history));
        Ok(Reply::Counter(match command {
            CounterCommand::Add { name, by } => counters.add(name, by, client, moment)?,
            CounterCommand::Set { name, expect, to } => {
                counters.set(name, (expect, to), client, moment)?
            }
            CounterCommand::Delete { name } => counters.delete(name, moment),
        }))
    }

    pub(super) fn meet(
        &mut self,
        own: SessionId,
        command: BarrierCommand,
    ) -> Result<Reply, Rejection> {
        let used = match &command {
            BarrierCommand::Arrive { lease, .. } | BarrierCommand::Leave { lease, .. } => {
                Some(self.uses(own, *lease)?)
            }
            BarrierCommand::Remove { .. } => None,
        };
        let (revision, history) = (&mut self.revision, &mut self.history);
        let barriers = &mut self.services.barriers;
        Ok(Reply::Barrier(match command {
            BarrierCommand::Arrive { name, lease, parties } => {
                let party = (lease, used.unwrap_or_default());
                barriers.arrive(name, party, parties, revision, history)?
            }
            BarrierCommand::Leave { name, lease } => barriers.leave(name, lease, revision, history),
            BarrierCommand::Remove { name } => barriers.remove(name, revision, history),
        }))
    }

    pub(super) fn journal(
        &mut self,
        own: SessionId,
        command: JournalCommand,
    ) -> Result<Reply, Rejection> {
        let client = self.client(own)?;
        let journals = &mut self.services.journals;
        Ok(Reply::Journal(match command {
            JournalCommand::Append { name, value } => {
                let moment = (&mut self.revision, self.clock.now);
                journals.append(name, (value, client), moment, &mut self.history)?
            }
            JournalCommand::Trim { name, upto } => journals.trim(&name, upto, &mut self.revision),
            JournalCommand::Commit { name, group, position } => {
                journals.commit(name, group, position, &mut self.revision)?
            }
            JournalCommand::Forget { name, group } => {
                journals.forget(name, group, &mut self.revision)
            }
        }))
    }

    pub(super) fn elect(
        &mut self,
        own: SessionId,
        command: ElectionCommand,
    ) -> Result<Reply, Rejection> {
        let owner = match command.lease() {
            Some(lease) => self.uses(own, lease)?,
            None => self.client(own)?,
        };
        let moment = (&mut self.revision, self.clock.now);
        let (elections, history) = (&mut self.services.elections, &mut self.history);
        Ok(Reply::Election(match command {
            ElectionCommand::Stand { name, lease, candidate, priority, report } => {
                let who = (candidate, priority, report);
                elections.stand(name, (lease, owner), who, moment, history)?
            }
            ElectionCommand::Report { name, lease, report } => {
                elections.report(&name, lease, report, moment, history)
            }
            ElectionCommand::Proclaim { name, lease, token, value } => {
                elections.proclaim(&name, (lease, token), value, moment, history)
            }
            ElectionCommand::Leave { name, lease } => {
                elections.leave(&name, lease, moment, history)
            }
            ElectionCommand::Order { name, order, actor, reason } => {
                self.order(name, order, (actor, reason), &owner)?
            }
        }))
    }

    fn order(
        &mut self,
        name: Name,
        order: Order,
        (actor, reason): (String, String),
        owner: &str,
    ) -> Result<ElectionReply, Rejection> {
        let (elections, moment) =
            (&mut self.services.elections, (&mut self.revision, self.clock.now));
        let office = elections.office(&name);
        let by = (actor.clone(), reason.clone(), owner);
        let (reply, changed) =
            elections.order(&name, order.clone(), by, moment, &mut self.history)?;
        if changed {
            let act = Act::ElectionOrdered { name, order, office, actor, reason };
            self.audit.note(self.clock.now, act);
        }
        Ok(reply)
    }

    fn client(&self, own: SessionId) -> Result<String, Rejection> {
        self.sessions.owner(own).map(str::to_owned).ok_or(Rejection::UnknownSession)
    }

    /// The client of this session uses a lease, which only its owner may; who that is.
    pub(super) fn uses(&mut self, own: SessionId, lease: LeaseId) -> Result<String, Rejection> {
        let client = self.sessions.owner(own).ok_or(Rejection::UnknownSession)?;
        self.services.leases.used_by(lease, client)?;
        Ok(client.to_owned())
    }

    /// Ends a lease and, at one revision, everything that hangs on it.
    fn end_lease(&mut self, lease: LeaseId) -> Reply {
        if self.services.leases.end(lease) {
            let moment = (&mut self.revision, self.clock.now);
            self.services.lease_ended(lease, &mut self.keys, moment, &mut self.history);
        }
        self.done()
    }

    fn lease_is_over(&self, lease: LeaseId) -> Result<Reply, Rejection> {
        match self.services.leases.absent(lease) {
            Rejection::LeaseEnded => Ok(self.done()),
            rejection => Err(rejection),
        }
    }
}
