//! What happens, in words.

use synod_machine::{Command, Proposal, Request};

use super::{Bounds, Core, Deed, Fact, LOG, Word};
use crate::search::stage::{Effects, Event};

/// What happens to the actor at `place`.
pub(super) fn event(bounds: Bounds, place: usize, event: Event<&Word, Deed>) -> String {
    let me = name(bounds, place);
    match event {
        Event::Hear(word) => format!("{me} hears: {}", said(bounds, word)),
        Event::Do(Deed::Sync) => format!("{me} completes a sync"),
        Event::Do(Deed::Grace) => format!("{me} has waited for its grace"),
        Event::Do(Deed::Crash) => format!("{me} crashes and starts again"),
        Event::Do(Deed::Die) => format!("{me} dies"),
        Event::Do(Deed::Propose(n)) => format!("{me} proposes to commit {n}"),
        Event::Do(Deed::GiveUp(n)) => format!("{me} gives up {n}"),
        Event::Do(Deed::Retire(below)) => format!("{me} retires all below {below}"),
        Event::Do(Deed::Fence(session)) => format!("a leader takes session {session} for dead"),
        Event::Do(Deed::Reign) => "another leader begins".to_owned(),
        Event::Do(Deed::Month) => "a month passes".to_owned(),
        Event::Do(Deed::Stranger) => "somebody aborts what was never begun".to_owned(),
    }
}

/// What came of it.
pub(super) fn effects(bounds: Bounds, core: &Core, effects: &Effects<Word, Fact>) -> Vec<String> {
    let mut lines = Vec::new();
    match core {
        Core::Log(_) => {}
        Core::Owner(owning) if owning.lives() => {
            lines.extend(owning.phases().map(|(txn, phase)| format!("{txn}: {phase:?}")));
        }
        Core::Owner(_) => lines.push("dead".to_owned()),
        Core::Party(party) => {
            let (in_doubt, waiting) = (party.in_doubt(), party.waiting());
            lines.push(format!("in doubt {in_doubt:?}, {waiting} syncs wait"));
        }
    }
    lines.extend(effects.facts.iter().map(|fact| format!("{fact:?}")));
    let words = effects.words.iter();
    lines.extend(
        words.map(|(to, word)| format!("to {}: {}", name(bounds, *to), said(bounds, word))),
    );
    lines
}

fn name(bounds: Bounds, place: usize) -> String {
    match place {
        LOG => "the log".to_owned(),
        owner if owner < bounds.first_party() => format!("owner {owner}"),
        party => bounds.name(party).to_string(),
    }
}

fn said(bounds: Bounds, word: &Word) -> String {
    match word {
        Word::Prepare { txn, .. } => format!("prepare {txn}"),
        Word::Vote { party, txn, vote } => {
            format!("{} votes {vote:?} on {txn}", name(bounds, *party))
        }
        Word::Finish { owner, txn, verdict } => {
            format!("{txn} is {verdict:?}, says {}", name(bounds, *owner))
        }
        Word::Finished { party, txn } => format!("{} has finished {txn}", name(bounds, *party)),
        Word::Submit { request, .. } => submitted(request),
        Word::Answer { txn, reply } => format!("{txn}: {reply:?}"),
        Word::Attend { party, in_doubt, finished } => {
            let who = name(bounds, *party);
            format!("{who} asks about {in_doubt:?}, has finished {finished:?}")
        }
        Word::News { txn, verdict } => format!("{txn} is {verdict:?}, says a node"),
        Word::Noted { txns } => format!("{txns:?} acknowledged"),
    }
}

fn submitted(request: &Request) -> String {
    let id = request.id.map(|id| format!(" as {id:?}")).unwrap_or_default();
    match &request.command {
        Command::Decide { txn, outcome: Proposal::Commit { .. } } => format!("commit {txn}{id}"),
        Command::Decide { txn, outcome: Proposal::Abort { cause } } => {
            format!("abort {txn}: {cause:?}")
        }
        other => format!("{other:?}{id}"),
    }
}
