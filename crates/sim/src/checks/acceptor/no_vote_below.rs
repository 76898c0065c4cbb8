//! B2: no vote is below the promise, none is above it that the promise has not risen to, and none
//! is spoken of below what is durably promised.

use synod_paxos::{Ballot, Life, Slot, Span, Write};

use crate::{
    ghost::Ghost,
    violation::{Checked, demand},
};

/// A vote is asked for, after the disk was asked to keep a promise.
pub(super) fn is_asked(life: Life, slot: Slot, ballot: Ballot, promised: Ballot) -> Checked {
    demand!(
        ballot >= promised,
        "B2",
        "{life} votes in slot {slot} at {ballot} after it promised {promised}"
    );
    Ok(())
}

/// All facts of one step are asked for: no vote stands above the promise.
pub(super) fn are_asked(ghost: &Ghost, life: Life, writes: &[Write]) -> Checked {
    let promised = ghost.asked(life.node).promised();
    for write in writes {
        if let Write::Accepted { slot, ballot, .. } = write {
            demand!(
                *ballot <= promised,
                "B2",
                "{life} votes in slot {slot} at {ballot} and has promised only {promised}"
            );
        }
    }
    Ok(())
}

/// A word of votes leaves. A promise that became durable with them came after them.
pub(super) fn is_spoken(ghost: &Ghost, from: Life, ballot: Ballot, slots: &[Span]) -> Checked {
    let promised = ghost.promised_before(from.node);
    demand!(
        ballot >= promised || slots.is_empty(),
        "B2",
        "{from} tells of votes at {ballot} when it has promised {promised}, durably so"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Decree, Envelope, Message, NodeId};

    use super::*;
    use crate::checks::acceptor::spoken;

    const ME: Life = Life::first(NodeId::new(1));
    const OTHER: Life = Life::first(NodeId::new(2));

    /// A vote and a higher promise may be of one sync, for the vote came first. What is said of a
    /// vote when a higher promise is durable is seen, also where that vote was once cast.
    #[test]
    fn a_vote_spoken_of_below_a_durable_promise_is_seen() {
        let (low, high, slot) = (Ballot::of(1, OTHER), Ballot::of(2, OTHER), Slot::new(1));
        let mut ghost = Ghost::new(&[ME, OTHER]);
        let vote = Write::Accepted { slot, ballot: low, decree: Decree::Noop };
        ghost.begin_sync(ME.node);
        for write in [vote, Write::Promised { ballot: high }] {
            ghost.sync(ME, &write);
        }
        let accepted = |slots| {
            let message = Message::Accepted { ballot: low, slots, chosen_upto: Slot::ZERO };
            Envelope::of(ME, OTHER.node, message)
        };
        let votes = accepted(vec![Span { first: slot, last: slot }]);
        spoken(&ghost, &votes).unwrap();
        ghost.begin_sync(ME.node);
        assert_eq!(spoken(&ghost, &votes).unwrap_err().invariant, "B2");
        spoken(&ghost, &accepted(Vec::new())).unwrap();
    }
}
