//! PostgreSQL's and HAProxy's programs: of the system, looked up.

use std::path::{Path, PathBuf};

/// Where they are.
pub(crate) struct Programs {
    /// The directory of PostgreSQL's.
    pub(crate) postgres: PathBuf,
    pub(crate) haproxy: PathBuf,
}

/// Where servers are installed that are not on everybody's path.
const PLACES: [&str; 3] = ["/usr/lib/postgresql", "/usr/sbin", "/usr/local/sbin"];

impl Programs {
    /// The programs, or what is lacking. On a server that checks commits nothing may lack.
    pub(crate) fn find() -> Option<Programs> {
        let found = Programs::look();
        if let Err(lacking) = &found {
            assert!(std::env::var_os("CI").is_none(), "this test lacks {lacking}");
            eprintln!("not run: this test lacks {lacking}");
        }
        found.ok()
    }

    fn look() -> Result<Programs, &'static str> {
        let postgres = std::fs::read_dir(PLACES[0]).into_iter().flatten().filter_map(Result::ok);
        let postgres = postgres.map(|version| version.path().join("bin"));
        let postgres = postgres.chain(on_path()).filter(|bin| bin.join("pg_rewind").is_file());
        let haproxy = on_path().chain(PLACES.map(PathBuf::from)).map(|bin| bin.join("haproxy"));
        Ok(Programs {
            postgres: postgres.max().ok_or("PostgreSQL's server (Debian: postgresql)")?,
            haproxy: haproxy.into_iter().find(|at| at.is_file()).ok_or("haproxy")?,
        })
    }
}

fn on_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// The script that a user gives to `synod election run`.
pub(crate) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/postgres/synod-pg")
}
