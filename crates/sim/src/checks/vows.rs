//! E6: what a lease rests on. Whoever has vowed promises nobody else, over a restart too, until the
//! vow has run out or its leader has said that its reign is over; and a lease ends no later than
//! the vows of a quorum, whatever the clocks do within the bound of their rates.

use std::collections::BTreeMap;

use synod_paxos::{Ballot, Envelope, Leasing, Life, Message, NodeId};
use synod_replica::ClientId;

use super::alone::Held;
use crate::{
    plan::CLOCKS_OFF_PPM,
    violation::{Checked, demand},
};

const MILLION: u64 = 1_000_000;

/// What clocks that show whole microseconds may be off by.
const SLACK_US: u64 = 2;

/// Who has vowed what, by the time of the universe.
#[derive(Debug)]
pub(crate) struct Vows {
    /// How long a vow lasts at least: by the fastest clock there may be.
    least_us: u64,
    given: BTreeMap<NodeId, Given>,
    /// The last reign that each has said to be over.
    over: BTreeMap<Life, Ballot>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    to: Ballot,
    until_us: u64,
}

impl Vows {
    pub(crate) fn new(leasing: Leasing) -> Vows {
        let vow_us = u64::try_from(leasing.vow.as_micros()).unwrap_or(u64::MAX);
        let least_us = vow_us * MILLION / (MILLION + CLOCKS_OFF_PPM.unsigned_abs());
        Vows { least_us, given: BTreeMap::new(), over: BTreeMap::new() }
    }

    /// A word leaves. A leader that asks has vowed itself.
    pub(crate) fn spoken(&mut self, promised: Ballot, envelope: &Envelope, now_us: u64) -> Checked {
        let from = envelope.from;
        match envelope.message {
            Message::Vow { ballot, .. } => self.gives(from, ballot, now_us),
            Message::Vowed { ballot, .. } => {
                demand!(
                    promised <= ballot,
                    "E6",
                    "{from} vows to {ballot}, and has promised {promised}"
                );
                self.gives(from, ballot, now_us)
            }
            Message::Release { ballot } | Message::HandOver { ballot, .. } => {
                let over = self.over.entry(from).or_insert(ballot);
                *over = ballot.max(*over);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn gives(&mut self, from: Life, to: Ballot, now_us: u64) -> Checked {
        let earlier = self.kept_by(from.node, now_us);
        demand!(
            earlier.is_none_or(|given| given.to <= to),
            "E6",
            "{from} vows to {to} while it is bound by {earlier:?}"
        );
        self.given.insert(from.node, Given { to, until_us: now_us + self.least_us });
        Ok(())
    }

    /// A node is to promise `ballot`, which no quorum has promised yet. Its own reign ends with
    /// that, and the lease of it.
    pub(crate) fn promises(&self, life: Life, ballot: Ballot, now_us: u64) -> Checked {
        let bound = self.kept_by(life.node, now_us).filter(|given| given.to.owner() != life);
        demand!(
            bound.is_none_or(|given| given.to.owner() == ballot.owner()),
            "E6",
            "{life} promises {ballot} while it is bound by {bound:?}"
        );
        Ok(())
    }

    /// These leases run: each until then at the latest, by the slowest clock there may be.
    pub(crate) fn bear(&self, held: &[Held], quorum: usize) -> Checked {
        for lease in held {
            let vows = self.given.values().filter(|given| given.to == lease.at);
            let long = vows.filter(|given| given.until_us + SLACK_US >= lease.latest_us).count();
            demand!(
                long >= quorum && !self.is_over(lease.at),
                "E6",
                "{lease}, {} us at the latest, rests on {long} vows: {:?}",
                lease.latest_us,
                self.given
            );
        }
        Ok(())
    }

    fn kept_by(&self, node: NodeId, now_us: u64) -> Option<Given> {
        let given = self.given.get(&node).copied();
        given.filter(|given| now_us < given.until_us && !self.is_over(given.to))
    }

    fn is_over(&self, reign: Ballot) -> bool {
        self.over.get(&reign.owner()).is_some_and(|over| reign <= *over)
    }
}

/// A node answers by a lease, which it has or had when it looked.
pub(crate) fn is_held(node: NodeId, client: ClientId, has_lease: bool) -> Checked {
    demand!(has_lease, "E6", "{node} answers {client:?} by a lease, and holds none");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn life(node: u16) -> Life {
        Life::first(NodeId::new(node))
    }

    fn ballot(round: u64, node: u16) -> Ballot {
        Ballot::of(round, life(node))
    }

    fn says(node: u16, message: Message) -> Envelope {
        Envelope::of(life(node), NodeId::new(1), message)
    }

    /// Node 1 asks for a vow at 0, and node 2 gives it at 1000.
    fn vows() -> Vows {
        let vow = Duration::from_millis(65);
        let mut vows = Vows::new(Leasing { asks: true, vow });
        let (ballot, round) = (ballot(1, 1), 1);
        vows.spoken(ballot, &says(1, Message::Vow { ballot, round }), 0).unwrap();
        vows.spoken(ballot, &says(2, Message::Vowed { ballot, round }), 1_000).unwrap();
        vows
    }

    fn is_seen(checked: Checked) -> bool {
        checked.is_err_and(|violation| violation.invariant == "E6")
    }

    /// The fastest clock shows 65 ms when 64 have passed.
    #[test]
    fn a_promise_to_another_is_seen_while_a_vow_lasts() {
        let mut vows = vows();
        assert!(is_seen(vows.promises(life(2), ballot(2, 2), 64_999)));
        assert_eq!(vows.promises(life(2), ballot(2, 1), 64_999), Ok(()));
        assert_eq!(vows.promises(life(2), ballot(2, 2), 65_000), Ok(()));
        assert_eq!(vows.promises(life(1), ballot(2, 2), 1), Ok(()), "its reign ends with it");
        let release = Message::Release { ballot: ballot(1, 1) };
        vows.spoken(ballot(1, 1), &says(1, release), 2_000).unwrap();
        assert_eq!(vows.promises(life(2), ballot(2, 2), 2_000), Ok(()));
    }

    #[test]
    fn a_vow_below_a_promise_or_another_vow_is_seen() {
        let mut vows = vows();
        let low = Message::Vowed { ballot: ballot(0, 3), round: 1 };
        assert!(is_seen(vows.spoken(ballot(0, 3), &says(2, low.clone()), 2_000)));
        assert!(is_seen(vows.spoken(ballot(1, 1), &says(3, low), 2_000)));
    }

    #[test]
    fn a_lease_that_is_longer_than_the_vows_of_a_quorum_is_seen() {
        let mut vows = vows();
        let held = |latest_us| {
            [Held { by: NodeId::new(1), at: ballot(1, 1), until_us: latest_us, latest_us }]
        };
        assert_eq!(vows.bear(&held(64_000), 2), Ok(()));
        assert!(is_seen(vows.bear(&held(64_003), 2)));
        assert!(is_seen(vows.bear(&held(64_000), 3)));
        let release = Message::Release { ballot: ballot(1, 1) };
        vows.spoken(ballot(1, 1), &says(1, release), 2_000).unwrap();
        assert!(is_seen(vows.bear(&held(3_000), 2)), "its reign is over");
    }
}
