//! The machine and its sessions: what all nodes must compute alike.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "proposed without what was moved out of it",
        does: "a put that waits behind another is proposed without its value",
        source: "scylladb#7218: strings were moved out when the same operation was built before",
        edits: &[edit(
            "replica/src/queue.rs",
            "batch::encode(request)",
            "{ let mut moved = request.clone();\n\
             if let synod_machine::Command::Put { value, .. } = &mut moved.command\n\
             && !self.gathered.is_empty() { value.clear(); }\n\
             batch::encode(&moved) }",
        )],
    },
    Bug {
        name: "deduplication at the leader only",
        does: "a request that stands twice in the log is done twice",
        source: "tidwall/summitdb#5: a command that is retried stands in the log twice, and is \
                 done twice",
        edits: &[edit(
            "machine/src/machine.rs",
            "Applied { reply, repeated: true }",
            "{ drop(reply); fresh(self.execute(Some(id), request.command)) }",
        )],
    },
    Bug {
        name: "session ended by a local clock",
        does: "a leader ends a silent session in its own state and not through the log",
        source: "databend#7325: each node asks its own clock what has expired",
        edits: &[edit(
            "replica/src/replica/lead.rs",
            "self.sessions.ending(session);\n                    \
             let fence = fence(session, ballot, view.renewals);\n                    \
             fences.push((own_request(fence), Owner::Fence(session)));",
            "let command = fence(session, ballot, view.renewals);\n\
             let request = Request { id: None, acked: Seq::ZERO, command };\n\
             let batch = synod_machine::Batch { stamp: self.stamp, requests: vec![request] };\n\
             self.state.machine.apply(batch);\n\
             self.sessions.ended(session);",
        )],
    },
    Bug {
        name: "machine iterates a hash map",
        does: "requests of a batch are done in the order of a hash map of their sessions",
        source: "microsoft/CCF#2814, rabbitmq-server#14100: replicas iterate in different orders",
        edits: &[edit(
            "machine/src/machine.rs",
            "batch.requests.into_iter().map(|request| self.apply_one(request)).collect()",
            "{ let mut grouped = std::collections::HashMap::<_, Vec<_>>::new();\n\
             for (place, request) in batch.requests.into_iter().enumerate() {\n\
             let session = request.id.map(|id| id.session);\n\
             grouped.entry(session).or_default().push((place, request));\n\
             }\n\
             let mut applied: Vec<(usize, Applied)> = grouped.into_values().flatten()\n\
             .map(|(place, request)| (place, self.apply_one(request))).collect();\n\
             applied.sort_by_key(|(place, _)| *place);\n\
             applied.into_iter().map(|(_, applied)| applied).collect() }",
        )],
    },
];
