//! A state as bytes: written piece by piece, so that nobody holds the whole of it, and read back
//! with every claim doubted.

use serde::{Serialize, de::DeserializeOwned};

use crate::StateHash;

/// Bytes that gather before they are handed on.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes that are no state of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Written by another build.
    #[error("a state of version {found}; this build reads version {known}")]
    Version {
        /// The version found.
        found: u8,
        /// The one known.
        known: u8,
    },
    /// They end too early, are not what a machine writes, or something follows.
    #[error("no state of a machine: {left} bytes before the end")]
    Malformed {
        /// How many bytes were left when that was seen.
        left: usize,
    },
    /// They are a state, and not the one that was written.
    #[error("the state's digest is {found:?}, and {written:?} when it was written")]
    OtherState {
        /// Of what was read.
        found: StateHash,
        /// As it was written down.
        written: StateHash,
    },
}

/// Writes values one after the other, in postcard.
pub(crate) struct Encoder<'a, E> {
    piece: Vec<u8>,
    sink: &'a mut dyn FnMut(&[u8]) -> Result<(), E>,
}

impl<'a, E> Encoder<'a, E> {
    pub(crate) fn new(sink: &'a mut dyn FnMut(&[u8]) -> Result<(), E>) -> Encoder<'a, E> {
        Encoder { piece: Vec::with_capacity(PIECE_BYTES), sink }
    }

    pub(crate) fn put(&mut self, value: &impl Serialize) -> Result<(), E> {
        let piece = std::mem::take(&mut self.piece);
        self.piece = postcard::to_extend(value, piece)
            .expect("a Vec takes every byte, and every sequence of ours knows its length");
        if self.piece.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Bytes that are in their stored form already.
    pub(crate) fn put_as_is(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    pub(crate) fn flush(&mut self) -> Result<(), E> {
        (self.sink)(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

/// Reads them back.
pub(crate) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder(bytes)
    }

    pub(crate) fn take<T: DeserializeOwned>(&mut self) -> Result<T, RestoreError> {
        let malformed = RestoreError::Malformed { left: self.left() };
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| malformed)?;
        self.0 = rest;
        Ok(value)
    }

    /// Bytes that were not read.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }
}
