use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The path of the `synod` binary, built from this very source in the profile of the tests.
///
/// Cargo hands the path of a binary only to tests of its own package, so this asks cargo again;
/// when nothing changed that costs a fraction of a second, once per test program.
pub fn synod() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--locked", "--package", "synod", "--bin", "synod"]);
        command.args(["--message-format", "json-render-diagnostics"]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        // What cargo told this program of its own package is none of that build's business: build
        // scripts that look at it would run again, and everything above them be compiled anew.
        for (name, _) in std::env::vars_os() {
            let of_a_package = ["CARGO_PKG_", "CARGO_MANIFEST_"];
            if of_a_package.iter().any(|of| name.as_encoded_bytes().starts_with(of.as_bytes())) {
                command.env_remove(name);
            }
        }
        let output = command.output().expect("cargo runs these tests, so it can be run");
        assert!(
            output.status.success(),
            "building synod failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        executable(&messages).expect("cargo names the binary that it built")
    })
}

fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .next_back()
}
