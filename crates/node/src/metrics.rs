//! What a node counts and measures. The names are in `docs/metrics.md`; a test compares.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};
use synod_machine::{
    Rejection, Reply,
    door::{NotApplied, Refusal, Said},
};
use synod_net::Counters;

/// Whole numbers: slots, bytes, counts.
type Whole = Gauge<u64, AtomicU64>;
/// Spans in seconds.
type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    op: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabel {
    peer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

/// Every metric of a node. Clones count into the same registry.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
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
    commit_stage: Family<StageLabel, Histogram, fn() -> Histogram>,
    store_sync: Histogram,
    store_size: Whole,
    peer_rtt: Family<PeerLabel, Seconds>,
    peer_lost_packets: Family<PeerLabel, Counter>,
    request: Family<RequestLabels, Histogram, fn() -> Histogram>,
    requests_in_flight: Whole,
    requests_unknown: Counter,
    requests_refused: Family<ReasonLabel, Counter>,
    sessions: Whole,
    txns_unacked: Whole,
    txn_oldest: Seconds,
    state_hash_mismatches: Watermark,
    frames_foreign: Family<ReasonLabel, Counter>,
    frames_shed: Counter,
    words_turned_away: Watermark,
    frames_malformed: Watermark,
    frames_dropped: Watermark,
    frames_stalled: Watermark,
    questions_refused: Watermark,
    handshakes_failed: Watermark,
    handshakes_put_off: Watermark,
    handshakes_refused: Watermark,
    connections_refused: Watermark,
    http_refused: Family<ReasonLabel, Counter>,
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
    pub(crate) sessions: u64,
    pub(crate) txns_unacked: u64,
    pub(crate) txn_oldest: Duration,
    pub(crate) state_hash_mismatches: u64,
    pub(crate) words_turned_away: u64,
    pub(crate) mesh: Counters,
}

/// A counter that is kept elsewhere and shown here.
#[derive(Clone, Debug, Default)]
struct Watermark(Counter);

impl Watermark {
    fn reach(&self, count: u64) {
        self.0.inc_by(count.saturating_sub(self.0.get()));
    }
}

impl Metrics {
    pub(crate) fn new(certificate_ends_at: i64) -> Metrics {
        let mut registry = Registry::with_prefix("synod");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The build that runs", build);
        expiry(&mut registry, certificate_ends_at);
        let inner = Inner {
            is_leader: gauge(&mut registry, "is_leader", "1 while this node leads"),
            leader_changes: counter(&mut registry, "leader_changes", "Leaders seen to change"),
            takeover: histogram(
                &mut registry,
                "takeover_duration",
                "From when a leader was missed to this node serving as the next",
            ),
            ballot_round: gauge(&mut registry, "ballot_round", "Round of the highest promise"),
            slot_chosen: gauge(&mut registry, "slot_chosen", "Last slot of the chosen prefix"),
            slot_applied: gauge(&mut registry, "slot_applied", "Last slot applied"),
            slot_snapshot: gauge(&mut registry, "slot_snapshot", "Slot of the newest snapshot"),
            slot_trimmed: gauge(&mut registry, "slot_trimmed", "Last slot trimmed from the log"),
            catch_up_chunks: gauge(
                &mut registry,
                "catch_up_chunks",
                "Chunks of a snapshot that are still to be fetched",
            ),
            commit: histogram(
                &mut registry,
                "commit_duration",
                "From a request at this node's door to its reply, when it was applied",
            ),
            commit_stage: stages(&mut registry),
            store_sync: histogram(
                &mut registry,
                "store_sync_duration",
                "One durable write of the store",
            ),
            store_size: bytes(&mut registry, "store_size", "The store's file"),
            peer_rtt: seconds(&mut registry, "peer_rtt", "Smoothed round trip to a peer"),
            peer_lost_packets: lost(&mut registry),
            request: requests(&mut registry),
            requests_in_flight: gauge(&mut registry, "requests_in_flight", "Calls that wait"),
            requests_unknown: counter(
                &mut registry,
                "requests_unknown",
                "Requests answered with unknown",
            ),
            requests_refused: reasons(
                &mut registry,
                "requests_refused",
                "Requests that were not done, by reason",
            ),
            sessions: gauge(&mut registry, "sessions", "Sessions that have not ended"),
            txns_unacked: gauge(
                &mut registry,
                "txns_unacked",
                "Decided transactions that some participant has not acknowledged",
            ),
            txn_oldest: span(&mut registry, "txn_oldest", "Since the oldest of them was decided"),
            state_hash_mismatches: shown(
                &mut registry,
                "state_hash_mismatches",
                "Checkpoints at which a peer's state differed",
            ),
            frames_foreign: reasons(
                &mut registry,
                "frames_foreign",
                "Frames of peers that were no word to this node",
            ),
            frames_shed: counter(
                &mut registry,
                "frames_shed",
                "Frames dropped because the disk did not keep up",
            ),
            words_turned_away: shown(
                &mut registry,
                "words_turned_away",
                "Words of peers that no honest peer says",
            ),
            frames_malformed: shown(
                &mut registry,
                "frames_malformed",
                "Frames that broke the format and cost their stream",
            ),
            frames_dropped: shown(
                &mut registry,
                "frames_dropped",
                "Frames dropped because a peer's queue was full",
            ),
            frames_stalled: shown(
                &mut registry,
                "frames_stalled",
                "Frames that stood still, half read, and cost their stream",
            ),
            questions_refused: shown(
                &mut registry,
                "questions_refused",
                "Calls turned away unheard because too many bytes were waiting",
            ),
            handshakes_failed: shown(&mut registry, "handshakes_failed", "Handshakes that failed"),
            handshakes_put_off: shown(
                &mut registry,
                "handshakes_put_off",
                "Handshakes put off until the caller had proved its address",
            ),
            handshakes_refused: shown(
                &mut registry,
                "handshakes_refused",
                "Handshakes refused because too many were under way",
            ),
            connections_refused: shown(
                &mut registry,
                "connections_refused",
                "Connections refused by a limit, or for who they came from",
            ),
            http_refused: reasons(
                &mut registry,
                "http_refused",
                "HTTP connections refused or cut off, by reason",
            ),
            registry,
        };
        Metrics(Arc::new(inner))
    }

    pub(crate) fn store_sync(&self, took: Duration) {
        self.0.store_sync.observe(took.as_secs_f64());
    }

    /// A batch has come through a stage.
    pub(crate) fn stage(&self, stage: &'static str, after: Duration) {
        self.0.commit_stage.get_or_create(&StageLabel { stage }).observe(after.as_secs_f64());
    }

    pub(crate) fn leader_changed(&self) {
        self.0.leader_changes.inc();
    }

    pub(crate) fn took_over(&self, after: Duration) {
        self.0.takeover.observe(after.as_secs_f64());
    }

    pub(crate) fn frame_foreign(&self, reason: &'static str) {
        self.0.frames_foreign.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(crate) fn http_refused(&self, reason: &'static str) {
        self.0.http_refused.get_or_create(&ReasonLabel { reason }).inc();
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
            self.0.requests_refused.get_or_create(&ReasonLabel { reason }).inc();
        }
        if *said == Said::Unknown {
            self.0.requests_unknown.inc();
        }
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
        inner.sessions.set(gauges.sessions);
        inner.txns_unacked.set(gauges.txns_unacked);
        inner.txn_oldest.set(gauges.txn_oldest.as_secs_f64());
        inner.state_hash_mismatches.reach(gauges.state_hash_mismatches);
        inner.words_turned_away.reach(gauges.words_turned_away);
        inner.frames_malformed.reach(gauges.mesh.frames_malformed);
        inner.frames_dropped.reach(gauges.mesh.frames_dropped);
        inner.frames_stalled.reach(gauges.mesh.frames_stalled);
        inner.questions_refused.reach(gauges.mesh.questions_refused);
        inner.handshakes_failed.reach(gauges.mesh.handshakes_failed);
        inner.handshakes_put_off.reach(gauges.mesh.handshakes_put_off);
        inner.handshakes_refused.reach(gauges.mesh.handshakes_refused);
        inner.connections_refused.reach(gauges.mesh.connections_refused);
        for (peer, rtt, lost) in &gauges.peers {
            let label = PeerLabel { peer: peer.clone() };
            Watermark(inner.peer_lost_packets.get_or_create(&label).clone()).reach(*lost);
            match rtt {
                Some(rtt) => {
                    inner.peer_rtt.get_or_create(&label).set(rtt.as_secs_f64());
                }
                // A link that is down has no round trip; its last one would be a lie.
                None => {
                    inner.peer_rtt.remove(&label);
                }
            }
        }
    }

    /// The whole registry in the OpenMetrics text format.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

/// The labels of an answer: how it ended, and why not if it did not.
fn result_of(said: &Said) -> (&'static str, Option<&'static str>) {
    match said {
        Said::Reply(Reply::Rejected(Rejection::TooMany { .. } | Rejection::TooManyOpen { .. })) => {
            ("done", Some("table_full"))
        }
        Said::Reply(_) | Said::Kept | Said::Answer(_) | Said::Verdicts(_) | Said::Status(_) => {
            ("done", None)
        }
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
        _ => "other",
    }
}

/// 50 µs × 2ⁿ, up to 13 s: one table for every span, so that they can be compared.
fn spans() -> Histogram {
    Histogram::new(exponential_buckets(50e-6, 2.0, 19))
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Whole {
    let metric = Whole::default();
    registry.register(name, help, metric.clone());
    metric
}

fn bytes(registry: &mut Registry, name: &str, help: &str) -> Whole {
    let metric = Whole::default();
    registry.register_with_unit(name, help, Unit::Bytes, metric.clone());
    metric
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let metric = Counter::default();
    registry.register(name, help, metric.clone());
    metric
}

fn shown(registry: &mut Registry, name: &str, help: &str) -> Watermark {
    Watermark(counter(registry, name, help))
}

fn reasons(registry: &mut Registry, name: &str, help: &str) -> Family<ReasonLabel, Counter> {
    let metric = Family::default();
    registry.register(name, help, metric.clone());
    metric
}

fn histogram(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let metric = spans();
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

fn span(registry: &mut Registry, name: &str, help: &str) -> Seconds {
    let metric = Seconds::default();
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

fn seconds(registry: &mut Registry, name: &str, help: &str) -> Family<PeerLabel, Seconds> {
    let metric = Family::default();
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

fn lost(registry: &mut Registry) -> Family<PeerLabel, Counter> {
    let metric: Family<PeerLabel, Counter> = Family::default();
    registry.register("peer_lost_packets", "Packets to a peer that were lost", metric.clone());
    metric
}

fn stages(registry: &mut Registry) -> Family<StageLabel, Histogram, fn() -> Histogram> {
    let metric = Family::new_with_constructor(spans as fn() -> Histogram);
    let help = "A batch of this leader, stage by stage";
    registry.register_with_unit("commit_stage_duration", help, Unit::Seconds, metric.clone());
    metric
}

fn requests(registry: &mut Registry) -> Family<RequestLabels, Histogram, fn() -> Histogram> {
    let metric = Family::new_with_constructor(spans as fn() -> Histogram);
    let help = "From a call at this node's door to its answer";
    registry.register_with_unit("request_duration", help, Unit::Seconds, metric.clone());
    metric
}

fn expiry(registry: &mut Registry, ends_at: i64) {
    let metric: Family<KindLabel, Gauge> = Family::default();
    metric.get_or_create(&KindLabel { kind: "node" }).set(ends_at);
    let help = "When the node's certificate ends, since 1970";
    registry.register_with_unit("certificate_expiry_timestamp", help, Unit::Seconds, metric);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sample of everything that appears only once it has happened.
    fn exercised() -> Metrics {
        let metrics = Metrics::new(1_800_000_000);
        metrics.frame_foreign("sender");
        metrics.http_refused("slow");
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
        let mut listed: Vec<(String, String)> = page
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
