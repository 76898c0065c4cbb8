use crate::page::{Book, Counter, Whole, Words};

/// What the door for programs without a client of ours counts. It is no part of a node, but its
/// numbers stand on the node's page.
#[derive(Clone, Debug)]
pub struct DoorMetrics {
    open: Whole,
    connections: Whole,
    answers: Words<Counter>,
    refused: Words<Counter>,
}

impl DoorMetrics {
    pub(super) fn new(book: &mut Book) -> DoorMetrics {
        DoorMetrics {
            open: book.gauge("door_open", "1 while the HTTP door listens"),
            connections: book.gauge("door_connections", "Connections at the HTTP door"),
            answers: book.counter_by(
                "status",
                "door_answers",
                "Requests that the HTTP door answered, by status",
            ),
            refused: book.counter_by(
                "reason",
                "door_refused",
                "Connections that the HTTP door turned away or cut off",
            ),
        }
    }

    /// Whether it listens.
    pub fn open(&self, open: bool) {
        self.open.set(u64::from(open));
    }

    /// So many connections are there now.
    pub fn connections(&self, count: usize) {
        self.connections.set(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// A request was answered.
    pub fn answered(&self, status: u16) {
        self.answers.of(status.to_string()).inc();
    }

    /// A connection was turned away or cut off.
    pub fn refused(&self, reason: &'static str) {
        self.refused.of(reason).inc();
    }
}
