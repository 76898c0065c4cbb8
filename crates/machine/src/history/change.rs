use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BarrierNews, ClaimView, Entry, Holder, Name, Office, Position};

/// What a watch is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Interest {
    /// Keys that begin with this.
    Keys {
        /// With what.
        prefix: Bytes,
    },
    /// One lock.
    Lock {
        /// Which.
        name: Name,
    },
    /// One claim.
    Claim {
        /// Which.
        name: Name,
    },
    /// One register.
    Register {
        /// Which.
        name: Name,
    },
    /// One counter.
    Counter {
        /// Which.
        name: Name,
    },
    /// One barrier.
    Barrier {
        /// Which.
        name: Name,
    },
    /// What is appended to one journal.
    Journal {
        /// Which.
        name: Name,
    },
    /// How one election stands.
    Election {
        /// Which.
        name: Name,
    },
}

/// One thing that changed at a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// A key was set.
    Put {
        /// Which.
        key: Bytes,
        /// As it stands since.
        entry: Entry,
    },
    /// A key was removed.
    Deleted {
        /// Which.
        key: Bytes,
    },
    /// A lock came to another, or to nobody.
    Lock {
        /// Which.
        name: Name,
        /// Who has it since.
        holder: Option<Holder>,
    },
    /// A claim came to be, hangs on another lease, or is over.
    Claim {
        /// Which.
        name: Name,
        /// As it stands since.
        claim: Option<ClaimView>,
    },
    /// Something was chosen in a register.
    Register {
        /// Which.
        name: Name,
        /// What.
        value: Bytes,
    },
    /// A counter was counted, set or removed.
    Counter {
        /// Which.
        name: Name,
        /// What it is since, if it is still there.
        value: Option<i64>,
    },
    /// What those who wait at a barrier wait for.
    Barrier {
        /// Which.
        name: Name,
        /// What.
        news: BarrierNews,
    },
    /// An entry was appended to a journal.
    Journal {
        /// Which.
        name: Name,
        /// Where it stands.
        position: Position,
    },
    /// Somebody was granted, has left or proclaims something; or a person ordered something.
    Election {
        /// In which.
        name: Name,
        /// As it stands since.
        office: Office,
    },
}

/// A key that was set, as [`Change::Put`] is written, without a copy of it.
#[derive(Serialize)]
pub(super) enum Set<'a> {
    Put { key: &'a Bytes, entry: &'a Entry },
}

/// What a change is of, read from the front of its bytes. Its variants are those of [`Change`], and
/// every change begins with its key or name.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Glimpse<'a> {
    Put { key: &'a [u8] },
    Deleted { key: &'a [u8] },
    Lock { name: &'a str },
    Claim { name: &'a str },
    Register { name: &'a str },
    Counter { name: &'a str },
    Barrier { name: &'a str },
    Journal { name: &'a str },
    Election { name: &'a str },
}

/// What a change is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched<'a> {
    /// A key.
    Key(&'a [u8]),
    /// What has a name, as it is watched.
    Named(Interest),
}

impl<'a> From<Glimpse<'a>> for Touched<'a> {
    fn from(glimpse: Glimpse<'a>) -> Touched<'a> {
        Touched::Named(match glimpse {
            Glimpse::Put { key } | Glimpse::Deleted { key } => return Touched::Key(key),
            Glimpse::Lock { name } => Interest::Lock { name: Name::new(name) },
            Glimpse::Claim { name } => Interest::Claim { name: Name::new(name) },
            Glimpse::Register { name } => Interest::Register { name: Name::new(name) },
            Glimpse::Counter { name } => Interest::Counter { name: Name::new(name) },
            Glimpse::Barrier { name } => Interest::Barrier { name: Name::new(name) },
            Glimpse::Journal { name } => Interest::Journal { name: Name::new(name) },
            Glimpse::Election { name } => Interest::Election { name: Name::new(name) },
        })
    }
}

impl Interest {
    /// Whether it is about this.
    pub fn is_of(&self, change: &Change) -> bool {
        self.is_of_glimpse(&change.glimpse())
    }

    pub(super) fn is_of_glimpse(&self, change: &Glimpse<'_>) -> bool {
        match (self, change) {
            (Interest::Keys { prefix }, Glimpse::Put { key } | Glimpse::Deleted { key }) => {
                key.starts_with(prefix)
            }
            (Interest::Lock { name }, Glimpse::Lock { name: changed })
            | (Interest::Claim { name }, Glimpse::Claim { name: changed })
            | (Interest::Register { name }, Glimpse::Register { name: changed })
            | (Interest::Counter { name }, Glimpse::Counter { name: changed })
            | (Interest::Barrier { name }, Glimpse::Barrier { name: changed })
            | (Interest::Journal { name }, Glimpse::Journal { name: changed })
            | (Interest::Election { name }, Glimpse::Election { name: changed }) => {
                name.as_str() == *changed
            }
            (
                Interest::Keys { .. }
                | Interest::Lock { .. }
                | Interest::Claim { .. }
                | Interest::Register { .. }
                | Interest::Counter { .. }
                | Interest::Barrier { .. }
                | Interest::Journal { .. }
                | Interest::Election { .. },
                _,
            ) => false,
        }
    }
}

impl Change {
    /// The interest in exactly what changed; of keys there is one for every prefix.
    pub fn named(&self) -> Option<Interest> {
        Some(match self {
            Change::Put { .. } | Change::Deleted { .. } => return None,
            Change::Lock { name, .. } => Interest::Lock { name: name.clone() },
            Change::Claim { name, .. } => Interest::Claim { name: name.clone() },
            Change::Register { name, .. } => Interest::Register { name: name.clone() },
            Change::Counter { name, .. } => Interest::Counter { name: name.clone() },
            Change::Barrier { name, .. } => Interest::Barrier { name: name.clone() },
            Change::Journal { name, .. } => Interest::Journal { name: name.clone() },
            Change::Election { name, .. } => Interest::Election { name: name.clone() },
        })
    }

    fn glimpse(&self) -> Glimpse<'_> {
        match self {
            Change::Put { key, .. } => Glimpse::Put { key },
            Change::Deleted { key } => Glimpse::Deleted { key },
            Change::Lock { name, .. } => Glimpse::Lock { name: name.as_str() },
            Change::Claim { name, .. } => Glimpse::Claim { name: name.as_str() },
            Change::Register { name, .. } => Glimpse::Register { name: name.as_str() },
            Change::Counter { name, .. } => Glimpse::Counter { name: name.as_str() },
            Change::Barrier { name, .. } => Glimpse::Barrier { name: name.as_str() },
            Change::Journal { name, .. } => Glimpse::Journal { name: name.as_str() },
            Change::Election { name, .. } => Glimpse::Election { name: name.as_str() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Revision;

    /// A glimpse reads what every kind of change is of, and a key that is set without a copy is
    /// written as if it had been copied.
    #[test]
    fn a_glimpse_reads_what_a_change_is_of() {
        let (name, key) = (Name::new("n"), Bytes::from("k"));
        let at = Revision::new(7);
        let value = Bytes::from("v");
        let entry =
            Entry { value: value.clone(), create: at, modified: at, version: 1, lease: None };
        let put = Change::Put { key: key.clone(), entry: entry.clone() };
        let set = Set::Put { key: &key, entry: &entry };
        assert_eq!(postcard::to_allocvec(&put), postcard::to_allocvec(&set));
        let changes = [
            put,
            Change::Deleted { key },
            Change::Lock { name: name.clone(), holder: None },
            Change::Claim { name: name.clone(), claim: None },
            Change::Register { name: name.clone(), value },
            Change::Counter { name: name.clone(), value: Some(-1) },
            Change::Barrier { name: name.clone(), news: BarrierNews::Open },
            Change::Journal { name: name.clone(), position: Position::new(3) },
            Change::Election { name, office: Office::default() },
        ];
        for change in changes {
            let bytes = postcard::to_allocvec(&change).unwrap();
            let (glimpse, _) = postcard::take_from_bytes::<Glimpse<'_>>(&bytes).unwrap();
            assert_eq!(glimpse, change.glimpse());
            let named = change.named().unwrap_or(Interest::Keys { prefix: "k".into() });
            assert!(named.is_of_glimpse(&glimpse));
            match (Touched::from(glimpse), change.named()) {
                (Touched::Named(touched), Some(named)) => assert_eq!(touched, named),
                (Touched::Key(key), None) => assert_eq!(key, b"k"),
                other => panic!("{other:?}"),
            }
        }
    }
}
