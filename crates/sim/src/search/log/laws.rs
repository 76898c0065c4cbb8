//! A and C4: what holds of all nodes together.

use std::collections::BTreeMap;

use synod_paxos::{Ballot, Slot};

use super::{Bounds, Fact, Log, Named, decree, named};
use crate::{
    search::stage::Scene,
    violation::{Checked, Violation, demand},
};

type Proposals<'s> = BTreeMap<(Slot, Ballot), &'s Named>;

/// Everything proposed and voted for, ever, by whomever; and what somebody takes for chosen.
pub(super) fn hold(bounds: Bounds, scene: &Scene<'_, Log>) -> Checked {
    let proposed = proposed(scene)?;
    let chosen = chosen(bounds, scene, &proposed)?;
    for ((slot, ballot), decree) in &proposed {
        if let Some((at, first)) = chosen.get(slot) {
            demand!(
                ballot <= at || decree == first,
                "A4",
                "slot {slot}: {decree:?} proposed at {ballot}, and {first:?} chosen at {at}"
            );
        }
    }
    for claim in scene.claims {
        if let Fact::Settled(upto) = claim {
            let all = (1..=upto.get()).all(|slot| chosen.contains_key(&Slot::new(slot)));
            demand!(all, "A3", "everything up to {upto} is taken for chosen without quorums");
        }
        let Fact::Believes(slot, decree) = claim else { continue };
        let Some((_, first)) = chosen.get(slot) else {
            demand!(false, "A3", "slot {slot}: {decree:?} is taken for chosen without a quorum");
            continue;
        };
        demand!(
            *first == decree,
            "C4",
            "slot {slot}: {decree:?} is taken for chosen, and {first:?} is"
        );
    }
    Ok(())
}

/// One decree per slot and ballot, and none that nobody asked for.
fn proposed<'s>(scene: &Scene<'s, Log>) -> Result<Proposals<'s>, Violation> {
    let mut proposed = BTreeMap::new();
    for (_, facts) in &scene.actors {
        for fact in *facts {
            let Fact::Proposed(slot, ballot, of) = fact else { continue };
            let first = *proposed.entry((*slot, *ballot)).or_insert(of);
            demand!(of == first, "A2", "slot {slot} at {ballot}: proposed {of:?} and {first:?}");
            let asked = |number| named(&decree(number)) == *of;
            demand!(
                of.is_none() || (1..=scene.spent.proposals).any(asked),
                "A5",
                "slot {slot}: {of:?} is proposed, which nobody asked for"
            );
        }
    }
    Ok(proposed)
}

/// What quorums have voted for, with the lowest ballot at which one has.
fn chosen<'s>(
    bounds: Bounds,
    scene: &Scene<'s, Log>,
    proposed: &Proposals<'s>,
) -> Result<BTreeMap<Slot, (Ballot, &'s Named)>, Violation> {
    let mut votes: BTreeMap<(Slot, Ballot), u16> = BTreeMap::new();
    for (_, facts) in &scene.actors {
        for fact in *facts {
            let Fact::Voted(slot, ballot, of) = fact else { continue };
            *votes.entry((*slot, *ballot)).or_default() += 1;
            demand!(
                proposed.get(&(*slot, *ballot)) == Some(&of),
                "A2",
                "slot {slot} at {ballot}: a vote for {of:?}, which is not proposed there"
            );
        }
    }
    let mut chosen = BTreeMap::new();
    for ((slot, ballot), _) in votes.iter().filter(|(_, votes)| **votes > bounds.nodes / 2) {
        let decree = proposed[&(*slot, *ballot)];
        let (at, first) = *chosen.entry(*slot).or_insert((*ballot, decree));
        // A6 is this property for a no-op.
        demand!(
            decree == first,
            "A1",
            "slot {slot}: {decree:?} is chosen at {ballot}, and {first:?} at {at}"
        );
    }
    Ok(chosen)
}
