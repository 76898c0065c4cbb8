use super::*;

fn life() -> Life {
    Life { node: NodeId::new(2), incarnation: Incarnation::new(3) }
}

fn ballot() -> Ballot {
    Ballot::of(0x0102, life())
}

fn hex(record: &[u8]) -> String {
    record.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn value() -> Decree {
    Decree::Value(Bytes::from_static(b"hello"))
}

/// The bytes of every record are fixed: a store written today is read by every later build.
#[test]
fn every_record_keeps_its_bytes() {
    let identity = Identity { cluster: "orbit".into(), cluster_id: 7, life: life() };
    let vote = Header::new(Kind::Vote(ballot()), &value());
    let chosen = Header::new(Kind::Chosen, &Decree::Noop);
    let records = [
        ("identity", encode_identity(&identity)),
        ("promised", encode_ballot("promised", ballot())),
        ("chosen_upto", encode_number("chosen_upto", 9)),
        ("wal", encode_reached("wal", Reached { number: 9, at: 4_096 })),
        ("header of a vote", vote.encode(Slot::new(5))),
        ("header of a chosen noop", chosen.encode(Slot::new(6))),
        ("payload", encode_payload(Slot::new(5), Kind::Vote(ballot()), b"hello")),
    ];
    let found: Vec<String> =
        records.iter().map(|(name, record)| format!("{name}: {}", hex(record))).collect();
    assert_eq!(found, GOLDEN);
}

const GOLDEN: [&str; 7] = [
    "identity: 040700000000000000020003000000000000006f726269746b5a7c6e",
    "promised: 01020100000000000002000300000000000000091e4260",
    "chosen_upto: 010900000000000000b38f55aa",
    "wal: 01090000000000000000100000000000003f0eee42",
    "header of a vote: \
     01010201000000000000020003000000000000000105000000fddc625c55e85595b3ef2349",
    "header of a chosen noop: \
     010200000000000000000000000000000000000000000000000000000000000000f8c93e3d",
    "payload: 0168656c6c6faf9bf13b",
];

/// What is written is what is read.
#[test]
fn every_record_is_read_back() {
    let identity = Identity { cluster: "orbit".into(), cluster_id: 7, life: life() };
    assert_eq!(decode_identity(&encode_identity(&identity)), Ok(identity));
    assert_eq!(decode_ballot("promised", &encode_ballot("promised", ballot())), Ok(ballot()));
    assert_eq!(decode_number("mark", &encode_number("mark", 4)), Ok(4));
    let reached = Reached { number: 9, at: 4_096 };
    assert_eq!(decode_reached("wal", &encode_reached("wal", reached)), Ok(reached));
    for kind in [Kind::Vote(ballot()), Kind::Chosen] {
        let header = Header::new(kind, &value());
        let slot = Slot::new(5);
        assert_eq!(Header::decode(slot, &header.encode(slot)), Ok(header));
        let payload = encode_payload(slot, kind, b"hello");
        assert_eq!(header.decree(slot, Some(&payload)), Ok(value()));
    }
}

/// One flipped bit anywhere, or a missing tail of any length, is damage.
#[test]
fn no_flipped_bit_and_no_cut_goes_unnoticed() {
    let slot = Slot::new(5);
    let header = Header::new(Kind::Vote(ballot()), &value());
    let payload = encode_payload(slot, header.kind, b"hello");
    for damaged in every_damage(&header.encode(slot)) {
        assert_eq!(Header::decode(slot, &damaged), Err(Flaw::Damaged));
    }
    for damaged in every_damage(&payload) {
        assert_eq!(header.decree(slot, Some(&damaged)), Err(Flaw::Damaged));
    }
    for damaged in every_damage(&encode_number("mark", 4)) {
        assert_eq!(decode_number("mark", &damaged), Err(Flaw::Damaged));
    }
    for damaged in every_damage(&encode_ballot("promised", ballot())) {
        assert_eq!(decode_ballot("promised", &damaged), Err(Flaw::Damaged));
    }
    let identity = Identity { cluster: "orbit".into(), cluster_id: 7, life: life() };
    for damaged in every_damage(&encode_identity(&identity)) {
        assert_eq!(decode_identity(&damaged), Err(Flaw::Damaged));
    }
}

fn every_damage(record: &[u8]) -> Vec<Vec<u8>> {
    let flips = (0..record.len() * 8).map(|bit| {
        let mut damaged = record.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        damaged
    });
    flips.chain((0..record.len()).map(|cut| record[..cut].to_vec())).collect()
}

/// A record that stands where another belongs is damage: headers are bound to their slot, payloads
/// to their slot and to the ballot of their header, facts to their name.
#[test]
fn a_record_in_anothers_place_is_damage() {
    let (here, there) = (Slot::new(5), Slot::new(6));
    let header = Header::new(Kind::Vote(ballot()), &value());
    assert_eq!(Header::decode(there, &header.encode(here)), Err(Flaw::Damaged));
    let payload = encode_payload(here, header.kind, b"hello");
    assert_eq!(header.decree(there, Some(&payload)), Err(Flaw::Damaged));
    let later = Header::new(Kind::Vote(ballot().raised_by(life())), &value());
    assert_eq!(later.decree(here, Some(&payload)), Err(Flaw::Damaged));
    let chosen = Header::new(Kind::Chosen, &value());
    assert_eq!(chosen.decree(here, Some(&payload)), Err(Flaw::Damaged));
    let promised = encode_ballot("promised", ballot());
    assert_eq!(decode_ballot("other", &promised), Err(Flaw::Damaged));
}

/// A payload whose header speaks of other bytes, or of none, is damage; so is a missing one.
#[test]
fn header_and_payload_must_agree() {
    let slot = Slot::new(5);
    let kind = Kind::Vote(ballot());
    let payload = encode_payload(slot, kind, b"hullo");
    assert_eq!(Header::new(kind, &value()).decree(slot, Some(&payload)), Err(Flaw::Damaged));
    assert_eq!(Header::new(kind, &value()).decree(slot, None), Err(Flaw::Damaged));
    assert_eq!(Header::new(kind, &Decree::Noop).decree(slot, Some(&payload)), Err(Flaw::Damaged));
}

/// A whole record of a version that this build does not know names that version.
#[test]
fn a_newer_record_names_its_version() {
    let newer = Place::fact("mark").seal(9, &4_u64.to_le_bytes());
    assert_eq!(decode_number("mark", &newer), Err(Flaw::Version(9)));
    let newer = Place::fact(IDENTITY).seal(FORMAT + 1, b"anything at all");
    assert_eq!(decode_identity(&newer), Err(Flaw::Version(FORMAT + 1)));
}
