//! The write-ahead log before redb, and what redb takes over of it.

use super::super::row::{Bug, edit};

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "log that is not synced",
        does: "a batch counts as durable when it is written into the write-ahead log",
        source: "etcd-io/etcd#14370: a client is answered before the log is on the disk",
        edits: &[edit("store/src/wal.rs", "«self.file.sync_data()?;»\n        if self.holds", "")],
    },
    Bug {
        name: "taken over and not durable",
        does: "redb takes facts over in a commit that it does not sync, and the log is \
               written over",
        source: "ArcadeData/arcadedb#4509: the log goes when pages are written, not when synced",
        edits: &[edit(
            "store/src/batch.rs",
            "transaction.set_durability(«Durability::Immediate»)?;",
            "Durability::None",
        )],
    },
    Bug {
        name: "turned away and forgotten",
        does: "what redb had no room for counts as taken over with the next that has",
        source: "etcd-io/etcd#13766: the index of what is applied is kept, the data is not",
        edits: &[edit(
            "store/src/front.rs",
            "let later = mem::replace(&mut self.waiting, «load.unwrap_or_default()»);",
            "load.map_or_else(L::default, |_| L::default())",
        )],
    },
    Bug {
        name: "replay that ends where the log began again",
        does: "a start finds the records up to the end of the log, and none at its front",
        source: "influxdata/influxdb#522: a replay skips log files",
        edits: &[edit(
            "store/src/wal/layout.rs",
            "for at in «[last.at, RECORDS_AT]»",
            "[last.at, last.at]",
        )],
    },
    Bug {
        name: "log that is not replayed",
        does: "a start reads redb, and not what only the log has",
        source: "pmcfadin/cqlite#1391: a lossy replay passes for a whole one",
        edits: &[edit(
            "store/src/open.rs",
            "if «wal.last() != standing.reached()»",
            "false && wal.last() != standing.reached()",
        )],
    },
    Bug {
        name: "gap in the log taken for its end",
        does: "a start takes over what comes before a record that cannot be read, though later \
               ones can",
        source: "HarperFast/harper#2016: a corrupt frame in the middle of a log counts as its end",
        edits: &[edit(
            "store/src/wal.rs",
            "layout::has_later(&file, &head, last.number + 1)?",
            "false",
        )],
    },
    Bug {
        name: "log that ends before its count",
        does: "a start does not look how far the log must reach",
        source: "facebook/rocksdb#12488: a log that has lost its last records is taken for whole",
        edits: &[edit(
            "store/src/wal.rs",
            "is_some_and(|counted| «counted > last.number»)",
            "{ let _ = counted; false }",
        )],
    },
    Bug {
        name: "record of the log that is not checked",
        does: "a start takes over the facts of a record whose digest is not theirs",
        source: "memgraph/memgraph#4216: what is damaged and can be parsed is applied at a start",
        edits: &[edit(
            "store/src/wal/layout.rs",
            "xxh3_64(&facts) == said.facts",
            "{ let _ = said.facts; true }",
        )],
    },
];
