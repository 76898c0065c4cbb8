//! A node that has just started gives no word of an acceptor before it has heard from everybody who
//! may know that it has forgotten something.

use synod_paxos::{Config, Decree, Durable, Envelope, Input, Message, Output, Slot, Tick, Write};

use super::starts::Start;
use crate::violation::{Checked, demand};

/// A node starts from `durable`, and somebody proposes and asks to be confirmed at once.
pub(super) fn a_start_listens(config: &Config, durable: &Durable, start: Start) -> Checked {
    let (me, vow) = (config.life, config.leasing.vow);
    let Some(other) = config.members.iter().find(|life| *life != me) else { return Ok(()) };
    if vow.is_zero() {
        return Ok(());
    }
    let mut copy = start(config.clone(), durable.clone(), durable.chosen_upto);
    let (ballot, slot) = (copy.promised().raised_by(other), copy.settled().next());
    let accept = Message::Accept { ballot, slot, decree: Decree::Noop, chosen_upto: Slot::ZERO };
    let mut out = Output::default();
    for message in [accept, Message::Confirm { ballot, round: 1 }] {
        let word = Envelope::of(other, me.node, message);
        copy.step(Tick::ZERO, Input::Deliver(word), &mut out);
    }
    let votes =
        |write: &Write| matches!(write, Write::Accepted { ballot: at, .. } if *at == ballot);
    let confirms = |word: &Envelope| matches!(word.message, Message::Confirmed { .. });
    demand!(
        !out.durably.writes().iter().any(votes) && !out.at_once.iter().any(confirms),
        "B8",
        "{me} starts, and gives {other} its word before it has heard from all others"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use synod_paxos::{Leasing, Life, Members, NodeId};

    use super::{super::starts::RECOVER, *};

    #[test]
    fn a_start_that_listens_to_nobody_is_seen() {
        let voters: Vec<Life> = (1..=3).map(|node| Life::first(NodeId::new(node))).collect();
        let config = Config::new(voters[0], Members::new(voters).unwrap()).unwrap();
        let check = |start| a_start_listens(&config, &Durable::default(), start);
        assert_eq!(check(RECOVER), Ok(()));
        let at_once: Start = |config, durable, applied| {
            let leasing = Leasing { vow: Duration::ZERO, ..config.leasing };
            RECOVER(Config { leasing, ..config }, durable, applied)
        };
        assert_eq!(check(at_once).unwrap_err().invariant, "B8");
    }
}
