//! What a node counts and measures. The names are in `docs/metrics.md`; a test compares.

mod door;

use std::{sync::Arc, time::Duration};

use prometheus_client::{encoding::EncodeLabelSet, metrics::family::Family};
use synod_machine::{
    Census, Rejection, Reply,
    door::{NotApplied, Refusal, Said},
};
use synod_net::Counters;

pub use self::door::DoorMetrics;
use crate::page::{Book, Counter, Histogram, Seconds, Shown, Whole, Words};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    op: &'static str,
    result: &'static str,
}

/// Every metric of a node. Clones count into the same registry.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    book: Book,
    is_leader: Whole,
    leader_changes: Counter,
    takeover: Histogram,
    ballot_round: Whole,
    slot_chosen: Whole,
    slot_applied: Whole,
    slot_snapshot: Whole,
    slot_trimmed: Whole,
    catch_up_chunks: Whole,
    commit: Histogram,
    commit_stage: Words<Histogram>,
    store_sync: Histogram,
    store_size: Whole,
    peer_rtt: Words<Seconds>,
    peer_lost_packets: Words<Counter>,
    request: Family<RequestLabels, Histogram, fn() -> Histogram>,
    requests_in_flight: Whole,
    requests_unknown: Counter,
    requests_refused: Words<Counter>,
    sessions: Whole,
    txns_unacked: Whole,
    held: Words<Whole>,
    txn_oldest: Seconds,
    state_hash_mismatches: Shown,
    frames_foreign: Words<Counter>,
    frames_shed: Counter,
    words_turned_away: Shown,
    frames_malformed: Shown,
    frames_dropped: Shown,
    frames_stalled: Shown,
    questions_refused: Shown,
    answers_untaken: Shown,
    handshakes_failed: Shown,
    handshakes_put_off: Shown,
    handshakes_refused: Shown,
    connections_refused: Shown,
    http_refused: Words<Counter>,
    door: DoorMetrics,
}

/// What the driver reads off the replica, the mesh and the disk when somebody looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) is_leader: bool,
    pub(crate) ballot_round: u64,
    pub(crate) slot_chosen: u64,
    pub(crate) slot_applied: u64,
    pub(crate) slot_snapshot: u64,
    pub(crate) slot_trimmed: u64,
    pub(crate) catch_up_chunks: u64,
    pub(crate) store_bytes: u64,
    /// Name, round trip while connected, packets lost.
    pub(crate) peers: Vec<(String, Option<Duration>, u64)>,
    pub(crate) requests_in_flight: u64,
    pub(crate) census: Census,
    pub(crate) txn_oldest: Duration,
    pub(crate) state_hash_mismatches: u64,
    pub(crate) words_turned_away: u64,
    pub(crate) mesh: Counters,
}

impl Metrics {
    pub(crate) fn new(certificate_ends_at: i64) -> Metrics {
        let mut book = Book::new(Vec::new());
        book.certificate_ends("node", certificate_ends_at);
        let inner = Inner {
            is_leader: book.gauge("is_leader", "1 while this node leads"),
            leader_changes: book.counter("leader_changes", "Leaders seen to change"),
            takeover: book.spans(
                "takeover_duration",
                "From when a leader was missed to this node serving as the next",
            ),
            ballot_round: book.gauge("ballot_round", "Round of the highest promise"),
            slot_chosen: book.gauge("slot_chosen", "Last slot of the chosen prefix"),
            slot_applied: book.gauge("slot_applied", "Last slot applied"),
            slot_snapshot: book.gauge("slot_snapshot", "Slot of the newest snapshot"),
            slot_trimmed: book.gauge("slot_trimmed", "Last slot trimmed from the log"),
            catch_up_chunks: book
                .gauge("catch_up_chunks", "Chunks of a snapshot that are still to be fetched"),
            commit: book.spans(
                "commit_duration",
                "From a request at this node's door to its reply, when it was applied",
            ),
            commit_stage: book.spans_by(
                "stage",
                "commit_stage_duration",
                "A batch of this leader, stage by stage",
            ),
            store_sync: book.spans("store_sync_duration", "One durable write of the store"),
            store_size: book.bytes("store_size", "The store's file"),
            peer_rtt: book.seconds_by("peer", "peer_rtt", "Smoothed round trip to a peer"),
            peer_lost_packets: book.counter_by(
                "peer",
                "peer_lost_packets",
                "Packets to a peer that were lost",
            ),
            request: book
                .spans_of("request_duration", "From a call at this node's door to its answer"),
            requests_in_flight: book.gauge("requests_in_flight", "Calls that wait"),
            requests_unknown: book.counter("requests_unknown", "Requests answered with unknown"),
            requests_refused: book.counter_by(
                "reason",
                "requests_refused",
                "Requests that were not done, by reason",
            ),
            held: book.gauges_by("what", "held", "What the state holds, by its kind"),
            sessions: book.gauge("sessions", "Sessions that have not ended"),
            txns_unacked: book.gauge(
                "txns_unacked",
                "Decided transactions that some participant has not acknowledged",
            ),
            txn_oldest: book.seconds("txn_oldest", "Since the oldest of them was decided"),
            state_hash_mismatches: book
                .shown("state_hash_mismatches", "Checkpoints at which a peer's state differed"),
            frames_foreign: book.counter_by(
                "reason",
                "frames_foreign",
                "Frames of peers that were no word to this node",
            ),
            frames_shed: book
                .counter("frames_shed", "Frames dropped because the disk did not keep up"),
            words_turned_away: book
                .shown("words_turned_away", "Words of peers that no honest peer says"),
            frames_malformed: book
                .shown("frames_malformed", "Frames that broke the format and cost their stream"),
            frames_dropped: book
                .shown("frames_dropped", "Frames dropped because a peer's queue was full"),
            frames_stalled: book.shown(
                "frames_stalled",
                "Frames that stood still, half read, and cost their stream",
            ),
            questions_refused: book.shown(
                "questions_refused",
                "Calls turned away unheard because too many bytes were waiting",
            ),
            answers_untaken: book.shown(
                "answers_untaken",
                "Answers that were not kept for callers that did not take them",
            ),
            handshakes_failed: book.shown("handshakes_failed", "Handshakes that failed"),
            handshakes_put_off: book.shown(
                "handshakes_put_off",
                "Handshakes put off until the caller had proved its address",
            ),
            handshakes_refused: book
                .shown("handshakes_refused", "Handshakes refused because too many were under way"),
            connections_refused: book.shown(
                "connections_refused",
                "Connections refused by a limit, or for who they came from",
            ),
            http_refused: book.counter_by(
                "reason",
                "http_refused",
                "HTTP connections refused or cut off, by reason",
            ),
            door: DoorMetrics::new(&mut book),
            book,
        };
        Metrics(Arc::new(inner))
    }

    pub(crate) fn store_sync(&self, took: Duration) {
        self.0.store_sync.observe(took.as_secs_f64());
    }

    /// A batch has come through a stage.
    pub(crate) fn stage(&self, stage: &'static str, after: Duration) {
        self.0.commit_stage.of(stage).observe(after.as_secs_f64());
    }

    pub(crate) fn leader_changed(&self) {
        self.0.leader_changes.inc();
    }

    pub(crate) fn took_over(&self, after: Duration) {
        self.0.takeover.observe(after.as_secs_f64());
    }

    pub(crate) fn frame_foreign(&self, reason: &'static str) {
        self.0.frames_foreign.of(reason).inc();
    }

    pub(crate) fn http_refused(&self, reason: &'static str) {
        self.0.http_refused.of(reason).inc();
    }

    pub(crate) fn frame_shed(&self) {
        self.0.frames_shed.inc();
    }

    /// Counts one answered request; `took` when it was taken in at all.
    pub(crate) fn request(&self, op: &'static str, said: &Said, took: Option<Duration>) {
        let (result, reason) = result_of(said);
        if let Some(took) = took {
            let labels = RequestLabels { op, result };
            self.0.request.get_or_create(&labels).observe(took.as_secs_f64());
            if matches!(said, Said::Reply(_)) {
                self.0.commit.observe(took.as_secs_f64());
            }
        }
        if let Some(reason) = reason {
            self.0.requests_refused.of(reason).inc();
        }
        if *said == Said::Unknown {
            self.0.requests_unknown.inc();
        }
    }

    pub(crate) fn door(&self) -> DoorMetrics {
        self.0.door.clone()
    }

    /// Brings the gauges up to date.
    pub(crate) fn measure(&self, gauges: &Gauges) {
        let inner = &self.0;
        inner.is_leader.set(u64::from(gauges.is_leader));
        inner.ballot_round.set(gauges.ballot_round);
        inner.slot_chosen.set(gauges.slot_chosen);
        inner.slot_applied.set(gauges.slot_applied);
        inner.slot_snapshot.set(gauges.slot_snapshot);
        inner.slot_trimmed.set(gauges.slot_trimmed);
        inner.catch_up_chunks.set(gauges.catch_up_chunks);
        inner.store_size.set(gauges.store_bytes);
        inner.requests_in_flight.set(gauges.requests_in_flight);
        inner.sessions.set(gauges.census.sessions);
        inner.txns_unacked.set(gauges.census.commits_unacked);
        for (what, count) in held(&gauges.census) {
            inner.held.of(what).set(count);
        }
        inner.txn_oldest.set(gauges.txn_oldest.as_secs_f64());
        inner.state_hash_mismatches.reach(gauges.state_hash_mismatches);
        inner.words_turned_away.reach(gauges.words_turned_away);
        inner.frames_malformed.reach(gauges.mesh.frames_malformed);
        inner.frames_dropped.reach(gauges.mesh.frames_dropped);
        inner.frames_stalled.reach(gauges.mesh.frames_stalled);
        inner.questions_refused.reach(gauges.mesh.questions_refused);
        inner.answers_untaken.reach(gauges.mesh.answers_untaken);
        inner.handshakes_failed.reach(gauges.mesh.handshakes_failed);
        inner.handshakes_put_off.reach(gauges.mesh.handshakes_put_off);
        inner.handshakes_refused.reach(gauges.mesh.handshakes_refused);
        inner.connections_refused.reach(gauges.mesh.connections_refused);
        for (peer, rtt, lost) in &gauges.peers {
            Shown::from(inner.peer_lost_packets.of(peer.clone())).reach(*lost);
            match rtt {
                Some(rtt) => {
                    inner.peer_rtt.of(peer.clone()).set(rtt.as_secs_f64());
                }
                // A link that is down has no round trip; its last one would be a lie.
                None => inner.peer_rtt.remove(peer.clone()),
            }
        }
    }

    /// The whole registry in the OpenMetrics text format.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        self.0.book.text()
    }
}

/// The labels of an answer: how it ended, and why not if it did not.
fn result_of(said: &Said) -> (&'static str, Option<&'static str>) {
    match said {
        Said::Reply(Reply::Rejected(Rejection::TooMany { .. } | Rejection::TooManyOpen { .. })) => {
            ("done", Some("table_full"))
        }
        Said::Reply(_)
        | Said::Kept
        | Said::Answer(_)
        | Said::Stale { .. }
        | Said::Verdicts(_)
        | Said::Status(_)
        | Said::Watched { .. }
        | Said::WatchedAny { .. } => ("done", None),
        Said::NotLeader { .. } => ("not_leader", None),
        Said::Unknown => ("unknown", None),
        Said::NotApplied(why) => ("not_applied", Some(why_not(*why))),
        Said::Refused(refusal) => ("refused", Some(refused_for(refusal))),
    }
}

fn why_not(why: NotApplied) -> &'static str {
    match why {
        NotApplied::NoQuorum => "no_quorum",
        NotApplied::Overloaded { .. } => "overloaded",
        NotApplied::Deadline => "deadline",
        NotApplied::Stopping => "stopping",
        NotApplied::DiskFull => "disk_full",
        NotApplied::Behind { .. } => "behind",
        _ => "other",
    }
}

fn refused_for(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Role { .. } => "role",
        Refusal::Limit { .. } => "limit",
        Refusal::Misuse(_) => "misuse",
        Refusal::Malformed(_) => "malformed",
        Refusal::ForeignSession { .. } => "session",
        Refusal::ForeignLease { .. } => "lease",
        _ => "other",
    }
}

/// What a node holds for its clients, in the words of the label.
fn held(census: &Census) -> [(&'static str, u64); 13] {
    [
        ("keys", census.keys),
        ("revisions", census.history),
        ("leases", census.leases),
        ("lock_places", census.contenders),
        ("claims", census.claims),
        ("registers", census.registers),
        ("counters", census.counters),
        ("barriers", census.barriers),
        ("parties", census.arrivals),
        ("journals", census.journals),
        ("journal_entries", census.journal_entries),
        ("elections", census.elections),
        ("candidates", census.candidates),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sample of everything that appears only once it has happened.
    fn exercised() -> Metrics {
        let metrics = Metrics::new(1_800_000_000);
        metrics.frame_foreign("sender");
        metrics.http_refused("slow");
        metrics.door().refused("slow");
        metrics.door().answered(200);
        metrics.request("submit", &Said::Unknown, Some(Duration::from_millis(1)));
        metrics.request("submit", &Said::NotApplied(NotApplied::NoQuorum), None);
        metrics.stage("queue", Duration::from_micros(70));
        let peers = vec![("n2".to_owned(), Some(Duration::from_micros(440)), 3)];
        metrics.measure(&Gauges { peers, ..Gauges::default() });
        metrics
    }

    /// Names and types of what a scrape shows.
    fn shown_by(text: &str) -> Vec<(String, String)> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut rows: Vec<(String, String)> = types
            .map(|row| row.split_once(' ').unwrap())
            .map(|(name, kind)| match kind {
                // OpenMetrics names a counter and an info without the suffix of their samples.
                "counter" => (format!("{name}_total"), kind.to_owned()),
                "info" => (format!("{name}_info"), kind.to_owned()),
                _ => (name.to_owned(), kind.to_owned()),
            })
            .collect();
        rows.sort();
        rows
    }

    /// Operations §7.1: the page lists what the registry has, no more and no less.
    #[test]
    fn the_metrics_page_lists_the_registry() {
        let page = include_str!("../../../docs/metrics.md");
        let (_, section) = page.split_once("\n## Of a node\n").unwrap();
        let mut listed: Vec<(String, String)> = section
            .split("\n## ")
            .next()
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("| `synod_"))
            .map(|row| {
                let mut cells = row.split('|').map(str::trim);
                let name = cells.next().unwrap().trim_end_matches('`');
                let name = name.split('{').next().unwrap();
                (format!("synod_{name}"), cells.next().unwrap().to_owned())
            })
            .collect();
        listed.sort();
        assert_eq!(listed, shown_by(&exercised().text().unwrap()));
    }

    /// A counter kept elsewhere is shown as it stands, however often somebody looks.
    #[test]
    fn what_the_mesh_counts_is_not_counted_twice() {
        let metrics = Metrics::new(0);
        let mesh = Counters { frames_malformed: 3, ..Counters::default() };
        metrics.measure(&Gauges { mesh, ..Gauges::default() });
        metrics.measure(&Gauges { mesh, ..Gauges::default() });
        let text = metrics.text().unwrap();
        assert!(text.contains("synod_frames_malformed_total 3\n"), "{text}");
    }
}
