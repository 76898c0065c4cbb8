use std::collections::BTreeSet;

use fastrand::Rng;

use crate::plan::Weather;

/// The links between nodes, and what happens to words on them. It decides; the world delivers.
#[derive(Debug)]
pub(crate) struct Network {
    weather: Weather,
    rng: Rng,
    /// Directed links that carry nothing at the moment.
    cut: BTreeSet<(u16, u16)>,
    nodes: u16,
}

impl Network {
    /// The links between nodes 1 to `nodes`, all whole.
    pub(crate) fn new(nodes: u16, weather: Weather, rng: Rng) -> Network {
        Network { weather, rng, cut: BTreeSet::new(), nodes }
    }

    /// After how many microseconds each copy of a word from one node to another arrives; none when
    /// the word is lost.
    pub(crate) fn copies(&mut self, from: u16, to: u16) -> Vec<u64> {
        if !self.carries(from, to) {
            return Vec::new();
        }
        self.anywhere()
    }

    /// As [`Network::copies`], for links that are never cut: those of clients.
    pub(crate) fn anywhere(&mut self) -> Vec<u64> {
        if self.happens(self.weather.lost) {
            return Vec::new();
        }
        let copies = if self.happens(self.weather.doubled) { 2 } else { 1 };
        (0..copies).map(|_| self.delay()).collect()
    }

    /// Breaks links, in one of the shapes that consensus must survive.
    pub(crate) fn break_some(&mut self) -> &'static str {
        let (one, other) = (self.node(), self.node());
        match self.rng.u8(0..6) {
            0 => {
                self.cut_where(|from, to| (from == one) != (to == one));
                "isolates a node"
            }
            1 => {
                let side = self.rng.u64(..);
                let side = |node: u16| side >> node & 1;
                self.cut_where(|from, to| side(from) != side(to));
                "splits the cluster"
            }
            2 => {
                self.cut_where(|from, to| (from, to) == (one, other));
                "breaks one direction of a link"
            }
            3 => {
                self.cut_where(|from, to| to == one && from != one);
                "makes a node deaf"
            }
            // Only one node sees all others: quorum loss and the constrained election of OmniPaxos.
            4 => {
                self.cut_where(|from, to| from != one && to != one);
                "leaves one node that sees all"
            }
            _ => {
                self.cut_where(|from, to| from.abs_diff(to) != 1);
                "chains the nodes"
            }
        }
    }

    /// Makes every link whole.
    pub(crate) fn mend(&mut self) {
        self.cut.clear();
    }

    /// Makes every link whole and the weather fair.
    pub(crate) fn heal(&mut self) {
        self.mend();
        self.weather = Weather::fair();
    }

    fn carries(&self, from: u16, to: u16) -> bool {
        !self.cut.contains(&(from, to))
    }

    fn cut_where(&mut self, severed: impl Fn(u16, u16) -> bool) {
        for from in 1..=self.nodes {
            for to in (1..=self.nodes).filter(|to| *to != from) {
                if severed(from, to) {
                    self.cut.insert((from, to));
                }
            }
        }
    }

    fn node(&mut self) -> u16 {
        self.rng.u16(1..=self.nodes)
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

    /// A cut link carries nothing in its own direction, and the weather never mends it.
    #[test]
    fn a_cut_link_carries_nothing_until_it_is_mended() {
        let mut network = network(Weather::fair());
        network.cut_where(|from, to| from == 1 && to == 2);
        assert!(network.copies(1, 2).is_empty());
        assert_eq!(network.copies(2, 1).len(), 1);
        network.mend();
        assert_eq!(network.copies(1, 2).len(), 1);
    }

    /// Loss, doubling and lateness come about as often as they are asked for.
    #[test]
    fn the_weather_is_as_announced() {
        let weather =
            Weather { lost: 100, doubled: 100, late: 50, late_us: 1_000_000, ..Weather::fair() };
        let mut network = network(weather);
        let words: Vec<Vec<u64>> = (0..10_000).map(|_| network.copies(1, 2)).collect();
        let lost = words.iter().filter(|copies| copies.is_empty()).count();
        let doubled = words.iter().filter(|copies| copies.len() == 2).count();
        let late = words.iter().flatten().filter(|delay| **delay > 1_000).count();
        assert!((800..1_200).contains(&lost), "{lost}");
        assert!((700..1_100).contains(&doubled), "{doubled}");
        assert!((350..650).contains(&late), "{late}");
    }

    /// Every shape of a break leaves a node able to talk to itself, and healing ends it.
    #[test]
    fn every_break_ends_with_healing() {
        let mut network = network(Weather::fair());
        for _ in 0..100 {
            network.break_some();
        }
        assert!((1..=5).all(|node| network.carries(node, node)));
        network.heal();
        assert!((1..=5).all(|from| (1..=5).all(|to| network.carries(from, to))));
    }
}
