//! `synod kv multi` and its little language, one step a line.

use std::io::IsTerminal;

use bytes::Bytes;
use serde::Serialize;
use synod_client::{
    Multi as Done,
    machine::{Expect, Guard, Hold, LeaseId, Multi, Mutation, Name, Revision},
};

use super::{
    super::ask::{ask, failure},
    entry::Shown,
    input,
};
use crate::{
    cli::{Common, Output},
    exit::{Code, Failure},
    print,
    signs::signs,
};

/// The steps there are.
const STEPS: [&str; 6] = [
    "require KEY absent|present|@REVISION|=VALUE",
    "held lock|claim|election NAME TOKEN|OWNER",
    "lease LEASE",
    "put KEY VALUE",
    "del KEY",
    "get KEY",
];

fn steps() -> String {
    STEPS.join(&format!(" {} ", signs().apart))
}

/// Runs the verb; exit 1 when a requirement did not hold.
pub(super) fn run(common: &Common) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        anstream::eprintln!("a step a line, then Ctrl-D: {}", steps());
    }
    let text = String::from_utf8(input()?)
        .map_err(|error| Failure::new(Code::Usage, "SYN-KV-003", error).hint(steps()))?;
    let request = parse(&text)?;
    let names = request.reads.clone();
    let done =
        ask(
            common,
            |client| async move { client.kv().multi_request(request).await.map_err(failure) },
        )?;
    show(common.output, &names, done)
}

fn parse(text: &str) -> Result<Multi, Failure> {
    let mut multi = Multi::default();
    for (number, line) in text.lines().enumerate() {
        let wrong = || {
            let what = format!("line {}: {line:?} is no step; nothing was sent", number + 1);
            Failure::new(Code::Usage, "SYN-KV-003", what).hint(steps())
        };
        let (verb, rest) = word(line);
        let (key, rest) = word(rest);
        match (verb, key, rest) {
            ("", _, _) => {}
            (_, "", _) => return Err(wrong()),
            ("require", key, expected) => {
                let expect = expectation(expected).ok_or_else(wrong)?;
                multi.guards.push(Guard { key: bytes(key), expect });
            }
            ("held", what, held) => {
                multi.holds.push(hold(what, held).ok_or_else(wrong)?);
            }
            ("lease", lease, "") if multi.lease.is_none() => {
                let lease = lease.parse().map_err(|_| wrong())?;
                multi.lease = Some(LeaseId::new(lease));
            }
            ("put", key, value) if !value.is_empty() => {
                multi.mutations.push(Mutation::Put { key: bytes(key), value: bytes(value) });
            }
            ("del", key, "") => multi.mutations.push(Mutation::Delete { key: bytes(key) }),
            ("get", key, "") => multi.reads.push(bytes(key)),
            _ => return Err(wrong()),
        }
    }
    Ok(multi)
}

/// A lock or an incumbency is held under a token, a claim by its owner.
fn hold(what: &str, held: &str) -> Option<Hold> {
    let (name, by) = word(held);
    let (name, by) = (Name::new(name), by.trim_end());
    let token = || Some(Revision::new(by.parse().ok()?));
    match what {
        "lock" => Some(Hold::Lock { name, token: token()? }),
        "election" => Some(Hold::Incumbent { election: name, token: token()? }),
        "claim" if !by.is_empty() => Some(Hold::Claim { name, owner: by.to_owned() }),
        _ => None,
    }
}

/// The first word, and what follows it after white space.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn expectation(text: &str) -> Option<Expect> {
    if let Some(value) = text.strip_prefix('=') {
        return Some(Expect::Value(bytes(value)));
    }
    match text.trim_end() {
        "absent" => Some(Expect::Absent),
        "present" => Some(Expect::Present),
        other => {
            let revision = other.strip_prefix('@')?.parse().ok()?;
            Some(Expect::Revision(Revision::new(revision)))
        }
    }
}

fn show(output: Output, names: &[Bytes], done: Done) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Answer {
        schema: &'static str,
        done: bool,
        revision: Option<u64>,
        /// Which requirement did not hold, from 1: those of keys, then what had to be held.
        failed: Option<u32>,
        /// In the order asked; `null` for what does not exist.
        reads: Vec<Option<Shown>>,
    }
    let (revision, failed, reads) = match done {
        Done::Done { revision, reads } => (Some(revision.get()), None, reads),
        Done::Refused { failed, reads } => (None, Some(failed.saturating_add(1)), reads),
    };
    let done = failed.is_none();
    let reads = names.iter().zip(&reads);
    match output {
        Output::Json | Output::Jsonl => {
            let reads = reads.map(|(key, found)| Some(Shown::new(key, found.as_ref()?, false)));
            let (schema, reads) = ("synod.kv.multi/1", reads.collect());
            print::json(&Answer { schema, done, revision, failed, reads })?;
        }
        Output::Text => {
            let head = match (revision, failed) {
                (Some(at), _) => format!("done at revision {at}"),
                (None, place) => {
                    format!("refused: requirement {} did not hold", place.unwrap_or_default())
                }
            };
            let found = reads.map(|(key, found)| match found {
                Some(entry) => format!("{}\t{}", print::escaped(key), print::escaped(&entry.value)),
                None => format!("{}\tdoes not exist", print::escaped(key)),
            });
            let lines: Vec<_> = std::iter::once(head).chain(found).collect();
            print::lines(&lines.join("\n"))?;
        }
    }
    if done { Ok(()) } else { Err(Failure::silent(Code::No)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_the_language_is_read() {
        let multi = parse(
            "require a absent\nrequire b present \nrequire c =7\nrequire d @12\n\
             require e =two words\nheld lock l 9\nheld claim n o p\nheld election e 8\nlease 5\n\
             \n  put a two  words\nput b  \u{e9}\ndel c\nget d\n",
        )
        .unwrap();
        let expects: Vec<_> = multi.guards.into_iter().map(|guard| guard.expect).collect();
        let value = |text: &'static str| Expect::Value(text.into());
        let twelve = Expect::Revision(Revision::new(12));
        let expected = [Expect::Absent, Expect::Present, value("7"), twelve, value("two words")];
        assert_eq!(expects, expected);
        let held = [
            Hold::Lock { name: Name::new("l"), token: Revision::new(9) },
            Hold::Claim { name: Name::new("n"), owner: "o p".to_owned() },
            Hold::Incumbent { election: Name::new("e"), token: Revision::new(8) },
        ];
        assert_eq!((multi.holds.as_slice(), multi.lease), (&held[..], Some(LeaseId::new(5))));
        let put = |key: &'static str, value: &'static str| Mutation::Put {
            key: key.into(),
            value: value.into(),
        };
        let delete = Mutation::Delete { key: "c".into() };
        assert_eq!(multi.mutations, [put("a", "two  words"), put("b", "\u{e9}"), delete]);
        assert_eq!(multi.reads, ["d"]);
    }

    #[test]
    fn a_line_that_is_no_step_is_named_and_nothing_is_sent() {
        let lines = ["put a", "put a ", "put", "require a maybe", "require a", "drop a", "get"];
        let others = ["require a @x", "get a b", "del", "held lock a", "held claim a", "lease x"];
        for wrong in lines.into_iter().chain(others).chain(["held key a 1", "lease"]) {
            let error = parse(&format!("get a\n{wrong}\n")).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{wrong}: {error}");
        }
    }
}
