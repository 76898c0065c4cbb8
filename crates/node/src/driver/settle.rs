//! Carrying out what the replica wants, until it wants nothing more.

use std::{mem, time::Instant};

use synod_paxos::Durably;
use synod_replica::{ClientId, Input, Passed, Response};
use tracing::warn;

use super::{Driver, reports::micros};

impl Driver {
    /// Sends, syncs, reads and answers; steps in what this node says to itself and what time
    /// brings.
    pub(super) fn settle(&mut self) {
        loop {
            let wake_at = self.replica.wake_at();
            if wake_at.is_some_and(|at| at <= self.clock.now()) {
                self.step(Input::Wake);
            }
            while let Some(input) = self.state.to_self.pop_front() {
                self.step(input);
            }
            self.carry_out();
            if !self.state.to_self.is_empty() {
                continue;
            }
            self.disk.run(Instant::now());
            if !(self.disk.is_idle() && self.replica.gathered()) {
                break;
            }
            // Nothing more waits and the disk is free: what has gathered becomes a batch.
            self.step(Input::DiskFree);
            self.carry_out();
            self.disk.run(Instant::now());
            if self.state.to_self.is_empty() {
                break;
            }
        }
        // Each costs the network some work: the disk and the peers have theirs by now.
        for (way, said) in self.state.answers.drain(..) {
            way.say(said);
        }
        self.calls.listen(Instant::now(), &self.gone);
        self.watch();
    }

    /// Empties `out` to where its parts belong.
    fn carry_out(&mut self) {
        let out = mem::take(&mut self.state.out);
        self.disk.give(out.durably);
        for (client, response) in out.responses {
            self.respond(client, response);
        }
        for leased in out.leased {
            // The clock is looked at after the state was read, however long ago the step began.
            match leased.open(self.clock.now()) {
                Ok((client, response)) => self.respond(client, response),
                Err(lapsed) => self.state.to_self.push_back(Input::Lapsed(lapsed)),
            }
        }
        self.note_stages(out.passed);
        self.speak(out.at_once);
        for checkpoint in out.checkpoints {
            self.tell(checkpoint);
        }
        for fetch in out.fetch {
            self.disk.fetch(fetch);
        }
        for job in out.shelf {
            self.shelves.give(job);
        }
        for (node, carried) in out.carried {
            self.carry(node, carried);
        }
    }

    /// What is left of a batch once it is chosen is to apply it and to answer: done by now.
    fn note_stages(&mut self, passed: Vec<Passed>) {
        if passed.is_empty() {
            return;
        }
        let now = self.clock.now();
        let (metrics, stages) = (&self.metrics, &mut self.state.stages);
        let note = |stage, sum: &mut u64, after| {
            metrics.stage(stage, after);
            *sum = sum.saturating_add(micros(after));
        };
        for passed in passed {
            match passed {
                Passed::Queue(after) => note("queue", &mut stages.queue_us, after),
                Passed::Sync(after) => note("sync", &mut stages.sync_us, after),
                Passed::Quorum { after, at } => {
                    stages.batches += 1;
                    note("quorum", &mut stages.quorum_us, after);
                    note("apply", &mut stages.apply_us, now.since(at));
                }
            }
        }
    }

    fn respond(&mut self, client: ClientId, response: Response) {
        let said = match response {
            Response::Said(said) => said,
            Response::NotLeader(leader) => self.not_leader(leader),
        };
        self.answer(client, said);
    }

    /// Keeps facts that found no room, and lets others lead meanwhile.
    pub(super) fn disk_is_full(&mut self, batch: Durably) {
        if !self.disk.is_full() {
            warn!("the disk is full; free some space: this node refuses requests until then");
        }
        self.disk.full(batch, Instant::now());
        self.step_down();
    }
}
