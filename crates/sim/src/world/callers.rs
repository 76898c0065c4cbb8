//! What happens between callers and nodes.

use synod_machine::{
    Answer,
    door::{Ask, Said},
    participant_door as door,
};
use synod_paxos::{Envelope, Message, NodeId};
use synod_replica::{ClientId, Response, Status};

use super::World;
use crate::{
    checks::{acknowledged, leases},
    client::Wish,
    event::{Caller, Event},
    holder::Wants,
    network::Place,
    sights::Sight,
    txn::{Acts, Participant, Report, Sealed, Speaker, Teller},
    violation::Checked,
};

impl World {
    /// A node answers a call.
    pub(super) fn respond(&mut self, id: NodeId, client: ClientId, response: Response) -> Checked {
        let Some(up) = &mut self.node(id).up else { return Ok(()) };
        let (status, asked) = (up.replica.status(), up.calls.remove(&client));
        let is_told = matches!(response, Response::Said(Said::Answer(_) | Said::Kept));
        self.watch.succession.answers(client, &status, is_told)?;
        self.watch.current.answers(client, (id, status.applied), &response)?;
        if self.plan.reading {
            self.reads(&status, &response)?;
        }
        let Some((caller, call)) = asked else { return Ok(()) };
        if self.installs && tells_of_changes(&response) {
            self.watch.seen.see(Sight::WatchedInstall);
        }
        self.trace.response(&response);
        self.story.tell(self.now_us, || format!("{id} answers {caller:?}: {response:?}"));
        let (from, to) = (Place::Node(id.get()), Place::Caller(caller));
        for delay in self.network.copies(from, to, self.now_us) {
            let response = response.clone();
            self.queue.plan(self.now_us + delay, Event::Answer { caller, call, response });
        }
        Ok(())
    }

    /// What a node says of reads, or of writes that others may read without.
    fn reads(&mut self, status: &Status, response: &Response) -> Checked {
        match response {
            Response::Said(Said::Reply(_)) => acknowledged::tells(status, &self.held())?,
            Response::Said(Said::Answer(_)) if !status.serving => {
                self.watch.seen.see(Sight::NearbyRead);
            }
            Response::Said(Said::Stale {
                answer: Answer::Key { revision, .. },
                age_ms: Some(age_ms),
            }) => {
                self.watch.seen.see(Sight::Aged);
                self.watch.clients.ages.answers(self.now_us, *revision, *age_ms)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// An answer arrives at its caller.
    pub(super) fn answer(&mut self, caller: Caller, call: u64, response: &Response) -> Checked {
        let (now, watch) = (self.now_us, &mut self.watch);
        match caller {
            Caller::Client(place) => {
                let wish = self.clients[place].hear(now, call, response, &mut watch.clients)?;
                self.grant(caller, wish);
            }
            Caller::Owner(place) => {
                let acts = self.owners[place].hear(now, call, response, watch)?;
                self.act(caller, acts);
            }
            Caller::Participant(place) => {
                let acts = self.participants[place].hear(now, call, response, watch)?;
                self.act(caller, acts);
            }
            Caller::Holder(place) => {
                let wants = self.holders[place].hear(now, call, response, watch)?;
                self.serve(caller, wants);
            }
            Caller::Observer(place) => {
                let wants = self.observers[place].hear(now, call, response, watch)?;
                self.serve(caller, wants);
            }
            // It asks no node.
            Caller::Auditor(_) => {}
        }
        Ok(())
    }

    /// A caller's moment to wake.
    pub(super) fn alarm(&mut self, caller: Caller) -> Checked {
        let (now, watch) = (self.now_us, &mut self.watch);
        match caller {
            Caller::Client(place) => {
                let wish = self.clients[place].wake(now, &mut watch.clients)?;
                self.grant(caller, wish);
            }
            Caller::Owner(place) => {
                let looks: Vec<_> = self.participants.iter().map(Participant::look).collect();
                let acts = self.owners[place].wake(now, &looks, watch)?;
                self.act(caller, acts);
            }
            Caller::Participant(place) => {
                let acts = self.participants[place].wake(now, watch)?;
                self.act(caller, acts);
            }
            Caller::Holder(place) => {
                let wants = self.holders[place].wake(now, watch)?;
                self.serve(caller, wants);
            }
            Caller::Observer(place) => {
                let wants = self.observers[place].wake(now);
                self.serve(caller, wants);
            }
            Caller::Auditor(place) => {
                let acts = self.auditors[place].wake(now, watch);
                self.act(caller, acts);
            }
        }
        Ok(())
    }

    /// A word of an owner or an auditor arrives at a participant.
    pub(super) fn errand(&mut self, from: Speaker, to: usize, call: door::Call) -> Checked {
        self.story.tell(self.now_us, || format!("participant {to} hears {from:?}: {call:?}"));
        let acts = self.participants[to].errand(self.now_us, from, call, &mut self.watch)?;
        self.act(Caller::Participant(to), acts);
        Ok(())
    }

    /// What a participant says arrives at whoever spoke to it, if it is still there.
    pub(super) fn report(&mut self, from: usize, to: Speaker, said: &door::Said) -> Checked {
        let (now, watch) = (self.now_us, &mut self.watch);
        if let Speaker::Owner(teller) = to
            && self.owners[teller.owner].life() != teller.life
        {
            return Ok(());
        }
        self.story.tell(now, || format!("{to:?} hears participant {from}: {said:?}"));
        let acts = match to {
            Speaker::Owner(teller) => {
                self.owners[teller.owner].report(now, from, teller.txn, said, watch)?
            }
            Speaker::Auditor(question) => {
                let auditor = &mut self.auditors[question.auditor];
                let mut acts = Acts::default();
                auditor.report(now, question, said, &mut acts, watch)?;
                acts
            }
        };
        self.act(to.caller(), acts);
        Ok(())
    }

    /// The sync under way at a participant is done.
    pub(super) fn sealed(&mut self, place: usize, life: u64) -> Checked {
        let participant = &mut self.participants[place];
        if participant.life() != life {
            return Ok(());
        }
        match participant.sealed(self.now_us, &mut self.watch)? {
            Sealed::Goes(acts) => self.act(Caller::Participant(place), acts),
            Sealed::Dies(how) => self.crash_participant(place, how)?,
        }
        Ok(())
    }

    /// A participant is switched on.
    pub(super) fn switch_on(&mut self, place: usize) -> Checked {
        self.story.tell(self.now_us, || format!("participant {place} starts"));
        let acts = self.participants[place].start(self.now_us, &mut self.watch)?;
        self.act(Caller::Participant(place), acts);
        Ok(())
    }

    fn grant(&mut self, caller: Caller, wish: Wish) {
        if let Some((node, call, ask)) = wish.call {
            self.ask(NodeId::new(node), caller, call, &ask);
        }
        if let Some(at) = wish.wake_us {
            self.plan_alarm(caller, at);
        }
    }

    /// An owner whose lease somebody is about to end may ask for it in that very moment, where it
    /// is about to be ended: an answer that is not known yet is the hardest to give.
    pub(super) fn nudge(&mut self, envelope: &Envelope) {
        let Message::Accept { decree, .. } = &envelope.message else { return };
        if self.holders.is_empty() {
            return;
        }
        for lease in leases::ended_by(decree) {
            for place in 0..self.holders.len() {
                if self.holders[place].asks_now(lease, envelope.from.node) {
                    self.plan_alarm(Caller::Holder(place), self.now_us);
                }
            }
        }
    }

    /// Does what a holder or an observer wants.
    fn serve(&mut self, caller: Caller, wants: Wants) {
        for (node, call, ask) in wants.calls {
            self.ask(NodeId::new(node), caller, call, &ask);
        }
        if let Some(at) = wants.wake_us {
            self.plan_alarm(caller, at);
        }
    }

    /// Does what an owner, a participant or an auditor wants.
    fn act(&mut self, caller: Caller, acts: Acts) {
        for (node, call, ask) in acts.calls {
            self.ask(NodeId::new(node), caller, call, &ask);
        }
        match caller {
            Caller::Client(_) | Caller::Holder(_) | Caller::Observer(_) => {}
            Caller::Owner(place) => self.tell_participants(place, acts.errands),
            Caller::Participant(place) => self.report_to(place, acts.reports, acts.sync),
            Caller::Auditor(_) => {
                for (to, question, call) in acts.questions {
                    self.tell_participant(Speaker::Auditor(question), to, &call);
                }
            }
        }
        if let Some(at) = acts.wake_us {
            self.plan_alarm(caller, at);
        }
    }

    fn tell_participants(&mut self, owner: usize, errands: Vec<(usize, door::Call)>) {
        for (to, call) in errands {
            let (door::Call::Prepare { txn, .. } | door::Call::Finish { txn, .. }) = call else {
                continue;
            };
            let from = Teller { owner, life: self.owners[owner].life(), txn };
            self.tell_participant(Speaker::Owner(from), to, &call);
        }
    }

    fn tell_participant(&mut self, from: Speaker, to: usize, call: &door::Call) {
        self.trace.errand(call);
        for delay in self.delays(from.caller(), Caller::Participant(to)) {
            let call = call.clone();
            self.queue.plan(self.now_us + delay, Event::Errand { from, to, call });
        }
    }

    fn report_to(&mut self, from: usize, reports: Vec<Report>, sync: bool) {
        for Report { to, said } in reports {
            self.trace.report(&said);
            for delay in self.delays(Caller::Participant(from), to.caller()) {
                let said = said.clone();
                self.queue.plan(self.now_us + delay, Event::Report { from, to, said });
            }
        }
        if sync {
            self.trace.branch_facts(self.participants[from].on_their_way());
            let took = self.rng.u64(self.plan.sync_us.0..=self.plan.sync_us.1);
            let life = self.participants[from].life();
            let begins = self.participants[from].stalled_until_us().max(self.now_us);
            self.queue.plan(begins + took, Event::Sealed { participant: from, life });
        }
    }

    /// When each copy of a word between two outside the cluster arrives.
    fn delays(&mut self, from: Caller, to: Caller) -> Vec<u64> {
        self.network.copies(Place::Caller(from), Place::Caller(to), self.now_us)
    }

    /// Plans an alarm, unless an earlier one is planned already.
    fn plan_alarm(&mut self, caller: Caller, at_us: u64) {
        let at_us = at_us.max(self.now_us);
        let planned = self.alarms.get(&caller).copied();
        if planned.is_none_or(|planned| planned <= self.now_us || at_us < planned) {
            self.alarms.insert(caller, at_us);
            self.queue.plan(at_us, Event::Alarm { caller });
        }
    }

    fn ask(&mut self, node: NodeId, caller: Caller, call: u64, ask: &Ask) {
        self.trace.ask(ask);
        let (from, to) = (Place::Caller(caller), Place::Node(node.get()));
        for delay in self.network.copies(from, to, self.now_us) {
            let ask = ask.clone();
            self.queue.plan(self.now_us + delay, Event::Call { node, caller, call, ask });
        }
    }
}

/// Whether a watch is told of something.
fn tells_of_changes(response: &Response) -> bool {
    let some =
        |news: &Answer| matches!(news, Answer::Changes { changes, .. } if !changes.is_empty());
    match response {
        Response::Said(Said::Watched { news, .. }) => some(news),
        Response::Said(Said::WatchedAny { news, .. }) => news.iter().any(|(_, news)| some(news)),
        _ => false,
    }
}
