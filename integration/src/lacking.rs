use std::process::{Command, Stdio};

/// Whether a program is not there that a test needs. Where everything has to be there (`CI` is
/// set) that fails the test; elsewhere a line says what was not tested.
pub fn lacking(program: &str, flag: &str) -> bool {
    let there = Command::new(program)
        .arg(flag)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(there || std::env::var_os("CI").is_none(), "{program} is needed and not there");
    if !there {
        eprintln!("not tested: there is no {program} on this machine");
    }
    !there
}
