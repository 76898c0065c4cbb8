//! One node of a search: the real peer, a disk, and what is on its way to the disk.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
    time::Duration,
};

use synod_paxos::{
    Chosen, Config, Decree, Envelope, Fetched, Input, Leasing, Life, Members, Message, NodeId,
    Output, Peer, Policy, Record, Role, Slot, Standing, Tick, Timing, Write,
};

use super::{Bounds, Deed, Fact, Word, named, vows};
use crate::{
    facts::Facts,
    search::{IDLE, stage::Event},
    violation::{Checked, Violation},
};

/// Clocks stand still in a search, but for these jumps: a beat of a leader, which is far too short
/// for anybody to lose patience, and the time after which nobody is taken for a leader any more.
const BEAT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10_000_000);
const AGES: Duration = Duration::from_secs(1_000_000_000);

/// A stalled disk is a matter of time, and there is none: it takes longer than all of the above.
const STALL: Duration = Duration::from_secs(1_000_000_000_000);

/// One node.
#[derive(Clone, Debug)]
pub(in crate::search) struct Core {
    bounds: Bounds,
    config: Config,
    now: Tick,
    peer: Peer,
    /// What a crash cannot take.
    pub(super) disk: Facts,
    /// The same with all that waits for the disk. Follows from the other two.
    asked: Facts,
    waiting: VecDeque<Batch>,
    /// The heartbeat round that was opened last: answers to older ones mean nothing.
    round: u64,
}

/// What one step asked of the disk, and the words that it holds back until then. The words of a
/// `Durably` are taken out when it is handed to the disk, because worlds are copied; nothing but
/// the disk opens them.
#[derive(Clone, Debug)]
struct Batch {
    writes: Vec<Write>,
    words: Vec<Envelope>,
    /// To itself: the disk lives.
    marks: Vec<Envelope>,
}

/// What a node's step means to the world.
type Effects = crate::search::stage::Effects<Word, Fact>;

impl Core {
    /// A node with an empty disk.
    pub(super) fn new(node: NodeId, bounds: Bounds) -> Core {
        let lives = (1..=bounds.nodes).map(|node| Life::first(NodeId::new(node))).collect();
        let members = Members::new(lives).expect("three or five nodes are a cluster");
        let timing = Timing {
            heartbeat: BEAT,
            suspect_min: PATIENCE,
            suspect_max: PATIENCE,
            disk_stall: STALL,
        };
        let config = Config::new(Life::first(node), members).expect("it is one of them");
        let config = Config {
            timing,
            detector: Policy::Fixed { timeout: PATIENCE },
            page_slots: bounds.page_slots,
            tail_slots: 0,
            look_every: Duration::MAX,
            leasing: Leasing { asks: false, vow: Duration::ZERO },
            ..config
        };
        let disk = Facts::default();
        let mut core = Core {
            bounds,
            now: Tick::ZERO,
            peer: Peer::recover(config.clone(), disk.durable(), 0),
            asked: disk.clone(),
            disk,
            waiting: VecDeque::new(),
            round: 0,
            config,
        };
        // The first tick: a node listens before it speaks up.
        core.peer.step(core.now, Input::Wake, &mut Output::default());
        core
    }

    /// Whether it leads.
    pub(super) fn leads(&self) -> bool {
        matches!(self.peer.role(), Role::Leading { .. })
    }

    /// How many syncs wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What an event makes of the node, and of the world.
    pub(super) fn step(&mut self, event: Event<&Word, Deed>) -> Result<Effects, Violation> {
        let mut effects = Effects::default();
        let upto = self.peer.chosen_upto();
        match event {
            Event::Hear(Word::Said(word)) => {
                self.feed(Input::Deliver(word.clone()), &mut effects)?;
            }
            Event::Hear(Word::Snapshot(upto)) => self.install(*upto, &mut effects)?,
            Event::Do(Deed::Sync) => self.sync(&mut effects)?,
            Event::Do(Deed::Campaign) => self.campaign(&mut effects)?,
            Event::Do(Deed::Propose(number)) => {
                if !self.propose(super::decree(number), &mut effects)? {
                    return Ok(Effects::default());
                }
            }
            Event::Do(Deed::Trim) => self.trim(&mut effects)?,
            Event::Do(Deed::Crash(unreadable)) => {
                if let Some(slot) = unreadable {
                    self.disk.damage(slot);
                }
                self.disk.open();
                self.crash(self.disk.chosen_upto(), &mut effects)?;
            }
            Event::Do(Deed::Lose) => self.crash(Slot::ZERO, &mut effects)?,
        }
        while self.bounds.syncs_waiting_max == 0 && !self.waiting.is_empty() {
            self.sync(&mut effects)?;
        }
        self.say_what_anyone_may_ask(upto, &mut effects)?;
        Ok(effects)
    }

    fn life(&self) -> Life {
        self.config.life
    }

    fn others(&self) -> Vec<Life> {
        self.config.members.iter().filter(|life| *life != self.life()).collect()
    }

    /// Steps the peer, hands its writes to the disk and its words to the world.
    fn feed(&mut self, input: Input, effects: &mut Effects) -> Checked {
        let mut out = Output::default();
        self.peer.step(self.now, input, &mut out);
        self.take(out, effects)
    }

    fn take(&mut self, out: Output, effects: &mut Effects) -> Checked {
        let Output { durably, at_once, chosen, fetch, .. } = out;
        let believes = |chosen: Chosen| Fact::Believes(chosen.slot, named(&chosen.decree));
        effects.claims.extend(chosen.into_iter().map(believes));
        for envelope in at_once {
            self.speak(envelope, effects)?;
        }
        for wanted in fetch {
            let decrees = self.disk.chosen(wanted.first, wanted.upto, usize::MAX);
            let decrees = decrees.unwrap_or_default();
            self.feed(Input::Fetched(Fetched { to: wanted.to, decrees, damaged: None }), effects)?;
        }
        if durably.is_empty() {
            return Ok(());
        }
        let writes = durably.writes().to_vec();
        for write in &writes {
            vows::asked(self.life(), &self.asked, write)?;
            vows::believed(&self.asked, write, &mut effects.claims)?;
            self.asked.apply(write);
        }
        vows::asked_all(self.life(), &self.asked, &writes)?;
        let mark = |envelope: &Envelope| matches!(envelope.message, Message::Synced { .. });
        let (marks, words): (Vec<Envelope>, Vec<Envelope>) =
            durably.synced().into_iter().partition(mark);
        self.waiting.push_back(Batch { writes, words, marks });
        Ok(())
    }

    /// The disk completes one sync. Words to itself arrive at once: no other of its own events
    /// comes between a driver and its disk.
    fn sync(&mut self, effects: &mut Effects) -> Checked {
        let Some(batch) = self.waiting.pop_front() else { return Ok(()) };
        let Batch { writes, words, marks } = batch;
        for write in writes {
            self.disk.apply(&write);
            if let Write::Accepted { slot, ballot, decree } = write {
                if ballot.owner() == self.life() {
                    effects.facts.push(Fact::Proposed(slot, ballot, named(&decree)));
                }
                effects.facts.push(Fact::Voted(slot, ballot, named(&decree)));
            }
        }
        let (own, others): (Vec<Envelope>, Vec<Envelope>) =
            words.into_iter().partition(|envelope| envelope.to == self.life().node);
        for envelope in others {
            self.speak(envelope, effects)?;
        }
        for envelope in own.into_iter().chain(marks) {
            vows::spoken(self.life(), &self.disk, &envelope)?;
            self.feed(Input::Deliver(envelope), effects)?;
        }
        Ok(())
    }

    /// A word leaves. What is only a hint about the speaker is left out or made the same for all.
    fn speak(&mut self, mut envelope: Envelope, effects: &mut Effects) -> Checked {
        vows::spoken(self.life(), &self.disk, &envelope)?;
        match &mut envelope.message {
            Message::Heartbeat { round, standing } => {
                self.round = self.round.max(*round);
                if standing.reign.is_none() || !self.bounds.heartbeats {
                    return Ok(());
                }
                *round = 0;
                *standing = Standing {
                    promised: standing.promised,
                    reign: standing.reign,
                    chosen_upto: standing.chosen_upto,
                    quorum: true,
                    ..IDLE
                };
            }
            Message::Accepted { chosen_upto, .. } | Message::Learned { chosen_upto, .. } => {
                *chosen_upto = Slot::ZERO;
            }
            Message::Accept { slot, ballot, decree, .. } => {
                effects.facts.push(Fact::Proposed(*slot, *ballot, named(decree)));
            }
            Message::Prepare { .. } | Message::Promise { .. } | Message::Watermark { .. } => {}
            Message::Refused { .. } if !self.bounds.refusals => return Ok(()),
            Message::Refused { .. } => {}
            Message::Alive { .. }
            | Message::Trimmed { .. }
            | Message::Ask { .. }
            | Message::Confirm { .. }
            | Message::Confirmed { .. }
            | Message::Fathom { .. }
            | Message::Fathomed { .. }
            | Message::Vow { .. }
            | Message::Vowed { .. }
            | Message::Release { .. }
            | Message::HandOver { .. }
            | Message::Synced { .. } => return Ok(()),
        }
        effects.words.push((place(envelope.to), Word::Said(envelope)));
        Ok(())
    }

    /// Ages pass at this node, and then the others answer it, so that its election finds that they
    /// are there and that nobody leads.
    fn campaign(&mut self, effects: &mut Effects) -> Checked {
        if !matches!(self.peer.role(), Role::Following { .. }) {
            self.feed(Input::StepDown, effects)?;
        }
        self.now = self.now.after(AGES);
        self.feed(Input::Wake, effects)?;
        for from in self.others() {
            let message = Message::Alive { round: self.round, standing: IDLE };
            let envelope = Envelope::of(from, self.life().node, message);
            self.feed(Input::Deliver(envelope), effects)?;
        }
        if !matches!(self.peer.role(), Role::Campaigning { .. }) {
            self.now = self.now.after(BEAT);
            self.feed(Input::Wake, effects)?;
        }
        let role = self.peer.role();
        assert!(matches!(role, Role::Campaigning { .. }), "{} is {role:?}", self.life());
        Ok(())
    }

    /// False when it may not, or when the slot lies beyond the bounds; then nothing has happened.
    fn propose(&mut self, decree: Decree, effects: &mut Effects) -> Result<bool, Violation> {
        if !self.peer.may_propose() {
            return Ok(false);
        }
        let mut peer = self.peer.clone();
        let mut out = Output::default();
        peer.step(self.now, Input::Propose(decree), &mut out);
        if out.proposed.iter().any(|slot| *slot > Slot::new(self.bounds.slots)) {
            return Ok(false);
        }
        self.peer = peer;
        self.take(out, effects)?;
        Ok(true)
    }

    /// The log below what a quorum's snapshots cover goes. That they do is for the driver to see to
    /// and for the universes to check; the log itself must bear any such trim.
    fn trim(&mut self, effects: &mut Effects) -> Checked {
        let covered = self.peer.chosen_upto();
        self.feed(Input::Covered(covered), effects)?;
        for from in self.others() {
            let standing = Standing { covered, sees_leader: true, ..IDLE };
            let message = Message::Alive { round: self.round, standing };
            let envelope = Envelope::of(from, self.life().node, message);
            self.feed(Input::Deliver(envelope), effects)?;
        }
        self.now = self.now.after(BEAT);
        self.feed(Input::Wake, effects)?;
        let words = self.others().into_iter();
        effects.words.extend(words.map(|to| (place(to.node), Word::Snapshot(covered))));
        Ok(())
    }

    /// A snapshot of somebody's state has become durable here, and takes the place of the own.
    fn install(&mut self, upto: Slot, effects: &mut Effects) -> Checked {
        if upto > self.peer.chosen_upto() {
            effects.claims.push(Fact::Settled(upto));
            self.feed(Input::Installed(upto), effects)?;
        }
        Ok(())
    }

    /// What is on the disk comes back, and the state above as far as `applied`.
    fn crash(&mut self, applied: Slot, effects: &mut Effects) -> Checked {
        self.asked = self.disk.clone();
        self.waiting.clear();
        self.round = 0;
        self.peer = Peer::recover_at(self.config.clone(), self.disk.durable(), applied, 0);
        vows::recovered(self.life(), &self.disk, self.peer.promised())?;
        self.feed(Input::Wake, effects)
    }

    /// Words that cost nothing and may come at any time are said as soon as they can be: a leader's
    /// heartbeat, and the answer to every question for what is newly known to be chosen.
    fn say_what_anyone_may_ask(&mut self, before: Slot, effects: &mut Effects) -> Checked {
        if self.leads() {
            self.now = self.now.after(BEAT);
            self.feed(Input::Wake, effects)?;
        }
        let upto = self.peer.chosen_upto();
        if upto <= before {
            return Ok(());
        }
        let askers = self.bounds.askers;
        let asks = |life: &Life| askers & (1 << (life.node.get() - 1)) != 0;
        for from in self.others().into_iter().filter(asks) {
            for last in 1..=upto.get() {
                for first in 1..=last {
                    let (first, upto) = (Slot::new(first), Slot::new(last));
                    let message = Message::Ask { first, upto };
                    let to = self.life().node;
                    let envelope = Envelope::of(from, to, message);
                    self.feed(Input::Deliver(envelope), effects)?;
                }
            }
        }
        Ok(())
    }

    /// Whether there is something to trim.
    pub(super) fn may_trim(&self) -> bool {
        self.peer.trimmed() < self.peer.chosen_upto()
    }

    /// Whether a state that is lost would be more than the log can make again.
    pub(super) fn has_trimmed(&self) -> bool {
        self.disk.trimmed() > Slot::ZERO
    }

    /// Slots of which a record could become unreadable.
    pub(super) fn readable(&self) -> Vec<Slot> {
        let records = self.disk.records_from(Slot::ZERO);
        let whole = records.filter(|(_, record)| !matches!(record, Record::Faulty));
        whole.map(|(slot, _)| slot).collect()
    }

    /// The node in a few words.
    pub(super) fn tell(&self) -> String {
        let role = match self.peer.role() {
            Role::Following { .. } => "follows".to_owned(),
            Role::Campaigning { ballot } => format!("campaigns at {ballot}"),
            Role::Leading { ballot, .. } => format!("leads at {ballot}"),
        };
        let (promised, upto) = (self.peer.promised(), self.peer.chosen_upto());
        format!("{} {role}, promised {promised}, chosen up to {upto}", self.life())
    }
}

impl Hash for Batch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Batch { writes, words, marks: _ } = self;
        (writes, words).hash(state);
    }
}

/// Clocks, and whether the disk keeps up with them, are no part of what a node is.
impl Hash for Core {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Core { bounds: _, config: _, now: _, round: _, asked: _, peer, disk, waiting } = self;
        (peer, disk, waiting).hash(state);
    }
}

/// Where a node is.
fn place(node: NodeId) -> usize {
    usize::from(node.get() - 1)
}
