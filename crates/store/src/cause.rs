//! Why something failed, before it is known whose store it was.

use std::{io, path::Path};

use crate::{
    StoreError,
    medium::{Fault, Medium},
    record::FORMAT,
    room::is_about_room,
    seal::Flaw,
};

/// What the code between redb and the store finds.
#[derive(Debug)]
pub(crate) enum Cause {
    /// redb said so.
    Redb(redb::Error),
    /// A record that everything rests on cannot be read.
    Flawed(String, Flaw),
    /// Nothing said so now, but the medium failed before.
    Before,
}

impl<E: Into<redb::Error>> From<E> for Cause {
    fn from(error: E) -> Cause {
        Cause::Redb(error.into())
    }
}

impl Cause {
    /// The error to give out. The medium's own word comes first: redb tells of an I/O error once
    /// and afterwards only that there was one.
    pub(crate) fn explain(self, path: &Path, medium: Option<&Medium>) -> StoreError {
        let path = path.to_owned();
        match (medium.and_then(Medium::fault), self) {
            (Some(Fault::Full { .. }), _) => StoreError::DiskFull { path },
            (Some(Fault::Damaged(what)), _) => StoreError::Damaged { path, what },
            (Some(Fault::Failed(what)), _) => StoreError::SyncFailed { path, what },
            (None, Cause::Redb(redb::Error::DatabaseAlreadyOpen)) => StoreError::InUse { path },
            (None, Cause::Redb(redb::Error::Io(error))) if is_about_room(&error) => {
                StoreError::DiskFull { path }
            }
            (None, Cause::Redb(redb::Error::Io(error))) if !is_about_content(&error) => {
                StoreError::Io { path, source: error }
            }
            // There never was a format 0.
            (None, Cause::Flawed(_, Flaw::Version(found))) if found > 0 => {
                StoreError::OtherFormat { path, found, known: FORMAT }
            }
            (None, Cause::Redb(error)) => StoreError::Damaged { path, what: error.to_string() },
            (None, Cause::Flawed(what, _)) => StoreError::Damaged { path, what },
            (None, Cause::Before) => {
                StoreError::SyncFailed { path, what: "call before this one".into() }
            }
        }
    }
}

/// Whether redb says with an I/O error that the file is not one of its own.
fn is_about_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
