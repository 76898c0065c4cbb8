//! Outputs as a transcript prints them.

use synod_paxos::*;

use crate::stage::Spoken;

/// One line for each thing a step brought; heartbeats and their answers are left out.
pub(crate) fn spoken(spoken: &Spoken) -> Vec<String> {
    let mut lines: Vec<String> = spoken.writes.iter().map(write).collect();
    for envelope in &spoken.at_once {
        if let Some(told) = told(&envelope.message) {
            lines.push(format!("to {}: {told}", envelope.to));
        }
    }
    let slots = spoken.proposed.iter().map(|slot| format!("proposed in slot {slot}"));
    lines.extend(slots);
    let chosen = |chosen: &Chosen| format!("chosen {}={}", chosen.slot, decree(&chosen.decree));
    lines.extend(spoken.chosen.iter().map(chosen));
    let barrier = |barrier: &Barrier| format!("read {} from {}", barrier.id.0, barrier.upto);
    lines.extend(spoken.barriers.iter().map(barrier));
    let fetch = |fetch: &Fetch| format!("fetch {}-{} for {}", fetch.first, fetch.upto, fetch.to);
    lines.extend(spoken.fetch.iter().map(fetch));
    lines
}

pub(crate) fn role(role: Role) -> String {
    match role {
        Role::Following { leader: None } => "following nobody".into(),
        Role::Following { leader: Some(leader) } => format!("following {leader}"),
        Role::Campaigning { ballot } => format!("campaigning at {ballot}"),
        Role::Leading { ballot, inherited } => {
            format!("leading at {ballot}, inherited {inherited}")
        }
    }
}

fn write(write: &Write) -> String {
    match write {
        Write::Promised { ballot } => format!("write promised {ballot}"),
        Write::Accepted { slot, ballot, decree: what } => {
            format!("write accepted {slot}={ballot}:{}", decree(what))
        }
        Write::Chosen { slot, decree: what } => format!("write chosen {slot}={}", decree(what)),
        Write::ChosenUpto { slot } => format!("write chosen upto {slot}"),
        Write::Trimmed { upto } => format!("write trimmed {upto}"),
        Write::Marked { mark } => format!("write mark {}", mark.get()),
    }
}

/// A word as scripts spell it; `None` for heartbeats and their answers.
pub(crate) fn told(message: &Message) -> Option<String> {
    Some(match message {
        Message::Heartbeat { .. }
        | Message::Alive { .. }
        | Message::Fathom { .. }
        | Message::Fathomed { .. } => return None,
        Message::Prepare { ballot, first, holds } => {
            let held = |held: &Held| {
                format!(" holding {}-{}={}", held.slots.first, held.slots.last, held.ballot)
            };
            format!("prepare {ballot} from {first}{}", joined(holds, held))
        }
        Message::Promise { ballot, page } => {
            let upto = page.upto.map_or(String::new(), |upto| format!(" to {upto}"));
            let reports = joined(&page.reports, |(slot, held)| format!(" {slot}={}", report(held)));
            format!(
                "promise {ballot} from {}{upto} chosen {}{reports}",
                page.first, page.chosen_upto
            )
        }
        Message::Refused { ballot, promised } => format!("refused {ballot} by {promised}"),
        Message::Accept { ballot, slot, decree: what, chosen_upto } => {
            format!("accept {ballot} {slot} {} chosen {chosen_upto}", decree(what))
        }
        Message::Accepted { ballot, slots, chosen_upto } => {
            let slots = joined(slots, |span| format!(" {}-{}", span.first, span.last));
            format!("accepted {ballot}{slots} chosen {chosen_upto}")
        }
        Message::Watermark { ballot, chosen_upto } => format!("watermark {ballot} {chosen_upto}"),
        Message::Ask { first, upto } => format!("ask {first}-{upto}"),
        Message::Learned { decrees, chosen_upto } => {
            let decrees = joined(decrees, |(slot, what)| format!(" {slot}={}", decree(what)));
            format!("learned {chosen_upto}{decrees}")
        }
        Message::Trimmed { upto } => format!("trimmed {upto}"),
        Message::Confirm { ballot, round } => format!("confirm {ballot} {round}"),
        Message::Confirmed { ballot, round } => format!("confirmed {ballot} {round}"),
        Message::Vow { ballot, round } => format!("vow {ballot} {round}"),
        Message::Vowed { ballot, round } => format!("vowed {ballot} {round}"),
        Message::Release { ballot } => format!("release {ballot}"),
        Message::HandOver { ballot, next, chosen_upto } => {
            format!("hand over {ballot} to {next} chosen {chosen_upto}")
        }
        Message::Synced { mark } => format!("synced {}", mark.get()),
    })
}

fn joined<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect()
}

fn report(report: &Report) -> String {
    match report {
        Report::Accepted { ballot, decree: what } => format!("{ballot}:{}", decree(what)),
        Report::Held { ballot } => format!("held:{ballot}"),
        Report::Chosen { decree: what } => format!("chosen:{}", decree(what)),
        Report::Faulty => "faulty".into(),
    }
}

fn decree(decree: &Decree) -> String {
    match decree {
        Decree::Noop => "noop".into(),
        Decree::Value(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
