use std::time::Duration;

use crate::{NodeId, Slot, Tick, Timing};

/// Fetching chosen decrees from whoever has them: one question at a time, another peer when the
/// answer does not come.
#[derive(Clone, Debug)]
pub(crate) struct CatchUp {
    /// The watermark when last looked at, and since when it has been that.
    stands: (Slot, Tick),
    asked: Option<(NodeId, Tick)>,
    /// Whom to ask after.
    last_asked: Option<NodeId>,
    patience: Duration,
    grace: Duration,
    patience_max: Duration,
    patience_min: Duration,
}

/// Behind by this much, the missing slots are surely not on their way.
const FAR_BEHIND_SLOTS: u64 = 1_024;

impl CatchUp {
    pub(crate) fn new(timing: &Timing) -> CatchUp {
        CatchUp {
            stands: (Slot::ZERO, Tick::ZERO),
            asked: None,
            last_asked: None,
            patience: timing.suspect_min,
            grace: timing.heartbeat,
            patience_min: timing.suspect_min,
            patience_max: timing.suspect_max,
        }
    }

    /// Whom to ask now, given everything up to `upto` and who says to have more. A gap that closes
    /// by itself within a heartbeat asks nobody: words overtake each other.
    pub(crate) fn whom(
        &mut self,
        now: Tick,
        upto: Slot,
        ahead: &[(NodeId, Slot)],
        at_once: bool,
    ) -> Option<(NodeId, Slot)> {
        if self.stands.0 != upto {
            self.stands = (upto, now);
        }
        let furthest = ahead.iter().map(|(_, claim)| *claim).max()?;
        match self.asked {
            Some((_, asked_at)) if now.since(asked_at) < self.patience => return None,
            Some(_) => {
                self.asked = None;
                self.patience = (self.patience * 2).min(self.patience_max);
            }
            None => {
                let far = furthest.distance_from(upto) > FAR_BEHIND_SLOTS;
                if !at_once && !far && now.since(self.stands.1) < self.grace {
                    return None;
                }
            }
        }
        let after = |(node, _): &&(NodeId, Slot)| self.last_asked.is_none_or(|last| *node > last);
        let (node, claim) = *ahead.iter().find(after).or(ahead.first())?;
        self.last_asked = Some(node);
        self.asked = Some((node, now));
        Some((node, claim))
    }

    /// An answer came from `node`; when it was of use, that peer is asked again first.
    pub(crate) fn answered(&mut self, node: NodeId, useful: bool) {
        if self.asked.is_some_and(|(asked, _)| asked == node) && useful {
            self.asked = None;
            self.patience = self.patience_min;
            // The search for the next peer begins after this one: step back behind it.
            self.last_asked = node.get().checked_sub(1).map(NodeId::new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPTO: Slot = Slot::new(5);

    fn at(millis: u64) -> Tick {
        Tick::from_micros(millis * 1_000)
    }

    fn ahead(claims: &[(u16, u64)]) -> Vec<(NodeId, Slot)> {
        claims.iter().map(|(node, claim)| (NodeId::new(*node), Slot::new(*claim))).collect()
    }

    fn asked(asked: Option<(NodeId, Slot)>) -> Option<u16> {
        asked.map(|(node, _)| node.get())
    }

    /// A gap that words in flight will close asks nobody; one that stays asks, and one that is far
    /// too wide asks at once.
    #[test]
    fn a_gap_is_given_a_heartbeat_to_close() {
        let mut catch_up = CatchUp::new(&Timing::default());
        let near = ahead(&[(2, 9)]);
        assert_eq!(asked(catch_up.whom(at(100), UPTO, &near, false)), None);
        assert_eq!(asked(catch_up.whom(at(119), UPTO, &near, false)), None);
        assert_eq!(asked(catch_up.whom(at(120), UPTO, &near, false)), Some(2));
        let mut catch_up = CatchUp::new(&Timing::default());
        let far = ahead(&[(2, 5_000)]);
        assert_eq!(asked(catch_up.whom(at(100), UPTO, &far, false)), Some(2));
    }

    /// No answer: the next peer is asked, and later each time.
    #[test]
    fn another_peer_is_asked_when_no_answer_comes() {
        let mut catch_up = CatchUp::new(&Timing::default());
        let peers = ahead(&[(2, 9), (3, 9)]);
        assert_eq!(asked(catch_up.whom(at(100), UPTO, &peers, true)), Some(2));
        assert_eq!(
            asked(catch_up.whom(at(199), UPTO, &peers, true)),
            None,
            "one question at a time"
        );
        assert_eq!(asked(catch_up.whom(at(200), UPTO, &peers, true)), Some(3));
        assert_eq!(asked(catch_up.whom(at(399), UPTO, &peers, true)), None, "patience doubles");
        assert_eq!(asked(catch_up.whom(at(400), UPTO, &peers, true)), Some(2));
    }

    /// A useful answer keeps the peer: it is asked for the next page at once.
    #[test]
    fn the_peer_that_answered_is_asked_for_the_next_page() {
        let mut catch_up = CatchUp::new(&Timing::default());
        let peers = ahead(&[(2, 9), (3, 9)]);
        assert_eq!(asked(catch_up.whom(at(100), UPTO, &peers, true)), Some(2));
        catch_up.answered(NodeId::new(3), true);
        assert_eq!(asked(catch_up.whom(at(101), UPTO, &peers, true)), None, "not who was asked");
        catch_up.answered(NodeId::new(2), true);
        assert_eq!(asked(catch_up.whom(at(101), Slot::new(7), &peers, true)), Some(2));
    }
}
