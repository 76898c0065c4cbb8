//! Plays the script: has moves held between votes and decision, kills, brings back, and measures.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use synod_client::{Client, machine::TxnId};
use tokio::time::{sleep, sleep_until};

use super::{
    ledger::Ledger,
    report::Kill,
    says::{OwnerHears, line},
    scene::{SHARDS, Scene},
    script::{Planned, Victim},
};
use crate::exit::{Code, Failure};

/// What was killed stays dead this long.
const DEAD_FOR: Duration = Duration::from_millis(1_200);
/// A lone coordinator stays dead longer, to show who waits for it.
const LONE_DEAD_FOR: Duration = Duration::from_secs(3);
/// How long the play waits for anything before it calls it lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time between two looks at who is in doubt.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Who directs.
pub(crate) struct Director<'a> {
    pub(crate) scene: &'a mut Scene,
    pub(crate) client: Client,
    pub(crate) ledger: Ledger,
    pub(crate) nodes: u16,
    pub(crate) begun: Instant,
    pub(crate) moving_since: Instant,
}

impl Director<'_> {
    /// Says one line, with the time.
    pub(crate) fn narrate(&self, text: &str) {
        anstream::println!("{:5.1} s  {text}", self.begun.elapsed().as_secs_f64());
    }

    /// Plays every planned kill, each when its moment has come and the one before is over.
    pub(crate) async fn play(&mut self, script: &[Planned]) -> Result<Vec<Kill>, Failure> {
        let mut kills = Vec::new();
        for planned in script {
            sleep_until((self.moving_since + planned.at).into()).await;
            kills.push(self.kill(planned.victim).await?);
        }
        Ok(kills)
    }

    async fn kill(&mut self, victim: Victim) -> Result<Kill, Failure> {
        let who = self.pick(victim).await?;
        let hold = victim != Victim::Follower;
        if hold {
            self.tell(OwnerHears::Hold).await?;
            if self.ledger.held(PATIENCE).await.is_none() {
                self.narrate("(not every move came to stand between votes and decision)");
            }
        }
        let doubted = self.in_doubt().await;
        let before = self.ledger.totals();
        self.scene.actor(&who)?.murder().await;
        let at = Instant::now();
        let place = if hold { ", between votes and decision" } else { "" };
        self.narrate(&format!(
            "KILLED {who}, the {}{place}: {} branches in doubt",
            victim.word(),
            doubted.len()
        ));
        if victim == Victim::Owner {
            self.ledger.add_unknown(doubted.len() as u64);
            self.bring_owner_back().await?;
        } else if hold {
            self.tell(OwnerHears::Go).await?;
        }
        let (first_commit, resolved) = self.watch_recovery(victim, &who, at, &doubted).await?;
        let after = self.ledger.totals();
        self.tell_outcome(first_commit, resolved);
        self.narrate(&format!(
            "{} moved and {} aborted since; {who} is back",
            after.committed - before.committed,
            after.aborted - before.aborted
        ));
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Ok(Kill {
            what: victim.word(),
            who,
            at_ms: ms(at.duration_since(self.moving_since)),
            in_doubt: doubted.len() as u64,
            first_commit_after_ms: first_commit.map(ms),
            resolved_after_ms: resolved.map(ms),
        })
    }

    fn tell_outcome(&self, first_commit: Option<Duration>, resolved: Option<Duration>) {
        let shown = |span: Option<Duration>| match span {
            Some(span) => format!("after {} ms", span.as_millis()),
            None => "not in time".to_owned(),
        };
        self.narrate(&format!(
            "first commit {}, nothing of it in doubt {}",
            shown(first_commit),
            shown(resolved)
        ));
        if self.nodes == 1 {
            self.narrate("that is what a lone coordinator does: everybody waited for it");
        }
    }

    /// Brings the dead back after a while, and waits for the first commit and the last doubt.
    async fn watch_recovery(
        &mut self,
        victim: Victim,
        who: &str,
        at: Instant,
        doubted: &BTreeSet<TxnId>,
    ) -> Result<(Option<Duration>, Option<Duration>), Failure> {
        let dead_for = if self.nodes == 1 { LONE_DEAD_FOR } else { DEAD_FOR };
        let (ledger, client) = (self.ledger.clone(), self.client.clone());
        let watching = async {
            tokio::join!(
                ledger.commit_after(at, PATIENCE),
                resolved(&client, doubted, at, PATIENCE)
            )
        };
        let bringing_back = async {
            if victim != Victim::Owner {
                sleep(dead_for).await;
                self.scene.enter(who).await?;
            }
            Ok::<_, Failure>(())
        };
        let (seen, back) = tokio::join!(watching, bringing_back);
        back?;
        Ok(seen)
    }

    /// Starts a new owner in the place of the dead one.
    pub(crate) async fn bring_owner_back(&mut self) -> Result<(), Failure> {
        let lines = self.scene.start("owner")?;
        self.ledger.follow(lines);
        Ok(())
    }

    /// Tells the owner.
    pub(crate) async fn tell(&mut self, word: OwnerHears) -> Result<(), Failure> {
        self.scene.actor("owner")?.tell(&line(&word)).await;
        Ok(())
    }

    async fn pick(&self, victim: Victim) -> Result<String, Failure> {
        match victim {
            Victim::Owner => Ok("owner".to_owned()),
            Victim::Shard => Ok(SHARDS[0].to_owned()),
            Victim::Leader | Victim::Follower => {
                let leader = self.leader().await?;
                if victim == Victim::Leader {
                    return Ok(leader);
                }
                (1..=self.nodes).map(|i| format!("n{i}")).find(|name| *name != leader).ok_or_else(
                    || Failure::new(Code::Usage, "SYN-DEMO-008", "a lone node has no follower"),
                )
            }
        }
    }

    /// The node that says of itself that it leads.
    pub(crate) async fn leader(&self) -> Result<String, Failure> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let heard = self.client.status_all().await;
            let leading = heard.into_iter().filter_map(|(_, said)| said.ok());
            if let Some(status) = leading.into_iter().find(|status| status.role == "leader") {
                return Ok(status.node);
            }
            sleep(LOOK_EVERY).await;
        }
        Err(Failure::new(Code::Bug, "SYN-DEMO-009", "no node leads"))
    }

    /// Transactions of which some shard holds a prepared branch.
    pub(crate) async fn in_doubt(&self) -> BTreeSet<TxnId> {
        let mut all = BTreeSet::new();
        for shard in SHARDS {
            all.extend(self.client.shard(shard).in_doubt().await.unwrap_or_default());
        }
        all
    }
}

/// Waits until no shard holds a branch of `doubted`; a shard that does not answer may still.
async fn resolved(
    client: &Client,
    doubted: &BTreeSet<TxnId>,
    since: Instant,
    patience: Duration,
) -> Option<Duration> {
    while since.elapsed() < patience {
        let mut left = false;
        for shard in SHARDS {
            left |= match client.within(Duration::from_secs(1)).shard(shard).in_doubt().await {
                Ok(held) => held.iter().any(|txn| doubted.contains(txn)),
                Err(_) => true,
            };
        }
        if !left {
            return Some(since.elapsed());
        }
        sleep(LOOK_EVERY).await;
    }
    None
}
