//! What operators take away, and what people are shown of who has it.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "lock taken away that nothing tells of",
        does: "an operator breaks a lock, and nothing is written down of it",
        source: "OwnPay#214: an administrator's unlock is on no record",
        edits: &[edit(
            "machine/src/machine/serve.rs",
            "let act = Act::LockBroken { name: broken, holder, actor, reason };\n                \
             «self.audit.note(self.clock.now, act);»",
            "drop(act);",
        )],
    },
    Bug {
        name: "lease taken away that nothing tells of",
        does: "an operator ends a lease, and nothing is written down of it",
        source: "vault#4156, #4164: leases that run out are logged, and those that are revoked are \
                 not",
        edits: &[edit(
            "machine/src/machine/serve.rs",
            "self.audit.note(self.clock.now, Act::LeaseBroken { lease, owner, actor, reason });",
            "drop((owner, actor, reason));",
        )],
    },
    Bug {
        name: "claim taken away that nothing tells of",
        does: "an operator ends a claim, and nothing is written down of it",
        source: "bernstein#3037: a claim is taken by force, and the audit chain is told nothing",
        edits: &[edit(
            "machine/src/machine/serve.rs",
            "self.audit.note(self.clock.now, Act::ClaimBroken { claim, actor, reason });",
            "drop((claim, actor, reason));",
        )],
    },
    Bug {
        name: "lock taken away with its lease",
        does: "who breaks a lock ends the lease of whoever held it, and all that hangs on that",
        source: "no report found; against docs/services.md, *Locks*: a lease \
                 outlives a broken lock",
        edits: &[edit(
            "machine/src/machine/serve.rs",
            "self.audit.note(self.clock.now, act);\n                «(name, lease)»\n            \
             }\n        };",
            "{ self.end_lease(lease); (name, lease) }",
        )],
    },
    Bug {
        name: "holder of a lock shown as one who waits",
        does: "those who wait for a lock are shown with whoever has it among them",
        source: "argo-workflows#15239: who has acquired a lock is still in the list of those who \
                 wait",
        edits: &[edit(
            "machine/src/services/locks.rs",
            "let waiting = «self.queue(name).skip(1)»;",
            "self.queue(name).skip(0)",
        )],
    },
    Bug {
        name: "candidates shown in the order in which they came",
        does: "those who stand are not shown in the order in which they would be granted",
        source: "patroni#3061: standbys are listed by name and not by priority",
        edits: &[edit(
            "machine/src/services/elections.rs",
            "(incumbent != Some(*at), «one.rank(*at)»)",
            "(std::cmp::Reverse(0), { let _ = one; *at })",
        )],
    },
];
