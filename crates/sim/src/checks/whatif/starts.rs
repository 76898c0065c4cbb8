//! What a node would start from, had it died at another moment: a copy of its disk is read.

use synod_paxos::{
    Ballot, Config, Decree, Durable, Envelope, Input, Marks, Message, Output, Peer, Record, Slot,
    Tick, Write,
};

use super::bounds::{FAR_SLOTS, well};
use crate::{
    checks::hash,
    violation::{Checked, demand},
};

/// How a peer comes of what is durable, and of how far the state above it has come.
pub(super) type Start = fn(Config, Durable, Slot) -> Peer;

/// As the product does.
pub(super) const RECOVER: Start =
    |config, durable, applied| Peer::recover_at(config, durable, applied, 0);

/// A node starts from `durable` with a state that has come to `applied`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starts<'d> {
    pub(super) config: &'d Config,
    pub(super) durable: &'d Durable,
    pub(super) applied: Slot,
    pub(super) start: Start,
}

impl Starts<'_> {
    /// Whatever of it is there.
    pub(super) fn hold(&self) -> Checked {
        self.what_a_snapshot_covers_goes()?;
        self.a_log_begins_no_earlier()?;
        self.a_log_is_told_at_once()?;
        self.what_is_known_far_above_is_told()?;
        self.a_disk_is_measured_as_it_was_found()?;
        self.a_vote_implies_its_promise()
    }

    /// It died when a snapshot covered all its records and its log did not know of that.
    fn what_a_snapshot_covers_goes(&self) -> Checked {
        let Some((last, _)) = self.durable.records.last() else { return Ok(()) };
        let applied = self.applied.max(*last);
        let covered = self.start(self.durable.clone(), applied);
        let bare = Durable { records: Vec::new(), ..self.durable.clone() };
        demand!(
            hash(&covered) == hash(&self.start(bare, applied)),
            "I1",
            "{} starts with a state of {last} and keeps records that it covers",
            self.config.life
        );
        Ok(())
    }

    /// Its log knew far more to be chosen, before a record decayed: whoever campaigns is told of
    /// what is whole.
    fn what_is_known_far_above_is_told(&self) -> Checked {
        let me = self.config.life;
        let Some(other) = self.config.members.iter().find(|life| *life != me) else {
            return Ok(());
        };
        let last = self.durable.records.last().map_or(Slot::ZERO, |(slot, _)| *slot);
        let far = last.max(self.applied).max(self.durable.chosen_upto).plus(FAR_SLOTS);
        let mut durable = self.durable.clone();
        durable.records.push((far, Record::Chosen { decree: Decree::Noop }));
        let mut copy = self.start(durable, self.applied);
        let ballot = copy.promised().raised_by(other);
        let message = Message::Prepare { ballot, first: far, holds: Vec::new() };
        let word = Envelope::of(other, me.node, message);
        let mut out = Output::default();
        copy.step(Tick::ZERO, Input::Deliver(word), &mut out);
        let told = out.durably.synced().into_iter().any(|word| match word.message {
            Message::Promise { page, .. } => page.reports.iter().any(|(slot, _)| *slot == far),
            _ => false,
        });
        demand!(
            told,
            "B7",
            "{me} knows slot {far} to be chosen, far above what it has come to, and is silent"
        );
        Ok(())
    }

    /// Somebody was told of one step more than there was on its disk when it started. It has
    /// written one more since: that is no answer to whoever speaks for the first time, and is one
    /// to whoever has been told of it since.
    fn a_disk_is_measured_as_it_was_found(&self) -> Checked {
        let me = self.config.life;
        let Some(other) = self.config.members.iter().find(|life| *life != me) else {
            return Ok(());
        };
        let before = self.durable.mark;
        let told = |heard| {
            let marks = Marks { holds: None, of: me.incarnation, heard };
            let message = Message::Release { ballot: Ballot::first(other) };
            Input::Deliver(Envelope { marks, ..Envelope::of(other, me.node, message) })
        };
        for (first, forgotten) in [(before.next(), true), (before, false)] {
            // What its log does not know of its state, the first step writes.
            let applied = self.applied.max(self.durable.chosen_upto).next();
            let (mut copy, mut out) =
                (self.start(self.durable.clone(), applied), Output::default());
            for input in [Input::Covered(Slot::ZERO), told(first), told(before.next())] {
                copy.step(Tick::ZERO, input, &mut out);
            }
            demand!(
                out.forgotten.is_some() == forgotten,
                "B8",
                "{me} starts from {before:?}, is told of {first:?}, and takes its disk for {}",
                if forgotten { "its own" } else { "older" }
            );
            let beat = Message::Heartbeat { round: 1, standing: well(Slot::ZERO) };
            let beat = Input::Deliver(Envelope::of(other, me.node, beat));
            copy.step(Tick::ZERO, beat, &mut out);
            let mut told = out.at_once.iter().filter_map(|word| word.marks.holds);
            demand!(
                forgotten || told.any(|holds| holds == before),
                "B8",
                "{me} answers {other}, and tells nothing of its disk: {:?}",
                out.at_once
            );
        }
        Ok(())
    }

    /// Its snapshots are lost, and the first one of a peer does not reach the log.
    fn a_log_begins_no_earlier(&self) -> Checked {
        let trimmed = self.durable.trimmed;
        let Some(short) = trimmed.get().checked_sub(1).filter(|short| *short > 0) else {
            return Ok(());
        };
        let (mut copy, mut out) = (self.start(self.durable.clone(), Slot::ZERO), Output::default());
        copy.step(Tick::ZERO, Input::Installed(Slot::new(short)), &mut out);
        let moves = |write: &Write| matches!(write, Write::Trimmed { .. });
        demand!(
            copy.trimmed() == trimmed && !out.durably.writes().iter().any(moves),
            "C1",
            "{} would begin its log after {} by a snapshot of {short}; it begins after {trimmed}",
            self.config.life,
            copy.trimmed()
        );
        Ok(())
    }

    /// Its log knows nothing of the snapshot that it starts from, and what happens first asks for
    /// no write: by the next step the snapshot may be lost.
    fn a_log_is_told_at_once(&self) -> Checked {
        let applied = self.applied.max(self.durable.chosen_upto).next();
        let (mut copy, mut out) = (self.start(self.durable.clone(), applied), Output::default());
        copy.step(Tick::ZERO, Input::Covered(Slot::ZERO), &mut out);
        let tells = |write: &Write| matches!(write, Write::Trimmed { upto } if *upto == applied);
        demand!(
            out.durably.writes().iter().any(tells),
            "C1",
            "{} starts from a snapshot of {applied}, and its log is not told of it at once",
            self.config.life
        );
        Ok(())
    }

    /// Whatever else is on the disk.
    fn a_vote_implies_its_promise(&self) -> Checked {
        let alone = Durable { promised: None, ..self.durable.clone() };
        let promised = self.start(alone, self.applied).promised();
        let kept = self.durable.records.iter().filter(|(slot, _)| *slot > self.applied);
        for (slot, record) in kept {
            let Record::Accepted { ballot, .. } = record else { continue };
            demand!(
                *ballot <= promised,
                "B2",
                "{} starts with a vote in slot {slot} at {ballot} and a promise of {promised}",
                self.config.life
            );
        }
        Ok(())
    }

    fn start(&self, durable: Durable, applied: Slot) -> Peer {
        (self.start)(self.config.clone(), durable, applied)
    }
}

#[cfg(test)]
mod tests {
    use synod_paxos::{Life, Mark, Members, NodeId};

    use super::*;

    /// Where a vote is durable in slot 7, and the log begins after slot 5.
    fn check(what: fn(&Starts<'_>) -> Checked, start: Start) -> Checked {
        check_among(1, what, start)
    }

    /// The same of one of so many.
    fn check_among(voters: u16, what: fn(&Starts<'_>) -> Checked, start: Start) -> Checked {
        let voters: Vec<Life> = (1..=voters).map(|id| Life::first(NodeId::new(id))).collect();
        let me = voters[0];
        let config = Config::new(me, Members::new(voters).unwrap()).unwrap();
        let vote = Record::Accepted { ballot: Ballot::first(me), decree: Decree::Noop };
        let (trimmed, chosen_upto) = (Slot::new(5), Slot::new(5));
        let records = vec![(Slot::new(7), vote)];
        let mark = Mark::ZERO;
        let durable = Durable { promised: None, trimmed, chosen_upto, records, mark };
        what(&Starts { config: &config, durable: &durable, applied: Slot::new(5), start })
    }

    fn invariant(checked: Checked) -> Option<&'static str> {
        checked.err().map(|violation| violation.invariant)
    }

    /// Each of them sees a peer that comes of something else than what is durable.
    #[test]
    fn a_start_is_held_against_what_is_durable() {
        assert_eq!(check(|starts| starts.hold(), RECOVER), Ok(()));
        let keeps: Start = |config, durable, _| RECOVER(config, durable, Slot::ZERO);
        assert_eq!(
            invariant(check(|starts| starts.what_a_snapshot_covers_goes(), keeps)),
            Some("I1")
        );
        let tells_nothing: Start =
            |config, durable, _| RECOVER(config, durable.clone(), durable.chosen_upto);
        assert_eq!(
            invariant(check(|starts| starts.a_log_is_told_at_once(), tells_nothing)),
            Some("C1")
        );
        let begins_anew: Start = |config, durable, applied| {
            RECOVER(config, Durable { trimmed: Slot::ZERO, ..durable }, applied)
        };
        assert_eq!(
            invariant(check(|starts| starts.a_log_begins_no_earlier(), begins_anew)),
            Some("C1")
        );
        let written_since: Start = |config, durable, applied| {
            RECOVER(config, Durable { mark: durable.mark.next(), ..durable }, applied)
        };
        let measured: fn(&Starts<'_>) -> Checked =
            |starts| starts.a_disk_is_measured_as_it_was_found();
        assert_eq!(check_among(3, measured, RECOVER), Ok(()));
        assert_eq!(invariant(check_among(3, measured, written_since)), Some("B8"));
        let forgets: Start = |config, durable, applied| {
            RECOVER(config, Durable { records: Vec::new(), ..durable }, applied)
        };
        assert_eq!(
            invariant(check(|starts| starts.a_vote_implies_its_promise(), forgets)),
            Some("B2")
        );
    }
}
