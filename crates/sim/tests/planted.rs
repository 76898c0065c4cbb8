//! The table of planted bugs stays true to the code.

#[path = "planted/table.rs"]
mod table;

use std::{fs, path::PathBuf};

use table::TABLE;

/// Every line of the table of planted bugs still stands in the product, exactly once: who changes
/// one, changes the table and lets the simulator find it again.
#[test]
fn every_planted_line_stands_once_in_the_product() {
    let crates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for planted in TABLE {
        for edit in planted.edits {
            let text = fs::read_to_string(crates.join(edit.file)).unwrap();
            let times = text.matches(edit.line).count();
            assert_eq!(times, 1, "{}: {} in {}", planted.name, edit.line, edit.file);
            assert_ne!(edit.line, edit.without, "{}", planted.name);
        }
    }
}
