use crate::{
    plan::MS,
    planted::Plant,
    run::replay,
    script::{Changes, Script, Store},
    story::Told,
};

/// How many universes that are planned alike are tried before a smaller plan is given up.
const TRIES: u64 = 12;

/// The smallest script that is found to break the same property as `script` does: with fewer kinds
/// of trouble, in fair weather, on the model of the store, with fewer clients, owners,
/// participants, holders, patrons and nodes, for a shorter time. `None` if it breaks none.
pub fn shrink(script: &Script, plant: Option<Plant>) -> Option<Script> {
    let broken = replay(script, plant, Told::Nothing).failure?.violation.invariant;
    let breaks = |changes: &Changes| {
        (0..TRIES).find_map(|chance| {
            let changes = Changes { chance, ..changes.clone() };
            let script = Script { seed: script.seed, changes };
            let failure = replay(&script, plant, Told::Nothing).failure?;
            (failure.violation.invariant == broken).then_some(script)
        })
    };
    Some(smallest(script.clone(), breaks))
}

/// Takes one smaller thing after the other as long as one of them still `breaks`.
fn smallest(script: Script, breaks: impl Fn(&Changes) -> Option<Script>) -> Script {
    let mut smallest = script;
    while let Some(smaller) = smaller(&smallest).iter().find_map(&breaks) {
        smallest = smaller;
    }
    smallest
}

/// Everything that is smaller by one thing, what says most first.
fn smaller(script: &Script) -> Vec<Changes> {
    let (plan, now) = (script.plan(), &script.changes);
    let mut smaller = Vec::new();
    for (trouble, _) in &plan.gaps_us {
        let mut changes = now.clone();
        changes.without.insert(*trouble);
        smaller.push(changes);
    }
    if !now.fair {
        smaller.push(Changes { fair: true, ..now.clone() });
    }
    if plan.real_store {
        smaller.push(Changes { store: Some(Store::Model), ..now.clone() });
    }
    if plan.owners > 0 {
        smaller.push(Changes { owners: Some(plan.owners - 1), ..now.clone() });
    }
    if plan.holders > 0 {
        smaller.push(Changes { holders: Some(plan.holders - 1), ..now.clone() });
    }
    if plan.patrons > 0 {
        smaller.push(Changes { patrons: Some(plan.patrons - 1), ..now.clone() });
    }
    if plan.clients > 1 {
        smaller.push(Changes { clients: Some(plan.clients - 1), ..now.clone() });
    }
    if plan.participants > 2 {
        smaller.push(Changes { participants: Some(plan.participants - 1), ..now.clone() });
    }
    if plan.voters > 1 {
        smaller.push(Changes { voters: Some(plan.voters - 2), ..now.clone() });
    }
    let trouble_ms = plan.trouble_us / MS;
    for shorter in [trouble_ms / 2, trouble_ms * 4 / 5] {
        if shorter < trouble_ms {
            smaller.push(Changes { trouble_ms: Some(shorter), ..now.clone() });
        }
    }
    smaller
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{run::Run, trouble::Trouble};

    /// A bug of a device is caught in the smallest universe in which it can be seen, and that one
    /// is told by its script: one owner and two participants, and no trouble at all.
    #[test]
    fn a_planted_bug_is_shrunk_to_what_it_needs() {
        let plant = Some(Plant::VoteBeforeSync);
        let run = Run { seeds: 40, threads: 1, plant, ..Run::default() };
        let found = &crate::run(&run, |_| {}).failures[0];
        let whole = found.script.plan();
        let smallest: Script = shrink(&found.script, plant).unwrap().to_string().parse().unwrap();
        let again = replay(&smallest, plant, Told::Nothing).failure.unwrap();
        assert_eq!(again.violation.invariant, found.violation.invariant);
        let plan = smallest.plan();
        assert_eq!((plan.voters, plan.clients, plan.owners, plan.participants), (1, 1, 1, 2));
        assert!(plan.gaps_us.is_empty() && smallest.changes.fair, "{smallest}");
        assert!(plan.trouble_us < whole.trouble_us, "{smallest}");
        assert_eq!(shrink(&found.script, None), None, "without the bug there is nothing to shrink");
    }

    /// What is needed stays, and everything else goes.
    #[test]
    fn what_breaks_nothing_is_left_out() {
        let needs = |changes: &Changes| {
            let script = Script { seed: 3, changes: changes.clone() };
            let plan = script.plan();
            let breaks = plan.clients >= 2
                && plan.trouble_us >= 700 * MS
                && !changes.without.contains(&Trouble::Cut);
            breaks.then_some(script)
        };
        let seed = (0..).find(|seed| {
            let plan = Script::of(*seed).plan();
            plan.clients > 2 && plan.knows(Trouble::Cut) && plan.knows(Trouble::Crash)
        });
        let seed = seed.unwrap();
        let found = smallest(Script::of(seed), |changes| {
            needs(changes).map(|script| Script { seed, ..script })
        });
        let plan = found.plan();
        let kinds: Vec<Trouble> = plan.gaps_us.iter().map(|(trouble, _)| *trouble).collect();
        assert_eq!(kinds, [Trouble::Cut]);
        assert_eq!((plan.clients, plan.owners, plan.participants, plan.voters), (2, 0, 2, 1));
        assert!(found.changes.fair && plan.trouble_us < 900 * MS, "{found}");
    }
}
