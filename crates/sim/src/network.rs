use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::{event::Caller, plan::MS, sights::Sight, weather::Weather};

/// How long a flapping link is up, and then down.
const FLAP_US: (u64, u64) = (20 * MS, 200 * MS);

/// How long a word takes where it is calm.
const CALM_US: (u64, u64) = (100, MS);

/// Who stands at an end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Node(u16),
    Caller(Caller),
}

impl Place {
    fn is_node(&self) -> bool {
        matches!(self, Place::Node(_))
    }
}

/// The shapes in which links between nodes break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// One node alone.
    Isolated,
    /// Two sides.
    Split,
    /// Two nodes do not hear each other, and both hear the rest.
    Partial,
    /// One direction of one link.
    OneWay,
    /// One node hears nobody, and is heard.
    Deaf,
    /// One node is heard by nobody, and hears.
    Mute,
    /// A link, or all of a node's, goes up and down.
    Flapping,
    /// One node alone sees all others: the leader keeps one link (OmniPaxos §2, quorum loss).
    QuorumLoss,
    /// The same, and the leader keeps none (OmniPaxos §2, constrained election).
    Constrained,
    /// A line, with the leader at its end if there is one (OmniPaxos §2, chained).
    Chained,
}

impl Shape {
    /// Every one of them.
    pub(crate) const ALL: [Shape; 10] = [
        Shape::Isolated,
        Shape::Split,
        Shape::Partial,
        Shape::OneWay,
        Shape::Deaf,
        Shape::Mute,
        Shape::Flapping,
        Shape::QuorumLoss,
        Shape::Constrained,
        Shape::Chained,
    ];

    /// That links broke in it.
    pub(crate) fn sight(self) -> Sight {
        match self {
            Shape::Isolated => Sight::CutIsolated,
            Shape::Split => Sight::CutSplit,
            Shape::Partial => Sight::CutPartial,
            Shape::OneWay => Sight::CutOneWay,
            Shape::Deaf => Sight::CutDeaf,
            Shape::Mute => Sight::CutMute,
            Shape::Flapping => Sight::CutFlapping,
            Shape::QuorumLoss => Sight::CutQuorumLoss,
            Shape::Constrained => Sight::CutConstrained,
            Shape::Chained => Sight::CutChained,
        }
    }
}

/// Until when words wait on a link, and whether they come in their order then.
#[derive(Clone, Copy, Debug)]
struct Jam {
    until_us: u64,
    in_order: bool,
}

/// The links between nodes and with those who ask them, and what happens to words on them. It
/// decides; the world delivers.
#[derive(Debug)]
pub(crate) struct Network {
    weather: Weather,
    rng: Rng,
    /// Directed links between nodes that carry nothing at the moment.
    cut: BTreeSet<(u16, u16)>,
    /// Directed links that carry nothing every other time of so many microseconds.
    flapping: BTreeMap<(u16, u16), u64>,
    /// Directed links from or to a caller that carry nothing before this moment.
    strays: BTreeMap<(Place, Place), u64>,
    /// Directed links between nodes that carry nothing before this moment.
    shut: BTreeMap<(u16, u16), u64>,
    /// Directed links between nodes on which words wait for a moment.
    jams: BTreeMap<(u16, u16), Jam>,
    /// Before this moment words between nodes come soon, and once.
    calm_until_us: u64,
    nodes: u16,
}

impl Network {
    /// The links between nodes 1 to `nodes` and with everybody else, all whole.
    pub(crate) fn new(nodes: u16, weather: Weather, rng: Rng) -> Network {
        Network {
            weather,
            rng,
            cut: BTreeSet::new(),
            flapping: BTreeMap::new(),
            strays: BTreeMap::new(),
            shut: BTreeMap::new(),
            jams: BTreeMap::new(),
            calm_until_us: 0,
            nodes,
        }
    }

    /// After how many microseconds each copy of a word arrives; none when the word is lost.
    pub(crate) fn copies(&mut self, from: Place, to: Place, now_us: u64) -> Vec<u64> {
        if now_us < self.calm_until_us && [from, to].iter().all(Place::is_node) {
            return vec![self.rng.u64(CALM_US.0..=CALM_US.1)];
        }
        if !self.carries(from, to, now_us) || self.happens(self.weather.lost) {
            return Vec::new();
        }
        if let Some(waits) = self.waits(from, to, now_us) {
            return vec![waits];
        }
        let first = self.delay();
        if !self.happens(self.weather.doubled) {
            return vec![first];
        }
        // The other comes soon, or when everybody has forgotten the first; no later than a word
        // that is late.
        let again = if self.rng.bool() { self.rng.u64(0..=self.weather.late_us) } else { 0 };
        vec![first, self.delay().max(again)]
    }

    /// Lets no word through from a node to the others for a while, and none to it; or those to it
    /// wait, and come in their order then.
    pub(crate) fn shut_out(&mut self, node: u16, until_us: u64) {
        let waits = self.rng.bool();
        for link in self.links().filter(|(from, to)| *from == node || *to == node) {
            if waits && link.1 == node {
                self.jams.insert(link, Jam { until_us, in_order: true });
            } else {
                self.shut.insert(link, until_us);
            }
        }
    }

    /// Holds up the words to a node, those from it, or those on one link, until this moment.
    pub(crate) fn jam(&mut self, node: Option<u16>, until_us: u64) {
        let (one, other, how) = (node.unwrap_or(self.node()), self.node(), self.rng.u8(0..3));
        let jammed = |(from, to): &(u16, u16)| match how {
            0 => *to == one,
            1 => *from == one,
            _ => (*from, *to) == (one, other),
        };
        let links: Vec<_> = self.links().filter(jammed).collect();
        let jam = Jam { until_us, in_order: self.rng.bool() };
        self.jams.extend(links.into_iter().map(|link| (link, jam)));
    }

    /// Breaks links in this shape, which is turned towards the `leader` if there is one; whether
    /// any broke that were whole.
    pub(crate) fn break_in(&mut self, shape: Shape, leader: Option<u16>) -> bool {
        let before = self.cut.len() + self.flapping.len();
        let (one, other) = (self.node(), self.node());
        let leader = leader.unwrap_or(one);
        match shape {
            Shape::Isolated => self.cut_where(|from, to| (from == one) != (to == one)),
            Shape::Split => {
                let side = self.rng.u64(..);
                let side = |node: u16| side >> node & 1;
                self.cut_where(|from, to| side(from) != side(to));
            }
            Shape::Partial => {
                self.cut_where(|from, to| [(one, other), (other, one)].contains(&(from, to)));
            }
            Shape::OneWay => self.cut_where(|from, to| (from, to) == (one, other)),
            Shape::Deaf => self.cut_where(|from, to| to == one && from != one),
            Shape::Mute => self.cut_where(|from, to| from == one && to != one),
            Shape::Flapping => {
                let period = self.rng.u64(FLAP_US.0..=FLAP_US.1);
                let all = self.rng.bool();
                let flaps = |from, to| from == one && (all || to == other) || all && to == one;
                let links = self.links().filter(|(from, to)| flaps(*from, *to));
                let links: Vec<_> = links.map(|link| (link, period)).collect();
                self.flapping.extend(links);
            }
            Shape::QuorumLoss => {
                let hub = self.node_but(leader);
                self.cut_where(|from, to| from != hub && to != hub);
            }
            Shape::Constrained => {
                let hub = self.node_but(leader);
                let alone = |node| node == leader && leader != hub;
                self.cut_where(|from, to| alone(from) || alone(to) || from != hub && to != hub);
            }
            Shape::Chained => {
                // The nodes in a row that begins with the leader.
                let nodes = self.nodes;
                let place = |node: u16| (node + nodes - leader) % nodes;
                self.cut_where(|from, to| place(from).abs_diff(place(to)) != 1);
            }
        }
        self.cut.len() + self.flapping.len() > before
    }

    /// Breaks the links of a caller with some others, in one direction or both, for a while.
    pub(crate) fn lose(&mut self, caller: Caller, others: &[Place], until_us: u64) {
        let (there, back) = [(true, false), (false, true), (true, true)][self.rng.usize(0..3)];
        let caller = Place::Caller(caller);
        for other in others {
            if there {
                self.strays.insert((caller, *other), until_us);
            }
            if back {
                self.strays.insert((*other, caller), until_us);
            }
        }
    }

    /// Whether any link between nodes is broken.
    pub(crate) fn is_broken(&self) -> bool {
        !(self.cut.is_empty() && self.flapping.is_empty())
    }

    /// Makes every link between nodes whole.
    pub(crate) fn mend(&mut self) {
        self.cut.clear();
        self.flapping.clear();
        self.shut.clear();
        self.jams.clear();
    }

    /// Makes every link between nodes whole, and lets each word through until this moment.
    pub(crate) fn calm(&mut self, until_us: u64) {
        self.mend();
        self.calm_until_us = until_us;
    }

    /// Makes every link whole and the weather fair.
    pub(crate) fn heal(&mut self) {
        self.mend();
        self.strays.clear();
        self.weather = Weather::fair();
    }

    fn carries(&self, from: Place, to: Place, now_us: u64) -> bool {
        let (Place::Node(one), Place::Node(other)) = (from, to) else {
            return self.strays.get(&(from, to)).is_none_or(|until| *until <= now_us);
        };
        let down = |period: &u64| now_us / period % 2 == 1;
        let is_shut = self.shut.get(&(one, other)).is_some_and(|until| *until > now_us);
        let flaps = self.flapping.get(&(one, other)).is_some_and(down);
        !self.cut.contains(&(one, other)) && !is_shut && !flaps
    }

    /// How long a word waits for a jam to end.
    fn waits(&mut self, from: Place, to: Place, now_us: u64) -> Option<u64> {
        let (Place::Node(one), Place::Node(other)) = (from, to) else { return None };
        let jam = self.jams.get(&(one, other)).filter(|jam| jam.until_us > now_us)?;
        let waits = jam.until_us - now_us;
        // What is planned for one moment happens in the order in which it was planned.
        Some(if jam.in_order { waits } else { waits + self.rng.u64(0..=MS) })
    }

    fn cut_where(&mut self, severed: impl Fn(u16, u16) -> bool) {
        let links: Vec<_> = self.links().filter(|(from, to)| severed(*from, *to)).collect();
        self.cut.extend(links);
    }

    fn links(&self) -> impl Iterator<Item = (u16, u16)> + use<> {
        let nodes = self.nodes;
        (1..=nodes)
            .flat_map(move |from| (1..=nodes).map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
    }

    fn node(&mut self) -> u16 {
        self.rng.u16(1..=self.nodes)
    }

    fn node_but(&mut self, not: u16) -> u16 {
        match self.rng.choice((1..=self.nodes).filter(|node| *node != not).collect::<Vec<_>>()) {
            Some(node) => node,
            None => not,
        }
    }

    fn happens(&mut self, of_a_thousand: u64) -> bool {
        of_a_thousand > 0 && self.rng.u64(0..1_000) < of_a_thousand
    }

    fn delay(&mut self) -> u64 {
        let (least, most) = self.weather.delay_us;
        let usual = self.rng.u64(least..=most);
        if self.happens(self.weather.late) {
            usual + self.rng.u64(0..=self.weather.late_us)
        } else {
            usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(weather: Weather) -> Network {
        Network::new(5, weather, Rng::with_seed(7))
    }

    fn heard(network: &Network, now_us: u64) -> BTreeSet<(u16, u16)> {
        let carries = |from, to| network.carries(Place::Node(from), Place::Node(to), now_us);
        network.links().filter(|(from, to)| carries(*from, *to)).collect()
    }

    /// A cut link carries nothing in its own direction, and the weather never mends it.
    #[test]
    fn a_cut_link_carries_nothing_until_it_is_mended() {
        let mut network = network(Weather::fair());
        network.cut_where(|from, to| from == 1 && to == 2);
        assert!(network.copies(Place::Node(1), Place::Node(2), 0).is_empty());
        assert_eq!(network.copies(Place::Node(2), Place::Node(1), 0).len(), 1);
        network.mend();
        assert_eq!(network.copies(Place::Node(1), Place::Node(2), 0).len(), 1);
    }

    /// Loss, doubling and lateness come about as often as they are asked for, and nothing comes
    /// later than the latest: a universe counts on calm after that. (In universe 15715 a copy of a
    /// late word was as much later again, and a leader missed for it.)
    #[test]
    fn the_weather_is_as_announced() {
        let weather =
            Weather { lost: 100, doubled: 100, late: 50, late_us: 1_000_000, ..Weather::fair() };
        let mut network = network(weather);
        let words: Vec<Vec<u64>> =
            (0..10_000).map(|_| network.copies(Place::Node(1), Place::Node(2), 0)).collect();
        let lost = words.iter().filter(|copies| copies.is_empty()).count();
        let doubled = words.iter().filter(|copies| copies.len() == 2).count();
        let late = words.iter().filter_map(|copies| copies.first());
        let late = late.filter(|delay| **delay > 1_000).count();
        assert!((800..1_200).contains(&lost), "{lost}");
        assert!((700..1_100).contains(&doubled), "{doubled}");
        assert!((350..650).contains(&late), "{late}");
        let latest = words.iter().flatten().max();
        assert!(latest.is_some_and(|delay| *delay <= 1_001_000), "{latest:?}");
    }

    /// The three scenarios of OmniPaxos §2, with node 3 as the leader of five: one link left to
    /// it, none, and a line that begins with it.
    #[test]
    fn the_named_shapes_are_what_they_are_called() {
        let degree = |links: &BTreeSet<(u16, u16)>, node| {
            links.iter().filter(|(from, _)| *from == node).count()
        };
        let mut shaped = network(Weather::fair());
        shaped.break_in(Shape::QuorumLoss, Some(3));
        let links = heard(&shaped, 0);
        assert_eq!((links.len(), degree(&links, 3)), (8, 1));
        shaped.mend();
        shaped.break_in(Shape::Constrained, Some(3));
        let links = heard(&shaped, 0);
        assert_eq!((links.len(), degree(&links, 3)), (6, 0));
        shaped.mend();
        shaped.break_in(Shape::Chained, Some(3));
        let line = [(3, 4), (4, 5), (5, 1), (1, 2)];
        let both = line.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]);
        assert_eq!(heard(&shaped, 0), both.collect());
    }

    /// A flapping link is up and down in turn.
    #[test]
    fn a_flapping_link_goes_up_and_down() {
        let mut network = network(Weather::fair());
        network.break_in(Shape::Flapping, None);
        let up = |now_us| heard(&network, now_us).len() == 20;
        let changes = (0..1_000).map(|at| up(at * MS)).collect::<Vec<_>>();
        let changes = changes.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes >= 4, "{changes} changes in a second");
    }

    /// A stray caller is lost for its time, and the nodes are not.
    #[test]
    fn a_stray_caller_comes_back_by_itself() {
        let mut network = network(Weather::fair());
        let (caller, node) = (Caller::Owner(1), Place::Node(2));
        network.lose(caller, &[node], 500);
        let whole = |network: &Network, now| {
            network.carries(Place::Caller(caller), node, now)
                && network.carries(node, Place::Caller(caller), now)
        };
        assert!(!whole(&network, 499));
        assert!(whole(&network, 500));
        assert_eq!(heard(&network, 0).len(), 20);
    }

    /// However links break, healing ends it.
    #[test]
    fn every_break_ends_with_healing() {
        let mut network = network(Weather::fair());
        for shape in Shape::ALL {
            network.break_in(shape, Some(1));
        }
        assert!(heard(&network, 0).len() < 20);
        network.heal();
        assert!((0..1_000).all(|at| heard(&network, at * MS).len() == 20));
    }
}
