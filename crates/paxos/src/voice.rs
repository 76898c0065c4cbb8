use crate::{Envelope, Epoch, Life, Mark, Marks, Members, Message, NodeId, Output};

/// Puts this life's name on words, and what it knows of both disks, and drops them into the right
/// part of an [`Output`].
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    life: Life,
    others: Vec<NodeId>,
    /// What the disk held when this process started.
    began: Mark,
    /// Everything written up to here is durable.
    holds: Mark,
    disks: Vec<OtherDisk>,
}

/// What this process knows of another member's disk, and that member of this one's.
#[derive(Clone, Copy, Debug)]
struct OtherDisk {
    of: Life,
    /// The highest mark that it has told to be durable. Memory alone has it.
    heard: Mark,
    /// Whether it has spoken to this process. It is told no mark before: so whatever its first word
    /// says to have heard, an earlier process has told it.
    has_spoken: bool,
}

impl Voice {
    /// Of a process that begins with all on its disk that was written up to `began`.
    pub(crate) fn new(life: Life, members: &Members, began: Mark) -> Voice {
        let others = || members.iter().filter(|member| member.node != life.node);
        let disk = |of| OtherDisk { of, heard: Mark::ZERO, has_spoken: false };
        let disks = others().map(disk).collect();
        let others = others().map(|member| member.node).collect();
        Voice { life, others, began, holds: began, disks }
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

    /// `from` says that its disk has come so far. If that is its first word to this process, what
    /// the own disk must hold by its word is no more than what it held at the start, however much
    /// was `written` since; else no more than that.
    pub(crate) fn hears(&mut self, from: Life, mark: Mark, written: Mark) -> Mark {
        let Some(disk) = self.disks.iter_mut().find(|disk| disk.of == from) else { return written };
        disk.heard = mark.max(disk.heard);
        if std::mem::replace(&mut disk.has_spoken, true) { written } else { self.began }
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

    /// The same to every other member, and to this one first: it has something to do.
    pub(crate) fn say_to_others_after(&self, out: &mut Output, first: NodeId, message: &Message) {
        self.say(out, first, message.clone());
        for to in self.others.iter().filter(|to| **to != first) {
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
        let disk = self.disks.iter().find(|disk| disk.of.node == to);
        let marks = match disk {
            None => Marks { holds: Some(self.holds), ..Marks::NONE },
            Some(disk) => Marks {
                holds: disk.has_spoken.then_some(self.holds),
                of: disk.of.incarnation,
                heard: disk.heard,
            },
        };
        Envelope { from: self.life, to, epoch: Epoch::FIRST, marks, message }
    }
}
