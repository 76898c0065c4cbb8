//! Rare states of services, seen in replies. Nothing is demanded here.

use synod_machine::{
    Bar, BarrierReply, ClaimReply, CounterReply, ElectionReply, JournalReply, LockReply,
    RegisterReply, Reply,
};

use crate::sights::Sight;

/// What was seen, if it is rare.
pub(super) fn sight(reply: &Reply) -> Option<Sight> {
    Some(match reply {
        Reply::Claim(ClaimReply::TakenBy(_)) => Sight::ClaimedByAnother,
        Reply::Register(RegisterReply::Chosen { ours: false, .. }) => Sight::ProposedAgain,
        Reply::Counter(CounterReply::Overflow { .. }) => Sight::CounterFull,
        Reply::Counter(CounterReply::Mismatch { .. }) => Sight::CounterOther,
        Reply::Barrier(BarrierReply::Open { .. }) => Sight::BarrierOpen,
        Reply::Journal(JournalReply::Trimmed { .. }) => Sight::JournalTrimmed,
        Reply::Journal(JournalReply::Behind { .. }) => Sight::GroupAhead,
        Reply::Lock(LockReply::Released { token: None, .. }) => Sight::QueueLeft,
        Reply::Election(ElectionReply::HandingOver { .. }) => Sight::Switchover,
        Reply::Election(
            ElectionReply::Barred { bar } | ElectionReply::Waiting { bar: Some(bar), .. },
        ) => match bar {
            Bar::Paused => Sight::BarredByPause,
            Bar::NotNow => Sight::BarredByItself,
            Bar::Unreported | Bar::Stale { .. } => Sight::BarredUnheard,
            Bar::Below { .. } | Bar::Behind { .. } => Sight::BarredBehind,
        },
        _ => return None,
    })
}
