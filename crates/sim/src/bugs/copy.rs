//! A copy of the workspace in which every bug stands behind a switch. The product's own source has
//! no switch, so no build of it can hold a bug that is planted.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{row::Bug, splice::splice};

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

/// Makes the copy under `target`, builds its simulator, and returns the program. What has not
/// changed since the last time is not written again, so that cargo need not build it again.
pub(super) fn build(bugs: &[(usize, &Bug)]) -> Result<PathBuf, Box<dyn Error>> {
    let (top, copy) = (top(), top().join("target/planted"));
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
    let mut edits = by_file(bugs);
    for name in CRATES {
        let manifest = Path::new("crates").join(name).join("Cargo.toml");
        put(&manifest, &with_switch(&fs::read_to_string(top.join(&manifest))?))?;
        for file in sources(&top.join("crates").join(name).join("src"))? {
            let text = fs::read_to_string(&file)?;
            let place = file.strip_prefix(&top)?;
            let edits = edits.remove(place).unwrap_or_default();
            put(place, &splice(&text, &edits)?)?;
        }
    }
    if let Some(place) = edits.keys().next() {
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

fn by_file<'b>(bugs: &[(usize, &'b Bug)]) -> BTreeMap<PathBuf, Vec<(usize, &'b super::row::Edit)>> {
    let mut edits: BTreeMap<PathBuf, Vec<_>> = BTreeMap::new();
    for (number, bug) in bugs {
        for edit in bug.edits {
            edits.entry(Path::new("crates").join(edit.file)).or_default().push((*number, edit));
        }
    }
    edits
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
