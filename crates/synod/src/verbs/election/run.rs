//! `synod election run`: a command that runs only while this candidate is the incumbent, or one
//! that is told when it is.

use std::{
    convert::Infallible, future::pending, io, pin::pin, process::ExitStatus, time::Duration,
};

use rustix::process::Signal;
use synod_client::{
    Campaign, Candidacy, Client, Election, Error, Incumbency, Refused, Standing,
    machine::{Office, Report, Revision, Successor},
};
use tokio::{
    process::Child,
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout},
};

use super::{
    super::ask::{config, failure, runtime},
    hook::{Environment, Hook, of_incumbent},
};
use crate::{
    cli::{Common, ElectionRunArgs},
    exit::{Code, Failure},
    ward::{Ended, FOR_EVER, Group, Inside, Signals, Tenure, Vigil, code},
};

/// Before what failed is tried again.
const REST: Duration = Duration::from_secs(1);

/// Runs the verb.
pub(super) fn run(common: &Common, args: &ElectionRunArgs) -> Result<(), Failure> {
    let config = config(common).map_err(Failure::of_run)?;
    let runtime = runtime().map_err(Failure::of_run)?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?.or_end_of_input(args.until_stdin_closes);
        let client = Client::connect(config).await.map_err(failure)?;
        let election = client.election(args.candidate.name.clone());
        let candidate =
            Candidate { args, election, what: format!("election {}", args.candidate.name) };
        let ended = candidate.serve(&mut signals).await;
        // What was left in the background is waited for: an office that is free already.
        client.close().await;
        ended
    });
    runtime.shutdown_background();
    match code(ended.map_err(Failure::of_run)?) {
        0 => Ok(()),
        code => Err(Failure::silent(Code::Child(code))),
    }
}

/// Who stands, again and again.
struct Candidate<'a> {
    args: &'a ElectionRunArgs,
    election: Election,
    what: String,
}

/// Why an incumbent whose office stands is to end what it does.
enum Leave {
    For(Successor),
    Unfit(String),
}

impl Candidate<'_> {
    /// Until the command has ended by itself.
    async fn serve(&self, signals: &mut Signals) -> Result<ExitStatus, Failure> {
        loop {
            let mut group = match self.args.promote {
                Some(_) => Some(self.start_follower().await?),
                None => None,
            };
            let mut following = None;
            match self.wait(&mut group, &mut following, signals).await {
                Ok(Turn::Granted(office)) => {
                    if let Some(status) = self.reign(office, group, following, signals).await? {
                        return Ok(status);
                    }
                }
                Ok(Turn::Ended(status)) => {
                    end(group, Duration::ZERO).await?;
                    return status
                        .map_err(|error| Failure::new(Code::Machine, "SYN-IO-001", error));
                }
                Err(failure) => {
                    end(group, self.args.candidate.ttl).await?;
                    return Err(failure);
                }
            }
        }
    }

    async fn start_follower(&self) -> Result<Group, Failure> {
        let mut environment = self.environment("follower", None);
        // Whom to follow from the start, if that is known.
        if let Ok(view) = self.election.view().await {
            let office = view.map(|view| view.office).unwrap_or_default();
            environment.extend(self.whom(&office).into_iter().flatten());
        }
        Group::start(&self.args.command, &environment, FOR_EVER).await
    }

    fn environment(&self, role: &str, token: Option<Revision>) -> Environment {
        let token = token.map(|token| ("SYNOD_FENCING_TOKEN", token.to_string()));
        let all = [
            ("SYNOD_ELECTION", self.args.candidate.name.clone()),
            ("SYNOD_CANDIDATE", self.args.candidate.id.clone()),
            ("SYNOD_ROLE", role.to_owned()),
        ];
        all.into_iter().chain(token).collect()
    }

    /// Stands until it is granted. The command may run meanwhile, and follows whoever is elected.
    async fn wait(
        &self,
        group: &mut Option<Group>,
        following: &mut Option<Child>,
        signals: &mut Signals,
    ) -> Result<Turn, Failure> {
        let inside = group.as_ref().map(Group::inside);
        let mut granted = pin!(self.stand(inside));
        let mut follow = pin!(self.follow(inside, following));
        loop {
            tokio::select! {
                biased;
                ended = ended(group) => return Ok(Turn::Ended(ended)),
                signal = signals.heard() => match group {
                    Some(group) => group.signal(signal),
                    None => return Err(Failure::silent(Code::Interrupted)),
                },
                office = &mut granted => return office.map(Turn::Granted),
                failed = &mut follow => match failed {
                    Ok(never) => match never {},
                    Err(error) => return Err(failure(error)),
                },
            }
        }
    }

    /// Stands, again whenever it stands no longer, until it is granted.
    async fn stand(&self, inside: Option<Inside>) -> Result<Incumbency, Failure> {
        loop {
            let campaign = self.campaign(inside).await;
            let granted = async { self.turn(campaign.stand().await?, inside).await };
            match granted.await {
                Ok(office) => return Ok(office),
                Err(error @ (Error::Refused { why: Refused::Door(_) } | Error::Misuse(_))) => {
                    return Err(failure(error));
                }
                Err(error) => tracing::warn!(%error, "not standing; it is tried again"),
            }
            sleep(REST).await;
        }
    }

    async fn campaign(&self, inside: Option<Inside>) -> Campaign {
        let who = &self.args.candidate;
        let campaign = self.election.campaign(who.id.clone()).priority(who.priority).ttl(who.ttl);
        match self.position("follower", inside).await {
            Some(report) => campaign.report(report),
            None => campaign,
        }
    }

    /// How far it has come, if it is to be reported.
    async fn position(&self, role: &str, inside: Option<Inside>) -> Option<Report> {
        let line = self.args.report.as_deref()?;
        let hook = Hook { line, environment: self.environment(role, None), inside };
        Some(hook.report(self.args.candidate.ttl).await)
    }

    async fn turn(
        &self,
        mut candidacy: Candidacy,
        inside: Option<Inside>,
    ) -> Result<Incumbency, Error> {
        loop {
            tokio::select! {
                biased;
                turn = candidacy.turn() => {
                    turn?;
                    return candidacy.granted().await;
                }
                Some(report) = self.next_report(inside) => match candidacy.report(report).await {
                    Err(error @ Error::LeaseLost { .. }) => return Err(error),
                    Err(error) => tracing::debug!(%error, "a report is left out"),
                    Ok(()) => {}
                },
            }
        }
    }

    async fn next_report(&self, inside: Option<Inside>) -> Option<Report> {
        if self.args.report.is_none() {
            return pending().await;
        }
        sleep(self.args.report_every).await;
        self.position("follower", inside).await
    }

    /// Has the command follow whoever is the incumbent. What is under way is left in `following`.
    async fn follow(
        &self,
        inside: Option<Inside>,
        following: &mut Option<Child>,
    ) -> Result<Infallible, Error> {
        let Some(line) = self.args.follow.as_deref() else { return pending().await };
        let mut standings = self.election.observe();
        let (mut wanted, mut done, mut tried) = (None, None, None);
        let mut not_before = Instant::now();
        loop {
            if following.is_none() && wanted != done {
                sleep_until(not_before).await;
                let mut environment = self.environment("follower", None);
                environment.extend(wanted.clone().into_iter().flatten());
                tried.clone_from(&wanted);
                not_before = Instant::now() + REST;
                match (Hook { line, environment, inside }).start() {
                    Ok(hook) => *following = Some(hook),
                    Err(error) => tracing::warn!(%error, "the follow command cannot be started"),
                }
            }
            tokio::select! {
                told = standings.next() => match told {
                    Some(Ok(Standing::Changed { office, .. })) => {
                        wanted = self.whom(&office).or(wanted);
                    }
                    Some(Ok(Standing::Unchanged(_) | Standing::Stale { .. })) => {}
                    Some(Err(error)) => return Err(error),
                    None => return pending().await,
                },
                Some(status) = over(following) => {
                    *following = None;
                    match status {
                        Ok(status) if status.success() => done.clone_from(&tried),
                        Ok(status) => tracing::warn!(%status, "the follow command is run again"),
                        Err(error) => tracing::warn!(%error, "the follow command is run again"),
                    }
                }
            }
        }
    }

    /// Whom to follow: nobody who is called as this candidate is, for that is what it was before.
    fn whom(&self, office: &Office) -> Option<Environment> {
        let incumbent = office.incumbent.as_ref();
        let other = incumbent.filter(|one| one.candidate.as_str() != self.args.candidate.id);
        other.map(|other| of_incumbent(Some(other)))
    }

    /// From the grant to the end of the command: how it ended, or `None` when this candidate is to
    /// stand again. Nothing of it is left when the office is resigned.
    async fn reign(
        &self,
        office: Incumbency,
        group: Option<Group>,
        following: Option<Child>,
        signals: &mut Signals,
    ) -> Result<Option<ExitStatus>, Failure> {
        let ttl = self.args.candidate.ttl;
        let environment = self.environment("incumbent", Some(office.token()));
        let mut group = match group {
            Some(mut group) => {
                // Before it is told that it is the incumbent.
                group.may_live(office.end(ttl)).await;
                group
            }
            None => Group::start(&self.args.command, &environment, office.end(ttl)).await?,
        };
        tracing::info!(token = %office.token(), "elected");
        let inside = group.inside();
        let ended = Vigil::new(&self.what, &office, ttl)
            .over(&mut group, signals, self.hold(&office, following, inside))
            .await;
        if !group.clear().await {
            std::mem::forget(office);
            return Err(stuck());
        }
        let mut unfit = false;
        let status = match ended {
            Ended::Command(status) => Some(status),
            Ended::Asked(Leave::For(successor)) => {
                anstream::eprintln!("{}: leaving for {}", self.what, successor.candidate);
                None
            }
            Ended::Asked(Leave::Unfit(why)) => {
                anstream::eprintln!("{}: {why}; leaving", self.what);
                unfit = true;
                None
            }
            // There is nothing to resign.
            Ended::Lost(_) => return Ok(None),
        };
        if let Err(error) = office.resign().await {
            tracing::warn!(%error, "the office is left to its lease");
        }
        if unfit {
            sleep(REST).await;
        }
        Ok(status)
    }

    /// What an incumbent does beside its command, until it is to leave.
    async fn hold(&self, office: &Incumbency, following: Option<Child>, inside: Inside) -> Leave {
        let held = office.run(async {
            if let Err(why) = self.promote(office.token(), following, inside).await {
                return Leave::Unfit(why);
            }
            if let Some(value) = &self.args.candidate.proclaim {
                while let Err(error) = office.proclaim(value.clone()).await {
                    tracing::warn!(%error, "nothing is proclaimed; it is tried again");
                    sleep(REST).await;
                }
            }
            tokio::select! {
                successor = office.asked_to_leave() => Leave::For(successor),
                never = self.report_on(office, inside) => match never {},
            }
        });
        match held.await {
            Ok(leave) => leave,
            // Whoever guards the command knows.
            Err(_) => pending().await,
        }
    }

    async fn promote(
        &self,
        token: Revision,
        following: Option<Child>,
        inside: Inside,
    ) -> Result<(), String> {
        if let Some(mut following) = following {
            // It may be in the middle of something; what hangs is ended.
            let _in_time = timeout(self.args.candidate.ttl, following.wait()).await;
        }
        let Some(line) = self.args.promote.as_deref() else { return Ok(()) };
        let environment = self.environment("incumbent", Some(token));
        match (Hook { line, environment, inside: Some(inside) }).run().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the promote command failed: {status}")),
            Err(error) => Err(format!("the promote command cannot be run: {error}")),
        }
    }

    async fn report_on(&self, office: &Incumbency, inside: Inside) -> Infallible {
        if self.args.report.is_none() {
            return pending().await;
        }
        let every = self.args.report_every;
        let mut clock = interval_at(Instant::now(), every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            if let Some(report) = self.position("incumbent", Some(inside)).await
                && let Err(error) = office.report(report).await
            {
                tracing::debug!(%error, "a report is left out");
            }
        }
    }
}

/// What a wait comes to.
enum Turn {
    Granted(Incumbency),
    Ended(io::Result<ExitStatus>),
}

/// Until the command has ended; for ever, if there is none.
async fn ended(group: &mut Option<Group>) -> io::Result<ExitStatus> {
    match group {
        Some(group) => group.ended().await,
        None => pending().await,
    }
}

async fn over(child: &mut Option<Child>) -> Option<io::Result<ExitStatus>> {
    match child {
        Some(child) => Some(child.wait().await),
        None => pending().await,
    }
}

/// Ends a command that is nobody's incumbent.
async fn end(group: Option<Group>, grace: Duration) -> Result<(), Failure> {
    let Some(mut group) = group else { return Ok(()) };
    group.signal(Signal::TERM);
    let _in_time = timeout(grace, group.ended()).await;
    if group.clear().await { Ok(()) } else { Err(stuck()) }
}

fn stuck() -> Failure {
    let what = "what the command started does not end; what was held for it is left to its lease";
    Failure::new(Code::RunFailed, "SYN-LOCK-005", what)
}
