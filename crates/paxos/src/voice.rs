use crate::{Envelope, Epoch, Life, Members, Message, NodeId, Output};

/// Puts this life's name on words and drops them into the right part of an [`Output`].
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    life: Life,
    others: Vec<NodeId>,
}

impl Voice {
    pub(crate) fn new(life: Life, members: &Members) -> Voice {
        let others = members.iter().map(|member| member.node).filter(|node| *node != life.node);
        Voice { life, others: others.collect() }
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
        Envelope { from: self.life, to, epoch: Epoch::FIRST, message }
    }
}
