use std::io::{self, ErrorKind};

/// Whether an operation failed for want of room: the file system is full (`ENOSPC`), its owner's
/// share of it is (`EDQUOT`), or the file may not grow further (`EFBIG`: `ulimit -f`, and the
/// longest file of the file system). What is there stays, and more fits when somebody makes room.
pub fn is_about_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}
