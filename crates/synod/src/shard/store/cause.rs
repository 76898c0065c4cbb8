//! Why something failed, before it is known in whose file.

use std::{io, path::Path};

use synod_store::{Trouble, is_about_room};

use super::{super::ShardError, record::FORMAT};

/// What the code between redb and the store finds.
#[derive(Debug)]
pub(super) enum Cause {
    /// redb said so.
    Redb(Box<redb::Error>),
    /// This row is not what was written there.
    Damaged(String),
    /// A newer build wrote it.
    OtherFormat(u8),
}

impl<E: Into<redb::Error>> From<E> for Cause {
    fn from(error: E) -> Cause {
        Cause::Redb(Box::new(error.into()))
    }
}

impl Cause {
    /// The error to give out. What the medium failed of first says more than what redb makes of it.
    pub(super) fn explain(self, path: &Path, trouble: Option<Trouble>) -> ShardError {
        let path = path.to_path_buf();
        match trouble {
            Some(Trouble::Full) => return ShardError::DiskFull { path },
            Some(Trouble::Damaged(what)) => return ShardError::Damaged { path, what },
            Some(Trouble::Failed(what)) => return ShardError::Disk { path, what },
            None => {}
        }
        let error = match self {
            Cause::Damaged(what) => return ShardError::Damaged { path, what },
            Cause::OtherFormat(found) => {
                return ShardError::OtherFormat { path, found, known: FORMAT };
            }
            Cause::Redb(error) => *error,
        };
        match error {
            redb::Error::DatabaseAlreadyOpen => ShardError::InUse { path },
            redb::Error::Io(error) if is_about_room(&error) => ShardError::DiskFull { path },
            redb::Error::Io(error) => match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    ShardError::Damaged { path, what: error.to_string() }
                }
                _ => ShardError::Disk { path, what: error.to_string() },
            },
            redb::Error::PreviousIo => {
                ShardError::Disk { path, what: "operation before this one".to_owned() }
            }
            other => ShardError::Damaged { path, what: other.to_string() },
        }
    }
}
