//! Each check is quiet about the product, and sees a copy that does something else than it should:
//! one that mishears, and so does rightly what it was not asked to.

use std::time::Duration;

use synod_paxos::{Decree, Epoch, Incarnation, Marks, Members, Page, Report, Span};

use super::{bounds::Hears, hollow::Hollow, *};

pub(super) const ME: NodeId = NodeId::new(1);
pub(super) const OTHER: Life = Life::first(NodeId::new(2));

fn voters() -> Vec<Life> {
    [ME, OTHER.node, NodeId::new(3)].map(Life::first).to_vec()
}

fn config() -> Config {
    let config = Config::new(Life::first(ME), Members::new(voters()).unwrap()).unwrap();
    // They vow nothing: what they promise they promise at once.
    Config { leasing: Leasing { asks: false, vow: Duration::ZERO }, ..config }
}

/// One that has heard these words of another.
pub(super) fn follower(words: impl IntoIterator<Item = Message>) -> Peer {
    let durable = Durable { chosen_upto: Slot::new(5), ..Durable::default() };
    let mut peer = Peer::recover(config(), durable, 0);
    for message in words {
        let word = Envelope::of(OTHER, ME, message);
        peer.step(Tick::ZERO, Input::Deliver(word), &mut Output::default());
    }
    peer
}

pub(super) fn candidate() -> (Hollow, Ballot) {
    let mut hollow = Hollow::of(&config(), &Durable::default());
    let ballot = hollow.campaigns().unwrap();
    (hollow, ballot)
}

/// One that has proposed something in slot 1.
pub(super) fn leader() -> Hollow {
    let (mut hollow, ballot) = candidate();
    drop(hollow.is_told_of_a_vote(ballot));
    hollow
}

/// One to which nobody had anything to report.
fn idle_leader() -> Hollow {
    let (mut hollow, ballot) = candidate();
    for from in [OTHER, Life::first(NodeId::new(3))] {
        let first = Slot::new(1);
        let (chosen_upto, lost_upto, reports) = (Slot::ZERO, Slot::ZERO, Vec::new());
        let page = Page { first, upto: None, chosen_upto, lost_upto, reports };
        drop(hollow.hears(from, Message::Promise { ballot, page }));
    }
    hollow
}

/// What is seen of a peer that mishears; of one that does not, nothing.
pub(super) fn seen(
    peer: &Peer,
    now: Tick,
    mishears: Hears,
    check: impl Fn(&Bounds<'_>) -> Checked,
) -> Option<&'static str> {
    let bounds = Bounds::of(peer, ME, now);
    assert_eq!(check(&bounds), Ok(()));
    check(&Bounds { hears: mishears, ..bounds }).err().map(|violation| violation.invariant)
}

/// The same word with something else in it.
pub(super) fn said(input: Input, other: impl Fn(&mut Envelope)) -> Vec<Input> {
    match input {
        Input::Deliver(mut word) => {
            other(&mut word);
            vec![Input::Deliver(word)]
        }
        input => vec![input],
    }
}

/// The last decree of a page goes unheard.
fn all_but_one(input: Input) -> Vec<Input> {
    said(input, |word| {
        if let Message::Learned { decrees, .. } = &mut word.message {
            decrees.pop();
        }
    })
}

fn owned_by(ballot: Ballot, owner: Life) -> Ballot {
    Ballot::of(ballot.round(), owner)
}

#[test]
fn a_snapshot_that_changes_something_is_seen() {
    let newer: Hears = |input| match input {
        Input::Installed(upto) => vec![Input::Installed(upto.next())],
        input => vec![input],
    };
    let check = |bounds: &Bounds<'_>| bounds.an_old_snapshot_is_nothing();
    assert_eq!(seen(&follower([]), Tick::ZERO, newer, check), Some("C1"));
}

#[test]
fn what_is_left_below_a_snapshot_is_seen() {
    let short: Hears = |input| match input {
        Input::Installed(upto) => vec![Input::Installed(Slot::new(6).min(upto))],
        input => vec![input],
    };
    let check = |bounds: &Bounds<'_>| bounds.what_an_install_covers_goes(OTHER);
    assert_eq!(seen(&follower([]), Tick::ZERO, short, check), Some("I1"));
}

#[test]
fn a_promise_below_the_promise_is_seen() {
    let (ballot, first) = (Ballot::of(4, OTHER), Slot::new(1));
    let promised = follower([Message::Prepare { ballot, first, holds: Vec::new() }]);
    let higher: Hears = |input| {
        said(input, |word| {
            if let Message::Prepare { ballot, .. } | Message::Accept { ballot, .. } =
                &mut word.message
            {
                *ballot = ballot.raised_by(OTHER).raised_by(OTHER);
            }
        })
    };
    let check = |bounds: &Bounds<'_>| bounds.what_is_below_is_refused(OTHER);
    assert_eq!(seen(&promised, Tick::ZERO, higher, check), Some("B1"));
}

#[test]
fn what_is_told_and_trimmed_beyond_what_is_known_is_seen() {
    let learns: Hears = |input| {
        let (decrees, chosen_upto) = (vec![(Slot::new(6), Decree::Noop)], Slot::ZERO);
        let message = Message::Learned { decrees, chosen_upto };
        let word = Envelope::of(OTHER, ME, message);
        vec![Input::Deliver(word), input]
    };
    let check = |bounds: &Bounds<'_>| bounds.nothing_unknown_is_told(OTHER);
    assert_eq!(seen(&follower([]), Tick::ZERO, learns, check), Some("A3"));
    let installs: Hears = |input| match input {
        Input::Covered(upto) => vec![Input::Installed(upto)],
        input => vec![input],
    };
    let others = [OTHER, Life::first(NodeId::new(3))];
    let check = |bounds: &Bounds<'_>| bounds.nothing_unknown_is_trimmed(&others);
    assert_eq!(seen(&follower([]), Tick::ZERO, installs, check), Some("C1"));
    let installs: Hears = |input| match input {
        Input::Covered(upto) => vec![Input::Installed(upto.plus(1))],
        input => vec![input],
    };
    let check = |bounds: &Bounds<'_>| bounds.what_is_lost_covers_nothing(&others);
    assert_eq!(seen(&follower([]), Tick::ZERO, installs, check), Some("C5"));
}

#[test]
fn an_acceptor_without_room_is_seen() {
    let check = |bounds: &Bounds<'_>| bounds.there_is_room(OTHER);
    assert_eq!(seen(&follower([]), Tick::ZERO, |_| Vec::new(), check), Some("I1"));
}

#[test]
fn a_leader_that_nobody_answers_and_that_goes_on_is_seen() {
    let asleep: Hears = |input| match input {
        Input::Wake => Vec::new(),
        input => vec![input],
    };
    let leader = leader();
    let check = |bounds: &Bounds<'_>| bounds.nobody_leads_alone(2);
    assert_eq!(seen(&leader.peer, leader.now, asleep, check), Some("D3"));
}

#[test]
fn who_heeds_a_stranger_is_seen() {
    let in_its_first_life: Hears = |input| {
        said(input, |word| {
            word.from = Life::first(word.from.node);
            if let Message::Prepare { ballot, .. } = &mut word.message {
                *ballot = owned_by(*ballot, word.from);
            }
        })
    };
    let check = |bounds: &Bounds<'_>| bounds.strangers_are_turned_away(OTHER);
    assert_eq!(seen(&follower([]), Tick::ZERO, in_its_first_life, check), Some("B5"));
    let of_the_owner: Hears = |input| {
        said(input, |word| {
            if let Message::Accept { ballot, .. } = &word.message {
                word.from = ballot.owner();
            }
        })
    };
    assert_eq!(seen(&follower([]), Tick::ZERO, of_the_owner, check), Some("A2"));
}

#[test]
fn who_counts_votes_of_no_slot_is_seen() {
    let of_a_slot: Hears = |input| {
        said(input, |word| {
            if let Message::Accepted { slots, .. } = &mut word.message {
                slots[0].first = slots[0].last;
            }
        })
    };
    let check = |bounds: &Bounds<'_>| bounds.a_run_of_nothing_is_no_vote(OTHER);
    let mut leader = leader();
    let Role::Leading { ballot, .. } = leader.peer.role() else { panic!("it leads") };
    let (slot, chosen_upto) = (Slot::new(1), Slot::ZERO);
    let slots = vec![Span { first: slot, last: slot }];
    let third = Life::first(NodeId::new(3));
    drop(leader.hears(third, Message::Accepted { ballot, slots, chosen_upto }));
    assert_eq!(seen(&leader.peer, Tick::ZERO, of_a_slot, check), Some("A3"));
}

#[test]
fn who_goes_on_with_what_it_has_forgotten_is_seen() {
    let nothing: Hears = |input| said(input, |word| word.marks = Marks::NONE);
    let check = |bounds: &Bounds<'_>| bounds.what_is_forgotten_ends_it(OTHER);
    assert_eq!(seen(&follower([]), Tick::ZERO, nothing, check), Some("B8"));
    let of_another_life: Hears = |input| said(input, |word| word.marks.of = Incarnation::FIRST);
    assert_eq!(seen(&follower([]), Tick::ZERO, of_another_life, check), Some("B8"));
}

#[test]
fn who_votes_for_two_decrees_at_one_ballot_is_seen() {
    let (ballot, slot, chosen_upto) = (Ballot::of(4, OTHER), Slot::new(6), Slot::ZERO);
    let accept = Message::Accept { ballot, slot, decree: Decree::Noop, chosen_upto };
    let the_same: Hears = |input| {
        said(input, |word| {
            if let Message::Accept { decree, .. } = &mut word.message {
                *decree = Decree::Noop;
            }
        })
    };
    let voted = follower([accept]);
    let check = |bounds: &Bounds<'_>| bounds.a_ballot_has_one_decree(slot, ballot, &Decree::Noop);
    assert_eq!(seen(&voted, Tick::ZERO, the_same, check), Some("A2"));
    let names_it: Hears = |input| {
        said(input, |word| {
            if let Message::Prepare { holds, .. } = &mut word.message {
                holds.iter_mut().for_each(|held| held.ballot = Ballot::of(4, OTHER));
            }
        })
    };
    let check = |bounds: &Bounds<'_>| bounds.what_was_not_named_is_told(slot, ballot, OTHER);
    assert_eq!(seen(&voted, Tick::ZERO, names_it, check), Some("A4"));
}

#[test]
fn who_leads_by_half_a_promise_is_seen() {
    let from_the_first: Hears = |input| {
        said(input, |word| {
            if let Message::Promise { page, .. } = &mut word.message {
                page.first = Slot::new(1);
            }
        })
    };
    let (candidate, _) = candidate();
    let (ghost, far) = (Ghost::new(&voters()), Slot::new(1_000));
    let check = |bounds: &Bounds<'_>| bounds.promises_count_when_whole(&ghost, far);
    assert_eq!(seen(&candidate.peer, candidate.now, from_the_first, check), Some("A4"));
}

#[test]
fn who_leads_on_or_serves_what_it_should_not_is_seen() {
    let (leader, ghost) = (leader(), Ghost::new(&voters()));
    let deaf: Hears = |input| match input {
        Input::Deliver(_) => Vec::new(),
        input => vec![input],
    };
    let check = |bounds: &Bounds<'_>| bounds.a_reign_ends_where_another_has_been(&ghost, OTHER);
    assert_eq!(seen(&leader.peer, leader.now, deaf, check), Some("C4"));
    let check = |bounds: &Bounds<'_>| bounds.a_vote_ends_a_lower_reign(OTHER);
    assert_eq!(seen(&leader.peer, leader.now, deaf, check), Some("D2"));
    let check = |bounds: &Bounds<'_>| bounds.reads_wait_for_what_was_acknowledged(&ghost);
    assert_eq!(seen(&leader.peer, leader.now, deaf, check), Some("E2"));
    let at_its_own: Hears = |input| {
        said(input, |word| {
            if let Message::Accepted { ballot, .. } = &mut word.message {
                *ballot = ballot.raised_by(Life::first(ME));
            }
        })
    };
    let check = |bounds: &Bounds<'_>| bounds.answers_are_for_their_ballot(&ghost);
    assert_eq!(seen(&leader.peer, leader.now, at_its_own, check), Some("A3"));
    let confirms: Hears = |input| {
        said(input, |word| {
            if let Message::Confirmed { ballot, .. } = &mut word.message {
                *ballot = ballot.raised_by(Life::first(ME));
            }
        })
    };
    assert_eq!(seen(&leader.peer, leader.now, confirms, check), Some("A3"));
}

#[test]
fn who_campaigns_twice_at_a_ballot_is_seen() {
    let promised = Some(Ballot::of(7, Life::first(ME)));
    let mut hollow = Hollow::of(&config(), &Durable { promised, ..Durable::default() });
    for _ in 0..3 {
        hollow.is_answered();
    }
    assert!(matches!(hollow.peer.role(), Role::Following { .. }));
    let to_another: Hears = |input| {
        said(input, |word| {
            if let Message::HandOver { next, .. } = &mut word.message {
                *next = next.raised_by(Life::first(ME));
            }
        })
    };
    let check = |bounds: &Bounds<'_>| bounds.no_call_counts_twice(OTHER);
    assert_eq!(seen(&hollow.peer, hollow.now, to_another, check), Some("D1"));
}

#[test]
fn a_campaign_that_goes_by_something_else_is_seen() {
    let narrow = Config { window_slots: 3, ..config() };
    let mut candidate = Hollow::of(&narrow, &Durable::default());
    let (ballot, ghost) = (candidate.campaigns().unwrap(), Ghost::new(&voters()));
    let seen = |mishears: Hears, check: fn(&Campaign<'_>) -> Checked| {
        let campaign = |bounds: &Bounds<'_>| check(&Campaign::of(*bounds, ballot, &ghost).unwrap());
        seen(&candidate.peer, candidate.now, mishears, campaign)
    };
    let told: Hears = |input| {
        said(input, |word| {
            if let Message::Promise { page, .. } = &mut word.message {
                for (_, report) in &mut page.reports {
                    let (ballot, decree) = (Ballot::of(0, word.from), Decree::Noop);
                    *report = Report::Accepted { ballot, decree };
                }
            }
        })
    };
    let knows: Hears = |input| {
        said(input, |word| {
            if let Message::Promise { page, .. } = &mut word.message {
                page.lost_upto = Slot::ZERO;
            }
        })
    };
    assert_eq!(seen(told, |campaign| campaign.held_is_ones_own_vote()), Some("A4"));
    assert_eq!(seen(knows, |campaign| campaign.what_is_lost_is_inherited()), Some("A4"));
    assert_eq!(seen(knows, |campaign| campaign.who_lost_it_says_nothing()), Some("A4"));
    assert_eq!(seen(knows, |campaign| campaign.nothing_was_not_chosen()), Some("A4"));
    assert_eq!(seen(told, |campaign| campaign.what_is_chosen_is_proposed()), Some("A4"));
    // What the lower one of two has voted for.
    let raised: Hears = |input| {
        said(input, |word| {
            if let Message::Promise { page, .. } = &mut word.message {
                for (_, report) in &mut page.reports {
                    if let Report::Accepted { ballot, .. } = report {
                        *ballot = Ballot::of(u64::from(ballot.owner() == OTHER), ballot.owner());
                    }
                }
            }
        })
    };
    assert_eq!(seen(raised, |campaign| campaign.the_highest_vote_is_adopted()), Some("A4"));
    assert_eq!(
        seen(all_but_one, |campaign| campaign.what_is_learned_is_proposed_no_more()),
        Some("C4")
    );
}

#[test]
fn what_is_left_when_a_snapshot_goes_beyond_it_is_seen() {
    let none: Hears = |input| match input {
        Input::Installed(_) => Vec::new(),
        input => vec![input],
    };
    let leader = leader();
    let check = |bounds: &Bounds<'_>| bounds.a_snapshot_beyond_a_reign_ends_it();
    assert_eq!(seen(&leader.peer, leader.now, none, check), Some("C4"));
    let of_before: Hears = |input| match input {
        Input::Installed(_) => Vec::new(),
        input => said(input, |word| {
            if let Message::Ask { first, .. } = &mut word.message {
                *first = Slot::new(6);
            }
        }),
    };
    let (decrees, chosen_upto) = (vec![(Slot::new(6), Decree::Noop)], Slot::ZERO);
    let knows = follower([Message::Learned { decrees, chosen_upto }]);
    let check = |bounds: &Bounds<'_>| bounds.nothing_below_a_snapshot_is_told(OTHER);
    assert_eq!(seen(&knows, Tick::ZERO, of_before, check), Some("C4"));
}

#[test]
fn a_watermark_of_another_ballot_that_counts_is_seen() {
    let (ballot, first) = (Ballot::of(4, OTHER), Slot::new(1));
    let promised = follower([Message::Prepare { ballot, first, holds: Vec::new() }]);
    let of_the_promised: Hears = |input| {
        said(input, |word| {
            if let Message::Heartbeat { standing, .. } = &word.message {
                let (ballot, chosen_upto) = (Ballot::of(4, OTHER), standing.chosen_upto);
                (word.from, word.message) = (OTHER, Message::Watermark { ballot, chosen_upto });
            }
        })
    };
    let others = [OTHER, Life::first(NodeId::new(3))];
    let check = |bounds: &Bounds<'_>| bounds.a_watermark_is_of_its_ballot_and_owner(&others);
    assert_eq!(seen(&promised, Tick::ZERO, of_the_promised, check), Some("C4"));
}

/// One that has a window of a single slot, and has adopted something in three.
#[test]
fn a_reign_that_proposes_what_it_knows_is_seen() {
    let narrow = Config { window_slots: 1, ..config() };
    let mut leader = Hollow::of(&narrow, &Durable::default());
    let ballot = leader.campaigns().unwrap();
    let of = |slot| {
        let vote = Report::Accepted { ballot: Ballot::of(0, OTHER), decree: Decree::Noop };
        (Slot::new(slot), vote)
    };
    for from in [OTHER, Life::first(NodeId::new(3))] {
        let page = Page {
            first: Slot::new(1),
            upto: None,
            chosen_upto: Slot::ZERO,
            lost_upto: Slot::ZERO,
            reports: [1, 2, 3].map(of).to_vec(),
        };
        drop(leader.hears(from, Message::Promise { ballot, page }));
    }
    let proposed = |slot| (slot == Slot::new(1)).then_some(Decree::Noop);
    let check = |bounds: &Bounds<'_>| bounds.what_is_known_is_proposed_no_more(proposed, OTHER);
    assert_eq!(seen(&leader.peer, leader.now, all_but_one, check), Some("C4"));
}

#[test]
fn who_heeds_what_is_not_for_it_is_seen() {
    let for_me: Hears = |input| said(input, |word| word.to = ME);
    let check = |bounds: &Bounds<'_>| bounds.what_is_not_for_it_changes_nothing(OTHER);
    assert_eq!(seen(&follower([]), Tick::ZERO, for_me, check), Some("B5"));
    let of_today: Hears = |input| said(input, |word| word.epoch = Epoch::FIRST);
    assert_eq!(seen(&follower([]), Tick::ZERO, of_today, check), Some("B5"));
}

#[test]
fn a_read_that_is_answered_by_another_question_is_seen() {
    let later: Hears = |input| {
        said(input, |word| {
            if let Message::Fathomed { round, .. } = &mut word.message {
                *round += 1;
            }
        })
    };
    let leader = leader();
    let check = |bounds: &Bounds<'_>| bounds.a_read_joins_no_question_under_way(OTHER);
    assert_eq!(seen(&leader.peer, leader.now, later, check), Some("E2"));
}

#[test]
fn an_answer_to_a_member_that_nobody_confirmed_is_seen() {
    let confirmed: Hears = |input| {
        let ballot = Ballot::first(Life::first(ME));
        let message = Message::Confirmed { ballot, round: 1 };
        let word = Envelope::of(OTHER, ME, message);
        vec![input, Input::Deliver(word)]
    };
    let leader = leader();
    assert_eq!(leader.peer.promised(), Ballot::first(Life::first(ME)));
    let check = |bounds: &Bounds<'_>| bounds.what_a_member_asks_is_confirmed(OTHER);
    assert_eq!(seen(&leader.peer, leader.now, confirmed, check), Some("E2"));
}

/// Words that no honest cluster says, changed into one that is said every day.
#[test]
fn what_is_taken_in_though_it_cannot_be_or_is_too_far_is_seen() {
    let sane: Hears = |input| {
        said(input, |word| {
            let (ballot, first) = (Ballot::of(4, OTHER), Slot::new(1));
            word.message = Message::Prepare { ballot, first, holds: Vec::new() };
        })
    };
    let check = |bounds: &Bounds<'_>| bounds.what_cannot_be_is_turned_away(OTHER);
    assert_eq!(seen(&follower([]), Tick::ZERO, sane, check), Some("I1"));
    let next: Hears = |input| {
        said(input, |word| match &mut word.message {
            Message::Learned { decrees, .. } => {
                decrees.iter_mut().for_each(|(slot, _)| *slot = Slot::new(7));
            }
            Message::Accept { slot, .. } => *slot = Slot::new(7),
            _ => {}
        })
    };
    let check = |bounds: &Bounds<'_>| bounds.what_is_not_taken_is_not_learned(OTHER);
    assert_eq!(seen(&follower([]), Tick::ZERO, next, check), Some("I1"));
    let check = |bounds: &Bounds<'_>| bounds.no_vote_is_far_ahead(OTHER);
    assert_eq!(seen(&follower([]), Tick::ZERO, next, check), Some("I1"));
    let near: Hears = |input| {
        said(input, |word| {
            if let Message::Promise { page, .. } = &mut word.message {
                page.reports.clear();
            }
        })
    };
    let (candidate, _) = candidate();
    let check = |bounds: &Bounds<'_>| bounds.nothing_far_ahead_is_believed(OTHER);
    assert_eq!(seen(&candidate.peer, candidate.now, near, check), Some("I1"));
}

#[test]
fn a_reign_by_old_answers_or_without_a_disk_is_seen() {
    let asleep: Hears = |input| match input {
        Input::Wake => Vec::new(),
        input => vec![input],
    };
    let (leader, others) = (leader(), [OTHER, Life::first(NodeId::new(3))]);
    let check = |bounds: &Bounds<'_>| bounds.old_answers_keep_no_reign(&others);
    assert_eq!(seen(&leader.peer, leader.now, asleep, check), Some("D3"));
    let works: Hears = |input| {
        said(input, |word| {
            if let Message::Synced { .. } = word.message {
                word.from = Life::first(ME);
            }
        })
    };
    // One that has nothing to do: what waits for votes ends a reign as well.
    let idle = idle_leader();
    let check = |bounds: &Bounds<'_>| bounds.who_cannot_write_does_not_lead();
    assert_eq!(seen(&idle.peer, idle.now, works, check), Some("L5"));
}
