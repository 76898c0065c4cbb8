//! A real PostgreSQL pair under Synod: whoever dies, is stopped or cut off, the other is primary
//! soon, never both, and no row that was acknowledged is lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it measured is of interest")]
#![cfg(target_os = "linux")]

#[path = "postgres/ledger.rs"]
mod ledger;
#[path = "postgres/pair.rs"]
mod pair;
#[path = "postgres/programs.rs"]
mod programs;
#[path = "postgres/proxy.rs"]
mod proxy;
#[path = "postgres/session.rs"]
mod session;
#[path = "postgres/troubles.rs"]
mod troubles;

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use ledger::{Desk, Kind, Ledger};
use pair::{Pair, SERVERS};
use programs::Programs;
use proxy::Proxy;
use session::Session;
use troubles::Trouble;

const FAILOVERS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// One failover: what happened, and how long nobody could write.
struct Told {
    trouble: Trouble,
    gap: Duration,
}

#[test]
fn twenty_failovers_have_one_primary_at_a_time_and_lose_nothing_that_was_acknowledged() {
    let Some(programs) = Programs::find() else { return };
    let mut pair = Pair::start(programs);
    let proxy = Proxy::start(&pair, &pair.doors());
    let desk =
        Desk { programs: pair.programs.postgres.clone(), log: pair.cluster.path("psql.log") };
    let (_, token) = pair.incumbent().unwrap();
    prepare(&pair, &desk, token);
    let ledger = Ledger::default();
    ledger.latest.store(token, Ordering::Relaxed);
    let told = thread::scope(|scope| {
        let up_to_date = |ledger: &Ledger| ledger.latest.load(Ordering::Relaxed);
        for kind in [Kind::Ledger, Kind::Beat] {
            let (ledger, desk, address) = (&ledger, desk.clone(), proxy.address.clone());
            scope.spawn(move || ledger.write(&desk, &address, kind, up_to_date));
        }
        // Each of these goes straight to one server and is never told that another reigns: only the
        // server itself can stop it.
        for place in 0..SERVERS.len() {
            let (ledger, desk, address) = (&ledger, desk.clone(), pair.address(place).to_owned());
            let own = pair.reigned(place);
            scope.spawn(move || {
                ledger.write(&desk, &address, Kind::Ledger, |_| own.load(Ordering::Relaxed));
            });
        }
        let over = Over(&ledger);
        let round = |round| fail_over(&mut pair, &ledger, round);
        let told: Vec<_> = (0..FAILOVERS).map(round).collect();
        drop(over);
        told
    });
    let servers: Vec<_> = (0..SERVERS.len()).map(|place| rows(&pair, &desk, place)).collect();
    ledger.judge(&servers);
    report(&told, &ledger);
}

/// Ends the writers, also when the test fails.
struct Over<'a>(&'a Ledger);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

fn prepare(pair: &Pair, desk: &Desk, token: u64) {
    let (primary, _) = pair.incumbent().unwrap();
    let mut session = Session::open(&desk.programs, pair.address(primary), &desk.log);
    session.ask(ledger::TABLES, PATIENCE * 6).expect("both servers have the tables");
    pair.reigned(primary).store(token, Ordering::Relaxed);
}

fn fail_over(pair: &mut Pair, ledger: &Ledger, round: usize) -> Told {
    let trouble = Trouble::ALL[round % Trouble::ALL.len()];
    let mut incumbent = None;
    pair.eventually(&format!("round {round}: somebody is primary"), || {
        incumbent = pair.incumbent();
        incumbent.is_some()
    });
    let (primary, token) = incumbent.unwrap();
    let began = Instant::now();
    let repair = trouble.make(pair, primary);
    let mut next = None;
    pair.cluster.eventually(&format!("round {round}, {trouble:?}: another is granted"), || {
        next = pair.incumbent().filter(|(_, later)| *later > token);
        next.is_some()
    });
    let (promoted, next) = next.unwrap();
    assert_ne!(promoted, primary, "round {round}, {trouble:?}\n{}", pair.said());
    ledger.latest.store(next, Ordering::Relaxed);
    pair.reigned(promoted).store(next, Ordering::Relaxed);
    let what = format!("round {round}, {trouble:?}: {} is written to", SERVERS[promoted]);
    pair.eventually(&what, || ledger.reached(Kind::Beat, next));
    repair.make(pair, primary);
    let what = format!("round {round}, {trouble:?}: {} is a standby again", SERVERS[primary]);
    pair.eventually(&what, || ledger.reached(Kind::Ledger, next));
    Told { trouble, gap: ledger.longest_gap(began) }
}

/// What a server has in its ledger, once it has everything.
fn rows(pair: &Pair, desk: &Desk, place: usize) -> BTreeMap<u64, u64> {
    let mut session = Session::open(&desk.programs, pair.address(place), &desk.log);
    let rows = session.ask("select n || ' ' || token from ledger;", PATIENCE).unwrap();
    let row = |line: String| {
        let (number, token) = line.split_once(' ').unwrap();
        (number.parse().unwrap(), token.parse().unwrap())
    };
    rows.into_iter().map(row).collect()
}

fn report(told: &[Told], ledger: &Ledger) {
    let acknowledged = ledger.acknowledged(Kind::Ledger).len();
    println!("{} failovers, {acknowledged} rows acknowledged, none lost", told.len());
    for trouble in Trouble::ALL {
        let mut gaps: Vec<_> =
            told.iter().filter(|one| one.trouble == trouble).map(|one| one.gap).collect();
        gaps.sort();
        if let (Some(median), Some(most)) = (gaps.get(gaps.len() / 2), gaps.last()) {
            println!("{trouble:?}: nobody could write for {median:.1?} (median), {most:.1?} (max)");
        }
    }
}
