//! L1: the token of a lock, and of an office, grows from grant to grant.

use std::collections::BTreeMap;

use synod_machine::{Name, Revision};

use crate::violation::{Checked, demand};

/// The last token of each lock, or of each office.
#[derive(Debug, Default)]
pub(in crate::checks) struct Tokens {
    last: BTreeMap<Name, Revision>,
}

impl Tokens {
    /// A lock or an office is granted with this token.
    pub(in crate::checks) fn grow(&mut self, name: &Name, token: Revision) -> Checked {
        let last = self.last.insert(name.clone(), token);
        demand!(
            last.is_none_or(|last| last < token),
            "L1",
            "{name} is granted with token {token} after {last:?}"
        );
        Ok(())
    }
}
