//! Two PostgreSQL servers with streaming replication, as `config/postgres/synod-pg` runs them.

use std::{
    fmt::Write,
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};

use super::{
    super::scene::write,
    pair::{ELECTION, NAMES},
    rows::{Row, Rows, Stored},
    seat::{Seat, Seats},
    session::Session,
};
use crate::exit::{Code, Failure};

/// The script that a user gives to `synod election run`, and what it asks the database to check.
const SCRIPT: &str = include_str!("../../../../../config/postgres/synod-pg");
const GUARD: &str = include_str!("../../../../../config/postgres/guard.sql");
/// The oldest that is supported.
const VERSION_MIN: u32 = 15;
/// Whom a server is run as where root runs this: it refuses to run as root.
const ROOTS_USER: &str = "postgres";
/// How long a writer waits for an answer before it thinks the server gone.
const WITHIN: Duration = Duration::from_secs(2);
/// Between two rows, and two tries.
const PACE: Duration = Duration::from_millis(5);

/// Rows that both servers have before anybody is told, and rows that the primary has.
const TABLES: &str = "create table kept (n bigint primary key, token bigint); \
    create table beats (n bigint primary key, token bigint);";

/// PostgreSQL as it is installed here.
#[derive(Clone, Debug)]
pub(super) struct Installed {
    bin: PathBuf,
    pub(super) version: u32,
    /// Whom the servers are run as, in the system and in the database.
    user: String,
    /// That user's and its group's number, if it is not who runs this.
    owner: Option<(u32, u32)>,
}

impl Installed {
    /// What is there, or what is lacking.
    pub(super) fn find() -> Result<Installed, String> {
        let places = ["/usr/lib/postgresql", "/usr"].map(Path::new);
        let listed = places.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten());
        let listed = listed.flatten().map(|version| version.path().join("bin"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = listed.chain(std::env::split_paths(&path));
        let found = found.filter(|bin| bin.join("pg_rewind").is_file());
        let found = found.filter_map(|bin| Some((version(&bin)?, bin))).max();
        let (version, bin) = found.ok_or("no PostgreSQL server is installed")?;
        if version < VERSION_MIN {
            return Err(format!("PostgreSQL {version} is older than {VERSION_MIN}"));
        }
        if id("-u", None).as_deref() != Some("0") {
            let user = id("-un", None).ok_or("nobody knows who runs this")?;
            return Ok(Installed { bin, version, user, owner: None });
        }
        let number = |what| id(what, Some(ROOTS_USER))?.parse().ok();
        let owner = number("-u").zip(number("-g"));
        let owner = owner.ok_or(format!("there is no user {ROOTS_USER} to run a server as"))?;
        if Command::new("setpriv").arg("--version").output().is_err() {
            return Err("there is no setpriv to run a server without root's rights".to_owned());
        }
        Ok(Installed { bin, version, user: ROOTS_USER.to_owned(), owner: Some(owner) })
    }
}

impl Installed {
    /// A session with the server at an address.
    fn psql(&self, password: &str, address: &str) -> tokio::process::Command {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let user = &self.user;
        let whom = format!("host={host} port={port} user={user} dbname=postgres connect_timeout=2");
        let mut psql = tokio::process::Command::new(self.bin.join("psql"));
        psql.args(["-d", &whom]).env("PGPASSWORD", password);
        psql
    }
}

/// The major version of the server in a directory of programs.
fn version(bin: &Path) -> Option<u32> {
    let said = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

fn id(what: &str, user: Option<&str>) -> Option<String> {
    let said = Command::new("id").arg(what).args(user).output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    (!said.is_empty()).then_some(said)
}

/// Both servers.
pub(super) struct Servers {
    installed: Installed,
    dir: PathBuf,
    ports: [u16; 2],
    /// A server that listens on loopback is everybody's on this machine to try.
    password: String,
    numbers: Arc<AtomicU64>,
}

impl Servers {
    /// Their places below `dir`; nothing runs yet.
    pub(super) fn at(dir: &Path, installed: Installed) -> Result<Servers, Failure> {
        let mut password = String::new();
        for _ in 0..4 {
            // A String takes whatever it is given.
            let _ = write!(password, "{:016x}", fastrand::u64(..));
        }
        let ports = [free_port()?, free_port()?];
        let (dir, numbers) = (dir.to_path_buf(), Arc::default());
        let servers = Servers { installed, dir, ports, password, numbers };
        servers.lay_out().map_err(|error| failed(&servers.dir, &error))?;
        write(&servers.dir.join("guard.sql"), GUARD)?;
        Ok(servers)
    }

    /// Their owner finds the way to its data, and nobody else to the password.
    fn lay_out(&self) -> std::io::Result<()> {
        let script = self.script();
        fs::write(&script, SCRIPT)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let password = self.dir.join("pg.password");
        fs::write(&password, "")?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
        fs::write(&password, &self.password)?;
        if let Some((user, group)) = self.installed.owner {
            chown(&password, Some(user), Some(group))?;
            fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o711))?;
        }
        Ok(())
    }

    pub(super) fn script(&self) -> PathBuf {
        self.dir.join("synod-pg")
    }

    pub(super) fn version(&self) -> u32 {
        self.installed.version
    }

    pub(super) fn address(&self, place: usize) -> String {
        format!("127.0.0.1:{}", self.ports[place])
    }

    /// What the script is told of the server in this place.
    pub(super) fn environment(&self, place: usize) -> Vec<(&'static str, String)> {
        vec![
            ("SYNOD_PG_DATA", self.dir.join(NAMES[place]).display().to_string()),
            ("SYNOD_PG_BIN", self.installed.bin.display().to_string()),
            ("SYNOD_PG_HOST", "127.0.0.1".to_owned()),
            ("SYNOD_PG_PORT", self.ports[place].to_string()),
            ("SYNOD_PG_USER", self.installed.user.clone()),
            ("PGPASSWORD", self.password.clone()),
        ]
    }

    /// The first server, empty.
    pub(super) async fn found(&self) -> Result<(), Failure> {
        let password = format!("--pwfile={}", self.dir.join("pg.password").display());
        self.make(0, &["init", &password]).await
    }

    /// The second, as a copy of the first, which runs.
    pub(super) async fn copy(&self) -> Result<(), Failure> {
        self.make(1, &["clone", &self.address(0)]).await
    }

    async fn make(&self, place: usize, args: &[&str]) -> Result<(), Failure> {
        let made = tokio::process::Command::new(self.script())
            .args(args)
            .envs(self.environment(place))
            .env("SYNOD_CANDIDATE", NAMES[place])
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed(&self.script(), &error))?;
        if made.status.success() {
            return Ok(());
        }
        let failure = Failure::new(Code::Machine, "SYN-DEMO-003", "PostgreSQL cannot be set up");
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        let last: Vec<_> = said.lines().rev().take(5).collect();
        let failure = last.into_iter().rev().fold(failure, Failure::detail);
        Err(failure.hint("`--child file` needs no PostgreSQL"))
    }

    /// The tables, on both.
    pub(super) async fn prepare(&self, patience: Duration) -> Option<()> {
        self.open(&self.address(0))?.ask(TABLES, patience).await.map(drop)
    }

    fn open(&self, address: &str) -> Option<Session> {
        Session::open(self.installed.psql(&self.password, address))
    }

    /// Writes to whoever is primary, for as long as what is returned is held: rows that both have,
    /// and rows that show that there is a primary.
    pub(super) fn written(&self, seats: &Seats, rows: &Rows) -> JoinSet<()> {
        let mut writers = JoinSet::new();
        for kept in [true, false] {
            let writer = Writer {
                installed: self.installed.clone(),
                password: self.password.clone(),
                numbers: Arc::clone(&self.numbers),
                kept,
                rows: rows.clone(),
            };
            writers.spawn(writer.write(seats.clone()));
        }
        writers
    }

    /// What a server has of the rows that must be kept.
    pub(super) async fn read(&self, place: usize) -> Option<Vec<Stored>> {
        let mut session = self.open(&self.address(place))?;
        let rows = session.ask("select n || ' ' || token from kept;", WITHIN * 5).await?;
        let row = |line: &String| {
            let (number, token) = line.split_once(' ')?;
            Some(Stored { number: number.parse().ok()?, token: token.parse().ok()? })
        };
        Some(rows.iter().filter_map(row).collect())
    }
}

/// Who writes rows of one kind.
struct Writer {
    installed: Installed,
    password: String,
    numbers: Arc<AtomicU64>,
    kept: bool,
    rows: Rows,
}

impl Writer {
    async fn write(self, mut seats: Seats) {
        loop {
            let Some(seat) = seats.after(0, WITHIN).await else { continue };
            let address = seat.address.as_deref().unwrap_or_default();
            if let Some(session) = Session::open(self.installed.psql(&self.password, address)) {
                self.write_to(&seat, session, &seats).await;
            }
            sleep(PACE).await;
        }
    }

    /// Until a row is not acknowledged, or another is primary.
    async fn write_to(&self, seat: &Seat, mut session: Session, seats: &Seats) {
        while seats.latest().is_some_and(|latest| latest.token == seat.token) {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let (began, token) = (Instant::now(), seat.token);
            if session.ask(&self.sql(number, token), WITHIN).await.is_none() {
                return;
            }
            let row = Row { number, token, began, ended: Instant::now(), kept: self.kept };
            self.rows.enter(row);
            sleep(PACE).await;
        }
    }

    fn sql(&self, number: u64, token: u64) -> String {
        let (commit, table) = if self.kept { ("on", "kept") } else { ("local", "beats") };
        format!(
            "begin; set local synchronous_commit = {commit}; \
             select synod_guard('{ELECTION}', {token}); \
             insert into {table} values ({number}, {token}); commit;"
        )
    }
}

/// One that the system gives to nobody of its own accord, as it is needed again and again.
fn free_port() -> Result<u16, Failure> {
    const ATTEMPTS_MAX: usize = 100;
    let draw = || {
        let port = fastrand::u16(10_000..30_000);
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    };
    (0..ATTEMPTS_MAX).find_map(|_| draw()).ok_or_else(|| {
        Failure::new(Code::Machine, "SYN-DEMO-004", "no free port on loopback was found")
    })
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::Machine, "SYN-DEMO-002", format!("{}: {error}", path.display()))
}
