//! Many watches in one call: which of them are told, and of what.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "watch of many that is not listed",
        does: "of the watches of one call the last ones are not there when something changes",
        source: "confd#507: of several prefixes only the first is watched",
        edits: &[edit(
            "replica/src/watchers.rs",
            "self.index.add(interest, (client, place));",
            "if place < 2 { self.index.add(interest, (client, place)); }",
        )],
    },
    Bug {
        name: "one told of two that watch the same",
        does: "of the watches of one call that a change concerns the first is told of it",
        source: "joyent/libuv#420: of two watches of one path only the last hears of it",
        edits: &[edit(
            "replica/src/watchers.rs",
            "news_at(«places.into_iter()», machine)",
            "places.into_iter().take(1).collect::<BTreeSet<u32>>().into_iter()",
        )],
    },
    Bug {
        name: "watch that joins late misses what came between",
        does: "for all watches of a call is looked from where the first of them is",
        source: "xline-kv/Xline#166: what comes before a watch is listed is told to nobody",
        edits: &[edit(
            "replica/src/watchers.rs",
            "oldest = «oldest.min(*after)»;",
            "if place == 0 { *after } else { oldest }",
        )],
    },
    Bug {
        name: "watches of one call told by one revision",
        does: "each watch of a call is told again of what came after the one furthest behind",
        source: "etcd#4528: watchers at different revisions are told without a look at their own",
        edits: &[edit(
            "replica/src/watchers.rs",
            "let Some(news) = «news_of(watch, machine)» else { continue };",
            "{ let oldest = watches.iter().map(|(_, after)| *after).min();\n\
             news_of(&(watch.0.clone(), oldest.unwrap_or(watch.1)), machine) }",
        )],
    },
    Bug {
        name: "gap of one watch among many",
        does: "a call for many says nothing of what one of them was away for too long for",
        source: "khenidak/london#4: a watch ignores up to where history was compacted",
        edits: &[edit(
            "replica/src/watchers.rs",
            "if «*after < forgotten» {",
            "{ let _ = forgotten; false }",
        )],
    },
    Bug {
        name: "watches of one call told up to what they were not told",
        does: "who is not named in an answer is told to go on from a revision ahead of its node",
        source: "richlander/nightshift#197: a revision sampled after the events skips one",
        edits: &[edit(
            "replica/src/replica/asks.rs",
            "upto: «self.state.machine.revision()», silent_ms",
            "self.state.machine.revision().next()",
        )],
    },
];
