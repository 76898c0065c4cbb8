//! Tests that keep the house in order: who may depend on whom, what stays pure, how long a room may
//! grow, and that the documents still speak of code that exists.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "house/bad_input.rs"]
mod bad_input;
#[path = "house/edges.rs"]
mod edges;
#[path = "house/errors.rs"]
mod errors;
#[path = "house/purity.rs"]
mod purity;
#[path = "house/tidy.rs"]
mod tidy;
#[path = "house/walk.rs"]
mod walk;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The top of the repository.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every file below `folder` (relative to the top) whose name ends in `.extension`.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![top().join(folder)];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    todo.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no *.{extension} below {folder}: is the test in the right place?");
    found
}

/// `path` as a reader of the repository would name it.
fn shown(path: &Path) -> String {
    path.strip_prefix(top()).unwrap_or(path).display().to_string()
}
