//! Round trips alone.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;
use synod_client::{Client, Config};

use crate::{
    BenchError, Quantiles,
    bare::{Bare, bare},
    floor::quorum_rtt,
    quantiles::Spans,
};

/// Round trips of a cluster.
#[derive(Clone, Debug, Serialize)]
pub struct Rtt {
    /// `synod.bench.rtt/1`.
    pub schema: &'static str,
    /// Who leads.
    pub leader: String,
    /// A question that each node answers at once, on one QUIC stream, in microseconds.
    pub client_us: BTreeMap<String, Quantiles>,
    /// What the leader's QUIC connections have measured to each other node, smoothed.
    pub peers_us: BTreeMap<String, u64>,
    /// The leader's to the nearest that make a quorum with it.
    pub quorum_us: Option<u64>,
    /// QUIC with nothing of Synod on it, between two threads of the machine that asks.
    pub bare: Bare,
}

/// Asks for so long, each node in turn, and measures for as long again what QUIC itself takes.
pub async fn rtt(config: &Config, span: Duration) -> Result<Rtt, BenchError> {
    let client = Client::connect(config.clone()).await?;
    let leader = client.leader().await?;
    let nodes: Vec<String> = client.status_all().await.into_iter().map(|(node, _)| node).collect();
    let mut spans: BTreeMap<String, Spans> = BTreeMap::new();
    let begun = Instant::now();
    while begun.elapsed() < span {
        for node in &nodes {
            let asked = Instant::now();
            // A node that does not answer has no round trip.
            if client.status(node).await.is_ok() {
                spans.entry(node.clone()).or_default().add(asked.elapsed());
            }
        }
    }
    let status = client.status(&leader).await?;
    let quorum_us = quorum_rtt(&status);
    client.close().await;
    let peers_us = status.peers.into_iter().filter_map(|peer| Some((peer.node, peer.rtt_us?)));
    let peers_us = peers_us.collect();
    let client_us = spans.into_iter().map(|(node, spans)| (node, spans.quantiles())).collect();
    let bare = bare(span).await?;
    Ok(Rtt { schema: "synod.bench.rtt/1", leader, client_us, peers_us, quorum_us, bare })
}
