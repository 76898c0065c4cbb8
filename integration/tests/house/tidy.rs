//! Signs that a room has two purposes: files and lines that grow past what reads well. And what has
//! no place in a public repository.

use std::{collections::BTreeSet, fs, process::Command};

use crate::{files, shown, top};

const LINE_CHARS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 600;

fn rust_files() -> Vec<std::path::PathBuf> {
    ["crates", "integration", "bench"].into_iter().flat_map(|folder| files(folder, "rs")).collect()
}

#[test]
fn no_line_is_wider_than_a_screen() {
    let mut wide = Vec::new();
    for path in rust_files() {
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.chars().count() > LINE_CHARS_MAX {
                wide.push(format!("{}:{}", shown(&path), number + 1));
            }
        }
    }
    assert!(wide.is_empty(), "more than {LINE_CHARS_MAX} characters: {wide:#?}");
}

#[test]
fn no_file_is_longer_than_one_purpose() {
    for path in rust_files() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= FILE_LINES_MAX, "{}: {lines} lines", shown(&path));
    }
}

/// A document that nothing points at is read by nobody and soon wrong.
#[test]
fn every_document_is_linked_from_the_readme_or_the_architecture() {
    let entry = ["README.md", "ARCHITECTURE.md"]
        .map(|name| fs::read_to_string(top().join(name)).unwrap())
        .concat();
    for path in files("docs", "md") {
        let name = shown(&path);
        assert!(entry.contains(&name), "{name} is linked from nowhere");
    }
}

/// A link that leads nowhere is worse than none.
#[test]
fn every_relative_link_of_a_document_leads_somewhere() {
    let mut documents = files("docs", "md");
    documents.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|n| top().join(n)));
    for path in documents {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                let found = path.parent().unwrap().join(target);
                assert!(found.exists(), "{}: link to {link}", shown(&path));
            }
        }
    }
}

/// Keys and databases are made, never shipped.
#[test]
fn no_key_and_no_database_is_tracked() {
    let output = Command::new("git").arg("ls-files").current_dir(top()).output();
    let Ok(output) = output else { return };
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let bad: BTreeSet<_> = listed
        .lines()
        .filter(|name| [".key", ".pem", ".p12", ".redb"].iter().any(|end| name.ends_with(end)))
        .collect();
    assert!(bad.is_empty(), "tracked: {bad:?}");
}
