//! `synod election campaign`: holds an office for a script.

use serde::Serialize;
use synod_client::{Client, Incumbency, machine::Office};
use tokio::time::timeout;

use super::super::ask::{config, failure, runtime};
use crate::{
    cli::{CampaignArgs, Common},
    exit::{Code, Failure},
    print,
    ward::Signals,
};

/// Runs the verb.
pub(super) fn run(common: &Common, args: &CampaignArgs) -> Result<(), Failure> {
    let (config, runtime) = (config(common)?, runtime()?);
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let client = Client::connect(config).await.map_err(failure)?;
        let ended = campaign(common, args, &client, &mut signals).await;
        // What was left in the background is waited for: an office that is free already.
        client.close().await;
        ended
    });
    runtime.shutdown_background();
    ended
}

async fn campaign(
    common: &Common,
    args: &CampaignArgs,
    client: &Client,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let who = &args.candidate;
    let election = client.election(who.name.clone());
    let campaign = election.campaign(who.id.clone()).priority(who.priority).ttl(who.ttl);
    let mut candidacy = campaign.stand().await.map_err(failure)?;
    let granted = async {
        match args.wait {
            Some(wait) => timeout(wait, candidacy.turn()).await.ok(),
            None => Some(candidacy.turn().await),
        }
    };
    let turn = tokio::select! {
        turn = granted => turn,
        _ = signals.heard() => return Err(Failure::silent(Code::Interrupted)),
    };
    match turn {
        Some(turn) => turn.map_err(failure)?,
        None => return Err(another_has_it(&who.name, candidacy.office())),
    };
    let office = candidacy.granted().await.map_err(failure)?;
    if let Some(value) = &who.proclaim {
        office.proclaim(value.clone()).await.map_err(failure)?;
    }
    tell(common, args, &office)?;
    tokio::select! {
        _ = signals.heard() => {}
        successor = office.asked_to_leave() => {
            anstream::eprintln!("election {}: leaving for {}", who.name, successor.candidate);
        }
        why = office.lost() => {
            let what = format!("the office of {} was lost: {why}", who.name);
            return Err(Failure::new(Code::LockLost, "SYN-ELECT-001", what));
        }
    }
    office.resign().await.map_err(failure)
}

fn tell(common: &Common, args: &CampaignArgs, office: &Incumbency) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Elected<'a> {
        schema: &'static str,
        name: &'a str,
        candidate: &'a str,
        token: u64,
        lease: u64,
    }
    let (token, lease) = (office.token().get(), office.lease().get());
    if common.output.is_json() {
        let (name, candidate) = (args.candidate.name.as_str(), args.candidate.id.as_str());
        let schema = "synod.election.elected/1";
        return print::json(&Elected { schema, name, candidate, token, lease });
    }
    print::lines(&format!("token {token}"))
}

fn another_has_it(name: &str, office: &Office) -> Failure {
    let what = match &office.incumbent {
        Some(incumbent) => {
            let (candidate, token) = (&incumbent.candidate, incumbent.token);
            format!("{candidate} is the incumbent of {name}, token {token}")
        }
        None => format!("nobody may be granted in {name}"),
    };
    Failure::new(Code::WaitTimedOut, "", what)
}
