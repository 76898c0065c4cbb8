//! How long clients wait when the leader is killed.

use std::time::{Duration, Instant};

use serde::Serialize;
use synod_client::Client;

use crate::{BenchError, load, quantiles::micros, stage::Stage};

/// A put that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Outages as a client saw them, in the order of the kills.
#[derive(Clone, Debug, Serialize)]
pub struct Takeovers {
    /// `synod.bench.failover/1`.
    pub schema: &'static str,
    /// Each of them.
    pub outages: Vec<Outage>,
    /// The one in the middle, in milliseconds.
    pub median_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

/// One outage, in microseconds. `missed_us`, `phase_1_us`, `first_commit_us` and `search_us` are
/// its parts, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// Which of the kills it was; the first is 1.
    pub kill: usize,
    /// From SIGKILL to the next acknowledged put.
    pub outage_us: u64,
    /// What is not the next leader's takeover: `missed_us` and `search_us` together.
    pub noticed_us: u64,
    /// The part until the next leader had missed the last one.
    pub missed_us: u64,
    /// From there until a quorum had promised.
    pub phase_1_us: u64,
    /// From there until the next leader served.
    pub first_commit_us: u64,
    /// From there until the client had found it and its put was done there.
    pub search_us: u64,
}

/// How a leader began, on the clock of whoever asked it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    /// When a quorum had promised.
    pub(crate) promised: Instant,
    pub(crate) phase_1_us: u64,
    pub(crate) first_commit_us: u64,
}

impl Beginning {
    pub(crate) async fn of(client: &Client, leader: &str) -> Result<Beginning, BenchError> {
        let asked = Instant::now();
        let status = client.status(leader).await?;
        let promised = ago(status.leading_for_us, asked, Instant::now());
        let first_commit_us = status.takeover_us.saturating_sub(status.phase_1_us);
        Ok(Beginning { promised, phase_1_us: status.phase_1_us, first_commit_us })
    }

    /// When it served.
    pub(crate) fn served(&self) -> Instant {
        self.promised + Duration::from_micros(self.first_commit_us)
    }

    /// How much of the time from `begun` to `done`, in which a client's put was done, it served.
    pub(crate) fn search_us(&self, begun: Instant, done: Instant) -> u64 {
        micros(done.saturating_duration_since(self.served().max(begun)))
    }

    fn outage(&self, kill: usize, killed: Instant, done: Instant) -> Outage {
        let Beginning { phase_1_us, first_commit_us, .. } = *self;
        let outage_us = micros(done.saturating_duration_since(killed));
        let noticed_us = outage_us.saturating_sub(phase_1_us.saturating_add(first_commit_us));
        let search_us = self.search_us(killed, done);
        let missed_us = noticed_us.saturating_sub(search_us);
        Outage { kill, outage_us, noticed_us, missed_us, phase_1_us, first_commit_us, search_us }
    }
}

/// When it was so many microseconds ago for somebody who was asked and answered at these moments.
/// It looked at its clock between them: in the middle, as far as anybody knows, so the error is
/// half a round trip at most.
fn ago(us: u64, asked: Instant, answered: Instant) -> Instant {
    let looked = asked + (answered - asked) / 2;
    // A clock that began with the machine has no moment before that.
    looked.checked_sub(Duration::from_micros(us)).unwrap_or(asked)
}

/// Kills the leader `kills` times, three seconds after the last one is back, under a client that
/// puts without pause.
pub async fn takeovers(stage: &mut Stage, kills: usize) -> Result<Takeovers, BenchError> {
    let client = load::connect(&stage.client()).await?.within(PATIENCE);
    let mut outages = Vec::new();
    for kill in 1..=kills {
        tokio::time::sleep(load::SETTLES_WITHIN).await;
        let leader = client.leader().await?;
        client.kv().put("bench/takeover", format!("before {kill}").into_bytes()).await?;
        stage.kill(&leader);
        let killed = Instant::now();
        client.kv().put("bench/takeover", format!("after {kill}").into_bytes()).await?;
        let done = Instant::now();
        let beginning = Beginning::of(&client, &client.leader().await?).await?;
        outages.push(beginning.outage(kill, killed, done));
        stage.start(&leader)?;
        load::level(&client, &leader, PATIENCE).await?;
    }
    client.close().await;
    Ok(Takeovers::of(outages))
}

impl Takeovers {
    fn of(outages: Vec<Outage>) -> Takeovers {
        let mut whole: Vec<_> = outages.iter().map(|outage| outage.outage_us).collect();
        whole.sort_unstable();
        let ms = |us: Option<&u64>| us.map_or(0, |us| us / 1_000);
        let (median_ms, max_ms) = (ms(whole.get(whole.len() / 2)), ms(whole.last()));
        Takeovers { schema: "synod.bench.failover/1", outages, median_ms, max_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A leader is killed, missed after 90 ms, and succeeded after 30 and 2 more; the client comes
    /// 38 ms later. It asks 10 ms after that, and has the answer in 4: what it hears then was so in
    /// the middle of these.
    #[test]
    fn the_search_of_a_client_is_told_apart_from_the_silence_that_was_missed() {
        let killed = Instant::now();
        let (done, asked, answered) = (killed + ms(160), killed + ms(170), killed + ms(174));
        let promised = ago((172 - 120) * 1_000, asked, answered);
        assert_eq!(promised, killed + ms(120));
        let beginning = Beginning { promised, phase_1_us: 30_000, first_commit_us: 2_000 };
        assert_eq!(
            beginning.outage(7, killed, done),
            Outage {
                kill: 7,
                outage_us: 160_000,
                noticed_us: 128_000,
                missed_us: 90_000,
                phase_1_us: 30_000,
                first_commit_us: 2_000,
                search_us: 38_000,
            }
        );
    }

    /// Half a round trip is no reason for a part of less than nothing.
    #[test]
    fn a_put_that_is_done_before_its_leader_seems_to_serve_was_not_searched_for() {
        let killed = Instant::now();
        let promised = killed + ms(100);
        let beginning = Beginning { promised, phase_1_us: 98_000, first_commit_us: 1_000 };
        let outage = beginning.outage(1, killed, killed + ms(100));
        assert_eq!((outage.search_us, outage.missed_us, outage.noticed_us), (0, 1_000, 1_000));
    }

    #[test]
    fn outages_stay_in_the_order_of_the_kills() {
        let killed = Instant::now();
        let beginning = Beginning { promised: killed, phase_1_us: 1_000, first_commit_us: 1_000 };
        let each = [(1, 50), (2, 400), (3, 60)];
        let outages = each.map(|(kill, done)| beginning.outage(kill, killed, killed + ms(done)));
        let takeovers = Takeovers::of(outages.to_vec());
        let kills: Vec<_> = takeovers.outages.iter().map(|outage| outage.kill).collect();
        assert_eq!((kills, takeovers.median_ms, takeovers.max_ms), (vec![1, 2, 3], 60, 400));
    }
}
