//! The play from the first line to the curtain, and what it came to.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use synod_client::{Client, Config};
use tokio::time::{sleep, sleep_until};

use super::{
    audit::{self, Audit},
    catalog,
    director::Director,
    ledger::Ledger,
    report::{Kill, Report},
    says::OwnerHears,
    scene::{SHARDS, Scene},
    script::Planned,
    states,
    teller::Teller,
};
use crate::{
    cli::DemoArgs,
    exit::{Code, Failure},
    verbs::ask,
};

/// How long the play waits at its end for the last doubts to resolve.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is wrong with more records than this is wrong with the whole.
const COMPLAINTS_SHOWN_MAX: usize = 20;

/// One run.
pub(super) struct Play<'a> {
    pub(super) args: &'a DemoArgs,
    pub(super) script: &'a [Planned],
    pub(super) seed: u64,
    pub(super) teller: &'a Teller,
}

impl Play<'_> {
    /// Plays it. Fails when it did not end as it must.
    pub(super) async fn perform(&self, scene: &mut Scene) -> Result<(), Failure> {
        let satellites = catalog::satellites().len();
        let apart = self.teller.signs.apart;
        let nodes: Vec<_> = (1..=self.args.nodes).map(|i| format!("n{i}")).collect();
        self.teller.line(&format!(
            "{}, 2 catalogs ({}), {satellites} satellites moving between them {apart} all on \
             127.0.0.1 {apart} files in {} {apart} seed {}",
            if nodes.len() == 1 { "1 node".to_owned() } else { format!("{} nodes", nodes.len()) },
            SHARDS.join(", "),
            scene.dir().display(),
            self.seed,
        ))?;
        scene.open().await?;
        let config = Config::load(Path::new(&scene.config("client")))
            .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-003", error))?;
        let client = Client::connect(config).await.map_err(ask::failure)?;
        let mut director = Director {
            scene,
            client,
            ledger: Ledger::new(),
            nodes: self.args.nodes,
            teller: self.teller,
            moving_since: Instant::now(),
        };
        let leader = director.leader().await?;
        let (nodes, shards) = (nodes.join(" "), SHARDS.join(" and "));
        self.teller.tell(&format!("{nodes} up {apart} leader {leader} {apart} {shards} joined"))?;
        director.bring_owner_back().await?;
        let ready = director.ledger.ready(PATIENCE).await;
        let standing = ready.ok_or_else(|| {
            Failure::new(Code::Bug, "SYN-DEMO-005", "the owner did not fill the catalogs")
        })?;
        director.moving_since = Instant::now();
        self.teller.tell(&format!("{standing} satellites stand in the catalogs; moves begin"))?;
        let kills = director.play(self.script).await?;
        sleep_until((director.moving_since + self.args.span).into()).await;
        let report = self.curtain(&mut director, kills).await?;
        self.publish(&report)
    }

    /// Ends the moves, waits for the last doubts, and audits.
    async fn curtain(
        &self,
        director: &mut Director<'_>,
        kills: Vec<Kill>,
    ) -> Result<Report, Failure> {
        director.tell(OwnerHears::Stop).await?;
        if !director.ledger.stopped(PATIENCE).await {
            self.teller.tell("the owner did not end in time")?;
        }
        let until = Instant::now() + PATIENCE;
        let mut in_doubt = director.in_doubt().await.len();
        while in_doubt > 0 && Instant::now() < until {
            sleep(Duration::from_millis(50)).await;
            in_doubt = director.in_doubt().await.len();
        }
        let audit = self.audit(&director.client).await?;
        let equal = states::agree(&director.client, PATIENCE).await;
        let floor_us = states::floor_us(&director.client, director.scene.dir()).await?;
        let totals = director.ledger.totals();
        let report = Report {
            schema: "synod.demo/1",
            satellites: catalog::satellites().len(),
            accounted: audit.accounted,
            committed: totals.committed,
            aborted: totals.aborted,
            unknown: totals.unknown,
            kills,
            commit_us: director.ledger.commit_us(),
            floor_us,
            state_hashes_equal: equal,
            in_doubt_at_end: in_doubt as u64,
            ok: false,
        };
        let ok = audit.complaints.is_empty() && report.complaints(self.script).is_empty();
        Ok(Report { ok, ..report })
    }

    async fn audit(&self, client: &Client) -> Result<Audit, Failure> {
        let mut catalogs = Vec::new();
        for shard in SHARDS {
            let records = client.shard(shard).scan_all().await.map_err(ask::failure)?;
            let records = records.into_iter();
            let records = records.map(|(key, entry)| (key.to_vec(), entry.value.to_vec()));
            catalogs.push((shard.to_owned(), records.collect()));
        }
        let audit = audit::audit(&catalogs);
        for complaint in audit.complaints.iter().take(COMPLAINTS_SHOWN_MAX) {
            self.teller.tell(&format!("AUDIT: {complaint}"))?;
        }
        Ok(audit)
    }

    fn publish(&self, report: &Report) -> Result<(), Failure> {
        let line = report.line(self.teller.signs);
        self.teller.publish(self.args.report.as_deref(), report, &line)?;
        if report.ok {
            return Ok(());
        }
        let failure = Failure::no("the run did not end as it must");
        let complaints = report.complaints(self.script).into_iter();
        Err(complaints
            .fold(failure, Failure::detail)
            .hint("run it again with --dir DIR to keep every log"))
    }
}
