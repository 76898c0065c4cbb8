use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    Config, Detector, NodeId, Policy, Process, Slot, Standing, Tick, Timing, Unfit,
    limits::{HEIR_LACKS_MAX, ROUNDS_LIVE_MIN},
};

/// What a peer last told, for status and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When it was last heard.
    pub at: Tick,
    /// Whether it answers our heartbeats and its disk is alive.
    pub connected: bool,
    /// How it stood.
    pub standing: Standing,
}

/// The other members as this node hears them: one-way (their heartbeats reach us) and two-way (they
/// answer ours). Quorum-connectedness (*OmniPaxos*, EuroSys'23 §5) is counted in answers.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    links: BTreeMap<NodeId, Link>,
    /// The last round that this node opened.
    round: u64,
    /// Whether this node's last tick was late.
    was_late: bool,
    /// Answers to earlier rounds than this many ago are no sign of life.
    rounds_live: u64,
    timing: Timing,
}

#[derive(Clone, Debug)]
struct Link {
    /// Fed by its heartbeats: they reach us.
    hearing: Rhythm,
    /// Fed by its answers: ours reach it too.
    answering: Rhythm,
    told: Option<(Tick, Standing)>,
    /// What it last said that it knows to be chosen.
    chosen_upto: Slot,
    /// The latest of our rounds that it has answered.
    answered: u64,
}

/// A detector from the first sign of life on; before that, nobody is there.
#[derive(Clone, Debug)]
struct Rhythm {
    policy: Policy,
    detector: Option<Detector>,
    /// Whose words came last.
    process: Option<Process>,
}

impl Links {
    pub(crate) fn new(config: &Config) -> Links {
        let others = config.members.iter().map(|member| member.node);
        let others = others.filter(|node| *node != config.life.node);
        let link = |node| {
            let rhythm = || Rhythm { policy: config.detector, detector: None, process: None };
            let (hearing, answering) = (rhythm(), rhythm());
            let chosen_upto = Slot::ZERO;
            (node, Link { hearing, answering, told: None, chosen_upto, answered: 0 })
        };
        let links = others.map(link).collect();
        let timing = config.timing;
        let heartbeat = timing.heartbeat.as_micros().max(1);
        let rounds = timing.suspect_max.as_micros().div_ceil(heartbeat);
        let rounds_live = u64::try_from(rounds).unwrap_or(u64::MAX).max(ROUNDS_LIVE_MIN);
        Links { links, round: 0, was_late: false, rounds_live, timing }
    }

    /// A heartbeat arrived.
    pub(crate) fn hears(&mut self, from: NodeId, standing: Standing, now: Tick) {
        let Some(link) = self.links.get_mut(&from) else { return };
        link.hearing.heard(standing.process, now, &self.timing);
        link.tells(standing, now);
    }

    /// An answer to one of our heartbeats arrived; false when it is too old to mean anything.
    pub(crate) fn answers(
        &mut self,
        from: NodeId,
        round: u64,
        standing: Standing,
        now: Tick,
    ) -> bool {
        let fresh = round <= self.round && self.round - round < self.rounds_live;
        let Some(link) = self.links.get_mut(&from).filter(|_| fresh) else { return false };
        link.answering.heard(standing.process, now, &self.timing);
        link.answered = link.answered.max(round);
        link.tells(standing, now);
        true
    }

    /// A peer said what it knows to be chosen. The latest word counts: a restart may lower it.
    pub(crate) fn claims(&mut self, from: NodeId, chosen_upto: Slot) {
        if let Some(link) = self.links.get_mut(&from) {
            link.chosen_upto = chosen_upto;
        }
    }

    /// The last round that this node opened.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Opens the next round.
    pub(crate) fn open_round(&mut self) -> u64 {
        self.round += 1;
        self.round
    }

    /// This node's own tick, due at `due`, comes at `now`: if it is late by much, nobody is
    /// suspected until the round has had its time, for the silence may be ours. A second late tick
    /// in a row is no excuse, or a node that is always slow would never suspect anybody.
    pub(crate) fn ticked(&mut self, due: Tick, now: Tick) {
        let late = now.since(due) > self.timing.suspect_min / 2;
        if late && !self.was_late {
            let until = now.after(self.timing.heartbeat);
            for link in self.links.values_mut() {
                link.hearing.late(until);
                link.answering.late(until);
            }
        }
        self.was_late = late;
    }

    /// How many members are connected, `me_alive` telling whether this node counts itself.
    pub(crate) fn connected_count(&self, me_alive: bool, now: Tick) -> usize {
        let peers = self.links.values().filter(|link| self.connected(link, now)).count();
        peers + usize::from(me_alive)
    }

    /// Whether every other member has said something.
    pub(crate) fn have_all_spoken(&self) -> bool {
        self.links.values().all(|link| link.told.is_some())
    }

    /// Whether `node` answers us and its disk is alive.
    pub(crate) fn is_connected(&self, node: NodeId, now: Tick) -> bool {
        self.links.get(&node).is_some_and(|link| self.connected(link, now))
    }

    /// The leader that this node hears itself, if a quorum answers that leader.
    pub(crate) fn leader(&self, now: Tick) -> Option<NodeId> {
        let mut leading = self.links.iter().filter(|(_, link)| link.leads());
        leading.find(|(_, link)| link.hearing.is_there(now)).map(|(node, _)| *node)
    }

    /// Whether this node may tell others that it hears a leader that a quorum answers.
    pub(crate) fn vouches_for_a_leader(&self, now: Tick) -> bool {
        self.links.values().any(|link| link.leads() && link.hearing.vouches(now))
    }

    /// The moment from which `node` is taken for silent unless its heartbeat comes before.
    pub(crate) fn silent_at(&self, node: NodeId) -> Option<Tick> {
        Some(self.links.get(&node)?.hearing.detector.as_ref()?.suspect_at())
    }

    /// Whether somebody connected to us hears a leader that a quorum answers. This only ever holds
    /// a campaign back: in a chain, where the leader is two links away, its ends would otherwise
    /// depose each other for ever.
    pub(crate) fn somebody_sees_a_leader(&self, now: Tick) -> bool {
        let sees = |link: &&Link| link.told.is_some_and(|(_, told)| told.sees_leader);
        let mut here = self.links.values().filter(|link| self.is_here(link, now));
        here.any(|link| sees(&link))
    }

    /// How many of the connected could campaign too and know more, or as much with a lower number.
    pub(crate) fn fresher(&self, me: NodeId, chosen_upto: Slot, now: Tick) -> u32 {
        let mine = (chosen_upto, Reverse(me));
        let ahead = |(node, link): &(&NodeId, &Link)| {
            let fit = link.told.is_some_and(|(_, told)| told.quorum && told.disk_alive);
            fit && self.is_here(link, now) && (link.chosen_upto, Reverse(**node)) > mine
        };
        // At most six others exist.
        self.links.iter().filter(ahead).count() as u32
    }

    /// Whether `node` can lead where everything up to `upto` is chosen, as far as it has told.
    pub(crate) fn fit(&self, node: NodeId, upto: Slot, now: Tick) -> Result<(), Unfit> {
        let there = self.links.get(&node).filter(|link| link.answering.is_there(now));
        let Some((link, (_, told))) = there.and_then(|link| Some((link, link.told?))) else {
            return Err(Unfit::Silent);
        };
        let lacks = upto.distance_from(link.chosen_upto);
        match (told.disk_alive, told.quorum) {
            (false, _) => Err(Unfit::DiskStalled),
            (true, false) => Err(Unfit::CutOff),
            (true, true) if lacks > HEIR_LACKS_MAX => Err(Unfit::Behind(lacks)),
            (true, true) => Ok(()),
        }
    }

    /// The same, and whether what it told it has told in answer to this round or a later one.
    pub(crate) fn fit_since(
        &self,
        node: NodeId,
        round: u64,
        upto: Slot,
        now: Tick,
    ) -> Result<bool, Unfit> {
        self.fit(node, upto, now)?;
        Ok(self.links.get(&node).is_some_and(|link| link.answered >= round))
    }

    /// Who of those that can lead knows most; else why the last of the others cannot.
    pub(crate) fn fittest(&self, upto: Slot, now: Tick) -> Result<NodeId, Unfit> {
        let mut unfit = Unfit::Silent;
        let judge = |(node, link): (&NodeId, &Link)| match self.fit(*node, upto, now) {
            Ok(()) => Some((link.chosen_upto, Reverse(*node))),
            Err(why) => {
                unfit = why;
                None
            }
        };
        let fittest = self.links.iter().filter_map(judge).max();
        fittest.map(|(_, Reverse(node))| node).ok_or(unfit)
    }

    /// What `node` last said that it knows to be chosen.
    pub(crate) fn claimed(&self, node: NodeId) -> Slot {
        self.links.get(&node).map_or(Slot::ZERO, |link| link.chosen_upto)
    }

    /// Who says to know more than `upto`, connected or heard at least, and how much.
    pub(crate) fn ahead_of(&self, upto: Slot) -> Vec<(NodeId, Slot)> {
        let ahead = self.links.iter().filter(|(_, link)| link.chosen_upto > upto);
        ahead.map(|(node, link)| (*node, link.chosen_upto)).collect()
    }

    /// What a peer last told.
    pub(crate) fn heard(&self, node: NodeId, now: Tick) -> Option<Heard> {
        let link = self.links.get(&node)?;
        let (at, standing) = link.told?;
        Some(Heard { at, connected: self.connected(link, now), standing })
    }

    /// Whether it is connected, and no leader whose heartbeats are missed: that one's last words
    /// say that there is a leader, and the answers that came after its last heartbeat would have
    /// them believed for longer than the heartbeats were.
    fn is_here(&self, link: &Link, now: Tick) -> bool {
        let missed = link.leads() && !link.hearing.is_there(now);
        self.connected(link, now) && !missed
    }

    fn connected(&self, link: &Link, now: Tick) -> bool {
        let alive = link.told.is_some_and(|(_, told)| told.disk_alive);
        alive && link.answering.is_there(now)
    }
}

impl Link {
    /// Whether it said that it leads with a quorum.
    fn leads(&self) -> bool {
        self.told.is_some_and(|(_, told)| told.reign.is_some() && told.quorum)
    }

    fn tells(&mut self, standing: Standing, now: Tick) {
        self.chosen_upto = standing.chosen_upto;
        self.told = Some((now, standing));
    }
}

impl Rhythm {
    /// A silence that ends with the first word of another process was an absence, however short:
    /// killed and back at once, a peer is not for that a slow one.
    fn heard(&mut self, process: Process, now: Tick, timing: &Timing) {
        let same = self.process.replace(process) == Some(process);
        match &mut self.detector {
            Some(detector) if same => detector.heard(now),
            Some(detector) => detector.returned(now),
            None => {
                let (min, max) = (timing.suspect_min, timing.suspect_max);
                self.detector = Some(Detector::new(self.policy, min, max, now));
            }
        }
    }

    fn late(&mut self, until: Tick) {
        if let Some(detector) = &mut self.detector {
            detector.late(until);
        }
    }

    fn vouches(&self, now: Tick) -> bool {
        self.detector.as_ref().is_some_and(|detector| detector.vouches(now))
    }

    fn is_there(&self, now: Tick) -> bool {
        self.detector.as_ref().is_some_and(|detector| !detector.suspects(now))
    }
}
