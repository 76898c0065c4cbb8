//! The language of transcripts: one input a line, and what it brought below it.
//!
//! ```text
//! voters 3                                disk promised 3.n2 chosen 1 2=1.n2:b 3=faulty 4=chosen:d
//! until campaigning                           n2: prepare 4.n2 from 1
//! n2: promise 2.n1 from 1 chosen 0 1=1.n2:a   n2: accept 4.n2 1 x chosen 0
//! n2: accepted 2.n1 1-3                       n2: watermark 4.n2 3
//! n2: refused 2.n1 by 3.n3                    n2: ask 1-9
//! n2: learned 3 1=a 2=noop                    n2: confirmed 2.n1 1
//! propose x       read 7      sync            wait 20     step down     fetched n2 1=a
//! ```

mod say;

use synod_paxos::*;

use crate::stage::{Spoken, Stage, value};

/// Plays a script; what it says with all outputs as they are now.
pub(crate) fn play(script: &str) -> String {
    let mut player = Player { voters: 3, durable: Durable::default(), stage: None };
    let mut played = String::new();
    let inputs = script.lines().filter(|line| !line.starts_with("    "));
    for line in inputs {
        played.push_str(line);
        played.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let before = player.stage.as_ref().map(|stage| stage.peer.role());
        let spoken = player.input(line);
        for told in say::spoken(&spoken) {
            played.push_str(&format!("    {told}\n"));
        }
        let after = player.stage.as_ref().map(|stage| stage.peer.role());
        if let Some(role) = after.filter(|_| before.is_some_and(|_| after != before)) {
            played.push_str(&format!("    now {}\n", say::role(role)));
        }
    }
    played
}

struct Player {
    voters: u16,
    durable: Durable,
    stage: Option<Stage>,
}

impl Player {
    fn stage(&mut self) -> &mut Stage {
        let (voters, durable) = (self.voters, self.durable.clone());
        self.stage.get_or_insert_with(|| Stage::recovered(voters, durable))
    }

    fn input(&mut self, line: &str) -> Spoken {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap();
        let rest: Vec<&str> = words.collect();
        match (first, &rest[..]) {
            ("voters", [count]) => {
                self.voters = count.parse().unwrap();
                Spoken::default()
            }
            ("disk", ["promised", promised, "chosen", upto, records @ ..]) => {
                self.durable = Durable {
                    promised: Some(ballot(promised)),
                    chosen_upto: slot(upto),
                    records: records.iter().map(|text| record(text)).collect(),
                    ..Durable::default()
                };
                Spoken::default()
            }
            ("until", ["campaigning"]) => {
                self.stage().campaign();
                Spoken::default()
            }
            ("wait", [millis]) => {
                self.stage().wait(millis.parse().unwrap());
                self.stage().step(Input::Wake)
            }
            ("sync", []) => self.stage().sync(),
            ("propose", [text]) => self.stage().propose(text),
            ("read", [id]) => self.stage().step(Input::ReadBarrier(BarrierId(id.parse().unwrap()))),
            ("step", ["down"]) => self.stage().step(Input::StepDown),
            ("fetched", [to, decrees @ ..]) => {
                let decrees = decrees.iter().map(|text| chosen(text)).collect();
                self.stage().step(Input::Fetched(Fetched { to: node(to), decrees, damaged: None }))
            }
            (speaker, [verb, said @ ..]) if speaker.ends_with(':') => {
                let from = node(speaker.trim_end_matches(':'));
                self.stage().hear(from.get(), message(verb, said))
            }
            _ => panic!("no such input: {line}"),
        }
    }
}

fn message(verb: &str, said: &[&str]) -> Message {
    match (verb, said) {
        ("prepare", [at, "from", first]) => {
            Message::Prepare { ballot: ballot(at), first: slot(first), holds: Vec::new() }
        }
        ("promise", [at, "from", first, "chosen", upto, reports @ ..]) => {
            let reports = reports.iter().map(|text| report(text)).collect();
            let (first, chosen_upto, lost_upto) = (slot(first), slot(upto), Slot::ZERO);
            let page = Page { first, upto: None, chosen_upto, lost_upto, reports };
            Message::Promise { ballot: ballot(at), page }
        }
        ("refused", [at, "by", promised]) => {
            Message::Refused { ballot: ballot(at), promised: ballot(promised) }
        }
        ("accept", [at, place, text, "chosen", upto]) => Message::Accept {
            ballot: ballot(at),
            slot: slot(place),
            decree: decree(text),
            chosen_upto: slot(upto),
        },
        ("accepted", [at, slots]) => Message::Accepted {
            ballot: ballot(at),
            slots: vec![span(slots)],
            chosen_upto: Slot::ZERO,
        },
        ("watermark", [at, upto]) => {
            Message::Watermark { ballot: ballot(at), chosen_upto: slot(upto) }
        }
        ("ask", [slots]) => {
            let Span { first, last } = span(slots);
            Message::Ask { first, upto: last }
        }
        ("learned", [upto, decrees @ ..]) => Message::Learned {
            decrees: decrees.iter().map(|text| chosen(text)).collect(),
            chosen_upto: slot(upto),
        },
        ("confirm", [at, round]) => {
            Message::Confirm { ballot: ballot(at), round: round.parse().unwrap() }
        }
        ("confirmed", [at, round]) => {
            Message::Confirmed { ballot: ballot(at), round: round.parse().unwrap() }
        }
        _ => panic!("no such word: {verb} {said:?}"),
    }
}

fn node(text: &str) -> NodeId {
    NodeId::new(text.strip_prefix('n').unwrap().parse().unwrap())
}

fn slot(text: &str) -> Slot {
    Slot::new(text.parse().unwrap())
}

fn ballot(text: &str) -> Ballot {
    let (round, owner) = text.split_once('.').unwrap();
    Ballot::of(round.parse().unwrap(), Life::first(node(owner)))
}

fn span(text: &str) -> Span {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Span { first: slot(first), last: slot(last) }
}

fn decree(text: &str) -> Decree {
    if text == "noop" { Decree::Noop } else { value(text) }
}

fn chosen(text: &str) -> (Slot, Decree) {
    let (place, text) = text.split_once('=').unwrap();
    (slot(place), decree(text))
}

fn report(text: &str) -> (Slot, Report) {
    let (place, held) = text.split_once('=').unwrap();
    let report = match held.split_once(':') {
        None => Report::Faulty,
        Some(("held", at)) => Report::Held { ballot: ballot(at) },
        Some(("chosen", text)) => Report::Chosen { decree: decree(text) },
        Some((at, text)) => Report::Accepted { ballot: ballot(at), decree: decree(text) },
    };
    (slot(place), report)
}

fn record(text: &str) -> (Slot, Record) {
    let (place, report) = report(text);
    let record = match report {
        Report::Faulty => Record::Faulty,
        Report::Chosen { decree } => Record::Chosen { decree },
        Report::Accepted { ballot, decree } => Record::Accepted { ballot, decree },
        Report::Held { .. } => panic!("a disk holds no {text}"),
    };
    (place, record)
}
