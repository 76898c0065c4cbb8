//! P2: what clients saw of keys is explained by one order of their requests.
//!
//! The other checks hold answers against the log. This one knows no log and no revision, only what
//! clients asked, when, and what they heard.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use synod_machine::{
    Command, Entry, Expect, Guard, Keyed, Multi, Mutation, Once, Reply, RequestId, SessionId,
};

use crate::{
    history::{Operation, Saw, linearizable},
    violation::{Checked, Violation},
};

/// What clients have asked and heard.
#[derive(Debug, Default)]
pub(crate) struct Linear {
    /// Asked and not answered for good.
    asked: BTreeMap<RequestId, (u64, Command)>,
    past: Vec<Operation>,
    /// Keys that something else may change than what is asked of them here: they hang on leases, or
    /// are written under keys of commands.
    others: BTreeSet<Bytes>,
}

impl Linear {
    /// A request is sent for the first time.
    pub(super) fn asks(&mut self, id: RequestId, command: &Command, now: u64) {
        self.others.extend(changed_elsewhere(command));
        self.asked.insert(id, (now, command.clone()));
    }

    /// Its client has heard what became of it: by an answer to itself, or by having it settled.
    pub(super) fn answered(&mut self, id: RequestId, reply: &Reply, now: u64) {
        if let Some((asked, command)) = self.asked.remove(&id) {
            self.note(id.session, (asked, Some(now)), &command, Some(reply));
        }
    }

    /// It was told that it never takes effect.
    pub(super) fn never(&mut self, id: RequestId) {
        self.asked.remove(&id);
    }

    /// A read was asked at one moment and answered at another.
    pub(super) fn read(&mut self, key: &Bytes, between: (u64, u64), entry: Option<&Entry>) {
        self.past.push(Operation::read(0, key.clone(), between, value(entry)));
    }

    /// Everything is over: is there an order?
    pub(super) fn ended(&mut self) -> Checked {
        for (id, (asked, command)) in std::mem::take(&mut self.asked) {
            self.note(id.session, (asked, None), &command, None);
        }
        self.past.retain(|operation| !self.others.contains(&operation.key));
        linearizable(&self.past).map_err(|contradiction| Violation {
            invariant: "P2",
            what: format!("not linearizable: {contradiction}"),
        })
    }

    fn note(
        &mut self,
        session: SessionId,
        (asked, answered): (u64, Option<u64>),
        command: &Command,
        reply: Option<&Reply>,
    ) {
        for (key, Step { saw, wrote }) in steps(command, reply) {
            let client = session.get();
            self.past.push(Operation { client, key, asked, answered, saw, wrote });
        }
    }
}

fn changed_elsewhere(command: &Command) -> Vec<Bytes> {
    let multi = match command {
        Command::Multi(multi) if multi.lease.is_some() => multi,
        Command::Once(Once { what: Keyed::Multi(multi), .. }) => multi,
        _ => return Vec::new(),
    };
    let keys = multi.mutations.iter().map(|mutation| match mutation {
        Mutation::Put { key, .. } | Mutation::Delete { key } => key.clone(),
    });
    keys.collect()
}

/// What a command did to one key.
#[derive(Debug, Default)]
struct Step {
    saw: Vec<Saw>,
    wrote: Option<Option<Bytes>>,
}

/// What a command that came to `reply` did to each key; without one, what it does if it takes
/// effect and changes anything.
fn steps(command: &Command, reply: Option<&Reply>) -> BTreeMap<Bytes, Step> {
    let one = |key: &Bytes, saw, wrote| BTreeMap::from([(key.clone(), Step { saw, wrote })]);
    match (command, reply) {
        (Command::Put { key, value }, Some(Reply::Written(_)) | None) => {
            one(key, Vec::new(), Some(Some(value.clone())))
        }
        (Command::Cas { key, expect, value }, Some(Reply::Written(_)) | None) => {
            one(key, held(expect), Some(Some(value.clone())))
        }
        (Command::Cas { key, .. }, Some(Reply::Mismatch(found))) => {
            one(key, vec![Saw::Held(value(found.as_ref()))], None)
        }
        (Command::Delete { key }, Some(Reply::Deleted { existed, .. })) => {
            one(key, vec![if *existed { Saw::Present } else { Saw::Held(None) }], Some(None))
        }
        (Command::Delete { key }, None) => one(key, Vec::new(), Some(None)),
        (Command::Multi(multi), Some(Reply::MultiDone { reads, .. })) => {
            let mut steps = done(multi);
            // They are read after the mutations: of a key that is written they say nothing new.
            for (key, found) in multi.reads.iter().zip(reads) {
                let step = steps.entry(key.clone()).or_default();
                if step.wrote.is_none() {
                    step.saw.push(Saw::Held(value(found.as_ref())));
                }
            }
            steps
        }
        (Command::Multi(multi), None) => done(multi),
        (Command::Multi(multi), Some(Reply::MultiRefused { failed, reads })) => {
            refused(multi, *failed, reads)
        }
        (_, _) => BTreeMap::new(),
    }
}

fn done(multi: &Multi) -> BTreeMap<Bytes, Step> {
    let mut steps: BTreeMap<Bytes, Step> = BTreeMap::new();
    for Guard { key, expect } in &multi.guards {
        steps.entry(key.clone()).or_default().saw.extend(held(expect));
    }
    for mutation in &multi.mutations {
        let (key, wrote) = match mutation {
            Mutation::Put { key, value } => (key, Some(value.clone())),
            Mutation::Delete { key } => (key, None),
        };
        steps.entry(key.clone()).or_default().wrote = Some(wrote);
    }
    steps
}

/// Those guards before the one that failed held, and it did not.
fn refused(multi: &Multi, failed: u32, reads: &[Option<Entry>]) -> BTreeMap<Bytes, Step> {
    let mut steps: BTreeMap<Bytes, Step> = BTreeMap::new();
    for (place, Guard { key, expect }) in multi.guards.iter().enumerate() {
        let saw = match place.cmp(&(failed as usize)) {
            std::cmp::Ordering::Less => held(expect),
            std::cmp::Ordering::Equal => not_held(expect),
            std::cmp::Ordering::Greater => Vec::new(),
        };
        steps.entry(key.clone()).or_default().saw.extend(saw);
    }
    for (key, found) in multi.reads.iter().zip(reads) {
        let saw = Saw::Held(value(found.as_ref()));
        steps.entry(key.clone()).or_default().saw.push(saw);
    }
    steps
}

fn held(expect: &Expect) -> Vec<Saw> {
    match expect {
        Expect::Absent => vec![Saw::Held(None)],
        Expect::Present => vec![Saw::Present],
        Expect::Value(value) => vec![Saw::Held(Some(value.clone()))],
        Expect::Revision(_) => vec![Saw::Present],
    }
}

fn not_held(expect: &Expect) -> Vec<Saw> {
    match expect {
        Expect::Absent => vec![Saw::Present],
        Expect::Present => vec![Saw::Held(None)],
        Expect::Value(value) => vec![Saw::NotHeld(value.clone())],
        Expect::Revision(_) => Vec::new(),
    }
}

fn value(entry: Option<&Entry>) -> Option<Bytes> {
    entry.map(|entry| entry.value.clone())
}

#[cfg(test)]
mod tests {
    use synod_machine::{Revision, Seq};

    use super::*;

    fn id(seq: u64) -> RequestId {
        RequestId { session: SessionId::new(1), seq: Seq::new(seq) }
    }

    fn entry(value: &'static str) -> Entry {
        let at = Revision::new(1);
        Entry { value: value.into(), create: at, modified: at, version: 1, lease: None }
    }

    fn put(key: &'static str, value: &'static str) -> Command {
        Command::Put { key: key.into(), value: value.into() }
    }

    /// A read that misses a write which was answered before it began is seen without a log.
    #[test]
    fn a_stale_read_is_caught() {
        let mut linear = Linear::default();
        linear.asks(id(1), &put("k", "a"), 10);
        linear.answered(id(1), &Reply::Written(Revision::new(1)), 20);
        linear.read(&"k".into(), (30, 40), None);
        assert_eq!(linear.ended().unwrap_err().invariant, "P2");
    }

    /// What was settled as never may not be seen, what nobody heard of may.
    #[test]
    fn what_never_took_effect_is_not_to_be_seen() {
        for never in [false, true] {
            let mut linear = Linear::default();
            linear.asks(id(1), &put("k", "a"), 10);
            if never {
                linear.never(id(1));
            }
            linear.read(&"k".into(), (30, 40), Some(&entry("a")));
            assert_eq!(linear.ended().is_err(), never);
        }
    }

    /// A multi is a step on each of its keys: its guards, its writes, its reads.
    #[test]
    fn a_multi_is_seen_on_each_of_its_keys() {
        let guards = vec![Guard { key: "g".into(), expect: Expect::Present }];
        let mutations = vec![Mutation::Put { key: "k".into(), value: "b".into() }];
        let reads = vec!["k".into(), "r".into()];
        let multi = Multi { guards, mutations, reads, ..Multi::default() };
        let reads = vec![Some(entry("b")), None];
        let done = Reply::MultiDone { revision: Revision::new(2), reads: reads.clone() };
        let command = Command::Multi(multi);
        let steps_done = steps(&command, Some(&done));
        assert_eq!(steps_done[&Bytes::from("g")].saw, [Saw::Present]);
        assert_eq!(steps_done[&Bytes::from("k")].wrote, Some(Some("b".into())));
        assert_eq!(steps_done[&Bytes::from("r")].saw, [Saw::Held(None)]);
        let refused = steps(&command, Some(&Reply::MultiRefused { failed: 0, reads }));
        assert_eq!(refused[&Bytes::from("g")].saw, [Saw::Held(None)]);
        assert!(refused.values().all(|step| step.wrote.is_none()));
    }
}
