//! Claims, registers, counters, barriers, journals, commands under keys, and what hangs on leases.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "claim given back by another client",
        does: "whoever asks gives back a name that another client has claimed",
        source: "delta-io/delta-rs#440: a lock is released by whoever asks, not by its owner alone",
        edits: &[edit("machine/src/services/claims.rs", "!claim.is_of(client)", "false")],
    },
    Bug {
        name: "claim taken from whoever has it",
        does: "a name that is claimed goes to the next who claims it",
        source: "joaquinbejar/OptionChain-Simulator#144: a builder's claim is taken over unseen",
        edits: &[edit(
            "machine/src/services/claims.rs",
            "Some(claim) if «!claim.is_for(&owner, &client)» => {\n                \
             return Ok(ClaimReply::TakenBy(view(&name, claim)));",
            "{ let _ = claim; false }",
        )],
    },
    Bug {
        name: "register written twice",
        does: "a register takes the last proposal, not the first",
        source: "strawgate/py-key-value#368: two that see nothing there both write",
        edits: &[edit(
            "machine/src/services/registers.rs",
            "self.rows.get(&name).cloned()",
            "self.rows.get(&name).cloned().filter(|one| one.value == value)",
        )],
    },
    Bug {
        name: "counter set from what it is not",
        does: "a counter is set whatever it is, if there is one",
        source: "serg-io/dynamodb-atomic-counter#4: an update is not made on condition",
        edits: &[edit(
            "machine/src/services/counters.rs",
            "value if «value == expect» =>",
            "value == expect || value.is_some() && expect.is_some()",
        )],
    },
    Bug {
        name: "barrier that opens early",
        does: "a barrier opens for one less than its parties",
        source: "apache/curator#1290: a barrier is passed before all have come",
        edits: &[edit(
            "machine/src/services/barriers.rs",
            "«barrier.here >= parties»)",
            "barrier.here.saturating_add(1) >= parties",
        )],
    },
    Bug {
        name: "barrier that counts a party twice",
        does: "a party that comes again is one more",
        source: "Netflix/curator#99: there are more at a barrier than it is for",
        edits: &[edit(
            "machine/src/services/barriers.rs",
            "Some(Barrier { here, .. }) if «self.arrivals.contains(&place)» =>",
            "false",
        )],
    },
    Bug {
        name: "position used again after a trim",
        does: "a journal whose entries are all trimmed begins again where it began",
        source: "apache/kafka#6652: the end of a log that was emptied is taken to be its beginning",
        edits: &[edit(
            "machine/src/services/journals.rs",
            "let position = «journal.last.next()»;",
            "(if journal.last == journal.trimmed { Position::ZERO } else { journal.last }).next()",
        )],
    },
    Bug {
        name: "group of readers falls back",
        does: "the offset of a group is set to what was asked, also further back",
        source: "zendesk/ruby-kafka#174: what was consumed long ago is committed again",
        edits: &[edit(
            "machine/src/services/journals.rs",
            "Some(stands) if «*stands > position» =>",
            "{ let _ = stands; false }",
        )],
    },
    Bug {
        name: "counter counted twice on a retry",
        does: "a count that is asked for again under its key is done again",
        source: "serg-io/dynamodb-atomic-counter#4: an update that is tried again counts twice",
        edits: &[edit(
            "machine/src/machine/once.rs",
            "self.onces.told(&client, &once)",
            "self.onces.told(&client, &once)\n\
             .filter(|_| !matches!(once.what, crate::Keyed::Counter(_)))",
        )],
    },
    Bug {
        name: "key forgotten too early",
        does: "what was done under a key is known for a second",
        source: "square/connect-api-examples#135: the same key changes an inventory twice",
        edits: &[edit(
            "machine/src/once.rs",
            "now.since(*at) < ONCE_MS && !many",
            "now.since(*at) < ONCE_MS.min(1_000) && !many",
        )],
    },
    Bug {
        name: "key told for another command",
        does: "a key that was used for one command answers another with the reply of the first",
        source: "square/connect-api-examples#135: a key with another request must be refused",
        edits: &[edit("machine/src/once.rs", "told.digest == digest(&once.what)", "true")],
    },
    Bug {
        name: "key that outlives its lease",
        does: "a lease ends, and the keys that hang on it stay",
        source: "etcd#9935: a key is not deleted when the lease it is bound to expires",
        edits: &[edit("machine/src/services.rs", "keys.end_all(lease, history);", "")],
    },
    Bug {
        name: "key on a lease that is over",
        does: "a key may be hung on a lease whether or not it stands",
        source: "etcd#12334: what is asked with a lease is done after it has expired",
        edits: &[edit(
            "machine/src/machine/multi.rs",
            "if let Some(lease) = multi.lease {\n            self.uses(own, lease)?;\n        }",
            "if let Some(lease) = multi.lease { let _ = self.uses(own, lease); }",
        )],
    },
    Bug {
        name: "guard on a claim not looked at",
        does: "what is asked for on condition that a name is claimed is done for whoever claims it",
        source: "codenotary/immudb#1170: a precondition is checked of what was, not of what is",
        edits: &[edit(
            "machine/src/machine/multi.rs",
            "is_some_and(|claim| «claim.owner == *owner»)",
            "{ let _ = (claim, owner); true }",
        )],
    },
    Bug {
        name: "guard not evaluated in a commit",
        does: "a transaction commits without a look at who must hold what",
        source: "codenotary/immudb#1170: a precondition is checked earlier than the write",
        edits: &[edit(
            "machine/src/machine/multi.rs",
            "lease_stands && «self.failing(multi).is_none()»",
            "self.keys.failing(&multi.guards).is_none()",
        )],
    },
    Bug {
        name: "old token of a lock taken",
        does: "what is asked for under a lock is done whoever has it, with whatever token",
        source: "Kleppmann 2016: a store that takes writes without a look at their tokens",
        edits: &[edit(
            "machine/src/machine/multi.rs",
            "is_some_and(|holder| «holder.token == *token»)",
            "{ let _ = (holder, token); true }",
        )],
    },
    Bug {
        name: "claims of a lease forgotten by a snapshot",
        does: "a restored machine does not know which claims hang on which lease",
        source: "etcd#9935: after a restart what is bound to a lease is found no more",
        edits: &[edit(
            "machine/src/services/claims.rs",
            "claims.insert(name.clone(), claim.clone());",
            "claims.rows.insert(name.clone(), claim.clone());",
        )],
    },
];
