//! The little language of `synod kv multi`, one step a line.

use serde::Serialize;
use synod_client::{
    Multi as Done,
    machine::{Expect, Guard, Multi, Mutation, Revision},
};

use crate::{
    cli::Output,
    exit::{Code, Failure},
    print,
};

#[derive(Serialize)]
struct Shown {
    schema: &'static str,
    done: bool,
    revision: Option<u64>,
    failed: Option<u32>,
    reads: Vec<(String, Option<String>)>,
}

/// Reads the steps; the names are those of the keys to read, in order.
pub(crate) fn parse(text: &str) -> Result<(Multi, Vec<String>), Failure> {
    let (mut multi, mut names) = (Multi::default(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let words: Vec<_> = line.split_whitespace().collect();
        let key = |key: &str| bytes::Bytes::copy_from_slice(key.as_bytes());
        match words[..] {
            [] => {}
            ["require", name, expected] => {
                let expect = expectation(expected).ok_or_else(|| wrong(number, line))?;
                multi.guards.push(Guard { key: key(name), expect });
            }
            ["put", name, _, ..] => {
                // The value is the rest of the line, spaces and all.
                let rest = line.trim_start().strip_prefix("put").unwrap_or_default().trim_start();
                let value = rest.strip_prefix(name).unwrap_or_default().trim_start();
                multi.mutations.push(Mutation::Put { key: key(name), value: key(value) });
            }
            ["del", name] => multi.mutations.push(Mutation::Delete { key: key(name) }),
            ["get", name] => {
                multi.reads.push(key(name));
                names.push(name.to_owned());
            }
            _ => return Err(wrong(number, line)),
        }
    }
    Ok((multi, names))
}

fn expectation(text: &str) -> Option<Expect> {
    match text {
        "absent" => Some(Expect::Absent),
        "present" => Some(Expect::Present),
        _ => match text.strip_prefix('@') {
            Some(revision) => revision.parse().ok().map(|at| Expect::Revision(Revision::new(at))),
            None => Some(Expect::Value(text.strip_prefix('=')?.to_owned().into_bytes().into())),
        },
    }
}

fn wrong(number: usize, line: &str) -> Failure {
    let what = format!("line {}: {line:?} is no step; nothing was sent", number + 1);
    Failure::new(Code::Usage, "SYN-KV-005", what)
        .hint("require KEY absent|present|=VALUE|@REVISION · put KEY VALUE · del KEY · get KEY")
}

/// Shows what came of it; exit 1 when a requirement did not hold.
pub(crate) fn show(output: Output, names: &[String], done: Done) -> Result<(), Failure> {
    let (revision, failed, reads) = match done {
        Done::Done { revision, reads } => (Some(revision.get()), None, reads),
        Done::Refused { failed, reads } => (None, Some(failed), reads),
    };
    let values = reads.iter().map(|entry| entry.as_ref().map(|e| print::escaped(&e.value)));
    let reads: Vec<_> = names.iter().cloned().zip(values).collect();
    let done = failed.is_none();
    match output {
        Output::Json => {
            print::json(&Shown { schema: "synod.kv.multi/1", done, revision, failed, reads })?;
        }
        Output::Text => {
            let head = match (revision, failed) {
                (Some(at), _) => format!("done at revision {at}"),
                (None, place) => {
                    format!("refused: requirement {} did not hold", place.unwrap_or_default() + 1)
                }
            };
            let found = reads.iter().map(|(name, value)| match value {
                Some(value) => format!("{name}\t{value}"),
                None => format!("{name}\tabsent"),
            });
            let lines: Vec<_> = std::iter::once(head).chain(found).collect();
            print::lines(&lines.join("\n"))?;
        }
    }
    if done { Ok(()) } else { Err(Failure::silent_no()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_the_language_is_read() {
        let (multi, names) = parse(
            "require a absent\nrequire b present\nrequire c =7\nrequire d @12\n\n\
             put a two  words\ndel b\nget c\n",
        )
        .unwrap();
        let expects: Vec<_> = multi.guards.into_iter().map(|guard| guard.expect).collect();
        let seven = Expect::Value("7".into());
        let twelve = Expect::Revision(Revision::new(12));
        assert_eq!(expects, [Expect::Absent, Expect::Present, seven, twelve]);
        assert_eq!(
            multi.mutations,
            [
                Mutation::Put { key: "a".into(), value: "two  words".into() },
                Mutation::Delete { key: "b".into() }
            ]
        );
        assert_eq!(names, ["c"]);
    }

    #[test]
    fn a_line_that_is_no_step_is_named_and_nothing_is_sent() {
        for wrong in ["put a", "require a maybe", "drop a", "get", "require a @x"] {
            let error = parse(&format!("get a\n{wrong}\n")).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{wrong}: {error}");
        }
    }
}
