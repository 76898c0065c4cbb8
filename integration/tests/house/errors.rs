//! The words that an error ends with can be looked up, and mean one thing.

use std::{collections::BTreeSet, fs};

use crate::{files, top};

/// Every `SYN-KIND-NUMBER` in `text`.
fn words(text: &str) -> BTreeSet<String> {
    let parts = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-'));
    parts.filter(|word| word.starts_with("SYN-")).map(str::to_owned).collect()
}

#[test]
fn every_word_of_an_error_stands_in_the_page_of_errors_and_no_other() {
    let page = fs::read_to_string(top().join("docs/errors.md")).unwrap();
    let said: BTreeSet<String> = files("crates/synod/src", "rs")
        .into_iter()
        .flat_map(|path| words(&fs::read_to_string(path).unwrap()))
        .collect();
    assert!(said.len() > 30, "{said:?}");
    let missing: Vec<_> = said.difference(&words(&page)).cloned().collect();
    let stale: Vec<_> = words(&page).difference(&said).cloned().collect();
    assert!(missing.is_empty(), "docs/errors.md does not explain {missing:?}");
    assert!(stale.is_empty(), "docs/errors.md explains what nobody says: {stale:?}");
}
