use crate::{Envelope, Epoch, Life, Mark, Marks, Members, Message, NodeId, Output};

/// Puts this life's name on words, and what it knows of both disks, and drops them into the right
/// part of an [`Output`].
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    life: Life,
    others: Vec<NodeId>,
    /// Everything written up to here is durable.
    holds: Mark,
    /// The highest mark that each of the others has told to be durable. Memory alone has it.
    heard: Vec<(Life, Mark)>,
}

impl Voice {
    /// Of a life whose disk holds all that was written up to `holds`.
    pub(crate) fn new(life: Life, members: &Members, holds: Mark) -> Voice {
        let others = || members.iter().filter(|member| member.node != life.node);
        let heard = others().map(|member| (member, Mark::ZERO)).collect();
        Voice { life, others: others().map(|member| member.node).collect(), holds, heard }
    }

    pub(crate) fn life(&self) -> Life {
        self.life
    }

    pub(crate) fn me(&self) -> NodeId {
        self.life.node
    }

    pub(crate) fn others(&self) -> &[NodeId] {
        &self.others
    }

    /// This node's disk has come so far.
    pub(crate) fn holds(&mut self, mark: Mark) {
        self.holds = self.holds.max(mark);
    }

    /// `from` says that its disk has come so far.
    pub(crate) fn hears(&mut self, from: Life, mark: Mark) {
        if let Some((_, heard)) = self.heard.iter_mut().find(|(life, _)| *life == from) {
            *heard = mark.max(*heard);
        }
    }

    /// Says something that relies on nothing unsynced.
    pub(crate) fn say(&self, out: &mut Output, to: NodeId, message: Message) {
        out.at_once.push(self.envelope(to, message));
    }

    /// The same to every other member.
    pub(crate) fn say_to_others(&self, out: &mut Output, message: &Message) {
        for to in &self.others {
            self.say(out, *to, message.clone());
        }
    }

    /// Says something once everything written so far is durable.
    pub(crate) fn seal(&self, out: &mut Output, to: NodeId, message: Message) {
        out.durably.then_send(self.envelope(to, message));
    }

    /// The same, folded into an earlier `Accepted` of the same batch where there is one.
    pub(crate) fn seal_accepted(&self, out: &mut Output, to: NodeId, message: Message) {
        out.durably.then_accepted(self.envelope(to, message));
    }

    fn envelope(&self, to: NodeId, message: Message) -> Envelope {
        let heard = self.heard.iter().find(|(life, _)| life.node == to).copied();
        let (of, heard) = heard.unwrap_or((self.life, Mark::ZERO));
        let marks = Marks { holds: self.holds, of: of.incarnation, heard };
        Envelope { from: self.life, to, epoch: Epoch::FIRST, marks, message }
    }
}
