//! docs/bad-input.md says which test proves what. A test that is gone proves nothing.

use std::{collections::BTreeSet, fs};

use crate::{files, top};

#[test]
fn every_test_that_the_page_of_bad_input_names_exists() {
    let page = fs::read_to_string(top().join("docs/bad-input.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let cells = rows.filter_map(|row| row.rsplit('|').nth(1));
    let named: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 60, "it names {} tests only", named.len());
    let sources: Vec<String> = ["crates", "integration"]
        .into_iter()
        .flat_map(|folder| files(folder, "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for name in named {
        let is_there = sources.iter().any(|source| source.contains(&format!("fn {name}(")));
        assert!(is_there, "no test is called {name}");
    }
}
