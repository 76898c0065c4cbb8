use std::{fmt::Write, path::Path};

use synod_bench::{
    assertion::Assertion,
    disk::Disk,
    document::{Comparison, Document, Peer, Quotient},
    environment::Environment,
    rtt::Rtt,
    takeover::{Outage, Takeovers},
    transfer::{Transfer, Transfers},
    trial::{Latency, Mean, Outcome, StagesUs},
};

use crate::{signs::signs, units};

/// Characters of the longest bar.
const BAR_CHARS: usize = 40;
/// The longest outages that are told with all their parts.
const ROWS: usize = 3;

/// A load, and what came of it.
pub(super) fn load(document: &Document, claims: &[Assertion], report: Option<&Path>) -> String {
    let (mut text, outcome) = (String::new(), &document.outcome);
    let apart = signs().apart;
    let _ = writeln!(text, "{}", on(&document.environment));
    let pace = match outcome.rate_per_s {
        None => "closed loop".to_owned(),
        Some(rate) => {
            format!("open loop at {}/s, from intended starts", units::grouped(rate.into()))
        }
    };
    let clients = if outcome.clients == 1 { "client" } else { "clients" };
    let _ = writeln!(
        text,
        "{pace} {apart} {} {clients} {apart} {} of {} B {apart} {} rounds\n",
        outcome.clients,
        document.mix,
        document.value_bytes,
        outcome.rounds.len(),
    );
    of_one(outcome, &mut text);
    if let Some(held) = document.locks_held {
        let mean = units::span_us(held.mean_us as u64);
        row("locks", &format!("held {mean}, the mean of {} branches", held.branches), &mut text);
    }
    histogram(outcome, &mut text);
    document.peers.iter().for_each(|peer| of_peer(peer, &mut text));
    for claim in claims {
        let holds = if claim.holds(outcome) { "held" } else { "MISSED" };
        row("assert", &format!("{claim}: {holds}"), &mut text);
    }
    if outcome.generator.saturated {
        let warns = signs().warns;
        let share = 100.0 * outcome.generator.cpu_share;
        let _ = writeln!(
            text,
            "{warns} what makes the load used {share:.0} % of its thread: the cluster may be faster"
        );
    }
    if let Some(dir) = report {
        let page = dir.join(format!("{}.html", document.what));
        row("report", &page.display().to_string(), &mut text);
    }
    text
}

fn on(environment: &Environment) -> String {
    let apart = signs().apart;
    let Environment { cores, cpu, disk, filesystem, version, profile, .. } = environment;
    let disk = if disk.is_empty() { "no disk measured" } else { disk };
    format!("synod {version} ({profile}) {apart} {cores} cores, {cpu} {apart} {disk} {filesystem}")
}

fn row(name: &str, what: &str, text: &mut String) {
    let _ = writeln!(text, "{name:<11}{what}");
}

fn of_one(outcome: &Outcome, text: &mut String) {
    let within = percent(outcome.spread.ops_per_s);
    let errors = &outcome.errors;
    let rate = format!(
        "{}/s (± {within:.1} %)   {} not applied, {} unknown, {} refused",
        units::grouped(outcome.ops_per_s.round() as u64),
        errors.not_applied,
        errors.unknown,
        errors.refused
    );
    row("rate", &rate, text);
    row("latency", &latency(&outcome.latency_us), text);
    if outcome.by_op.len() > 1 {
        for (op, of) in &outcome.by_op {
            row(&format!("  {op}"), &latency(of), text);
        }
    }
    if let (Some(floor), Some(over)) = (outcome.floor_us, outcome.over_floor) {
        let floor = format!(
            "{} = client's round trip {} + quorum's {} + sync {}   p50 is {over:.2} x floor",
            units::span_us(floor.sum),
            units::span_us(floor.client_rtt),
            units::span_us(floor.quorum_rtt),
            units::span_us(floor.sync),
        );
        row("floor", &floor, text);
    }
    if let Some(stages) = &outcome.stages_us {
        row("spent", &spent(stages), text);
    }
    let cpu = outcome.server_cpu_s_per_10k.map(|cpu| format!("{cpu:.2} s CPU per 10 000 requests"));
    let memory = outcome.rss_bytes.map(|rss| format!("largest {}", units::bytes(rss.max)));
    let servers: Vec<_> = cpu.into_iter().chain(memory).collect();
    if !servers.is_empty() {
        row("servers", &servers.join("   "), text);
    }
}

fn percent(mean: Mean) -> f64 {
    100.0 * mean.within / mean.mean.max(f64::MIN_POSITIVE)
}

fn latency(latency: &Latency) -> String {
    let Latency { p50, p90, p99, p999, max, .. } = *latency;
    let [p50, p90, p99, p999, max] = [p50, p90, p99, p999, max].map(units::span_us);
    format!("p50 {p50}   p90 {p90}   p99 {p99}   p99.9 {p999}   max {max}")
}

fn spent(stages: &StagesUs) -> String {
    let StagesUs { client_net, quorum_net, sync, queue, synod } = *stages;
    let all = (client_net + quorum_net + sync + queue + synod).max(1);
    let parts = [
        ("client net", client_net),
        ("quorum net", quorum_net),
        ("sync", sync),
        ("queue", queue),
        ("synod", synod),
    ];
    let shown = parts.map(|(name, us)| format!("{name} {} %", (100 * us + all / 2) / all));
    shown.join("   ")
}

fn histogram(outcome: &Outcome, text: &mut String) {
    let most = outcome.histogram_us.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let all: u64 = outcome.histogram_us.iter().map(|(_, count)| count).sum();
    for (upto, count) in &outcome.histogram_us {
        let share = 100.0 * *count as f64 / all.max(1) as f64;
        // What is too rare to be drawn is in the percentiles.
        if share < 0.1 {
            continue;
        }
        let bar = "#".repeat(BAR_CHARS * *count as usize / most.max(1) as usize);
        let _ = writeln!(text, "{:>11} {bar} {share:.1} %", units::span_us(*upto));
    }
}

fn of_peer(peer: &Peer, text: &mut String) {
    let _ = writeln!(text, "\n{}", peer.outcome.target);
    of_one(&peer.outcome, text);
    let ratio = &peer.ratio;
    let quotient = |of: Quotient| format!("{:.2} ({:.2} to {:.2})", of.median, of.low, of.high);
    let cpu = ratio.server_cpu.map_or(String::new(), |cpu| format!("   servers' CPU {cpu:.2}"));
    let ratio = format!(
        "rate {}   p50 {}   p99 {}{cpu}",
        quotient(ratio.ops),
        quotient(ratio.p50),
        quotient(ratio.p99),
    );
    row("synod / it", &ratio, text);
}

/// Round trips.
pub(super) fn rtt(rtt: &Rtt) -> String {
    let mut text = String::new();
    for (node, us) in &rtt.client_us {
        let leads = if *node == rtt.leader { signs().leads } else { ' ' };
        let [p50, p90, p99, max] = [us.p50, us.p90, us.p99, us.max].map(units::span_us);
        let what = format!("client to {node}   p50 {p50}   p90 {p90}   p99 {p99}   max {max}");
        let _ = writeln!(text, "{leads} {what}");
    }
    for (node, us) in &rtt.peers_us {
        let _ = writeln!(text, "  {} to {node}   {}", rtt.leader, units::span_us(*us));
    }
    if let Some(quorum) = rtt.quorum_us {
        let _ = writeln!(text, "  {} to a quorum   {}", rtt.leader, units::span_us(quorum));
    }
    for (what, us) in [("stream", rtt.bare.stream_us), ("datagrams", rtt.bare.datagram_us)] {
        let [p50, p90, p99] = [us.p50, us.p90, us.p99].map(units::span_us);
        let _ = writeln!(text, "  bare QUIC here, {what:<9}   p50 {p50}   p90 {p90}   p99 {p99}");
    }
    text
}

/// Durable writes.
pub(super) fn disk(disk: &Disk) -> String {
    let mut text = String::new();
    for writes in &disk.writes {
        let us = &writes.us;
        let [p50, p90, p99, max] = [us.p50, us.p90, us.p99, us.max].map(units::span_us);
        let size = units::bytes(writes.bytes as u64);
        let what = format!("p50 {p50}   p90 {p90}   p99 {p99}   max {max}");
        let _ = writeln!(text, "{:<10}{size:>8}   {what}", writes.how);
    }
    text
}

/// Outages, and what each was made of.
pub(super) fn failover(takeovers: &Takeovers) -> String {
    let columns = ["outage", "missed", "promised", "served", "found"];
    let parts = |outage: &Outage| {
        let Outage { outage_us, missed_us, phase_1_us, first_commit_us, search_us, .. } = *outage;
        [outage_us, missed_us, phase_1_us, first_commit_us, search_us]
    };
    let rows: Vec<_> = takeovers.outages.iter().map(|it| (it.kill, parts(it))).collect();
    outages("kill", columns, &rows)
}

/// Outages when leaders were told to stop, or to hand over.
pub(super) fn transfers(transfers: &Transfers) -> String {
    let Transfers { failed, calm_us, floor, bound_us, .. } = transfers;
    let columns = ["outage", "promised", "served", "found"];
    let parts = |it: &Transfer| [it.outage_us, it.phase_1_us, it.first_commit_us, it.search_us];
    let rows: Vec<_> = transfers.transfers.iter().map(|it| (it.number, parts(it))).collect();
    let mut text = outages("transfer", columns, &rows);
    let bound = units::span_us(*bound_us);
    row("bound", &format!("{bound}   five round trips and two syncs"), &mut text);
    let (calm, floor) = (units::span_us(calm_us.p50), units::span_us(floor.floor_us));
    row("calm", &format!("p50 {calm}   floor {floor}"), &mut text);
    row("failed", &failed.to_string(), &mut text);
    text
}

/// The median and the longest of each column, and the rows of the longest outages with their
/// numbers: a column alone loses which outage was which. The first column is the outage.
fn outages<const N: usize>(what: &str, columns: [&str; N], rows: &[(usize, [u64; N])]) -> String {
    let mut text = String::new();
    line(&format!("of {}", rows.len()), columns, &mut text);
    let sorted: [Vec<u64>; N] = std::array::from_fn(|column| {
        let mut of = Vec::from_iter(rows.iter().map(|(_, parts)| parts[column]));
        of.sort_unstable();
        of
    });
    let shown = |us: Option<&u64>| us.map_or_else(String::new, |us| units::span_us(*us));
    line("median", sorted.each_ref().map(|of| shown(of.get(of.len() / 2))), &mut text);
    line("longest", sorted.each_ref().map(|of| shown(of.last())), &mut text);
    let mut rows = rows.to_vec();
    rows.sort_by_key(|(_, parts)| std::cmp::Reverse(parts[0]));
    for (number, parts) in rows.iter().take(ROWS) {
        line(&format!("{what} {number}"), parts.map(units::span_us), &mut text);
    }
    text
}

fn line<const N: usize>(name: &str, cells: [impl AsRef<str>; N], text: &mut String) {
    let cells: String = cells.iter().map(|cell| format!("{:>11}", cell.as_ref())).collect();
    let _ = writeln!(text, "{name:<11}{cells}");
}

/// One measurement over another.
pub(super) fn comparison(comparison: &Comparison) -> String {
    let mut text = String::new();
    for differs in &comparison.differ {
        let _ = writeln!(text, "{} not alike: {differs}", signs().warns);
    }
    let quotient = |of: Mean| format!("{:.3} ± {:.3}", of.mean, of.within);
    row("rate", &quotient(comparison.ops), &mut text);
    row("p50", &quotient(comparison.p50), &mut text);
    row("p99", &format!("{:.3}", comparison.p99), &mut text);
    if let Some(cpu) = comparison.server_cpu {
        row("cpu", &format!("{cpu:.3}"), &mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns say how it is as a rule; rows say which kill it was, and of what it was made.
    #[test]
    fn the_longest_outages_are_told_whole_and_by_number() {
        let outage = |(kill, outage_us)| Outage {
            kill,
            outage_us,
            noticed_us: outage_us - 3_000,
            missed_us: outage_us - 4_000,
            phase_1_us: 2_000 + 1_000 * kill as u64,
            first_commit_us: 1_000,
            search_us: 1_000,
        };
        let outages = [(1, 90_000), (2, 300_000), (3, 80_000), (4, 120_000), (5, 110_000)];
        let outages = Vec::from(outages.map(outage));
        let takeovers = Takeovers { schema: "", outages, median_ms: 110, max_ms: 300 };
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let text = failover(&takeovers);
        let lines: Vec<_> = text.lines().map(|line| words(line).join(" ")).collect();
        assert_eq!(
            lines,
            [
                "of 5 outage missed promised served found",
                "median 110 ms 106 ms 5.0 ms 1.0 ms 1.0 ms",
                "longest 300 ms 296 ms 7.0 ms 1.0 ms 1.0 ms",
                "kill 2 300 ms 296 ms 4.0 ms 1.0 ms 1.0 ms",
                "kill 4 120 ms 116 ms 6.0 ms 1.0 ms 1.0 ms",
                "kill 5 110 ms 106 ms 7.0 ms 1.0 ms 1.0 ms",
            ]
        );
    }
}
