//! Plays the script: has moves held between votes and decision, kills, brings back, and measures.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use synod_client::{Client, machine::TxnId};
use tokio::time::{sleep, sleep_until};

use super::{
    ledger::{Ledger, Totals},
    report::Kill,
    says::{OwnerHears, line},
    scene::{OWNER, SHARDS, Scene},
    script::{Planned, Victim},
    teller::Teller,
};
use crate::{
    exit::{Code, Failure},
    signs::Signs,
    units,
};

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
    pub(crate) teller: &'a Teller,
    pub(crate) moving_since: Instant,
}

/// A murder just committed.
struct Murder {
    victim: Victim,
    /// The name of the process.
    who: String,
    at: Instant,
    /// Prepared and undecided at that moment.
    doubted: BTreeSet<TxnId>,
}

/// What came of it, as far as it came in time.
#[derive(Clone, Copy)]
struct Recovery {
    first_commit: Option<Duration>,
    resolved: Option<Duration>,
}

impl Director<'_> {
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
        // A follower is killed in the midst of things; at the others' deaths every move in flight
        // shall stand where it hurts most.
        let hold = victim != Victim::Follower;
        if hold {
            self.tell(OwnerHears::Hold).await?;
            if self.ledger.held(PATIENCE).await.is_none() {
                self.teller.tell("not every move came to stand between votes and decision")?;
            }
        }
        let doubted = self.in_doubt().await;
        let before = self.ledger.totals();
        self.scene.actor(&who)?.murder().await;
        let murder = Murder { victim, who, at: Instant::now(), doubted };
        self.teller.tell(&murder.told(hold, self.teller.signs.killed))?;
        if victim == Victim::Owner {
            self.ledger.add_unknown(murder.doubted.len() as u64);
            self.bring_owner_back().await?;
        } else if hold {
            self.tell(OwnerHears::Go).await?;
        }
        let recovery = self.watch_recovery(&murder).await?;
        self.tell_outcome(&murder, recovery, before).await?;
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Ok(Kill {
            what: victim.word(),
            at_ms: ms(murder.at.duration_since(self.moving_since)),
            in_doubt: murder.doubted.len() as u64,
            first_commit_after_ms: recovery.first_commit.map(ms),
            resolved_after_ms: recovery.resolved.map(ms),
        })
    }

    async fn tell_outcome(
        &self,
        murder: &Murder,
        recovery: Recovery,
        before: Totals,
    ) -> Result<(), Failure> {
        let shown = |span: Option<Duration>| match span {
            Some(span) => format!("after {}", units::span(span)),
            None => "not in time".to_owned(),
        };
        let (who, after) = (&murder.who, self.ledger.totals());
        let Signs { well, apart, .. } = self.teller.signs;
        self.teller.tell(&format!(
            "{well} {who} is back {apart} first commit {}, the {} in doubt resolved {} {apart} {} \
             moved and {} aborted meanwhile",
            shown(recovery.first_commit),
            murder.doubted.len(),
            shown(recovery.resolved),
            after.committed - before.committed,
            after.aborted - before.aborted,
        ))?;
        match (murder.victim, self.nodes) {
            (Victim::Leader, 1) => self.teller.tell(&format!(
                "  until {who} was back, nothing could be decided and both shards held their \
                 locks: a lone coordinator blocks"
            )),
            (Victim::Leader, _) => {
                let leader = self.leader().await?;
                self.teller.tell(&format!(
                    "  {leader} leads; a lone coordinator would have blocked until {who} was back: \
                     synod demo --nodes 1"
                ))
            }
            (Victim::Owner | Victim::Shard | Victim::Follower, _) => Ok(()),
        }
    }

    /// Brings the dead back after a while, and waits for the first commit and the last doubt.
    async fn watch_recovery(&mut self, murder: &Murder) -> Result<Recovery, Failure> {
        let dead_for = if self.nodes == 1 { LONE_DEAD_FOR } else { DEAD_FOR };
        let (ledger, client) = (self.ledger.clone(), self.client.clone());
        let watching = async {
            let (first_commit, resolved) = tokio::join!(
                ledger.commit_after(murder.at, PATIENCE),
                resolved(&client, &murder.doubted, murder.at, PATIENCE)
            );
            Recovery { first_commit, resolved }
        };
        let bringing_back = async {
            // The owner's successor is there already.
            if murder.victim != Victim::Owner {
                sleep(dead_for).await;
                self.scene.enter(&murder.who).await?;
            }
            Ok::<_, Failure>(())
        };
        let (recovery, back) = tokio::join!(watching, bringing_back);
        back?;
        Ok(recovery)
    }

    /// Starts a new owner in the place of the dead one.
    pub(crate) async fn bring_owner_back(&mut self) -> Result<(), Failure> {
        let lines = self.scene.start(OWNER)?;
        self.ledger.follow(lines);
        Ok(())
    }

    /// Tells the owner.
    pub(crate) async fn tell(&mut self, word: OwnerHears) -> Result<(), Failure> {
        self.scene.actor(OWNER)?.tell(&line(&word)).await;
        Ok(())
    }

    async fn pick(&self, victim: Victim) -> Result<String, Failure> {
        match victim {
            Victim::Owner => Ok(OWNER.to_owned()),
            Victim::Shard => Ok(SHARDS[0].to_owned()),
            Victim::Leader | Victim::Follower => {
                let leader = self.leader().await?;
                if victim == Victim::Leader {
                    return Ok(leader);
                }
                (1..=self.nodes).map(|i| format!("n{i}")).find(|name| *name != leader).ok_or_else(
                    || Failure::new(Code::Usage, "SYN-DEMO-001", "a lone node has no follower"),
                )
            }
        }
    }

    /// The node that says of itself that it leads.
    pub(crate) async fn leader(&self) -> Result<String, Failure> {
        leader(&self.client).await
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

impl Murder {
    fn told(&self, held: bool, sign: char) -> String {
        let (who, doubted) = (&self.who, self.doubted.len());
        let whom = match self.victim {
            Victim::Leader => format!("{who}, the leader"),
            Victim::Owner => "the owner of every transaction".to_owned(),
            Victim::Shard => format!("{who}, a shard"),
            Victim::Follower => format!("{who}, a follower"),
        };
        if held {
            return format!(
                "{sign} KILLED {whom}, between votes and decision of {doubted} transactions"
            );
        }
        format!("{sign} KILLED {whom}, with {doubted} transactions in doubt")
    }
}

/// The node that says of itself that it leads, once one does.
pub(super) async fn leader(client: &Client) -> Result<String, Failure> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(leader) = client.leading().await.node {
            return Ok(leader);
        }
        sleep(LOOK_EVERY).await;
    }
    Err(Failure::new(Code::Bug, "SYN-DEMO-005", "no node leads"))
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
