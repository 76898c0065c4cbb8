//! The play: one murder, one resurrection, one switchover.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use synod_client::{Client, Config, HandingOver};
use tokio::time::sleep;

use super::{
    super::{director::leader, scene::Scene, teller::Teller},
    pair::{ELECTION, NAMES, Pair},
    report::{Change, Report},
    rows::{Rows, out_of_turn},
    seat::{Seat, Seats},
};
use crate::{
    cli::DemoArgs,
    exit::{Code, Failure},
    units::{grouped, span},
    verbs::ask,
};

/// How long it waits for anything before it calls it lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// So long each primary is shown at work.
const AT_WORK: Duration = Duration::from_millis(1_500);
/// Between two looks at who stands.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One run.
pub(super) struct Play<'a> {
    args: &'a DemoArgs,
    pair: &'a Pair,
    /// Why it is no pair of databases.
    because: Option<String>,
    teller: &'a Teller,
}

/// What is on stage.
struct Stage<'a> {
    scene: &'a mut Scene,
    client: Client,
    seats: Seats,
    rows: Rows,
    /// Who is primary.
    seat: Seat,
    tokens: Vec<u64>,
    changes: Vec<Change>,
}

impl<'a> Play<'a> {
    pub(super) fn new(
        args: &'a DemoArgs,
        pair: &'a Pair,
        because: Option<String>,
        teller: &'a Teller,
    ) -> Play<'a> {
        Play { args, pair, because, teller }
    }

    /// Plays it. Fails when it did not end as it must.
    pub(super) async fn perform(&self, scene: &mut Scene) -> Result<(), Failure> {
        let (count, apart) = (self.args.nodes, self.teller.signs.apart);
        let nodes = if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
        self.teller.line(&format!(
            "{nodes}, a pair of {} {apart} all on 127.0.0.1 {apart} files in {}",
            self.pair.described(),
            scene.dir().display(),
        ))?;
        if let Some(because) = &self.because {
            self.teller.line(&format!("{because}: programs stand in for a pair of databases"))?;
        }
        scene.open().await?;
        let config = Config::load(Path::new(&scene.config("client")))
            .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-003", error))?;
        let client = Client::connect(config).await.map_err(ask::failure)?;
        let leader = leader(&client).await?;
        self.teller.tell(&format!("the cluster is up {apart} {leader} leads it"))?;
        let mut stage = self.open(scene, client).await?;
        // Held: writers that are dropped write no more.
        let written = self.pair.written(&stage.seats, &stage.rows, PATIENCE).await;
        let mut writers = written.ok_or_else(|| never("the pair has its tables"))?;
        self.at_work(&mut stage).await?;
        let dead = self.kill(&mut stage).await?;
        self.bring_back(&mut stage, &dead).await?;
        self.switch_over(&mut stage, &dead).await?;
        writers.shutdown().await;
        let report = self.curtain(&stage).await?;
        self.publish(&report)
    }

    /// Brings both on stage, the first as primary.
    async fn open<'s>(&self, scene: &'s mut Scene, client: Client) -> Result<Stage<'s>, Failure> {
        let (mut seats, rows) = (Seats::observe(&client, ELECTION), Rows::new());
        self.pair.cast(scene)?;
        self.pair.found().await?;
        self.enter(scene, NAMES[0], &rows)?;
        let seat = self.seat(scene, &mut seats, 0).await?;
        let (first, second) = (NAMES[0], NAMES[1]);
        self.teller.tell(&format!("{first} is the primary, with token {}", seat.token))?;
        self.pair.copy().await?;
        self.enter(scene, second, &rows)?;
        let tokens = vec![seat.token];
        let stage = Stage { scene, client, seats, rows, seat, tokens, changes: Vec::new() };
        self.stands(&stage, second).await?;
        self.teller.tell(&format!("{second} stands by"))?;
        Ok(stage)
    }

    fn enter(&self, scene: &mut Scene, name: &str, rows: &Rows) -> Result<(), Failure> {
        let lines = scene.start(name)?;
        self.pair.attend(lines, rows);
        Ok(())
    }

    /// Waits until another is promoted than the one under this token.
    async fn seat(
        &self,
        scene: &mut Scene,
        seats: &mut Seats,
        token: u64,
    ) -> Result<Seat, Failure> {
        if let Some(seat) = seats.after(token, PATIENCE).await {
            return Ok(seat);
        }
        let mut failure = never("somebody is promoted");
        for name in NAMES {
            for line in scene.actor(name)?.last_words() {
                failure = failure.detail(format!("{name}: {line}"));
            }
        }
        Err(failure)
    }

    /// Waits until it stands in the election.
    async fn stands(&self, stage: &Stage<'_>, name: &str) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            // A cluster that is busy is asked again.
            let view = stage.client.election(ELECTION).view().await.ok().flatten();
            let mut candidates = view.into_iter().flat_map(|view| view.candidates);
            if candidates.any(|one| one.candidate.as_str() == name && one.bar.is_none()) {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Err(never(&format!("{name} stands by")))
    }

    /// Shows the primary at work, until everything is as it should be.
    async fn at_work(&self, stage: &mut Stage<'_>) -> Result<(), Failure> {
        let (token, from) = (stage.seat.token, Instant::now());
        let kept = |row: &super::rows::Row| row.kept && row.token == token && row.ended > from;
        let row = stage.rows.first(PATIENCE, kept).await;
        let _row = row.ok_or_else(|| never("a row is acknowledged"))?;
        sleep(AT_WORK).await;
        Ok(())
    }

    /// SIGKILL for whoever is primary; who it was.
    async fn kill(&self, stage: &mut Stage<'_>) -> Result<String, Failure> {
        let (who, apart) = (stage.seat.candidate.clone(), self.teller.signs.apart);
        let begun = Instant::now();
        stage.scene.actor(&who)?.murder().await;
        let rows = stage.kept();
        self.teller.tell(&format!(
            "{} KILLED {who}, the primary with token {}, and all that ran there {apart} {} rows \
             were acknowledged",
            self.teller.signs.killed,
            stage.seat.token,
            grouped(rows.len() as u64),
        ))?;
        self.succeed(stage, "killed", begun).await?;
        let next = stage.seat.candidate.clone();
        let lost = self.pair.lost(&rows, place(&next), PATIENCE).await?;
        let (well, have) = match lost.len() {
            0 => (self.teller.signs.well, "all of them".to_owned()),
            count => (self.teller.signs.warns, format!("{count} of them NOT")),
        };
        self.teller.tell(&format!("{well} {next} has {have}"))?;
        if self.pair.waits_for_both() {
            let what = format!("  rows that both must have wait until {who} is back");
            self.teller.tell(&what)?;
        }
        Ok(who)
    }

    /// Waits for the next primary, and tells of it.
    async fn succeed(
        &self,
        stage: &mut Stage<'_>,
        what: &'static str,
        begun: Instant,
    ) -> Result<(), Failure> {
        let before = stage.seat.clone();
        let seat = self.seat(stage.scene, &mut stage.seats, before.token).await?;
        let under = |row: &super::rows::Row| row.token == seat.token;
        let first = stage.rows.first(PATIENCE, under).await;
        let first = first.ok_or_else(|| never("the next primary is written to"))?;
        let last = stage.rows.last_under(before.token).unwrap_or(begun);
        let (granted, gap) = (seat.heard.duration_since(begun), first.ended.duration_since(last));
        self.teller.tell(&format!(
            "{} {} is the primary, with token {} {apart} granted after {} {apart} nobody was \
             primary for {}",
            self.teller.signs.well,
            seat.candidate,
            seat.token,
            span(granted),
            span(gap),
            apart = self.teller.signs.apart,
        ))?;
        stage.changes.push(Change {
            what,
            from: before.candidate,
            to: seat.candidate.clone(),
            token: seat.token,
            granted_after_ms: ms(granted),
            without_primary_ms: ms(gap),
        });
        stage.tokens.push(seat.token);
        stage.seat = seat;
        Ok(())
    }

    async fn bring_back(&self, stage: &mut Stage<'_>, dead: &str) -> Result<(), Failure> {
        sleep(AT_WORK).await;
        self.teller.tell(&format!("{dead} is started again"))?;
        self.enter(stage.scene, dead, &stage.rows)?;
        self.stands(stage, dead).await?;
        self.at_work(stage).await?;
        self.teller.tell(&format!("{} {dead} stands by", self.teller.signs.well))
    }

    async fn switch_over(&self, stage: &mut Stage<'_>, to: &str) -> Result<(), Failure> {
        self.teller.tell(&format!("an operator asks for a switchover to {to}"))?;
        let begun = Instant::now();
        let election = stage.client.election(ELECTION);
        match election.switch_over(Some(to), "demo").await.map_err(ask::failure)? {
            HandingOver::To(_) => {}
            HandingOver::Barred(bar) => {
                return Err(never(&format!("{to} may be granted ({bar})")));
            }
            HandingOver::Nobody => return Err(never("there is a primary to leave")),
        }
        self.succeed(stage, "switchover", begun).await?;
        self.at_work(stage).await
    }

    /// Judges what both have against what was acknowledged.
    async fn curtain(&self, stage: &Stage<'_>) -> Result<Report, Failure> {
        let rows = stage.kept();
        let mut lost = Vec::new();
        for place in 0..NAMES.len() {
            lost.extend(self.pair.lost(&rows, place, PATIENCE).await?);
        }
        lost.sort_unstable();
        lost.dedup();
        let mut disorder = out_of_turn(stage.rows.all());
        disorder.extend(self.pair.disorder()?);
        let report = Report {
            schema: "synod.demo.failover/1",
            child: self.pair.form(),
            tokens: stage.tokens.clone(),
            changes: stage.changes.clone(),
            rows: rows.len() as u64,
            lost: lost.len() as u64,
            disorder,
            ok: false,
        };
        let ok = report.complaints().is_empty();
        Ok(Report { ok, ..report })
    }

    fn publish(&self, report: &Report) -> Result<(), Failure> {
        let line = report.line(self.teller.signs);
        self.teller.publish(self.args.report.as_deref(), report, &line)?;
        if report.ok {
            return Ok(());
        }
        let failure = Failure::no("the run did not end as it must");
        let complaints = report.complaints().into_iter().take(COMPLAINTS_SHOWN_MAX);
        Err(complaints.fold(failure, Failure::detail).hint("run it again with --dir DIR"))
    }
}

/// What is wrong with more rows than this is wrong with all.
const COMPLAINTS_SHOWN_MAX: usize = 20;

impl Stage<'_> {
    /// The rows that must not be lost.
    fn kept(&self) -> Vec<super::rows::Row> {
        self.rows.all().into_iter().filter(|row| row.kept).collect()
    }
}

fn place(name: &str) -> usize {
    NAMES.iter().position(|one| *one == name).unwrap_or_default()
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn never(what: &str) -> Failure {
    let what = format!("it never came to be that {what}");
    Failure::new(Code::Bug, "SYN-DEMO-005", what).hint("run it again with --dir DIR")
}
