//! What a step puts out, and where its parts go.

use std::collections::VecDeque;

use synod_paxos::{Envelope, NodeId, Role};
use synod_replica::{Checkpoint, Input, Leased, Output};

use super::World;
use crate::{
    checks::{acceptor::older_disk, alone::Held, vows},
    disk::Stop,
    event::Event,
    network::Place,
    node::Cut,
    plan::{CLOCKS_OFF_PPM, MS},
    sights::Sight,
    violation::{Checked, Violation},
};

/// How long a read of the store takes.
const FETCH_US: (u64, u64) = (50, 3 * MS);

/// A node that is to lose its power in the middle of a step does so in one in so many of those that
/// answer nobody.
const WORDS_ALONE_ONE_IN: u8 = 6;

impl World {
    /// Empties an output to where its parts belong; tells whether the node lost its power over it.
    pub(super) fn carry_out(
        &mut self,
        id: NodeId,
        mut output: Output,
        to_self: &mut VecDeque<Input>,
    ) -> Result<bool, Violation> {
        let cut_short = self.cut_short(id, &mut output);
        let node = self.node(id);
        let boot = node.boot;
        if let Some(up) = &mut node.up {
            up.gathered.merge(output.durably);
        }
        for envelope in output.at_once {
            match self.node(id).is_older {
                true => older_disk::is_silent(&envelope)?,
                false => self.watch.spoken(&envelope)?,
            }
            self.trace.word(&envelope);
            self.nudge(&envelope);
            match envelope.to == id {
                true => to_self.push_back(Input::Peer(envelope)),
                false => self.send(&envelope),
            }
        }
        for checkpoint in output.checkpoints {
            self.tell_all(id, checkpoint);
        }
        for fetch in output.fetch {
            let at = self.now_us + self.rng.u64(FETCH_US.0..=FETCH_US.1);
            self.queue.plan(at, Event::Fetched { node: id, boot, fetch });
        }
        for job in output.shelf {
            self.shelve(id, job);
        }
        for (to, carried) in output.carried {
            self.carry(id, to, carried);
        }
        for (client, response) in output.responses {
            self.respond(id, client, response)?;
        }
        for leased in output.leased {
            self.open_leased(id, leased, to_self)?;
        }
        if cut_short {
            self.sync(id)?;
            self.stop(id, Stop::Power, "loses its power in the middle of a sentence");
        }
        Ok(cut_short)
    }

    /// Drops what comes after some boundary of an output, if the node is to lose its power there.
    fn cut_short(&mut self, id: NodeId, output: &mut Output) -> bool {
        let (words, parts) = (output.at_once.len(), count(output));
        if self.node(id).cut != Some(Cut::MidSentence) || parts == 0 {
            return false;
        }
        // Most outputs are words alone: one with answers is waited for, most of the time.
        let answers = output.responses.len() + output.leased.len();
        if answers == 0 && self.rng.u8(0..WORDS_ALONE_ONE_IN) > 0 {
            return false;
        }
        let said = self.rng.usize(0..=parts);
        keep(output, said);
        let answered = output.responses.len() + output.leased.len();
        let seen = [
            (Sight::CutAmidWords, 0 < said && said < words),
            (Sight::CutBeforeAnswers, words > 0 && said >= words && answered == 0 && answers > 0),
            (Sight::CutAmidAnswers, 0 < answered && answered < answers),
            (Sight::CutAfterAll, said == parts),
        ];
        for (sight, _) in seen.into_iter().filter(|(_, seen)| *seen) {
            self.watch.seen.see(sight);
        }
        true
    }

    /// All leases that run now. A process that stands still holds its own, for it may go on.
    pub(super) fn held(&self) -> Vec<Held> {
        let held = |node: &crate::node::Node| {
            let up = node.up.as_ref()?;
            let peer = up.replica.peer();
            let until = peer.lease(up.tick(self.now_us))?;
            let Role::Leading { ballot: at, .. } = peer.role() else { return None };
            let left_us = until.since(up.tick(self.now_us)).as_micros() as u64;
            let latest_us = self.now_us + slowest_us(left_us);
            Some(Held { by: node.id(), at, until_us: up.clock.moment_us(until), latest_us })
        };
        self.nodes.iter().filter_map(held).collect()
    }

    /// An answer that a lease vouches for leaves, if it runs still; else it is asked for again.
    fn open_leased(
        &mut self,
        id: NodeId,
        leased: Leased,
        to_self: &mut VecDeque<Input>,
    ) -> Checked {
        let now = self.now_us;
        let Some(up) = &self.node(id).up else { return Ok(()) };
        match leased.open(up.tick(now)) {
            Ok((client, response)) => {
                let has_lease = up.replica.peer().lease(up.tick(now)).is_some();
                vows::is_held(id, client, up.had_lease || has_lease)?;
                self.watch.seen.see(Sight::LeasedRead);
                self.respond(id, client, response)
            }
            Err(lapsed) => {
                self.watch.seen.see(Sight::Lapsed);
                to_self.push_back(Input::Lapsed(lapsed));
                Ok(())
            }
        }
    }

    fn send(&mut self, envelope: &Envelope) {
        let (from, to) = (Place::Node(envelope.from.node.get()), Place::Node(envelope.to.get()));
        for delay in self.network.copies(from, to, self.now_us) {
            self.queue.plan(self.now_us + delay, Event::Word(envelope.clone()));
        }
    }

    fn tell_all(&mut self, from: NodeId, checkpoint: Checkpoint) {
        self.trace.checkpoint(&checkpoint);
        for to in (1..=self.plan.voters).map(NodeId::new).filter(|to| *to != from) {
            let (here, there) = (Place::Node(from.get()), Place::Node(to.get()));
            for delay in self.network.copies(here, there, self.now_us) {
                self.queue.plan(self.now_us + delay, Event::Checkpoint { from, to, checkpoint });
            }
        }
    }
}

/// How long so much of a clock may take at most.
fn slowest_us(shown_us: u64) -> u64 {
    const MILLION: u64 = 1_000_000;
    (shown_us * MILLION).div_ceil(MILLION - CLOCKS_OFF_PPM.unsigned_abs())
}

/// How many parts an output has that are carried out one after another.
fn count(output: &Output) -> usize {
    output.at_once.len()
        + output.checkpoints.len()
        + output.fetch.len()
        + output.shelf.len()
        + output.carried.len()
        + output.responses.len()
        + output.leased.len()
}

/// Leaves so many of them, in the order in which they are carried out.
fn keep(output: &mut Output, mut left: usize) {
    keep_of(&mut output.at_once, &mut left);
    keep_of(&mut output.checkpoints, &mut left);
    keep_of(&mut output.fetch, &mut left);
    keep_of(&mut output.shelf, &mut left);
    keep_of(&mut output.carried, &mut left);
    keep_of(&mut output.responses, &mut left);
    keep_of(&mut output.leased, &mut left);
}

fn keep_of<T>(parts: &mut Vec<T>, left: &mut usize) {
    parts.truncate(*left);
    *left -= parts.len();
}

#[cfg(test)]
mod tests {
    use synod_machine::door::Said;
    use synod_paxos::{Fetch, Slot};
    use synod_replica::{ClientId, Response, ShelfJob};

    use super::*;

    /// Two of each kind that is easily made.
    fn output() -> Output {
        let fetch = || Fetch { to: NodeId::new(2), first: Slot::new(1), upto: Slot::new(2) };
        let answer = |client| (ClientId(client), Response::Said(Said::Kept));
        Output {
            fetch: vec![fetch(), fetch()],
            shelf: vec![1, 2]
                .into_iter()
                .map(|n| ShelfJob::Remove { slot: Slot::new(n) })
                .collect(),
            responses: vec![answer(1), answer(2)],
            ..Output::default()
        }
    }

    /// Wherever the power goes, all that comes before is kept and nothing that comes after.
    #[test]
    fn what_is_kept_is_what_comes_first() {
        let whole = output();
        assert_eq!(count(&whole), 6);
        for said in 0..=6 {
            let mut cut = output();
            keep(&mut cut, said);
            let kinds = (cut.fetch.len(), cut.shelf.len(), cut.responses.len());
            let clamp = |from: usize| said.saturating_sub(from).min(2);
            assert_eq!((count(&cut), kinds), (said, (clamp(0), clamp(2), clamp(4))));
            assert!(whole.responses.starts_with(&cut.responses), "{said}");
        }
    }
}
