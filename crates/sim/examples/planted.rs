//! Removes one line at a time from a copy of the workspace and lets the simulator find it:
//! `cargo run --release -p synod-sim --example planted [WORD OF A NAME]`. The output is the table
//! of `docs/planted-bugs.md`.

#![allow(clippy::print_stdout, reason = "a program whose output is its purpose")]

#[path = "../tests/planted/table.rs"]
mod table;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use table::{Planted, TABLE};

/// Seeds that a bug may hide for.
const SEEDS: &str = "5000";

/// What the copy needs of the workspace.
const PARTS: [&str; 6] =
    ["Cargo.toml", "Cargo.lock", "clippy.toml", "crates", "integration", "bench"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let copy = std::env::temp_dir().join(format!("synod-planted-{}", std::process::id()));
    let wanted = std::env::args().nth(1).unwrap_or_default();
    println!("| removed | caught by | what was seen | seeds |\n|---|---|---|---:|");
    for planted in TABLE.iter().filter(|planted| planted.name.contains(&wanted)) {
        fs::create_dir_all(&copy)?;
        for part in PARTS {
            copy_all(&root.join(part), &copy.join(part))?;
        }
        let found = plant(&copy, planted).and_then(|()| hunt(&root, &copy));
        fs::remove_dir_all(&copy)?;
        println!("| {} | {} |", planted.name, found?);
    }
    Ok(())
}

fn plant(copy: &Path, planted: &Planted) -> Result<(), Box<dyn Error>> {
    for edit in planted.edits {
        let file = copy.join("crates").join(edit.file);
        let text = fs::read_to_string(&file)?;
        if text.matches(edit.line).count() != 1 {
            return Err(format!("{}: not once in {}", planted.name, edit.file).into());
        }
        fs::write(&file, text.replace(edit.line, edit.without))?;
    }
    Ok(())
}

/// Runs universes in the copy until one fails: the rest of the table's row.
fn hunt(root: &Path, copy: &Path) -> Result<String, Box<dyn Error>> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--offline", "-p", "synod-sim"])
        .args(["--example", "universes", "--", "first", SEEDS])
        .env("CARGO_TARGET_DIR", root.join("target/planted"))
        .current_dir(copy)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.lines().find_map(|line| line.strip_prefix("seed ")) {
        Some(line) => {
            let (seed, seen) = line.split_once(": ").unwrap_or((line, ""));
            let (invariant, what) = seen.split_once(": ").unwrap_or((seen, ""));
            let what: String = what.chars().take(90).collect();
            Ok(format!("{invariant} | {} | {seed}", what.replace('|', "/")))
        }
        None if output.status.success() => Ok(format!("**nothing** | | > {SEEDS}")),
        None => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

fn copy_all(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_name() != "target" {
                copy_all(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
    } else if from.exists() {
        fs::copy(from, to)?;
    }
    Ok(())
}
