//! The leader's lease: real peers whose clocks run as fast or as slowly as they may, and every
//! order of what is said, of restarts, transfers, and of the time that passes in between.

mod node;

use std::collections::{BTreeSet, HashMap};

use synod_paxos::{Envelope, NodeId};

use self::node::{Deed, FAST, NODES, Node, SLOW};
use super::{
    breadth::Maze,
    pool::{Key, Pool, Quick},
};
use crate::violation::{Checked, Violation, demand};

const COUNT: usize = NODES as usize;

/// How much may happen. Time may pass without end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many steps of time a vow lasts on the fastest clock.
    pub(super) vow_steps: u32,
    /// Whose clocks are fast, bit by bit: one of these. The others are slow.
    pub(super) clocks: &'static [u8],
    /// Campaigns, and so ballots, of all nodes together.
    pub(super) campaigns: u8,
    /// Who campaigns: bit by bit, node 1 the lowest.
    pub(super) campaigners: u8,
    /// Beats of leaders, each of which opens a round, besides the one with which a reign begins.
    pub(super) beats: u8,
    /// Times that a leader is told to let another lead.
    pub(super) transfers: u8,
    /// Times that a leader is told to hand the lead to a certain node.
    pub(super) hand_overs: u8,
    /// Restarts of all nodes together.
    pub(super) crashes: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Spent {
    campaigns: u8,
    beats: u8,
    transfers: u8,
    hand_overs: u8,
    crashes: u8,
}

/// All nodes at one moment, and what is on its way to them for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// Nothing before it is said whose clock is fast.
    nodes: Option<[Key; COUNT]>,
    mail: Key,
    spent: Spent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Act {
    /// It turns out whose clocks are fast, bit by bit; the others are slow.
    Clocks(u8),
    /// A step of time passes.
    Time,
    Do(u8, Deed),
    /// A node hears a word. It may hear it at any later time, and again, or never.
    Hear(Key),
}

type StepOf = Result<(Key, Vec<Key>), Violation>;

pub(super) struct Leases {
    bounds: Bounds,
    nodes: Pool<Node>,
    words: Pool<Envelope>,
    mails: Pool<BTreeSet<Key>>,
    /// A node is stepped once for each thing that befalls it.
    steps: HashMap<(Key, Act), StepOf, Quick>,
}

impl Leases {
    pub(super) fn new(bounds: Bounds) -> Leases {
        Leases {
            bounds,
            nodes: Pool::new(),
            words: Pool::new(),
            mails: Pool::new(),
            steps: HashMap::default(),
        }
    }

    fn step(&mut self, node: Key, act: Act) -> StepOf {
        if let Some(known) = self.steps.get(&(node, act)) {
            return known.clone();
        }
        let mut after = self.nodes.get(node).clone();
        let said = match act {
            Act::Clocks(_) => Ok(Vec::new()),
            Act::Time => {
                after.passes();
                Ok(Vec::new())
            }
            Act::Do(_, deed) => after.does(deed),
            Act::Hear(word) => after.hears(self.words.get(word)),
        };
        let stepped = said.map(|said| {
            let words = said.into_iter().map(|word| self.words.keep(word)).collect();
            (self.nodes.keep(after), words)
        });
        self.steps.insert((node, act), stepped.clone());
        stepped
    }

    /// To whom it goes.
    fn place(&self, word: Key) -> usize {
        usize::from(self.words.get(word).to.get()) - 1
    }

    /// What can make no difference any more is lost.
    fn mail(&mut self, nodes: &[Key; COUNT], before: Key, said: Vec<Key>) -> Key {
        let mut mail = self.mails.get(before).clone();
        mail.extend(said);
        mail.retain(|word| {
            let hearer = self.nodes.get(nodes[self.place(*word)]);
            hearer.heeds(&self.words.get(*word).message)
        });
        self.mails.keep(mail)
    }

    /// E1, and why: while a lease runs nobody holds another one, and nobody is past phase 1 of a
    /// later reign, who might acknowledge what the holder would not read.
    fn obeys_the_laws(&self, nodes: &[Key; COUNT]) -> Checked {
        let all = nodes.map(|node| self.nodes.get(node));
        for holder in all {
            let Some(lease) = holder.lease() else { continue };
            let later = all.iter().filter_map(|other| other.leads()).find(|reign| *reign > lease);
            demand!(later.is_none(), "E1", "the lease of {lease} runs beside the reign {later:?}");
        }
        Ok(())
    }

    fn allows(&self, place: u8, deed: Deed, spent: Spent, leads: bool) -> bool {
        let bounds = self.bounds;
        match deed {
            Deed::Campaign => {
                bounds.campaigners & (1 << place) != 0 && spent.campaigns < bounds.campaigns
            }
            Deed::Beat => !leads || spent.beats < bounds.beats,
            Deed::StepDown => leads && spent.transfers < bounds.transfers,
            Deed::HandOver(heir) => {
                let another = heir != u16::from(place) + 1;
                leads && another && spent.hand_overs < bounds.hand_overs
            }
            Deed::Crash => spent.crashes < bounds.crashes,
        }
    }
}

impl Maze for Leases {
    type World = World;
    type Act = Act;

    fn start(&mut self) -> World {
        let mail = self.mails.keep(BTreeSet::new());
        World { nodes: None, mail, spent: Spent::default() }
    }

    fn acts(&mut self, world: &World, acts: &mut Vec<Act>) {
        let Some(nodes) = world.nodes else {
            return acts.extend(self.bounds.clocks.iter().copied().map(Act::Clocks));
        };
        acts.push(Act::Time);
        for (place, node) in (0..).zip(nodes) {
            let leads = self.nodes.get(node).leads().is_some();
            let deeds = [Deed::Campaign, Deed::Beat, Deed::StepDown, Deed::Crash];
            let heirs = (1..=NODES).map(Deed::HandOver);
            let may = |deed: &Deed| self.allows(place, *deed, world.spent, leads);
            acts.extend(
                deeds.into_iter().chain(heirs).filter(may).map(|deed| Act::Do(place, deed)),
            );
        }
        acts.extend(self.mails.get(world.mail).iter().copied().map(Act::Hear));
    }

    fn take(&mut self, world: &World, act: Act) -> Result<World, Violation> {
        let mut after = *world;
        let Some(mut nodes) = world.nodes else {
            let Act::Clocks(fast) = act else { return Ok(after) };
            let pace = |place: usize| if fast & (1 << place) == 0 { SLOW } else { FAST };
            let vow_steps = self.bounds.vow_steps;
            let node =
                |place: usize| Node::new(NodeId::new(place as u16 + 1), pace(place), vow_steps);
            after.nodes = Some(std::array::from_fn(|place| self.nodes.keep(node(place))));
            return Ok(after);
        };
        let befalls = match act {
            Act::Clocks(_) => return Ok(after),
            Act::Time => 0..COUNT,
            Act::Do(place, _) => usize::from(place)..usize::from(place) + 1,
            Act::Hear(word) => self.place(word)..self.place(word) + 1,
        };
        let mut said = Vec::new();
        for place in befalls {
            let leads = self.nodes.get(nodes[place]).leads().is_some();
            let (node, mut words) = self.step(nodes[place], act)?;
            if let Act::Do(_, deed) = act
                && node != nodes[place]
            {
                let Spent { campaigns, beats, transfers, hand_overs, crashes } = &mut after.spent;
                match deed {
                    Deed::Campaign => *campaigns += 1,
                    Deed::Beat => *beats += u8::from(leads),
                    Deed::StepDown => *transfers += 1,
                    Deed::HandOver(_) => *hand_overs += 1,
                    Deed::Crash => *crashes += 1,
                }
            }
            nodes[place] = node;
            said.append(&mut words);
        }
        after.nodes = Some(nodes);
        after.mail = self.mail(&nodes, world.mail, said);
        self.obeys_the_laws(&nodes)?;
        Ok(after)
    }

    /// Whether anybody leads in the end is for the universes to say.
    fn settle(&mut self, _world: &World) -> Result<(), (Violation, Vec<Act>)> {
        Ok(())
    }

    fn tell(&mut self, world: &World, act: Act) -> Vec<String> {
        let what = match act {
            Act::Clocks(fast) => format!("clocks: {fast:03b} are fast"),
            Act::Time => "time passes".to_owned(),
            Act::Do(place, deed) => format!("n{}: {deed:?}", place + 1),
            Act::Hear(word) => {
                let word = self.words.get(word);
                format!("{} hears from {}: {:?}", word.to, word.from, word.message)
            }
        };
        let mut lines = vec![what];
        if let Ok(World { nodes: Some(nodes), .. }) = self.take(world, act) {
            lines.extend(nodes.map(|node| format!("    {}", self.nodes.get(node).tell())));
        }
        lines
    }
}
