//! Words as bytes: every word survives the wire, and no bytes, however wrong, make a peer panic.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod stage;

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use stage::{Stage, value};
use synod_paxos::*;

/// Numbers near the limits and near each other, besides any.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0..8u64,
        2 => 16_000..17_000u64,
        1 => (1_u64 << 62) - 2..(1_u64 << 62) + 2,
        1 => u64::MAX - 2..=u64::MAX,
        1 => any::<u64>(),
    ]
}

fn a_slot() -> impl Strategy<Value = Slot> {
    number().prop_map(Slot::new)
}

fn a_life() -> impl Strategy<Value = Life> {
    let incarnation = prop_oneof![8 => Just(1), 1 => number()];
    (0..5u16, incarnation).prop_map(|(node, incarnation)| Life {
        node: NodeId::new(node),
        incarnation: Incarnation::new(incarnation),
    })
}

fn a_ballot() -> impl Strategy<Value = Ballot> {
    (number(), a_life()).prop_map(|(round, owner)| Ballot::of(round, owner))
}

fn a_decree() -> impl Strategy<Value = Decree> {
    let bytes = vec(any::<u8>(), 0..4).prop_map(|bytes| Decree::Value(Bytes::from(bytes)));
    prop_oneof![1 => Just(Decree::Noop), 3 => bytes]
}

fn a_span() -> impl Strategy<Value = Span> {
    (a_slot(), a_slot()).prop_map(|(first, last)| Span { first, last })
}

fn a_held() -> impl Strategy<Value = Held> {
    (a_span(), a_ballot()).prop_map(|(slots, ballot)| Held { slots, ballot })
}

fn a_report() -> impl Strategy<Value = Report> {
    prop_oneof![
        (a_ballot(), a_decree()).prop_map(|(ballot, decree)| Report::Accepted { ballot, decree }),
        a_ballot().prop_map(|ballot| Report::Held { ballot }),
        a_decree().prop_map(|decree| Report::Chosen { decree }),
        Just(Report::Faulty),
    ]
}

fn a_page() -> impl Strategy<Value = Page> {
    let slots = (a_slot(), option::of(a_slot()), a_slot(), a_slot());
    (slots, vec((a_slot(), a_report()), 0..5)).prop_map(
        |((first, upto, chosen_upto, lost_upto), reports)| Page {
            first,
            upto,
            chosen_upto,
            lost_upto,
            reports,
        },
    )
}

fn a_standing() -> impl Strategy<Value = Standing> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let process = number().prop_map(Process::new);
    let slots = (a_slot(), a_slot());
    (process, a_ballot(), option::of(a_ballot()), flags, slots).prop_map(
        |(process, promised, reign, flags, (chosen_upto, covered))| {
            let (quorum, sees_leader, disk_alive) = flags;
            Standing {
                process,
                promised,
                reign,
                quorum,
                sees_leader,
                disk_alive,
                chosen_upto,
                covered,
            }
        },
    )
}

fn a_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (a_ballot(), a_slot(), vec(a_held(), 0..3))
            .prop_map(|(ballot, first, holds)| Message::Prepare { ballot, first, holds }),
        (a_ballot(), a_page()).prop_map(|(ballot, page)| Message::Promise { ballot, page }),
        (a_ballot(), a_ballot())
            .prop_map(|(ballot, promised)| Message::Refused { ballot, promised }),
        (a_ballot(), a_slot(), a_decree(), a_slot()).prop_map(
            |(ballot, slot, decree, chosen_upto)| Message::Accept {
                ballot,
                slot,
                decree,
                chosen_upto
            }
        ),
        (a_ballot(), vec(a_span(), 0..4), a_slot()).prop_map(|(ballot, slots, chosen_upto)| {
            Message::Accepted { ballot, slots, chosen_upto }
        }),
        (a_ballot(), a_slot())
            .prop_map(|(ballot, chosen_upto)| Message::Watermark { ballot, chosen_upto }),
        (number(), a_standing())
            .prop_map(|(round, standing)| Message::Heartbeat { round, standing }),
        (number(), a_standing()).prop_map(|(round, standing)| Message::Alive { round, standing }),
        (a_slot(), a_slot()).prop_map(|(first, upto)| Message::Ask { first, upto }),
        (vec((a_slot(), a_decree()), 0..5), a_slot())
            .prop_map(|(decrees, chosen_upto)| Message::Learned { decrees, chosen_upto }),
        a_slot().prop_map(|upto| Message::Trimmed { upto }),
        (a_ballot(), number()).prop_map(|(ballot, round)| Message::Confirm { ballot, round }),
        (a_ballot(), number()).prop_map(|(ballot, round)| Message::Confirmed { ballot, round }),
        number().prop_map(|mark| Message::Synced { mark: Mark::new(mark) }),
        (a_ballot(), number()).prop_map(|(ballot, round)| Message::Vow { ballot, round }),
        (a_ballot(), number()).prop_map(|(ballot, round)| Message::Vowed { ballot, round }),
        a_ballot().prop_map(|ballot| Message::Release { ballot }),
        (a_ballot(), a_ballot(), a_slot()).prop_map(|(ballot, next, chosen_upto)| {
            Message::HandOver { ballot, next, chosen_upto }
        }),
        (number(), number())
            .prop_map(|(process, round)| Message::Fathom { process: Process::new(process), round }),
        (number(), number(), a_slot()).prop_map(|(process, round, upto)| Message::Fathomed {
            process: Process::new(process),
            round,
            upto
        }),
    ]
}

/// Seldom so that the peer has forgotten something, for it hears nothing after that.
fn marks() -> impl Strategy<Value = Marks> {
    let any = (number(), 1_u64..3, number()).prop_map(|(holds, of, heard)| Marks {
        holds: Some(Mark::new(holds)),
        of: Incarnation::new(of),
        heard: Mark::new(heard),
    });
    prop_oneof![9 => Just(Marks::NONE), 1 => any]
}

fn an_envelope() -> impl Strategy<Value = Envelope> {
    (a_life(), a_message(), marks()).prop_map(|(from, message, marks)| Envelope {
        from,
        to: NodeId::new(1),
        epoch: Epoch::FIRST,
        marks,
        message,
    })
}

/// A peer in each of its roles, with something in its log.
fn peers() -> Vec<Stage> {
    let records = vec![
        (Slot::new(3), Record::Accepted { ballot: stage::ballot(1, 2), decree: value("c") }),
        (Slot::new(4), Record::Faulty),
        (Slot::new(6), Record::Chosen { decree: value("f") }),
    ];
    let promised = Some(stage::ballot(1, 2));
    let (trimmed, chosen_upto, mark) = (Slot::new(1), Slot::new(2), Mark::new(9));
    let durable = Durable { promised, trimmed, chosen_upto, records, mark };
    let follower = Stage::recovered(3, durable.clone());
    let mut campaigner = Stage::recovered(3, durable);
    campaigner.campaign();
    let mut leader = Stage::new(3);
    leader.lead();
    leader.propose("x");
    vec![follower, campaigner, leader]
}

/// Hears it all, and then lives on for a while.
fn survives(stage: &mut Stage, envelopes: Vec<Envelope>) {
    for envelope in envelopes {
        let spoken = stage.step(Input::Deliver(envelope));
        for fetch in spoken.fetch {
            stage.step(Input::Fetched(Fetched { to: fetch.to, decrees: vec![], damaged: None }));
        }
    }
    for _ in 0..30 {
        stage.sync();
        stage.wait(20);
        stage.step(Input::Wake);
        stage.answer_heartbeat(Ballot::ZERO);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_word_survives_the_wire(envelope in an_envelope()) {
        let bytes = postcard::to_allocvec(&envelope).unwrap();
        let again: Envelope = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(again, envelope);
    }

    /// Any sequence of words, by whomever and about whatever, is survived in every role.
    #[test]
    fn no_words_make_a_peer_panic(envelopes in vec(an_envelope(), 1..12)) {
        for mut stage in peers() {
            survives(&mut stage, envelopes.clone());
        }
    }

    /// Bytes cut short, or with some of them changed, are refused or survived.
    #[test]
    fn no_bytes_make_a_peer_panic(
        envelope in an_envelope(),
        cut in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = postcard::to_allocvec(&envelope).unwrap();
        let short = &bytes[..cut.index(bytes.len())];
        prop_assert!(postcard::from_bytes::<Envelope>(short).is_err(), "a prefix is no word");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(envelope) = postcard::from_bytes::<Envelope>(&bytes) {
            for mut stage in peers() {
                survives(&mut stage, vec![envelope.clone()]);
            }
        }
    }

    #[test]
    fn random_bytes_are_refused_or_survived(bytes in vec(any::<u8>(), 0..80)) {
        if let Ok(envelope) = postcard::from_bytes::<Envelope>(&bytes) {
            let mut stage = Stage::new(3);
            survives(&mut stage, vec![envelope]);
        }
    }
}
