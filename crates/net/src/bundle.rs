//! Questions that are asked at the same moment and travel on one stream, and how the answers say
//! which of them they are to.

use bytes::{Buf, Bytes};

use crate::frame::PLACE_BYTES;

/// Questions of one bundle.
pub(crate) const QUESTIONS_MAX: usize = 64;
/// A longer question travels alone: the others would wait behind it.
pub(crate) const QUESTION_BYTES_MAX: usize = 4 << 10;

/// What becomes of a question of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is answered.
    Answer(Bytes),
    /// It was heard, and there will be no answer.
    None,
    /// There is no room: neither this one nor those behind it were heard.
    NoRoom,
}

impl Outcome {
    const ANSWER: u8 = 0;
    const NONE: u8 = 1;
    const NO_ROOM: u8 = 2;

    /// What stands before the answer to the question at `place`.
    pub(crate) fn front(&self, place: u16) -> [u8; PLACE_BYTES] {
        let kind = match self {
            Outcome::Answer(_) => Outcome::ANSWER,
            Outcome::None => Outcome::NONE,
            Outcome::NoRoom => Outcome::NO_ROOM,
        };
        let [low, high] = place.to_le_bytes();
        [low, high, kind]
    }

    /// What a frame says, and of which question.
    pub(crate) fn read(mut body: Bytes) -> Option<(usize, Outcome)> {
        let [low, high, kind] = *body.first_chunk::<PLACE_BYTES>()?;
        body.advance(PLACE_BYTES);
        let outcome = match (kind, body.is_empty()) {
            (Outcome::ANSWER, false) => Outcome::Answer(body),
            (Outcome::NONE, true) => Outcome::None,
            (Outcome::NO_ROOM, true) => Outcome::NoRoom,
            _ => return None,
        };
        Some((u16::from_le_bytes([low, high]).into(), outcome))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes_of_what_becomes_of_a_question() {
        let answer = Outcome::Answer(Bytes::from_static(b"a"));
        assert_eq!(answer.front(0x0102), [2, 1, 0]);
        assert_eq!(Outcome::None.front(3), [3, 0, 1]);
        assert_eq!(Outcome::NoRoom.front(3), [3, 0, 2]);
    }

    proptest! {
        /// Whatever is read is written the same way, and nothing else is read.
        #[test]
        fn any_bytes_are_an_outcome_or_none(bytes in prop::collection::vec(any::<u8>(), 0..9)) {
            if let Some((place, outcome)) = Outcome::read(bytes.clone().into()) {
                let front = outcome.front(u16::try_from(place).unwrap());
                let answer = match outcome {
                    Outcome::Answer(answer) => answer,
                    Outcome::None | Outcome::NoRoom => Bytes::new(),
                };
                prop_assert_eq!([&front[..], &answer[..]].concat(), bytes);
            }
        }
    }
}
