//! What nodes say to each other.

use synod_paxos::{
    Ballot, Config, Decree, Durable, Envelope, Held, Life, Mark, Members, Message, NodeId, Page,
    Process, Report, Slot, Span, Standing, Tick,
};
use synod_replica::{Input, Output, Replica, Restored, Word};

use crate::hunt::{Judged, grown, hunt};

/// Words that one node hears before another one is put in its place.
const WORDS_OF_ONE: u32 = 64;

fn life(node: u16) -> Life {
    Life::first(NodeId::new(node))
}

pub(crate) fn config() -> synod_replica::Config {
    let members = Members::new((1..=3).map(life).collect()).unwrap();
    synod_replica::Config::new(Config::new(life(1), members).unwrap())
}

/// Words as they are said, from node 2 to node 1.
fn every_message() -> Vec<Message> {
    let slot = Slot::new;
    let (theirs, ours) = (Ballot::of(3, life(2)), Ballot::of(2, life(1)));
    let decree = Decree::Value("x".into());
    let span = Span { first: slot(1), last: slot(2) };
    let standing = Standing {
        process: Process::new(7),
        promised: theirs,
        reign: Some(theirs),
        quorum: true,
        sees_leader: true,
        disk_alive: true,
        chosen_upto: slot(1),
        covered: slot(1),
    };
    let reports = vec![
        (slot(2), Report::Accepted { ballot: ours, decree: decree.clone() }),
        (slot(3), Report::Held { ballot: ours }),
        (slot(4), Report::Chosen { decree: Decree::Noop }),
        (slot(5), Report::Faulty),
    ];
    let (first, upto, chosen_upto, lost_upto) = (slot(2), Some(slot(5)), slot(1), slot(2));
    let page = Page { first, upto, chosen_upto, lost_upto, reports };
    vec![
        Message::Prepare {
            ballot: theirs,
            first: slot(1),
            holds: vec![Held { slots: span, ballot: ours }],
        },
        Message::Promise { ballot: ours, page },
        Message::Refused { ballot: ours, promised: theirs },
        Message::Accept {
            ballot: theirs,
            slot: slot(2),
            decree: decree.clone(),
            chosen_upto: slot(1),
        },
        Message::Accepted { ballot: ours, slots: vec![span], chosen_upto: slot(1) },
        Message::Watermark { ballot: theirs, chosen_upto: slot(2) },
        Message::Heartbeat { round: 9, standing },
        Message::Alive { round: 9, standing },
        Message::Ask { first: slot(1), upto: slot(4) },
        Message::Learned { decrees: vec![(slot(1), decree)], chosen_upto: slot(1) },
        Message::Confirm { ballot: theirs, round: 4 },
        Message::Confirmed { ballot: ours, round: 4 },
        Message::Vow { ballot: theirs, round: 4 },
        Message::Vowed { ballot: ours, round: 4 },
        Message::Release { ballot: theirs },
        Message::HandOver { ballot: theirs, next: Ballot::of(4, life(1)), chosen_upto: slot(2) },
        Message::Fathom { process: Process::new(7), round: 4 },
        Message::Fathomed { process: Process::new(7), round: 4, upto: Slot::new(3) },
        Message::Synced { mark: Mark::new(1) },
    ]
}

fn corpus() -> Vec<Vec<u8>> {
    let word = |message| {
        let to = NodeId::new(1);
        let envelope = Envelope::of(life(2), to, message);
        postcard::to_allocvec(&Word::Paxos(envelope)).unwrap()
    };
    every_message().into_iter().map(word).chain(grown::<Word>()).collect()
}

/// A word that decodes is the word that was written, and a node that hears it goes on: it is
/// stepped in as from an authenticated voter, again and again at one node.
#[test]
fn words() {
    let (mut replica, mut heard) = (None, 0);
    hunt("words", 1, &corpus(), |bytes| {
        let decoded = postcard::take_from_bytes::<Word>(bytes);
        let Ok((word, [])) = decoded else { return Judged::Refused };
        let again = postcard::to_allocvec(&word).unwrap();
        assert_eq!(postcard::from_bytes::<Word>(&again).as_ref(), Ok(&word));
        let input = match word {
            Word::Paxos(envelope) => Input::Peer(envelope),
            Word::Checkpoint(checkpoint) => Input::Checkpoint { from: NodeId::new(2), checkpoint },
            Word::Snapshot(carried) => Input::Carried { from: NodeId::new(2), carried },
        };
        heard += 1;
        if heard % WORDS_OF_ONE == 1 {
            replica = Some(Replica::recover(
                config(),
                Durable::default(),
                Restored::default(),
                [],
                heard.into(),
            ));
        }
        let now = Tick::from_micros(u64::from(heard) * 1_000);
        let mut out = Output::default();
        replica.as_mut().unwrap().step(now, Default::default(), input, &mut out);
        drop(out.durably.synced());
        Judged::Taken
    });
}
