//! Campaigns: what a candidate owns, and what it takes over.

use super::super::row::{Bug, edit};

/// Where a page of a promise is weighed.
const WEIGHS: &str = "for (slot, report) in &page.reports {\n            \
                      self.weigh(member, *slot, report, acceptor);\n        }";

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "own ballot spoken before it is durable",
        does: "`Prepare` leaves beside the sync and not after it",
        source: "wenweihu86/raft-java#57: a candidate raises its term and does not write it down",
        edits: &[edit(
            "paxos/src/peer/phase1.rs",
            "self.voice.seal(out, *to, Message::Prepare { ballot, first, holds });",
            "self.voice.say(out, *to, Message::Prepare { ballot, first, holds });",
        )],
    },
    Bug {
        name: "ballot resumed after a restart",
        does: "a candidate that finds a ballot of its own campaigns at that one again",
        source: "wenweihu86/raft-java#57: the term of before the crash is used for a second \
                 campaign",
        edits: &[edit(
            "paxos/src/peer/phase1.rs",
            "self.acceptor.promised().max(Ballot::of(self.round_heard, owner)).raised_by(owner)",
            "{ let top = self.acceptor.promised().max(Ballot::of(self.round_heard, owner));\n\
             if top == self.acceptor.promised() && top.owner() == owner { top }\n\
             else { top.raised_by(owner) } }",
        )],
    },
    Bug {
        name: "adopts the first vote reported",
        does: "of two votes for a slot the one is adopted that came first",
        source: "efficient/epaxos#20: any accepted value is taken, for none has its ballot",
        edits: &[edit("paxos/src/campaign.rs", "ballot > *highest", "false")],
    },
    Bug {
        name: "adopts the longest log",
        does: "everything is adopted from whoever reports the highest slot",
        source: "sile/noraft#22: logs are compared by length and not by term",
        edits: &[edit(
            "paxos/src/campaign.rs",
            WEIGHS,
            "let last = page.reports.last().map(|(slot, _)| *slot);\n\
             if last >= self.evidence.last_key_value().map(|(slot, _)| *slot) {\n\
             self.evidence.clear();\n\
             for (slot, report) in &page.reports { self.weigh(member, *slot, report, acceptor); }\n\
             }",
        )],
    },
    Bug {
        name: "adopts the highest ballot overall",
        does: "everything is adopted from whoever reports the highest ballot of all",
        source: "no report found; against *Paxos Made Simple* §3, where phase 1 is for each \
                 instance",
        edits: &[edit(
            "paxos/src/campaign.rs",
            WEIGHS,
            "let of = |report: &Report| match report {\n\
             Report::Accepted { ballot, .. } | Report::Held { ballot } => Some(*ballot),\n\
             Report::Faulty | Report::Chosen { .. } => None };\n\
             let highest = page.reports.iter().filter_map(|(_, report)| of(report)).max();\n\
             let before = self.evidence.values()\n\
             .filter_map(|evidence| evidence.highest.as_ref().map(|(ballot, _)| *ballot)).max();\n\
             if highest >= before {\n\
             self.evidence.clear();\n\
             for (slot, report) in &page.reports { self.weigh(member, *slot, report, acceptor); }\n\
             }",
        )],
    },
    Bug {
        name: "no-op on one empty answer",
        does: "a slot that one acceptor lacks is filled with a no-op, though others report a vote",
        source: "tigerbeetle#364: what one replica has is dropped at the gap of another",
        edits: &[edit(
            "paxos/src/campaign.rs",
            WEIGHS,
            "for (slot, evidence) in &mut self.evidence {\n\
             if !page.reports.iter().any(|(at, _)| at == slot) { evidence.highest = None; }\n\
             }\n\
             for (slot, report) in &page.reports { self.weigh(member, *slot, report, acceptor); }",
        )],
    },
    Bug {
        name: "promise counted before it is whole",
        does: "the first page of a promise counts as the whole of it",
        source: "neondatabase/postgres#99: recovery that broke off early counts as done",
        edits: &[edit(
            "paxos/src/campaign.rs",
            "page.upto.map_or(Progress::Whole, |upto| Progress::Upto(upto.next()))",
            "Progress::Whole",
        )],
    },
    Bug {
        name: "promises counted across ballots",
        does: "a candidate counts what it was promised at an earlier ballot of its own",
        source: "luohaha/MyPaxos#18, andreev-io/little-raft#44: stale answers make up a quorum",
        edits: &[edit(
            "paxos/src/peer/phase1.rs",
            "campaign.ballot != ballot",
            "campaign.ballot < ballot",
        )],
    },
    Bug {
        name: "adopts beside a faulty answer",
        does: "an acceptor that cannot read its record counts as one that never voted",
        source: "tigerbeetle#645: a replica denies a prepare that is only unreadable",
        edits: &[edit("paxos/src/campaign.rs", "clean.count()", "whole.len()")],
    },
    Bug {
        name: "minority of promises",
        does: "phase 1 ends with one promise less than a quorum",
        source: "async-raft/async-raft#143, alphaonedev/ai-memory-mcp#1888: a quorum of one too \
                 few",
        edits: &[edit("paxos/src/campaign.rs", "whole.len() < quorum", "whole.len() + 1 < quorum")],
    },
];
