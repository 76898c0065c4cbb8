//! A lead that is handed over: the lease that ends first, and phase 1 that is one all the same.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "lease kept by a leader that hands over",
        does: "a leader calls the next one and frees the others, and reads on by its lease",
        source: "etcd#12704: a leader that transfers its lead goes on reading by its lease",
        edits: &[edit(
            "paxos/src/peer/handing.rs",
            "«self.reign = Reign::Following»;\n        (self.leader, self.heir)",
            "()",
        )],
    },
    Bug {
        name: "called to lead without phase 1",
        does: "whoever is called to lead proposes at once, without a promise of anybody",
        source: "Derecho#126: a new leader does not look for what the last one had proposed",
        edits: &[edit(
            "paxos/src/peer/handing.rs",
            "self.campaign_at(now, next, true, out)",
            "{ self.campaign_at(now, next, true, out);\n\
             let adopted = std::collections::BTreeMap::new();\n\
             let legacy = crate::campaign::Legacy { adopted, inherited: self.learner.upto() };\n\
             self.reign = Reign::Leading(crate::proposer::Proposer::new(next, legacy, now));\n\
             self.beat(now, out) }",
        )],
    },
    Bug {
        name: "called to lead beside a vow",
        does: "whoever is called to lead campaigns though it has vowed to promise nobody else",
        source: "raft-rs#234: who is called by a late message campaigns in spite of the lease",
        edits: &[edit(
            "paxos/src/peer/handing.rs",
            "«self.vow.allows(me, now)» && self.is_connected",
            "true",
        )],
    },
    Bug {
        name: "promise to the next leader spoken before it is durable",
        does: "a leader that hands over promises while its disk is still at work",
        source: "io_ordering of databendlabs/openraft: what is spoken before it is synced",
        edits: &[edit(
            "paxos/src/peer/handing.rs",
            "self.seal_promise(to, next, first, &[], out)",
            "{ let page = self.acceptor.page(first, &[], &self.learner, self.config.page_slots);\n\
             self.voice.say(out, to, Message::Promise { ballot: next, page }) }",
        )],
    },
    Bug {
        name: "promise to the next leader without votes",
        does: "a leader that hands over promises and reports nothing that it has voted for",
        source: "apache/iggy#3824: what a replica tells the next primary carries no log",
        edits: &[edit(
            "paxos/src/peer/handing.rs",
            "self.seal_promise(to, next, first, &[], out)",
            "{ let mut page =\n\
             self.acceptor.page(first, &[], &self.learner, self.config.page_slots);\n\
             page.reports.clear();\n\
             self.voice.seal(out, to, Message::Promise { ballot: next, page }) }",
        )],
    },
];
