//! S8: what is asked under a key is done once, whoever asks again and in whichever session, and
//! everybody is told what the first was told.

use std::collections::BTreeMap;

use synod_machine::{Keyed, Name, Once, Rejection, Reply, owner_name};

use super::leases::Owners;

/// What was done under which key. No universe lives for as long as these are known.
#[derive(Debug, Default)]
pub(super) struct Onces {
    told: BTreeMap<(String, Name), (Keyed, Reply)>,
}

impl Onces {
    /// What a client must be told that asks under this key, if it is not new.
    pub(super) fn told(&self, client: &str, once: &Once, leases: &Owners) -> Option<Reply> {
        let (what, first) = self.told.get(&key(client, once))?;
        if *what != once.what {
            return Some(Reply::Rejected(Rejection::KeyReused));
        }
        let over = match first {
            Reply::Lease(lease) => leases.refuse(*lease, client),
            _ => None,
        };
        Some(over.map_or_else(|| first.clone(), Reply::Rejected))
    }

    /// It was done, or came to nothing.
    pub(super) fn keep(&mut self, client: &str, once: &Once, reply: &Reply) {
        if !matches!(reply, Reply::Rejected(_)) {
            self.told.insert(key(client, once), (once.what.clone(), reply.clone()));
        }
    }
}

fn key(client: &str, once: &Once) -> (String, Name) {
    (owner_name(client).to_owned(), once.key.clone())
}
