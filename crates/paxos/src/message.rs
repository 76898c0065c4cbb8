use serde::{Deserialize, Serialize};

use crate::{Ballot, Decree, Epoch, Life, Mark, Marks, NodeId, Process, Slot};

/// A word from one life to one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Envelope {
    /// Who speaks.
    pub from: Life,
    /// To whom; possibly to itself.
    pub to: NodeId,
    /// The configuration that the speaker is in.
    pub epoch: Epoch,
    /// How much the disks of both hold, as far as the speaker knows.
    pub marks: Marks,
    /// What is said.
    pub message: Message,
}

/// What peers say to each other. Any of them may be lost, doubled, or overtaken by any other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Phase 1a (*Paxos Made Simple* §2.2): promise me `ballot`, and report your votes from `first`
    /// on. Spoken again with a later `first`, it asks for the next page.
    Prepare {
        /// The ballot of the campaign.
        ballot: Ballot,
        /// The first slot to report.
        first: Slot,
        /// Votes that the campaigner holds itself: they need not be sent to it again.
        holds: Vec<Held>,
    },
    /// Phase 1b: nothing below `ballot` will be answered any more; here is one page of my votes.
    Promise {
        /// The promised ballot.
        ballot: Ballot,
        /// What I hold.
        page: Page,
    },
    /// The "no" to a `Prepare` or an `Accept`.
    Refused {
        /// The ballot refused.
        ballot: Ballot,
        /// The promise that forbids it.
        promised: Ballot,
    },
    /// Phase 2a.
    Accept {
        /// The reign.
        ballot: Ballot,
        /// Where.
        slot: Slot,
        /// What.
        decree: Decree,
        /// The watermark of the reign: see [`Message::Watermark`].
        chosen_upto: Slot,
    },
    /// Phase 2b: my votes for the decrees of `ballot` in these slots are durable.
    Accepted {
        /// The reign.
        ballot: Ballot,
        /// Where.
        slots: Vec<Span>,
        /// What the voter knows to be chosen.
        chosen_upto: Slot,
    },
    /// Everything up to here is chosen, and with the decree of `ballot` wherever one was accepted
    /// at `ballot`. It rides on `Accept` and `Heartbeat`, and goes alone when neither is at hand.
    Watermark {
        /// The reign.
        ballot: Ballot,
        /// The last slot of the gapless prefix.
        chosen_upto: Slot,
    },
    /// Opens a round of the speaker: are you there?
    Heartbeat {
        /// The speaker's count of rounds.
        round: u64,
        /// How the speaker stands.
        standing: Standing,
    },
    /// Answers a heartbeat.
    Alive {
        /// The round answered.
        round: u64,
        /// How the speaker stands.
        standing: Standing,
    },
    /// Send me the chosen decrees of these slots.
    Ask {
        /// The first wanted.
        first: Slot,
        /// The last wanted.
        upto: Slot,
    },
    /// These are chosen. No vote, and no promise touched.
    Learned {
        /// Chosen decrees, in slot order.
        decrees: Vec<(Slot, Decree)>,
        /// What the speaker knows to be chosen.
        chosen_upto: Slot,
    },
    /// The "no" to an `Ask`: decrees up to here are gone at the speaker, or the last of them is,
    /// and a snapshot has what they did, or soon will.
    Trimmed {
        /// The last slot that is gone.
        upto: Slot,
    },
    /// Reads wait: have you promised anything above `ballot`?
    Confirm {
        /// The reign.
        ballot: Ballot,
        /// The leader's count of such questions.
        round: u64,
    },
    /// Nothing above `ballot` when `round` was asked.
    Confirmed {
        /// The reign.
        ballot: Ballot,
        /// The question answered.
        round: u64,
    },
    /// To oneself, sealed behind a write: the disk is alive.
    Synced {
        /// Of that write.
        mark: Mark,
    },
    /// Reads wait at the speaker, who does not lead: how far must a state have come to answer them?
    Fathom {
        /// The process that speaks: questions of an earlier one are not its own.
        process: Process,
        /// Its count of such questions.
        round: u64,
    },
    /// A state that has applied `upto` lacks nothing that anybody was told of before the question
    /// was asked.
    Fathomed {
        /// Of the question.
        process: Process,
        /// Of the question.
        round: u64,
        /// What must be applied.
        upto: Slot,
    },
    /// Vow to promise nobody but me for a while: then I may answer reads without asking.
    Vow {
        /// The reign.
        ballot: Ballot,
        /// The leader's count of such rounds.
        round: u64,
    },
    /// I have vowed so from when I heard `round`, and have promised nothing above `ballot`.
    Vowed {
        /// The reign.
        ballot: Ballot,
        /// The round answered.
        round: u64,
    },
    /// My reign is over, and with it my lease: whoever vowed is free.
    Release {
        /// The reign.
        ballot: Ballot,
    },
    /// The same, and the owner of `next` is called to campaign at that ballot now.
    HandOver {
        /// The reign.
        ballot: Ballot,
        /// Above all that the speaker knows of.
        next: Ballot,
        /// The last watermark of the reign: see [`Message::Watermark`].
        chosen_upto: Slot,
    },
}

/// Slots from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first.
    pub first: Slot,
    /// The last.
    pub last: Slot,
}

/// Votes at one ballot in a run of slots. A ballot has one decree per slot, so slot and ballot name
/// the decree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The slots.
    pub slots: Span,
    /// The ballot of the vote in each.
    pub ballot: Ballot,
}

/// What an acceptor holds in a run of slots: one page of a promise. A slot of the run without a
/// report is *empty*, cleanly.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Page {
    /// The run begins here.
    pub first: Slot,
    /// It ends here; `None` is the end of the log.
    pub upto: Option<Slot>,
    /// Slots up to this one are chosen and not reported, whether they are there or trimmed: learn
    /// them.
    pub chosen_upto: Slot,
    /// Slots above that, up to this one, are chosen too, and what with is lost here, but for what
    /// is reported: neither a vote nor the absence of one. Zero when nothing is lost.
    pub lost_upto: Slot,
    /// What is not empty, in slot order.
    pub reports: Vec<(Slot, Report)>,
}

/// What an acceptor holds in one slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Report {
    /// A vote.
    Accepted {
        /// At which ballot.
        ballot: Ballot,
        /// For what.
        decree: Decree,
    },
    /// A vote at the ballot that the campaigner said it holds: for the same decree, then.
    Held {
        /// At which ballot.
        ballot: Ballot,
    },
    /// Known to be chosen.
    Chosen {
        /// What.
        decree: Decree,
    },
    /// Something was written here and cannot be read: neither a vote nor the absence of one.
    Faulty,
}

/// How a node stands, told with every heartbeat and every answer to one. Hints, on which nothing
/// safe rests; except that what a speaker says to be covered is durable there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// The process that speaks.
    pub process: Process,
    /// The highest ballot promised.
    pub promised: Ballot,
    /// The reign of the speaker, while it leads.
    pub reign: Option<Ballot>,
    /// Whether a quorum with working disks answers the speaker.
    pub quorum: bool,
    /// Whether the speaker vouches for a leader, itself included, that a quorum answers.
    pub sees_leader: bool,
    /// Whether the speaker's disk completes its syncs.
    pub disk_alive: bool,
    /// What the speaker knows to be chosen.
    pub chosen_upto: Slot,
    /// What durable snapshots of the speaker cover, even if the newest of them is lost.
    pub covered: Slot,
}

impl Envelope {
    /// A word in the first epoch that tells nothing of anybody's disk.
    pub fn of(from: Life, to: NodeId, message: Message) -> Envelope {
        Envelope { from, to, epoch: Epoch::FIRST, marks: Marks::NONE, message }
    }

    /// How urgent this word is. Words that carry decrees stay off the control lane, where no
    /// heartbeat may wait behind a payload.
    pub fn lane(&self) -> Lane {
        match &self.message {
            Message::Promise { page, .. } if !page.reports.is_empty() => Lane::Log,
            Message::Accept { .. } | Message::Accepted { .. } | Message::Watermark { .. } => {
                Lane::Log
            }
            Message::Learned { .. } => Lane::Bulk,
            Message::Prepare { .. }
            | Message::Promise { .. }
            | Message::Refused { .. }
            | Message::Heartbeat { .. }
            | Message::Alive { .. }
            | Message::Ask { .. }
            | Message::Trimmed { .. }
            | Message::Confirm { .. }
            | Message::Confirmed { .. }
            | Message::Synced { .. }
            | Message::Fathom { .. }
            | Message::Fathomed { .. }
            | Message::Vow { .. }
            | Message::Vowed { .. }
            | Message::Release { .. }
            | Message::HandOver { .. } => Lane::Control,
        }
    }
}

/// How urgent a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Heartbeats, phase 1, read barriers.
    Control,
    /// Phase 2, and promises that carry decrees.
    Log,
    /// Catch-up.
    Bulk,
}
