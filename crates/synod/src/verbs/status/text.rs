//! The report for people.

use std::{fmt::Write as _, time::Duration};

use anstyle::{AnsiColor, Style};

use super::{Node, Report, Verdict, Warning};
use crate::{
    signs::Signs,
    units::{bytes, grouped, span, span_us},
};

/// One screen. Colours only repeat what words and signs say.
pub(super) fn of(report: &Report, signs: Signs) -> String {
    let mut text = head(report);
    let _ = writeln!(
        text,
        "{:<9} {:<9} {:>8} {:>12} {:>7} {:>9} {:>9} {:>9} {:>6}  VERSION",
        "NODE", "ROLE", "RTT", "APPLIED", "LAG", "SYNC p50", "p99", "DISK", "CERT"
    );
    for node in &report.nodes {
        text.push_str(&row(node, signs));
    }
    if !report.warnings.is_empty() {
        text.push('\n');
    }
    for Warning { node, what, hint } in &report.warnings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{WARN}{} {node}{WARN:#}  {what}   {hint}", signs.warns);
    }
    text
}

const WARN: Style = AnsiColor::Yellow.on_default().bold();

impl Verdict {
    fn shown(self) -> (Style, &'static str) {
        let in_colour = |colour: AnsiColor| colour.on_default().bold();
        match self {
            Verdict::Healthy => (in_colour(AnsiColor::Green), "HEALTHY"),
            Verdict::Degraded => (WARN, "DEGRADED"),
            Verdict::NoLeader => (in_colour(AnsiColor::Red), "NO LEADER"),
            Verdict::NoQuorum => (in_colour(AnsiColor::Red), "NO QUORUM"),
            Verdict::Diverged => (in_colour(AnsiColor::Red), "DIVERGED"),
        }
    }
}

fn head(report: &Report) -> String {
    let (style, verdict) = report.verdict.shown();
    let up = report.nodes.iter().filter(|node| node.up).count();
    let compared = grouped(report.hashes_compared);
    let states = match (report.states_agree, report.hashes_compared) {
        (false, _) => format!("STATES DIFFER at {} places", grouped(report.hashes_differed)),
        (true, 0) => "states not compared yet".to_owned(),
        (true, _) => format!("states agree ({compared} compared)"),
    };
    let ms = |ms| span(Duration::from_millis(ms));
    let leader = report.leader.as_ref().map_or("none".to_owned(), |leader| {
        // The first leader of all took over from nobody.
        let takeover = Some(leader.takeover_ms).filter(|took| *took > 0);
        let takeover = takeover.map(|took| format!("   took over in {}", ms(took)));
        format!(
            "{} for {}, ballot {}{}",
            leader.node,
            ms(leader.leading_for_ms),
            leader.ballot,
            takeover.unwrap_or_default()
        )
    });
    format!(
        "{:<12} {style}{verdict}{style:#}   {up} of {} nodes, quorum {}: can lose {} more   \
         {states}\n\
         leader       {leader}\n\
         log          chosen {}   applied {}   snapshot {}   trimmed {}   revision {}\n\
         requests     {} in flight   {} sessions   {} commits not acknowledged by all\n\n",
        report.cluster,
        report.nodes.len(),
        report.quorum,
        report.can_lose,
        grouped(report.chosen_slot),
        grouped(report.applied_slot),
        grouped(report.snapshot_slot),
        grouped(report.trimmed_slot),
        grouped(report.revision),
        grouped(report.requests_in_flight),
        grouped(report.sessions),
        grouped(report.txns_unacked),
    )
}

fn row(node: &Node, signs: Signs) -> String {
    let name = match node.role.as_deref() {
        Some("leader") => format!("{} {}", node.node, signs.leads),
        _ => node.node.clone(),
    };
    if !node.up {
        return format!("{name:<9} down\n");
    }
    let shown = |number: Option<String>| number.unwrap_or_else(|| signs.nothing.to_string());
    format!(
        "{name:<9} {:<9} {:>8} {:>12} {:>7} {:>9} {:>9} {:>9} {:>6}  {}\n",
        shown(node.role.clone()),
        shown(node.rtt_us.map(span_us)),
        shown(node.applied_slot.map(grouped)),
        shown(node.lag_slots.map(grouped)),
        shown(node.sync_p50_us.map(span_us)),
        shown(node.sync_p99_us.map(span_us)),
        shown(node.store_bytes.map(bytes)),
        shown(node.certificate_days.map(|days| format!("{days} d"))),
        shown(node.version.clone()),
    )
}
