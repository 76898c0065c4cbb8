use crate::{
    Ballot, Envelope, Epoch, Life, Members, Message, Report, Slot, Standing,
    limits::{HELD_RUNS_MAX, MARK_MAX, ROUND_MAX, SLOT_MAX},
};

/// The door: whether a word may reach a handler. What does not is dropped and counted; a lost word
/// is something every peer must live with anyway.
///
/// A word counts only from a voter in its present life, in our epoch, about ballots that its
/// speaker may speak for, and about slots and rounds that an honest cluster can have reached.
pub(crate) fn admits(envelope: &Envelope, me: Life, members: &Members) -> bool {
    let ours = envelope.to == me.node && envelope.epoch == Epoch::FIRST;
    ours && members.contains(envelope.from)
        && names_are_right(envelope, me)
        && envelope.marks.heard.get() <= MARK_MAX
        && envelope.marks.holds.is_none_or(|holds| holds.get() <= MARK_MAX)
        && numbers_are_sane(&envelope.message)
}

/// Who may say what: a ballot's owner alone asks at it, and answers go to the owner alone.
fn names_are_right(envelope: &Envelope, me: Life) -> bool {
    let from = envelope.from;
    match &envelope.message {
        Message::Prepare { ballot, .. }
        | Message::Accept { ballot, .. }
        | Message::Watermark { ballot, .. }
        | Message::Confirm { ballot, .. }
        | Message::Vow { ballot, .. }
        | Message::Release { ballot }
        | Message::HandOver { ballot, .. } => ballot.owner() == from,
        Message::Promise { ballot, .. }
        | Message::Refused { ballot, .. }
        | Message::Accepted { ballot, .. }
        | Message::Confirmed { ballot, .. }
        | Message::Vowed { ballot, .. } => ballot.owner() == me,
        Message::Heartbeat { standing, .. } | Message::Alive { standing, .. } => {
            from != me && standing.reign.is_none_or(|reign| reign.owner() == from)
        }
        Message::Ask { .. } | Message::Learned { .. } | Message::Trimmed { .. } => from != me,
        Message::Fathom { .. } | Message::Fathomed { .. } => true,
        Message::Synced { .. } => from == me,
    }
}

fn numbers_are_sane(message: &Message) -> bool {
    match message {
        Message::Prepare { ballot, first, holds } => {
            round(ballot) && slot(*first) && holds.len() <= HELD_RUNS_MAX
        }
        Message::Promise { ballot, page } => {
            let reports = || page.reports.iter().all(|(at, report)| slot(*at) && reported(report));
            round(ballot)
                && slot(page.first)
                && page.upto.is_none_or(slot)
                && mark(page.chosen_upto)
                && mark(page.lost_upto)
                && reports()
        }
        Message::Refused { ballot, promised } => round(ballot) && round(promised),
        Message::Accept { ballot, slot: at, chosen_upto, .. } => {
            round(ballot) && slot(*at) && mark(*chosen_upto)
        }
        Message::Accepted { ballot, chosen_upto, .. }
        | Message::Watermark { ballot, chosen_upto } => round(ballot) && mark(*chosen_upto),
        Message::Heartbeat { standing, .. } | Message::Alive { standing, .. } => stands(standing),
        Message::Ask { first, upto } => slot(*first) && slot(*upto),
        Message::Learned { decrees, chosen_upto } => {
            mark(*chosen_upto) && decrees.iter().all(|(at, _)| slot(*at))
        }
        Message::Trimmed { upto } => slot(*upto),
        Message::Confirm { ballot, .. }
        | Message::Confirmed { ballot, .. }
        | Message::Vow { ballot, .. }
        | Message::Vowed { ballot, .. }
        | Message::Release { ballot } => round(ballot),
        Message::HandOver { ballot, next, chosen_upto } => {
            round(ballot) && round(next) && mark(*chosen_upto)
        }
        Message::Synced { .. } | Message::Fathom { .. } => true,
        Message::Fathomed { upto, .. } => mark(*upto),
    }
}

fn stands(standing: &Standing) -> bool {
    round(&standing.promised)
        && standing.reign.as_ref().is_none_or(round)
        && mark(standing.chosen_upto)
        && mark(standing.covered)
}

fn reported(report: &Report) -> bool {
    match report {
        Report::Accepted { ballot, .. } | Report::Held { ballot } => round(ballot),
        Report::Chosen { .. } | Report::Faulty => true,
    }
}

fn round(ballot: &Ballot) -> bool {
    ballot.round() <= ROUND_MAX
}

/// A place in the log.
fn slot(slot: Slot) -> bool {
    slot > Slot::ZERO && mark(slot)
}

/// A watermark: a place in the log, or before it.
fn mark(slot: Slot) -> bool {
    slot.get() <= SLOT_MAX
}
