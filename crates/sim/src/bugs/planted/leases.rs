//! Leases, locks and watches: when a lease is over, who has a lock, and what a watch is told.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "leases of an earlier reign have no time left",
        does: "a new leader takes leases to have been silent for as long as they may be",
        source: "etcd#2660, etcd#2508: after an election all keys with a time to live expire",
        edits: &[edit(
            "replica/src/replica/lead.rs",
            "self.leases.opened(lease, wait_for(ttl_ms), self.now);",
            "{ let _ = ttl_ms; self.leases.opened(lease, Duration::ZERO, self.now); }",
        )],
    },
    Bug {
        name: "renewal answered and not heard",
        does: "a leader confirms a renewal and counts on from the one before",
        source: "PrefectHQ/prefect#22984: a renewed lease reports the expiration it had before",
        edits: &[edit("replica/src/replica/asks.rs", "self.leases.heard(lease, self.now);", "")],
    },
    Bug {
        name: "renewal answered while the end is in the log",
        does: "a leader confirms a lease whose end it has proposed",
        source: "PrefectHQ/prefect#22984: a lease renewed after it was listed is revoked",
        edits: &[edit(
            "replica/src/replica/learn.rs",
            "self.leases.waits_for_end(lease, client)",
            "false",
        )],
    },
    Bug {
        name: "renewal answered by a deposed leader",
        does: "a leader confirms a renewal without asking whether it still leads",
        source: "etcd#15247: an old leader goes on answering keep-alives",
        edits: &[edit(
            "replica/src/replica/asks.rs",
            "self.ask_reign(client, deadline, Question::Renew(lease), out)",
            "match self.reign.is_serving() && self.state.lease(lease).is_some() {\n\
             true => Some(Response::Said(Said::Kept)),\n\
             false => self.ask_reign(client, deadline, Question::Renew(lease), out),\n\
             }",
        )],
    },
    Bug {
        name: "lease ended by an earlier reign",
        does: "the end of a lease counts, whoever reigns when it is chosen",
        source: "etcd#12528, etcd#15247: an old leader revokes leases that are renewed at the new",
        edits: &[edit(
            "machine/src/machine/serve.rs",
            "guard.reign != self.reign || guard.renewals != renewals",
            "guard.renewals != renewals",
        )],
    },
    Bug {
        name: "lease ended although it was used",
        does: "the end of a lease counts, though it was used in the log since it was proposed",
        source: "PrefectHQ/prefect#22984: nothing looks again before a lease is revoked",
        edits: &[edit(
            "machine/src/machine/serve.rs",
            "guard.reign != self.reign || guard.renewals != renewals",
            "guard.reign != self.reign || { let _ = renewals; false }",
        )],
    },
    Bug {
        name: "token says nothing of the order of grants",
        does: "a lock's token is the number of its lease",
        source: "bsm/redislock#93, Kleppmann 2016: a token that does not grow fences nobody",
        edits: &[edit(
            "machine/src/services/locks.rs",
            "holder.is_none().then_some(at)",
            "holder.is_none().then(|| Revision::new(lease.get()))",
        )],
    },
    Bug {
        name: "locks of a lease that is over",
        does: "a lease ends, and its locks stay with it",
        source: "etcd#10686: what hung on a lease stays when the lease has expired",
        edits: &[edit(
            "machine/src/machine/serve.rs",
            "self.services.lease_ended(lease, &mut self.keys, moment, &mut self.history);",
            "let _ = moment;",
        )],
    },
    Bug {
        name: "lock on a lease that is over",
        does: "a lock may be taken on a lease whether or not it stands",
        source: "etcd#12334: a campaign that waited goes on after its lease has expired",
        edits: &[edit(
            "machine/src/machine/serve.rs",
            "self.services.leases.used_by(lease, client)?;",
            "let _ = self.services.leases.used_by(lease, client);",
        )],
    },
    Bug {
        name: "watch from before the window",
        does: "a watch from before what is known is told the rest, as if that were all",
        source: "khenidak/london#4: a watch ignores up to where history was compacted",
        edits: &[edit("machine/src/history.rs", "after < self.forgotten", "false")],
    },
    Bug {
        name: "watch told back",
        does: "a node that lags tells a watch to go on from where the node is",
        source: "etcd#20221: a watch resumed at a node that lags is told of the past",
        edits: &[edit(
            "replica/src/watchers.rs",
            "none_upto(«machine.revision().max(*after)»)",
            "{ let _ = after; machine.revision() }",
        )],
    },
    Bug {
        name: "watch not told of what a snapshot brought",
        does: "a node that installs a snapshot tells nobody who waits there",
        source: "lerna-stack/akka-entity-replication#134: events are lost with a snapshot",
        edits: &[edit(
            "replica/src/replica/shelf.rs",
            "self.watchers.told_by_snapshot(&self.state.machine)",
            "Vec::new()",
        )],
    },
    Bug {
        name: "watch told up to what it was not told",
        does: "a watch that waits in vain is told to go on from a revision ahead of its node",
        source: "richlander/nightshift#197: a revision sampled after the events skips one",
        edits: &[edit(
            "replica/src/watchers.rs",
            "none_upto(«machine.revision().max(*after)»)",
            "machine.revision().next().max(*after)",
        )],
    },
];
