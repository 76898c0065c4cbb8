//! What comes on a stream, whoever sends it and however it is cut.

use bytes::Bytes;
use synod_client::net::testing::{answer_one, frames, hello};
use tokio::runtime::Builder;

use crate::hunt::{Judged, hunt};

/// Bytes of a header: version, kind, length.
const HEADER_BYTES: usize = 6;

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [[2, kind].as_slice(), &length, body].concat()
}

/// Streams of one frame of each kind, and of several.
fn streams() -> Vec<Vec<u8>> {
    let mut all: Vec<_> = (1..=8).map(|kind| frame(kind, b"body")).collect();
    all.push((1..=8).flat_map(|kind| frame(kind, &[kind; 40])).collect());
    all.push([frame(2, &[0; 250]), frame(3, b"x"), frame(4, &[7; 600])].concat());
    all
}

/// What is read are the frames that were sent, up to the first that is none; where the stream was
/// cut into pieces does not matter.
#[test]
fn frames_on_streams() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    hunt("frames", 1, &streams(), |bytes| {
        let bytes = Bytes::copy_from_slice(bytes);
        let cut = |piece: usize| {
            let starts = (0..bytes.len()).step_by(piece);
            starts.map(|at| bytes.slice(at..bytes.len().min(at + piece))).collect::<Vec<_>>()
        };
        let (heard, wrong) = runtime.block_on(frames(cut(bytes.len().max(1))));
        let piece = 1 + bytes.first().map_or(0, |first| usize::from(*first) % 13);
        assert_eq!(runtime.block_on(frames(cut(piece))), (heard.clone(), wrong.clone()));
        let read = heard.concat();
        assert!(bytes.starts_with(&read), "frames that nobody sent");
        assert!(heard.iter().all(|frame| frame.len() > HEADER_BYTES), "an empty frame");
        assert_eq!(read.len() == bytes.len(), wrong.is_none(), "a rest that nothing is said of");
        if wrong.is_none() { Judged::Taken } else { Judged::Refused }
    });
}

/// A hello is taken as it is written, and no other way.
#[test]
fn hellos() {
    let who = "synod://catalog-eu/node/n1".parse().unwrap();
    let (right, _) = hello(7, &who, b"");
    hunt("hellos", 1, &[right.to_vec()], |bytes| {
        let (_, checked) = hello(7, &who, bytes);
        assert_eq!(checked.is_ok(), bytes == right, "{checked:?}");
        Judged::of(&checked)
    });
}

/// What becomes of one question of several is read as it is written: there are no two ways to say
/// it.
#[test]
fn answers_to_one_of_several() {
    let corpus = [&[1, 0, 0, b'a'][..], &[2, 1, 1], &[3, 0, 2]].map(Vec::from);
    hunt("answers to one", 1, &corpus, |bytes| {
        let read = answer_one(Bytes::copy_from_slice(bytes));
        assert!(read.as_ref().is_none_or(|read| read == bytes));
        if read.is_some() { Judged::Taken } else { Judged::Refused }
    });
}
