use std::{io, path::PathBuf};

use super::FILE_BYTES_MAX;
use crate::IdentityError;

/// Why files are no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{}: not a regular file", .path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// Too large to be what it should be.
    #[error(
        "{}: more than {FILE_BYTES_MAX} bytes, which no certificate or key has",
        .path.display()
    )]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The key's file is open to others; whoever has read it can be its owner.
    #[error(
        "{}: readable by group or others (mode {mode:04o}): chmod 600 {}", .path.display(),
        .path.display()
    )]
    KeyExposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// No PEM of the kind that is needed.
    #[error("{}: holds no {kind} in PEM form: {what}", .path.display())]
    NotPem {
        /// Which.
        path: PathBuf,
        /// Of what kind.
        kind: &'static str,
        /// What was found instead.
        what: String,
    },
    /// The key belongs to another certificate.
    #[error(
        "{}: is not the key of {}; they must be issued together",
        .key.display(), .cert.display()
    )]
    KeyMismatch {
        /// The key.
        key: PathBuf,
        /// The certificate.
        cert: PathBuf,
    },
    /// The certificate names nobody, or may not be used by whom it names.
    #[error("{}: {source}; `synod cert renew` makes another", .path.display())]
    Identity {
        /// Which.
        path: PathBuf,
        /// Why.
        source: IdentityError,
    },
    /// Its time is over.
    #[error(
        "{}: expired {} ago; `synod cert renew` makes another", .path.display(),
        span(*.seconds)
    )]
    Expired {
        /// Which.
        path: PathBuf,
        /// Since when.
        seconds: i64,
    },
    /// Its time has not come.
    #[error(
        "{}: not valid for another {}; is this machine's clock right?", .path.display(),
        span(*.seconds)
    )]
    NotYetValid {
        /// Which.
        path: PathBuf,
        /// How long.
        seconds: i64,
    },
    /// The root did not sign the certificate.
    #[error("{}: does not fit {}: {what}", .cert.display(), .ca.display())]
    ForeignRoot {
        /// The certificate.
        cert: PathBuf,
        /// The root.
        ca: PathBuf,
        /// What the verifier said.
        what: String,
    },
}

impl CredentialsError {
    /// Whether a file is missing or is not what it should be: then nobody's identity is in doubt.
    pub fn is_about_files(&self) -> bool {
        match self {
            CredentialsError::Read { .. }
            | CredentialsError::NotAFile { .. }
            | CredentialsError::TooLarge { .. }
            | CredentialsError::NotPem { .. } => true,
            CredentialsError::KeyExposed { .. }
            | CredentialsError::KeyMismatch { .. }
            | CredentialsError::Identity { .. }
            | CredentialsError::Expired { .. }
            | CredentialsError::NotYetValid { .. }
            | CredentialsError::ForeignRoot { .. } => false,
        }
    }
}

/// A span in its largest whole unit.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn a_span_is_told_in_its_largest_whole_unit() {
        let spans = [1, 119, 120, 7_199, 7_200, 172_799, 172_800].map(span);
        assert_eq!(spans, ["1 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
    }
}
