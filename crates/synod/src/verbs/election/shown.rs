//! Elections as people and programs read them.

use serde::Serialize;
use synod_client::machine::{
    CandidateView, ElectionView, Incumbent, Office, Report, Rules, Successor,
};

use crate::print;

#[derive(Serialize)]
pub(super) struct One {
    schema: &'static str,
    #[serde(flatten)]
    election: Shown,
}

impl One {
    pub(super) fn new(election: Shown) -> One {
        One { schema: "synod.election/1", election }
    }
}

#[derive(Serialize)]
pub(super) struct Shown {
    name: String,
    #[serde(flatten)]
    office: ShownOffice,
    pause: Option<ShownPause>,
    rules: ShownRules,
    furthest: Option<u64>,
    /// The incumbent first, then as they would be granted.
    candidates: Vec<ShownCandidate>,
}

/// How an election stands.
#[derive(Serialize)]
pub(super) struct ShownOffice {
    incumbent: Option<ShownIncumbent>,
    /// For whom the incumbent is to leave.
    successor: Option<ShownSuccessor>,
    paused: bool,
}

#[derive(Serialize)]
struct ShownIncumbent {
    candidate: String,
    owner: String,
    lease: u64,
    token: u64,
    /// In milliseconds since 1970, as stamped in the log.
    since_ms: u64,
    proclaimed: Option<String>,
}

#[derive(Serialize)]
struct ShownSuccessor {
    candidate: String,
    lease: u64,
}

#[derive(Serialize)]
struct ShownPause {
    actor: String,
    reason: String,
    since_ms: u64,
}

#[derive(Default, Serialize)]
struct ShownRules {
    lag_max: Option<u64>,
    position_min: Option<u64>,
    fresh_ms: Option<u64>,
}

#[derive(Serialize)]
struct ShownCandidate {
    candidate: String,
    owner: String,
    lease: u64,
    priority: i32,
    position: Option<u64>,
    reported_at_ms: Option<u64>,
    /// Why it could not be granted as it is.
    bar: Option<String>,
}

impl Shown {
    pub(super) fn new(name: &str, view: Option<&ElectionView>) -> Shown {
        let rules = view.map(|view| view.rules).unwrap_or_default();
        let Rules { lag_max, position_min, fresh_ms } = rules;
        let pause = view.and_then(|view| view.pause.clone()).map(|pause| ShownPause {
            actor: pause.actor,
            reason: pause.reason,
            since_ms: pause.since_ms,
        });
        let candidates = view.iter().flat_map(|view| &view.candidates);
        Shown {
            name: name.to_owned(),
            office: ShownOffice::new(&view.map(|view| view.office.clone()).unwrap_or_default()),
            pause,
            rules: ShownRules { lag_max, position_min, fresh_ms },
            furthest: view.and_then(|view| view.furthest),
            candidates: candidates.map(ShownCandidate::new).collect(),
        }
    }
}

impl ShownOffice {
    pub(super) fn new(office: &Office) -> ShownOffice {
        let incumbent = office.incumbent.as_ref().map(|one| ShownIncumbent {
            candidate: one.candidate.to_string(),
            owner: one.owner.clone(),
            lease: one.lease.get(),
            token: one.token.get(),
            since_ms: one.since_ms,
            proclaimed: one.proclaimed.clone(),
        });
        let successor = office.successor.as_ref().map(|Successor { candidate, lease }| {
            ShownSuccessor { candidate: candidate.to_string(), lease: lease.get() }
        });
        ShownOffice { incumbent, successor, paused: office.paused }
    }
}

impl ShownCandidate {
    fn new(view: &CandidateView) -> ShownCandidate {
        ShownCandidate {
            candidate: view.candidate.to_string(),
            owner: view.owner.clone(),
            lease: view.lease.get(),
            priority: view.priority,
            position: view.report.and_then(|(report, _)| position(report)),
            reported_at_ms: view.report.map(|(_, at)| at),
            bar: view.bar.map(|bar| bar.to_string()),
        }
    }
}

fn position(report: Report) -> Option<u64> {
    match report {
        Report::At(position) => Some(position),
        Report::NotNow => None,
    }
}

/// How an election stands, on one line.
pub(super) fn standing(office: &Office) -> String {
    let paused = if office.paused { ", paused" } else { "" };
    let Some(incumbent) = &office.incumbent else { return format!("vacant{paused}") };
    let Incumbent { candidate, token, since_ms, proclaimed, .. } = incumbent;
    let address = proclaimed.as_deref().map(|value| format!("  {value}")).unwrap_or_default();
    let to = office.successor.as_ref();
    let to = to.map(|to| format!(", leaving for {}", to.candidate)).unwrap_or_default();
    let since = print::moment(*since_ms);
    format!("{candidate}{address}  token {token}, since {since}{to}{paused}")
}

/// One election on one line.
pub(super) fn line(view: &ElectionView) -> String {
    let waiting = view.candidates.len().saturating_sub(view.office.incumbent.iter().count());
    let waiting = match waiting {
        0 => String::new(),
        1 => ", 1 waits".to_owned(),
        count => format!(", {count} wait"),
    };
    format!("{}  {}{waiting}", view.name, standing(&view.office))
}

/// One election and all who stand in it, a line each.
pub(super) fn lines(view: &ElectionView) -> String {
    let pause = view.pause.iter().map(|pause| {
        format!(
            "paused by {} since {}: {}",
            pause.actor,
            print::moment(pause.since_ms),
            pause.reason
        )
    });
    let Rules { lag_max, position_min, fresh_ms } = view.rules;
    let rules = [
        lag_max.map(|most| format!("no more than {most} behind")),
        position_min.map(|least| format!("at {least} or further")),
        fresh_ms.map(|most| format!("reported in the last {most} ms")),
    ];
    let rules: Vec<_> = rules.into_iter().flatten().collect();
    let rules = (!rules.is_empty()).then(|| format!("rules: {}", rules.join(", ")));
    let candidates = view.candidates.iter().map(|one| {
        let position = one.report.and_then(|(report, _)| position(report));
        let position = position.map(|at| format!(", at {at}")).unwrap_or_default();
        let holds = view.office.incumbent.as_ref().is_some_and(|held| held.lease == one.lease);
        let bar = one.bar.filter(|_| !holds).map(|bar| format!(": {bar}")).unwrap_or_default();
        let how = if holds { "incumbent" } else { "waits" };
        let CandidateView { candidate, owner, lease, priority, .. } = one;
        format!("  {candidate}  {how}, {owner}, lease {lease}, priority {priority}{position}{bar}")
    });
    let head = std::iter::once(line(view));
    head.chain(pause).chain(rules).chain(candidates).collect::<Vec<_>>().join("\n")
}
