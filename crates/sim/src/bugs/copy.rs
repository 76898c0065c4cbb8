//! A copy of the workspace in which every bug stands behind a switch. The product's own source has
//! no switch, so no build of it can hold a bug that is planted.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    row::Bug,
    splice::{Change, splice},
};

/// The crates that the simulator is made of.
const CRATES: [&str; 5] = ["paxos", "machine", "replica", "store", "sim"];

/// Who says which bug is planted.
pub(super) const PLANTED_ENV: &str = "SYNOD_PLANTED";

/// The crate that every other one of the copy may ask.
const SWITCH_CRATE: &str = r#"//! Which bug is planted: one a process.

use std::sync::LazyLock;

static PLANTED: LazyLock<Option<usize>> =
    LazyLock::new(|| std::env::var("SYNOD_PLANTED").ok()?.parse().ok());

/// Whether it is this one.
#[inline]
pub fn is(number: usize) -> bool {
    *PLANTED == Some(number)
}
"#;

const SWITCH_MANIFEST: &str = r#"[package]
name = "synod-planted"
version.workspace = true
edition.workspace = true
"#;

/// The top of the workspace.
pub(super) fn top() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    top.canonicalize().unwrap_or(top)
}

/// What is to be changed in each file, by its place in the workspace.
pub(super) type Changes<'e> = BTreeMap<PathBuf, Vec<Change<'e>>>;

/// Makes the copy `name` under `target`, builds its simulator, and returns the program. What has
/// not changed since the last time is not written again, so that cargo need not build it again.
pub(super) fn build(name: &str, mut changes: Changes<'_>) -> Result<PathBuf, Box<dyn Error>> {
    let (top, copy) = (top(), top().join("target").join(name));
    let mut kept = BTreeSet::new();
    let mut put = |place: &Path, text: &str| -> Result<(), Box<dyn Error>> {
        let path = copy.join(place);
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            fs::create_dir_all(path.parent().unwrap_or(&copy))?;
            fs::write(&path, text)?;
        }
        kept.insert(path);
        Ok(())
    };
    put(Path::new("Cargo.toml"), &workspace(&fs::read_to_string(top.join("Cargo.toml"))?))?;
    put(Path::new("crates/planted/Cargo.toml"), SWITCH_MANIFEST)?;
    put(Path::new("crates/planted/src/lib.rs"), SWITCH_CRATE)?;
    for name in CRATES {
        let manifest = Path::new("crates").join(name).join("Cargo.toml");
        put(&manifest, &with_switch(&fs::read_to_string(top.join(&manifest))?))?;
        for file in sources(&top.join("crates").join(name).join("src"))? {
            let text = fs::read_to_string(&file)?;
            let place = file.strip_prefix(&top)?;
            let changes = changes.remove(place).unwrap_or_default();
            let spliced = splice(&text, changes);
            put(place, &spliced.map_err(|error| format!("{}: {error}", place.display()))?)?;
        }
    }
    if let Some(place) = changes.keys().next() {
        return Err(format!("{}: the simulator does not run this file", place.display()).into());
    }
    // Files that have gone from the workspace go from the copy.
    for file in sources(&copy.join("crates"))?.into_iter().filter(|file| !kept.contains(file)) {
        fs::remove_file(file)?;
    }
    fs::copy(top.join("Cargo.lock"), copy.join("Cargo.lock"))?;
    // Under `cargo run` the same cargo builds the copy.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--offline", "-p", "synod-sim", "--bin", "synod-sim"])
        .args(["--config", "profile.release.debug=false"])
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .env("RUSTFLAGS", "--cap-lints allow")
        .current_dir(&copy)
        .status()?;
    match built.success() {
        true => Ok(copy.join("target/release/synod-sim")),
        false => Err("the copy does not build".into()),
    }
}

/// The changes of these bugs, in the order of their numbers.
pub(super) fn changes(bugs: &[(usize, &'static Bug)]) -> Result<Changes<'static>, Box<dyn Error>> {
    let (top, mut texts) = (top(), BTreeMap::new());
    let mut changes = Changes::new();
    for (number, bug) in bugs {
        for edit in bug.edits {
            let place = Path::new("crates").join(edit.file);
            if !texts.contains_key(&place) {
                texts.insert(place.clone(), fs::read_to_string(top.join(&place))?);
            }
            let at = edit.place(&texts[&place])?;
            let change = Change { at, number: *number, without: edit.without };
            changes.entry(place).or_default().push(change);
        }
    }
    Ok(changes)
}

/// The workspace's manifest, with only the copied crates as members.
fn workspace(manifest: &str) -> String {
    let rest = manifest.find("[workspace.package]").map_or("", |at| &manifest[at..]);
    let members: Vec<String> =
        CRATES.iter().chain(&["planted"]).map(|name| format!("\"crates/{name}\"")).collect();
    format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n{rest}", members.join(", "))
}

fn with_switch(manifest: &str) -> String {
    let to = "[dependencies]\nsynod-planted = { path = \"../planted\" }";
    manifest.replacen("[dependencies]", to, 1)
}

/// Every file with source below a directory.
pub(super) fn sources(below: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(below)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
