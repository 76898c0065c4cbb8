//! ARCHITECTURE.md walks one command and one transaction through the crates and names the
//! functions. A name that no longer exists would send the reader nowhere.

use std::fs;

use crate::{files, top};

/// Everything in backticks that ends in `()` is a function, of its type where one is named:
/// `` `Peer::step()` ``, `` `admit()` ``.
fn functions_named(section: &str) -> Vec<String> {
    section
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.strip_suffix("()"))
        .map(str::to_owned)
        .collect()
}

fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let start = text.find(title).unwrap_or_else(|| panic!("no section {title:?}"));
    let rest = &text[start + title.len()..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

#[test]
fn every_function_that_the_walks_name_exists() {
    let text = fs::read_to_string(top().join("ARCHITECTURE.md")).unwrap();
    let sources: Vec<String> = ["crates", "bench"]
        .into_iter()
        .flat_map(|folder| files(folder, "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for title in ["## The way of one command", "## The way of one transaction"] {
        let names = functions_named(section(&text, title));
        assert!(names.len() >= 8, "{title}: names only {names:?}");
        for name in names {
            let (owner, function) = match name.rsplit_once("::") {
                Some((owner, function)) => (Some(owner), function),
                None => (None, name.as_str()),
            };
            let found = sources.iter().any(|source| {
                let has = |text: String| source.contains(&text);
                let defined = has(format!("fn {function}(")) || has(format!("fn {function}<"));
                defined && owner.is_none_or(|owner| has(format!("impl {owner} {{")))
            });
            assert!(found, "{title}: `{name}()` does not exist");
        }
    }
}
