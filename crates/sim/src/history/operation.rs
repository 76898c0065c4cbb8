use std::fmt;

use bytes::Bytes;

/// One operation of a client on one key: when, what it saw, and what it wrote. One that touches
/// several keys at once is an operation on each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who.
    pub client: u64,
    /// On which key.
    pub key: Bytes,
    /// When it was asked, by a clock that all clients share.
    pub asked: u64,
    /// When its answer came; `None` when nobody knows whether it took effect.
    pub answered: Option<u64>,
    /// What the key was like when it took effect: all of these.
    pub saw: Vec<Saw>,
    /// What it left: a value, or nothing. `None` when it changed nothing.
    pub wrote: Option<Option<Bytes>>,
}

/// What an operation learned of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saw {
    /// It held exactly this, or nothing.
    Held(Option<Bytes>),
    /// It held anything else than this.
    NotHeld(Bytes),
    /// It held something.
    Present,
}

impl Operation {
    /// A read that found this.
    pub fn read(client: u64, key: Bytes, between: (u64, u64), found: Option<Bytes>) -> Operation {
        let (asked, answered) = (between.0, Some(between.1));
        Operation { client, key, asked, answered, saw: vec![Saw::Held(found)], wrote: None }
    }

    /// A write of this value, whatever was there.
    pub fn put(
        client: u64,
        key: Bytes,
        asked: u64,
        answered: Option<u64>,
        value: Bytes,
    ) -> Operation {
        Operation { client, key, asked, answered, saw: Vec::new(), wrote: Some(Some(value)) }
    }

    /// A write of this value that found what it expected.
    pub fn cas(
        client: u64,
        key: Bytes,
        asked: u64,
        answered: Option<u64>,
        expected: Saw,
        value: Bytes,
    ) -> Operation {
        Operation { client, key, asked, answered, saw: vec![expected], wrote: Some(Some(value)) }
    }

    /// A removal, which said whether the key was there; `None` when it said nothing.
    pub fn delete(
        client: u64,
        key: Bytes,
        asked: u64,
        answered: Option<u64>,
        existed: Option<bool>,
    ) -> Operation {
        let saw = match existed {
            Some(true) => vec![Saw::Present],
            Some(false) => vec![Saw::Held(None)],
            None => Vec::new(),
        };
        Operation { client, key, asked, answered, saw, wrote: Some(None) }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}, {} to ", self.client, self.asked)?;
        match self.answered {
            Some(answered) => write!(f, "{answered}:")?,
            None => write!(f, "unknown:")?,
        }
        self.saw.iter().try_for_each(|saw| write!(f, " saw {saw:?}"))?;
        match &self.wrote {
            Some(Some(value)) => write!(f, " wrote {value:?}"),
            Some(None) => write!(f, " removed it"),
            None => Ok(()),
        }
    }
}
