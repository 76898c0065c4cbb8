//! The smallest places of the exhaustive search, whole: every interleaving of the real code within
//! their bounds. Larger ones are run by hand: `synod-sim search PLACE`.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

use synod_sim::Place;

/// More worlds than any of these places has.
const WORLDS_MAX: usize = 200_000;

#[test]
fn no_interleaving_within_the_smallest_bounds_breaks_a_law() {
    for name in ["duel", "commit", "commit-late"] {
        let searched = Place::named(name).unwrap().search(WORLDS_MAX, |_| {});
        assert!(searched.found.is_none(), "{name}: {:?}", searched.found);
        assert!(searched.to_string().starts_with("all "), "{name}: {searched}");
    }
}
