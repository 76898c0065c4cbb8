//! Whose word may be about what: a copy hears what its speaker cannot have to say.

use synod_paxos::{Ballot, Envelope, Life, Message, Page, Slot};

use super::{bounds::Bounds, door::stands};
use crate::violation::Checked;

impl Bounds<'_> {
    /// Answers that are owed to another, as whoever sends to the wrong address says them.
    pub(super) fn answers_to_another_are_turned_away(&self, other: Life) -> Checked {
        let ballot = self.peer.promised().raised_by(other);
        let (round, chosen_upto, first) = (1, Slot::ZERO, Slot::new(1));
        let (lost_upto, reports) = (Slot::ZERO, Vec::new());
        let page = Page { first, upto: None, chosen_upto, lost_upto, reports };
        let answers = [
            Message::Promise { ballot, page },
            Message::Refused { ballot, promised: ballot },
            Message::Accepted { ballot, slots: Vec::new(), chosen_upto },
            Message::Confirmed { ballot, round },
            Message::Vowed { ballot, round },
        ];
        self.turns_away("B5", answers.map(|answer| Envelope::of(other, self.node, answer)))
    }

    /// Words that one node says to another, and never to itself.
    pub(super) fn no_node_tells_itself(&self) -> Checked {
        let (first, chosen_upto) = (Slot::new(1), Slot::ZERO);
        let (round, standing) = (1, stands(Ballot::ZERO, chosen_upto));
        let words = [
            Message::Heartbeat { round, standing },
            Message::Alive { round, standing },
            Message::Ask { first, upto: first },
            Message::Learned { decrees: Vec::new(), chosen_upto },
            Message::Trimmed { upto: first },
        ];
        let me = Life::first(self.node);
        self.turns_away("B5", words.map(|word| Envelope::of(me, self.node, word)))
    }
}

#[cfg(test)]
mod tests {
    use synod_paxos::{NodeId, Tick};

    use super::{
        super::{
            bounds::Hears,
            tests::{ME, OTHER, follower, said},
        },
        *,
    };

    fn seen(hears: Hears, check: impl Fn(&Bounds<'_>) -> Checked) -> Option<&'static str> {
        super::super::tests::seen(&follower([]), Tick::ZERO, hears, check)
    }

    #[test]
    fn who_takes_what_is_owed_to_another_is_seen() {
        let own: Hears = |input| {
            said(input, |word| {
                if let Message::Confirmed { ballot, .. } = &mut word.message {
                    *ballot = Ballot::of(ballot.round(), Life::first(ME));
                }
            })
        };
        assert_eq!(
            seen(own, |bounds| bounds.answers_to_another_are_turned_away(OTHER)),
            Some("B5")
        );
    }

    #[test]
    fn who_listens_to_itself_is_seen() {
        let of_another: Hears = |input| {
            said(input, |word| {
                if let Message::Learned { .. } = word.message {
                    word.from = Life::first(NodeId::new(3));
                }
            })
        };
        assert_eq!(seen(of_another, |bounds| bounds.no_node_tells_itself()), Some("B5"));
    }
}
