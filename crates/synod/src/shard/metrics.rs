//! What a shard counts and measures. The names are in `docs/metrics.md`; a test compares.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use synod_client::machine::{
    TxnId, Verdict,
    branch::Counts,
    participant_door::{InDoubt, NoReason, Said, Vote},
};
use synod_node::page::{Book, Counter, Histogram, Seconds, Shown, Whole, Words};

/// Every metric of a shard. Clones count into the same book.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Inner>);

struct Inner {
    book: Book,
    in_doubt: Whole,
    in_doubt_oldest: Seconds,
    held: Whole,
    keys_locked: Whole,
    unacknowledged: Whole,
    reads_waiting: Whole,
    prepared: Counter,
    ended: Words<Counter>,
    refused: Words<Counter>,
    branch: Words<Histogram>,
    store_sync: Histogram,
    store_size: Whole,
    http_refused: Words<Counter>,
    /// When the thread that owns the shard came round last.
    ticked_at: Mutex<Instant>,
}

impl Metrics {
    pub(super) fn new(participant: &str, certificate_ends_at: i64) -> Metrics {
        let mut book = Book::new(vec![("participant", participant.to_owned())]);
        book.certificate_ends("participant", certificate_ends_at);
        Metrics(Arc::new(Inner {
            in_doubt: book.gauge("participant_in_doubt", "Prepared branches without a verdict"),
            in_doubt_oldest: book
                .seconds("participant_in_doubt_oldest", "Since the oldest of them was prepared"),
            held: book.gauge("participant_held", "Those of them that wait for a person"),
            keys_locked: book.gauge("participant_keys_locked", "Keys that they lock"),
            unacknowledged: book.gauge(
                "participant_unacknowledged",
                "Finished commits that the log may not know to be finished",
            ),
            reads_waiting: book
                .gauge("participant_reads_waiting", "Reads that wait for branches in doubt"),
            prepared: book.counter("participant_prepared", "Branches prepared"),
            ended: book.counter_by("outcome", "participant_ended", "Branches ended, by outcome"),
            refused: book.counter_by("reason", "participant_refused", "Votes of no, by reason"),
            branch: book.spans_by(
                "outcome",
                "participant_branch_duration",
                "From a durable yes to the outcome being durable here",
            ),
            store_sync: book.spans("store_sync_duration", "One durable write of the store"),
            store_size: book.bytes("store_size", "The store's file"),
            http_refused: book.counter_by(
                "reason",
                "http_refused",
                "HTTP connections refused or cut off, by reason",
            ),
            book,
            ticked_at: Mutex::new(Instant::now()),
        }))
    }

    /// The thread came round, and this is how it stands.
    pub(super) fn tick(&self, counts: Counts, in_doubt: &[InDoubt], reads_waiting: usize) {
        let inner = &self.0;
        *inner.ticked_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        inner.in_doubt.set(counts.in_doubt);
        let oldest = in_doubt.iter().map(|row| row.waited_ms).max().unwrap_or_default();
        inner.in_doubt_oldest.set(Duration::from_millis(oldest).as_secs_f64());
        inner.held.set(counts.held);
        inner.keys_locked.set(counts.locked);
        inner.unacknowledged.set(counts.unacknowledged);
        inner.reads_waiting.set(reads_waiting as u64);
        Shown::from(inner.ended.of("committed")).reach(counts.committed);
        Shown::from(inner.ended.of("aborted")).reach(counts.aborted);
    }

    /// How long ago the thread came round.
    pub(super) fn silent_for(&self) -> Duration {
        self.0.ticked_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    pub(super) fn store_sync(&self, took: Duration) {
        self.0.store_sync.observe(took.as_secs_f64());
    }

    pub(super) fn store_size(&self, bytes: u64) {
        self.0.store_size.set(bytes);
    }

    /// Counts what is said, where it is a no.
    pub(super) fn said(&self, said: &Said) {
        if let Said::Vote(Vote::No { reason }) = said {
            self.0.refused.of(why(reason)).inc();
        }
    }

    pub(super) fn http_refused(&self, reason: &'static str) {
        self.0.http_refused.of(reason).inc();
    }

    /// Everything in the OpenMetrics text format.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        self.0.book.text()
    }
}

fn why(reason: &NoReason) -> &'static str {
    match reason {
        NoReason::Locked { .. } => "locked",
        NoReason::GuardFailed { .. } => "guard",
        NoReason::Ended => "ended",
        NoReason::Misuse(_) => "misuse",
        NoReason::TooMany { .. } => "too_many",
        NoReason::Closed(_) => "closed",
        _ => "other",
    }
}

/// Since when the branches of this life stand prepared.
#[derive(Default)]
pub(super) struct Standing(BTreeMap<TxnId, Instant>);

impl Standing {
    /// Branches became durable, and others ended.
    pub(super) fn turn(
        &mut self,
        metrics: &Metrics,
        prepared: Vec<TxnId>,
        ended: Vec<(TxnId, Verdict)>,
    ) {
        let now = Instant::now();
        metrics.0.prepared.inc_by(prepared.len() as u64);
        self.0.extend(prepared.into_iter().map(|txn| (txn, now)));
        for (txn, verdict) in ended {
            // One of a former life stood for nobody knows how long.
            let Some(since) = self.0.remove(&txn) else { continue };
            let outcome = if verdict == Verdict::Committed { "committed" } else { "aborted" };
            metrics.0.branch.of(outcome).observe(now.duration_since(since).as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_client::machine::SessionId;

    use super::*;

    /// Names and types in one section of the page, or in a scrape.
    fn listed(page: &str) -> Vec<(String, String)> {
        let (_, section) = page.split_once("\n## Of a shard\n").unwrap();
        let rows = section.split("\n## ").next().unwrap().lines();
        let rows = rows.filter_map(|line| line.strip_prefix("| `"));
        let mut rows: Vec<_> = rows
            .map(|row| {
                let mut cells = row.split('|').map(str::trim);
                let name = cells.next().unwrap().trim_end_matches('`');
                let name = name.split('{').next().unwrap().to_owned();
                (name, cells.next().unwrap().to_owned())
            })
            .collect();
        rows.sort();
        rows
    }

    fn shown(text: &str) -> Vec<(String, String)> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut rows: Vec<_> = types
            .map(|row| row.split_once(' ').unwrap())
            .map(|(name, kind)| match kind {
                "counter" => (format!("{name}_total"), kind.to_owned()),
                "info" => (format!("{name}_info"), kind.to_owned()),
                _ => (name.to_owned(), kind.to_owned()),
            })
            .collect();
        rows.sort();
        rows
    }

    /// The page lists what a shard shows, no more and no less.
    #[test]
    fn the_metrics_page_lists_the_book_of_a_shard() {
        let metrics = Metrics::new("east", 1_800_000_000);
        metrics.tick(Counts::default(), &[], 0);
        metrics.said(&Said::Vote(Vote::No { reason: NoReason::Ended }));
        metrics.http_refused("slow");
        let txn = TxnId { session: SessionId::new(1), n: 1 };
        let ended = vec![(txn, Verdict::Committed)];
        Standing::default().turn(&metrics, vec![txn], ended);
        let page = include_str!("../../../../docs/metrics.md");
        assert_eq!(listed(page), shown(&metrics.text().unwrap()));
    }

    /// What a former life prepared ends in this one, and its span would be a guess.
    #[test]
    fn only_what_was_prepared_in_this_life_is_measured() {
        let (metrics, mut standing) = (Metrics::new("east", 0), Standing::default());
        let txn = |n| TxnId { session: SessionId::new(1), n };
        standing.turn(&metrics, vec![txn(2)], vec![(txn(1), Verdict::Committed)]);
        standing.turn(&metrics, vec![txn(3)], vec![(txn(2), Verdict::Aborted)]);
        let text = metrics.text().unwrap();
        let count = |outcome: &str| {
            let labels = format!("participant=\"east\",outcome=\"{outcome}\"");
            let row = format!("synod_participant_branch_duration_seconds_count{{{labels}}} ");
            text.lines().find_map(|line| line.strip_prefix(&row)).map(str::to_owned)
        };
        assert_eq!((count("committed"), count("aborted")), (None, Some("1".to_owned())), "{text}");
        assert!(text.contains("synod_participant_prepared_total{participant=\"east\"} 2\n"));
    }
}
