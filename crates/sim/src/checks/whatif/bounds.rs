//! What a peer keeps to whoever speaks to it, and whatever it was told before: a copy is given what
//! may come at any moment.

use std::time::Duration;

use synod_paxos::{
    Ballot, Decree, Envelope, Fetch, Input, Life, Message, NodeId, Output, Peer, Process, Record,
    Role, Slot, Standing, Tick, Write,
};

use super::door::stands;
use crate::{
    checks::hash,
    ghost::Ghost,
    violation::{Checked, demand},
};

/// What an acceptor may vote for above its watermark, in bytes.
static ROOM: [u8; 64 << 20] = [0; 64 << 20];

/// Further than any log of a universe goes.
pub(super) const FAR_SLOTS: u64 = 1 << 20;

/// For longer nobody leads whom nobody answers.
const ALONE: Duration = Duration::from_millis(2_500);

/// What another says of its disk names one of so many marks, from the last that this disk gave
/// back.
const MARKS_TRIED: usize = 4;

/// A peer as it is now, and another that speaks to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<'p> {
    pub(super) peer: &'p Peer,
    pub(super) node: NodeId,
    pub(super) now: Tick,
    /// What comes to a copy of what it is given: that, but in the tests of these checks.
    pub(super) hears: Hears,
}

pub(super) type Hears = fn(Input) -> Vec<Input>;

impl<'p> Bounds<'p> {
    pub(super) fn of(peer: &'p Peer, node: NodeId, now: Tick) -> Bounds<'p> {
        Bounds { peer, node, now, hears: |input| vec![input] }
    }

    /// It keeps to all of them.
    pub(super) fn hold(&self, ghost: &Ghost) -> Checked {
        let (peer, node) = (self.peer, self.node);
        self.an_old_snapshot_is_nothing()?;
        let mut others = ghost.nodes().filter(|other| *other != node).map(Life::first);
        let Some(other) = others.next() else { return Ok(()) };
        self.what_is_below_is_refused(other)?;
        self.nobody_leads_alone(ghost.quorum())?;
        self.what_cannot_be_is_turned_away(other)?;
        self.a_run_of_nothing_is_no_vote(other)?;
        self.what_is_not_taken_is_not_learned(other)?;
        self.no_vote_is_far_ahead(other)?;
        self.nothing_far_ahead_is_believed(other)?;
        self.strangers_are_turned_away(other)?;
        self.answers_to_another_are_turned_away(other)?;
        self.no_node_tells_itself()?;
        self.what_is_forgotten_ends_it(other)?;
        self.promises_count_when_whole(ghost, peer.settled().plus(FAR_SLOTS))?;
        self.reads_wait_for_what_was_acknowledged(ghost)?;
        self.a_reign_ends_where_another_has_been(ghost, other)?;
        self.a_vote_ends_a_lower_reign(other)?;
        self.no_call_counts_twice(other)?;
        self.no_late_word_ends_a_reign(other)?;
        self.answers_are_for_their_ballot(ghost)?;
        self.what_an_install_covers_goes(other)?;
        self.nothing_unknown_is_told(other)?;
        self.a_snapshot_beyond_a_reign_ends_it()?;
        self.nothing_below_a_snapshot_is_told(other)?;
        self.what_is_not_for_it_changes_nothing(other)?;
        let others: Vec<Life> = others.chain([other]).collect();
        self.a_watermark_is_of_its_ballot_and_owner(&others)?;
        self.no_earlier_watermark_covers_a_vote(other)?;
        self.no_late_watermark_takes_one_back(other)?;
        self.nothing_unknown_is_trimmed(&others)?;
        self.what_is_lost_covers_nothing(&others)?;
        let open = ghost.asked(node).records_from(peer.chosen_upto().next());
        let mut votes = open.filter_map(|(slot, record)| match record {
            Record::Accepted { ballot, decree } => Some((slot, *ballot, decree)),
            Record::Chosen { .. } | Record::Faulty => None,
        });
        match votes.next() {
            None => self.there_is_room(other),
            Some((slot, ballot, decree)) => {
                self.what_was_not_named_is_told(slot, ballot, other)?;
                self.a_ballot_has_one_decree(slot, ballot, decree)
            }
        }
    }

    /// What it does when a long time has passed, which takes long to see.
    pub(super) fn hold_in_time(&self, ghost: &Ghost) -> Checked {
        let others = ghost.nodes().filter(|other| *other != self.node).map(Life::first);
        let others: Vec<Life> = others.collect();
        match others.is_empty() {
            true => Ok(()),
            false => {
                self.old_answers_keep_no_reign(&others)?;
                self.who_cannot_write_does_not_lead()
            }
        }
    }

    /// A snapshot of no more than is known here takes the place of nothing.
    pub(super) fn an_old_snapshot_is_nothing(&self) -> Checked {
        let (copy, out) = self.given([Input::Installed(self.peer.chosen_upto())]);
        demand!(
            hash(&copy) == hash(self.peer) && out.durably.writes().is_empty(),
            "C1",
            "{} takes in a snapshot of {}, which it has come to",
            self.node,
            self.peer.chosen_upto()
        );
        Ok(())
    }

    /// A decree is learned above a gap, and a snapshot that covers both: it is as if the snapshot
    /// had come alone.
    pub(super) fn what_an_install_covers_goes(&self, other: Life) -> Checked {
        if !matches!(self.peer.role(), Role::Following { .. }) {
            return Ok(());
        }
        let (gap, chosen_upto) = (self.peer.settled().next(), Slot::ZERO);
        let decrees = vec![(gap.next(), Decree::Noop)];
        let learned = self.word(other, Message::Learned { decrees, chosen_upto });
        let installed = Input::Installed(gap.plus(FAR_SLOTS));
        let (both, _) = self.given([learned, installed.clone()]);
        let (alone, _) = self.given([installed]);
        demand!(
            hash(&both) == hash(&alone),
            "I1",
            "{} would keep a decree of {} after a snapshot that covers it",
            self.node,
            gap.next()
        );
        Ok(())
    }

    /// A `Prepare`, an `Accept`, a `Confirm` and a `Vow` below the promise come late: they are
    /// refused, and who is told so need not wait for what never comes.
    pub(super) fn what_is_below_is_refused(&self, other: Life) -> Checked {
        let promised = self.peer.promised();
        let Some(round) = promised.round().checked_sub(1) else { return Ok(()) };
        let (ballot, first) = (Ballot::of(round, other), Slot::new(1));
        let (slot, chosen_upto) = (self.peer.settled().next(), Slot::ZERO);
        let accept = Message::Accept { ballot, slot, decree: Decree::Noop, chosen_upto };
        let (confirm, vow) =
            (Message::Confirm { ballot, round: 1 }, Message::Vow { ballot, round: 1 });
        for late in [Message::Prepare { ballot, first, holds: Vec::new() }, accept, confirm, vow] {
            let (_, out) = self.given([self.word(other, late.clone())]);
            let wrote = !out.durably.writes().is_empty();
            let words = out.durably.synced().into_iter().chain(out.at_once);
            let words: Vec<Envelope> = words.filter(|word| word.to == other.node).collect();
            let refused = words.iter().all(|word| matches!(word.message, Message::Refused { .. }));
            demand!(
                refused && !words.is_empty() && !wrote,
                "B1",
                "{} has promised {promised} and would not refuse {late:?}",
                self.node
            );
        }
        Ok(())
    }

    /// Who asks for more than is known here, as this node may have told it in an earlier life, is
    /// told no more than that.
    pub(super) fn nothing_unknown_is_told(&self, other: Life) -> Checked {
        let upto = self.peer.chosen_upto();
        let first = self.peer.trimmed().next();
        let ask = Message::Ask { first, upto: upto.plus(FAR_SLOTS) };
        let (_, out) = self.given([self.word(other, ask)]);
        let reads = |fetch: &Fetch| fetch.upto > upto;
        demand!(
            !out.fetch.iter().any(reads),
            "A3",
            "{} knows slots up to {upto} to be chosen and would tell of {:?}",
            self.node,
            out.fetch
        );
        Ok(())
    }

    /// Snapshots may cover more than this node knows to be chosen: its own, received and not yet
    /// installed, too.
    pub(super) fn nothing_unknown_is_trimmed(&self, others: &[Life]) -> Checked {
        let upto = self.peer.chosen_upto();
        let out = self.told_to_be_covered(&[upto.plus(FAR_SLOTS)], others);
        let beyond = |write: &&Write| matches!(write, Write::Trimmed { upto: at } if *at > upto);
        let trims = out.durably.writes().iter().find(beyond);
        demand!(
            trims.is_none(),
            "C1",
            "{} knows slots up to {upto} to be chosen and would write {trims:?}",
            self.node
        );
        Ok(())
    }

    /// Snapshots of everybody covered all that is known to be chosen, and are lost: it is as if
    /// there had been none.
    pub(super) fn what_is_lost_covers_nothing(&self, others: &[Life]) -> Checked {
        let trims = |marks: &[Slot]| {
            let out = self.told_to_be_covered(marks, others);
            let is_trim = |write: &&Write| matches!(write, Write::Trimmed { .. });
            out.durably.writes().iter().find(is_trim).cloned()
        };
        let (never, lost) = (trims(&[Slot::ZERO]), trims(&[self.peer.chosen_upto(), Slot::ZERO]));
        demand!(
            lost == never,
            "C5",
            "{} would write {lost:?}, and nobody has a snapshot of that any more",
            self.node
        );
        Ok(())
    }

    /// All say so, one mark after the other, and the next heartbeat is due.
    fn told_to_be_covered(&self, marks: &[Slot], others: &[Life]) -> Output {
        let standing = well(self.peer.chosen_upto());
        let told = marks.iter().flat_map(|covered| {
            let standing = Standing { covered: *covered, ..standing };
            let beat =
                move |other: &Life| self.word(*other, Message::Heartbeat { round: 1, standing });
            [Input::Covered(*covered)].into_iter().chain(others.iter().map(beat))
        });
        let (mut copy, mut out) = self.given(told);
        let next_round = self.peer.wake_at().unwrap_or(self.now).max(self.now);
        self.give(&mut copy, next_round, Input::Wake, &mut out);
        out
    }

    /// Where nothing is open, all the room for votes is free, and no more than that: what was voted
    /// for and is known to be chosen takes none.
    pub(super) fn there_is_room(&self, other: Life) -> Checked {
        let slot = self.peer.settled().next();
        // Who lost its state may know what is chosen next, and votes for nothing there. (In
        // universe 327764 it did.) Nor does who listens.
        let is_hollow = self.peer.settled() > self.peer.chosen_upto();
        if is_hollow || self.peer.is_listening(self.now) {
            return Ok(());
        }
        // Nobody can have told yet what such a reign knows to be chosen.
        let round = self.peer.promised().round() + FAR_SLOTS;
        let ballot = Ballot::of(round, other);
        let decree = Decree::Value(bytes::Bytes::from_static(&ROOM));
        let accept = |slot, decree| {
            let chosen_upto = Slot::ZERO;
            self.word(other, Message::Accept { ballot, slot, decree, chosen_upto })
        };
        let one_more = Decree::Value(bytes::Bytes::from_static(b"more"));
        let (_, out) = self.given([accept(slot, decree), accept(slot.next(), one_more)]);
        let votes = |at| {
            let votes =
                |write: &Write| matches!(write, Write::Accepted { slot, .. } if *slot == at);
            out.durably.writes().iter().any(votes)
        };
        demand!(
            votes(slot) && !votes(slot.next()),
            "I1",
            "{} has no vote above {}, and no room for one of all its bytes, or for more than that",
            self.node,
            self.peer.chosen_upto()
        );
        Ok(())
    }

    /// From now on nobody is heard any more, and the own disk works.
    pub(super) fn nobody_leads_alone(&self, quorum: usize) -> Checked {
        let Role::Leading { ballot, .. } = self.peer.role() else { return Ok(()) };
        let copy = self.after_a_while(true, |_| Vec::new());
        let leads = matches!(copy.role(), Role::Leading { ballot: at, .. } if at == ballot);
        demand!(
            quorum == 1 || !leads,
            "D3",
            "{} would lead on at {ballot} when it has heard nobody for {ALONE:?}",
            self.node
        );
        Ok(())
    }

    /// From now on the others say only what answers rounds of long ago, or none that this node ever
    /// opened: an earlier process of it did.
    pub(super) fn old_answers_keep_no_reign(&self, others: &[Life]) -> Checked {
        let Role::Leading { ballot, .. } = self.peer.role() else { return Ok(()) };
        let standing = stands(Ballot::ZERO, Slot::ZERO);
        let answers = |round| Message::Alive { round, standing };
        let copy = self.after_a_while(true, |_| {
            let said = others.iter().flat_map(|other| [0, u64::MAX].map(|round| (*other, round)));
            said.map(|(other, round)| self.word(other, answers(round))).collect()
        });
        demand!(
            !matches!(copy.role(), Role::Leading { ballot: at, .. } if at == ballot),
            "D3",
            "{} would lead on at {ballot} by answers that mean nothing any more",
            self.node
        );
        Ok(())
    }

    /// From now on all others answer, and the own disk does nothing any more; what another says of
    /// its disk is nothing to this one.
    pub(super) fn who_cannot_write_does_not_lead(&self) -> Checked {
        let Role::Leading { ballot, .. } = self.peer.role() else { return Ok(()) };
        let standing = stands(Ballot::ZERO, Slot::ZERO);
        let copy = self.after_a_while(false, |out| {
            let beats = out.at_once.iter().filter_map(|word| match word.message {
                Message::Heartbeat { round, .. } => {
                    Some((word.to, round, word.marks.holds.unwrap_or_default()))
                }
                _ => None,
            });
            let heard = beats.flat_map(|(to, round, holds)| {
                let from = Life::first(to);
                let marks = std::iter::successors(Some(holds), |mark| Some(mark.next()));
                let synced = marks.take(MARKS_TRIED).map(|mark| Message::Synced { mark });
                let said = std::iter::once(Message::Alive { round, standing }).chain(synced);
                said.map(|message| self.word(from, message)).collect::<Vec<_>>()
            });
            heard.collect()
        });
        demand!(
            !matches!(copy.role(), Role::Leading { ballot: at, .. } if at == ballot),
            "L5",
            "{} would lead on at {ballot} when its disk has done nothing for {ALONE:?}",
            self.node
        );
        Ok(())
    }

    /// A copy after so long a time, in which its own disk works or does not, and whenever it wakes
    /// it hears what comes of what it says then.
    fn after_a_while(&self, works: bool, hears: impl Fn(&Output) -> Vec<Input>) -> Peer {
        let (mut copy, mut now) = (self.peer.clone(), self.now);
        let end = self.now.after(ALONE);
        while now < end {
            let mut out = Output::default();
            self.give(&mut copy, now, Input::Wake, &mut out);
            for input in hears(&out) {
                self.give(&mut copy, now, input, &mut Output::default());
            }
            let mut own: Vec<Envelope> = out.durably.synced();
            own.retain(|word| works && word.to == self.node);
            for word in own {
                self.give(&mut copy, now, Input::Deliver(word), &mut Output::default());
            }
            let again = now.after(Duration::from_millis(1));
            now = copy.wake_at().unwrap_or(again).max(again);
        }
        copy
    }

    pub(super) fn given(&self, inputs: impl IntoIterator<Item = Input>) -> (Peer, Output) {
        let (mut copy, mut out) = (self.peer.clone(), Output::default());
        inputs.into_iter().for_each(|input| self.give(&mut copy, self.now, input, &mut out));
        (copy, out)
    }

    pub(super) fn give(&self, copy: &mut Peer, now: Tick, input: Input, out: &mut Output) {
        (self.hears)(input).into_iter().for_each(|heard| copy.step(now, heard, out));
    }

    pub(super) fn word(&self, from: Life, message: Message) -> Input {
        Input::Deliver(Envelope::of(from, self.node, message))
    }
}
/// How somebody stands with whom all is well, and who does not lead.
pub(super) fn well(chosen_upto: Slot) -> Standing {
    Standing {
        process: Process::new(1),
        promised: Ballot::ZERO,
        reign: None,
        quorum: true,
        sees_leader: true,
        disk_alive: true,
        chosen_upto,
        covered: Slot::ZERO,
    }
}
