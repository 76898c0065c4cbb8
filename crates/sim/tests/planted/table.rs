//! Lines that the product rests on, and what removing each looks like.

/// One bug: in these places of these files, `without` stands for `line`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planted {
    /// What is removed.
    pub(crate) name: &'static str,
    /// Where, what stands there, and what stands there without it.
    pub(crate) edits: &'static [Edit],
}

/// One edit: the line stands exactly once in its file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edit {
    /// Below `crates`.
    pub(crate) file: &'static str,
    /// What stands there.
    pub(crate) line: &'static str,
    /// What stands there in its place.
    pub(crate) without: &'static str,
}

const fn edit(file: &'static str, line: &'static str, without: &'static str) -> Edit {
    Edit { file, line, without }
}

/// Every planted bug of the product's own code.
pub(crate) const TABLE: &[Planted] = &[
    Planted {
        name: "sync before Promise",
        edits: &[edit(
            "paxos/src/peer/phase1.rs",
            "self.voice.seal(out, to, Message::Promise { ballot, page });",
            "self.voice.say(out, to, Message::Promise { ballot, page });",
        )],
    },
    Planted {
        name: "sync before Accepted",
        edits: &[edit(
            "paxos/src/peer/phase2.rs",
            "self.voice.seal_accepted(out, ballot.owner().node, accepted);",
            "self.voice.say(out, ballot.owner().node, accepted);",
        )],
    },
    Planted {
        name: "own ballot durable before Prepare",
        edits: &[edit(
            "paxos/src/peer/phase1.rs",
            "self.voice.seal(out, *to, Message::Prepare { ballot, first, holds });",
            "self.voice.say(out, *to, Message::Prepare { ballot, first, holds });",
        )],
    },
    Planted {
        name: "adoption by highest ballot per slot",
        edits: &[edit(
            "paxos/src/campaign.rs",
            "evidence.highest.as_ref().is_none_or(|(highest, _)| ballot > *highest)",
            "evidence.highest.is_none()",
        )],
    },
    Planted {
        name: "ballot check on the watermark",
        edits: &[edit(
            "paxos/src/acceptor.rs",
            "self.votes.range(..=upto).filter(|(_, vote)| vote.ballot == ballot);",
            "self.votes.range(..=upto).filter(|(_, vote)| vote.ballot <= ballot);",
        )],
    },
    Planted {
        name: "a vote raises the promise",
        edits: &[edit("paxos/src/acceptor.rs", "        self.promise(vote.ballot, out);\n", "")],
    },
    Planted {
        name: "votes counted at their own ballot only",
        edits: &[edit(
            "paxos/src/peer/phase2.rs",
            "        if proposer.ballot != ballot {",
            "        if proposer.ballot < ballot {",
        )],
    },
    Planted {
        name: "deduplication at apply",
        edits: &[edit(
            "machine/src/machine.rs",
            "Admission::Repeat(reply) => Applied { reply, repeated: true },",
            "Admission::Repeat(_) => fresh(self.execute(Some(id), request.command)),",
        )],
    },
    Planted {
        name: "durable prepare before the vote",
        edits: &[edit(
            "machine/src/branch/branches.rs",
            "        out.durably.then_say(asker, yes);\n        self.hold(now, txn, work);",
            "        out.at_once.push((asker, yes));\n        self.hold(now, txn, work);",
        )],
    },
    Planted {
        name: "fence check in Decide",
        edits: &[
            edit(
                "machine/src/machine/decide.rs",
                "        match self.verdict(txn) {\n            Verdict::InProgress => {}",
                "        match self.transactions.verdict(txn, Standing::Live) {\n            \
                 Verdict::InProgress => {}",
            ),
            // The door before it: a session that has ended is asked no further.
            edit(
                "machine/src/machine.rs",
                "                fresh(self.refuse_late(&request.command))",
                "                match request.command {\n                    \
                 Command::Decide { .. } => fresh(self.execute(Some(id), request.command)),\n\
                 \x20                   other => fresh(self.refuse_late(&other)),\n\
                 \x20               }",
            ),
        ],
    },
    Planted {
        name: "a leader serves nothing before it has applied all it inherited",
        edits: &[edit(
            "replica/src/replica/lead.rs",
            "Some(start) if start <= self.state.applied => self.serve(ballot, since, out),",
            "Some(_) => self.serve(ballot, since, out),",
        )],
    },
];
