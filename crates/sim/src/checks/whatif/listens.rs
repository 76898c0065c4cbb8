//! A node that has just started gives no word of an acceptor before it has heard from everybody who
//! may know that it has forgotten something.

use synod_paxos::{Config, Decree, Durable, Envelope, Input, Message, Output, Slot, Tick, Write};

use super::starts::Start;
use crate::violation::{Checked, demand};

/// A node starts from `durable`, and at once whom it had promised asks for that again, and somebody
/// proposes and asks to be confirmed.
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
    let (promised, first) = (copy.promised(), Slot::new(1));
    let again = Message::Prepare { ballot: promised, first, holds: Vec::new() };
    let asks = [(promised.owner(), again), (other, accept)];
    let confirm = (other, Message::Confirm { ballot, round: 1 });
    for (from, message) in asks.into_iter().chain([confirm]) {
        // Its own word it gives itself.
        if from != me {
            let word = Envelope::of(from, me.node, message);
            copy.step(Tick::ZERO, Input::Deliver(word), &mut out);
        }
    }
    let votes =
        |write: &Write| matches!(write, Write::Accepted { ballot: at, .. } if *at == ballot);
    let gives = |word: &Envelope| {
        matches!(word.message, Message::Confirmed { .. } | Message::Promise { .. })
    };
    let votes = out.durably.writes().iter().any(votes);
    let gives = out.durably.synced().iter().chain(&out.at_once).any(gives);
    demand!(
        !votes && !gives,
        "B8",
        "{me} starts, and gives {other} its word before it has heard from all others"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use synod_paxos::{Ballot, Leasing, Life, Members, NodeId};

    use super::{super::starts::RECOVER, *};

    fn config() -> Config {
        let voters: Vec<Life> = (1..=3).map(|node| Life::first(NodeId::new(node))).collect();
        Config::new(voters[0], Members::new(voters).unwrap()).unwrap()
    }

    #[test]
    fn a_start_that_listens_to_nobody_is_seen() {
        let config = config();
        let check = |start| a_start_listens(&config, &Durable::default(), start);
        assert_eq!(check(RECOVER), Ok(()));
        let at_once: Start = |config, durable, applied| {
            let leasing = Leasing { vow: Duration::ZERO, ..config.leasing };
            RECOVER(Config { leasing, ..config }, durable, applied)
        };
        assert_eq!(check(at_once).unwrap_err().invariant, "B8");
    }

    /// It remembers whom it promised, and says so again.
    #[test]
    fn a_start_that_promises_again_is_seen() {
        let (config, other) = (config(), Life::first(NodeId::new(2)));
        let promised = Some(Ballot::of(4, other));
        let durable = Durable { promised, ..Durable::default() };
        assert_eq!(a_start_listens(&config, &durable, RECOVER), Ok(()));
        // It has begun to listen long before, and says nothing else.
        let repeats: Start = |config, durable, applied| {
            let (mut peer, end) = (RECOVER(config.clone(), durable, applied), config.leasing.vow);
            for moment in [Tick::ZERO, Tick::ZERO.after(end)] {
                peer.step(moment, Input::Wake, &mut Output::default());
            }
            peer
        };
        assert_eq!(a_start_listens(&config, &durable, repeats).unwrap_err().invariant, "B8");
    }
}
