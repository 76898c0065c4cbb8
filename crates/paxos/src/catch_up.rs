use std::time::Duration;

use crate::{NodeId, Slot, Tick, Timing};

/// Fetching chosen decrees from whoever has them: one question at a time, another peer when the
/// answer does not come.
#[derive(Debug)]
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
