//! C2 to C5: what holds of all together.

use std::collections::BTreeMap;

use synod_machine::TxnId;

use super::{Bounds, Commit, Core, Ending, Fact};
use crate::{
    search::stage::Scene,
    violation::{Checked, demand},
};

/// Whatever anybody has done, ever.
pub(super) fn hold(bounds: Bounds, scene: &Scene<'_, Commit>) -> Checked {
    for txn in bounds.all_txns() {
        one_ending(txn, scene)?;
        ends_on_a_verdict(txn, scene)?;
        commits_only_what_all_promised(txn, scene)?;
    }
    writes_alike(scene)
}

fn has(scene: &Scene<'_, Commit>, fact: Fact) -> bool {
    scene.actors.iter().any(|(_, facts)| facts.contains(&fact))
}

/// C2: no participant commits what another rolls back.
fn one_ending(txn: TxnId, scene: &Scene<'_, Commit>) -> Checked {
    let [commit, abort] = [Ending::Commit, Ending::Abort].map(|ending| Fact::Ended(txn, ending));
    let both = has(scene, commit) && has(scene, abort);
    demand!(!both, "C2", "{txn} is committed here and rolled back there");
    Ok(())
}

/// C4, C5: whoever ends a branch, or tells a caller, does it on the log's verdict, or on the word
/// of an owner that has given up and never proposed to commit.
fn ends_on_a_verdict(txn: TxnId, scene: &Scene<'_, Commit>) -> Checked {
    for ending in [Ending::Commit, Ending::Abort] {
        let decided = has(scene, Fact::Decided(txn, ending));
        let gave_up = ending == Ending::Abort && has(scene, Fact::GaveUp(txn));
        let ended = has(scene, Fact::Ended(txn, ending));
        demand!(!ended || decided || gave_up, "C4", "{txn} ends with {ending:?} undecided");
        let heard = has(scene, Fact::Heard(txn, ending));
        demand!(!heard || decided, "C5", "a caller hears {ending:?} of {txn}, undecided");
    }
    let [gave_up, commit] = [Fact::GaveUp(txn), Fact::Decided(txn, Ending::Commit)];
    let broken = has(scene, gave_up) && has(scene, commit);
    demand!(!broken, "C5", "{txn} commits after its owner has given it up");
    Ok(())
}

/// C3: to commit is proposed when every participant's prepare is durable.
fn commits_only_what_all_promised(txn: TxnId, scene: &Scene<'_, Commit>) -> Checked {
    let commit = Fact::Decided(txn, Ending::Commit);
    if has(scene, Fact::Proposed(txn)) || has(scene, commit) {
        let parties = scene.actors.iter().filter(|(core, _)| matches!(core, Core::Party(_)));
        let promised =
            |facts: &std::collections::BTreeSet<Fact>| facts.contains(&Fact::Promised(txn));
        let all = parties.into_iter().all(|(_, facts)| promised(facts));
        demand!(all, "C3", "{txn} is to commit, and somebody has not promised it");
    }
    Ok(())
}

/// C11: when all that was said is heard and nothing more befalls anybody, no branch is in doubt and
/// every commit is known to be finished; unless the log has forgotten it, so that a person must be
/// asked, or a participant had when it lost its power, and had not acknowledged it.
pub(super) fn rests_well(bounds: Bounds, scene: &Scene<'_, Commit>) -> Checked {
    let forgotten = scene.spent.months > 0 || bounds.forgetful_log;
    if forgotten || bounds.room.is_some() && scene.spent.crashes > 0 {
        return Ok(());
    }
    for (core, _) in &scene.actors {
        let (open, what): (Vec<TxnId>, _) = match core {
            Core::Log(record) => (record.awaits().collect(), "unfinished"),
            Core::Party(party) => (party.in_doubt(), "in doubt"),
            Core::Owner(_) => continue,
        };
        demand!(open.is_empty(), "C11", "{open:?} are {what} for ever");
    }
    Ok(())
}

/// Participants that have finished the same commits, and hold nothing else, hold the same.
fn writes_alike(scene: &Scene<'_, Commit>) -> Checked {
    let mut seen = BTreeMap::new();
    for (core, facts) in &scene.actors {
        let Core::Party(party) = core else { continue };
        let Some(disk) = party.at_rest() else { continue };
        let commits = |fact: &&Fact| matches!(fact, Fact::Ended(_, Ending::Commit));
        let done: Vec<Fact> = facts.iter().filter(commits).copied().collect();
        let values: Vec<_> = disk.keys.iter().map(|(key, entry)| (key, &entry.value)).collect();
        let first = seen.entry(done.clone()).or_insert_with(|| values.clone());
        demand!(*first == values, "C2", "after {done:?} one holds {first:?}, another {values:?}");
    }
    Ok(())
}
