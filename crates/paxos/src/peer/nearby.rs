//! Reads at whichever node they arrive, and how current a node knows itself to be.

use super::{Fathomed, Peer, Reign};
use crate::{Message, NodeId, Output, Process, Slot, Tick, reads::Reader};

impl Peer {
    /// A linearizable read waits here, whoever leads.
    pub(super) fn read_nearby(&mut self, now: Tick, out: &mut Output) {
        out.joined.push(self.nearby.join());
        self.fathom(now, out);
    }

    /// What a beat brings: a question that is due, or has to be said again.
    pub(super) fn tend_nearby(&mut self, now: Tick, out: &mut Output) {
        self.nearby.look(now, self.config.look_every);
        self.fathom(now, out);
    }

    /// Asks whoever leads, this node itself too.
    fn fathom(&mut self, now: Tick, out: &mut Output) {
        let Some(leader) = self.leader() else { return };
        if let Some(round) = self.nearby.ask(leader, now, self.config.timing.suspect_min) {
            let process = self.process;
            self.voice.say(out, leader, Message::Fathom { process, round });
        }
    }

    /// A member has reads that wait: they are served as this leader's own would be. Who does not
    /// lead says nothing; the member will see who does.
    pub(super) fn on_fathom(
        &mut self,
        now: Tick,
        from: NodeId,
        process: Process,
        round: u64,
        out: &mut Output,
    ) {
        if let Reign::Leading(_) = self.reign {
            self.read(now, Reader::Member { node: from, process, round }, out);
        }
    }

    pub(super) fn on_fathomed(
        &mut self,
        now: Tick,
        process: Process,
        round: u64,
        upto: Slot,
        out: &mut Output,
    ) {
        if process != self.process {
            return;
        }
        if let Some(at) = self.nearby.answer(round) {
            out.fathomed.push(Fathomed { round, at, upto });
            self.fathom(now, out);
        }
    }
}
