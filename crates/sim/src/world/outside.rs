//! What goes wrong with those outside the cluster.

use super::{
    World,
    troubles::{OFF_US, PAUSE_US, WHILE_US},
};
use crate::{
    event::{Caller, Event},
    network::Place,
    plan::MS,
    sights::Sight,
    trouble::Trouble,
    txn::Ill,
    violation::Checked,
};

impl World {
    /// Somebody outside the cluster loses some of the others out of sight.
    pub(super) fn stray(&mut self) {
        let Some(caller) = self.some_caller(Trouble::Stray) else { return };
        let until = self.a_while(Trouble::Stray, WHILE_US);
        let participants = (0..self.participants.len()).map(Caller::Participant);
        let owners = (0..self.owners.len()).map(Caller::Owner);
        let nodes = (1..=self.plan.voters).map(Place::Node);
        let all = nodes.chain(participants.chain(owners).map(Place::Caller));
        let rng = self.chance(Trouble::Stray);
        let most = rng.bool();
        let others: Vec<Place> = all.filter(|_| most || rng.bool()).collect();
        self.network.lose(caller, &others, until);
        if !others.is_empty() {
            self.watch.seen.see(Sight::Strayed);
        }
        self.story.tell(self.now_us, || format!("{caller:?} loses {others:?} until {until} us"));
    }

    pub(super) fn doze(&mut self) {
        let Some(caller) = self.some_caller(Trouble::Doze) else { return };
        let until = self.a_while(Trouble::Doze, PAUSE_US);
        self.dozing.insert(caller, until);
        self.watch.seen.see(Sight::Dozed);
        self.story.tell(self.now_us, || format!("{caller:?} stands still until {until} us"));
    }

    pub(super) fn replace_owner(&mut self) {
        let Some(place) = self.chance_below(Trouble::Owner, self.owners.len()) else { return };
        if self.owners[place].is_deciding() {
            self.watch.seen.see(Sight::DeathDeciding);
        }
        self.owners[place].replace(self.now_us);
        self.watch.seen.see(Sight::Death);
        self.story.tell(self.now_us, || format!("owner {place} dies, and another takes its place"));
        let caller = Caller::Owner(place);
        let at = self.now_us + self.draw(Trouble::Owner, (0, 100 * MS));
        self.queue.plan(at, Event::Alarm { caller });
    }

    pub(super) fn trouble_participant(&mut self, trouble: Trouble) -> Checked {
        let Some(place) = self.chance_below(trouble, self.participants.len()) else {
            return Ok(());
        };
        let until = self.a_while(trouble, WHILE_US);
        let ill = match (trouble, self.draw(trouble, (0, 5))) {
            (Trouble::Vault, 0 | 1) => Ill::Stalls { until_us: until },
            (Trouble::Vault, 2 | 3) => Ill::Fails,
            (Trouble::Vault, _) => Ill::Full { until_us: until },
            (_, 0..3) => Ill::CutAfterSync,
            (_, _) => return self.crash_participant(place, "loses its power"),
        };
        if let Ill::Stalls { .. } = ill {
            self.watch.seen.see(Sight::ShardStalled);
        }
        self.story.tell(self.now_us, || format!("participant {place}: {ill:?}"));
        self.participants[place].falls(ill);
        Ok(())
    }

    /// A participant's process ends, and another begins after a while.
    pub(super) fn crash_participant(&mut self, place: usize, story: &str) -> Checked {
        self.story.tell(self.now_us, || format!("participant {place} {story}"));
        self.watch.seen.see(Sight::Death);
        self.participants[place].crash(&mut self.watch)?;
        let back = self.now_us + self.rng.u64(OFF_US.0..=OFF_US.1);
        self.queue.plan(back, Event::Return { participant: place });
        Ok(())
    }

    fn some_caller(&mut self, trouble: Trouble) -> Option<Caller> {
        let clients = (0..self.clients.len()).map(Caller::Client);
        let owners = (0..self.owners.len()).map(Caller::Owner);
        let participants = (0..self.participants.len()).map(Caller::Participant);
        let holders = (0..self.holders.len()).map(Caller::Holder);
        let all: Vec<Caller> = clients.chain(owners).chain(participants).chain(holders).collect();
        self.chance(trouble).choice(all)
    }
}
