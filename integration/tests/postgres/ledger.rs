//! Who writes, and what was acknowledged: rows that both servers had on their disks before anybody
//! was told, each under a token that the server checked.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{pair::ELECTION, session::Session};

/// How long a writer waits for an answer before it thinks the server gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries to reach a server.
const PAUSE: Duration = Duration::from_millis(10);

/// The tables, and the first row.
pub(crate) const TABLES: &str = "create table ledger (n bigint primary key, token bigint); \
    create table beats (n bigint primary key, token bigint);";

/// One row that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) number: u64,
    pub(crate) token: u64,
    began: Instant,
    pub(crate) ended: Instant,
}

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Acknowledged when both servers have it: it must never be lost.
    Ledger,
    /// Acknowledged when the primary has it: that there is one.
    Beat,
}

impl Kind {
    fn sql(self, number: u64, token: u64) -> String {
        let (commit, table) = match self {
            Kind::Ledger => ("on", "ledger"),
            Kind::Beat => ("local", "beats"),
        };
        format!(
            "begin; set local synchronous_commit = {commit}; \
             select synod_guard('{ELECTION}', {token}); \
             insert into {table} values ({number}, {token}); commit;"
        )
    }
}

/// Where a writer finds the programs, and what it may say of its troubles.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) programs: PathBuf,
    pub(crate) log: PathBuf,
}

/// What all writers share.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) over: AtomicBool,
    /// The latest token that the cluster was heard to have granted.
    pub(crate) latest: AtomicU64,
    numbers: AtomicU64,
    rows: Mutex<Vec<Row>>,
    beats: Mutex<Vec<Row>>,
}

impl Ledger {
    /// Writes until it is over. `token` is what the writer believes at each moment: one that is up
    /// to date, or one that never hears that its server was deposed.
    pub(crate) fn write(
        &self,
        desk: &Desk,
        address: &str,
        kind: Kind,
        token: impl Fn(&Ledger) -> u64,
    ) {
        let mut session = None;
        while !self.over.load(Ordering::Relaxed) {
            let open =
                session.get_or_insert_with(|| Session::open(&desk.programs, address, &desk.log));
            let (number, token) = (self.numbers.fetch_add(1, Ordering::Relaxed), token(self));
            let began = Instant::now();
            match open.ask(&kind.sql(number, token), PATIENCE) {
                Some(_) => {
                    let row = Row { number, token, began, ended: Instant::now() };
                    self.list(kind).lock().unwrap().push(row);
                }
                None => {
                    session = None;
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    fn list(&self, kind: Kind) -> &Mutex<Vec<Row>> {
        match kind {
            Kind::Ledger => &self.rows,
            Kind::Beat => &self.beats,
        }
    }

    pub(crate) fn acknowledged(&self, kind: Kind) -> Vec<Row> {
        self.list(kind).lock().unwrap().clone()
    }

    /// Whether anything was acknowledged under a later token than this, or under this one.
    pub(crate) fn reached(&self, kind: Kind, token: u64) -> bool {
        self.list(kind).lock().unwrap().iter().any(|row| row.token >= token)
    }

    /// The longest time without a beat that overlaps what came after `from`.
    pub(crate) fn longest_gap(&self, from: Instant) -> Duration {
        let mut ends: Vec<_> = self.acknowledged(Kind::Beat).iter().map(|row| row.ended).collect();
        ends.sort();
        let gaps = ends.windows(2).filter(|pair| pair[1] >= from);
        gaps.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Judges what was acknowledged against what both servers have.
    pub(crate) fn judge(&self, servers: &[BTreeMap<u64, u64>]) {
        let rows = self.acknowledged(Kind::Ledger);
        for row in &rows {
            for (place, has) in servers.iter().enumerate() {
                assert_eq!(has.get(&row.number), Some(&row.token), "server {place} lost {row:?}");
            }
        }
        let mut all = [rows, self.acknowledged(Kind::Beat)].concat();
        all.sort_by_key(|row| row.ended);
        // Nothing is accepted under a token once anything was accepted under a later one.
        let mut latest: Vec<(Instant, u64)> = Vec::new();
        for row in &all {
            let before = latest.partition_point(|(ended, _)| *ended < row.began);
            let seen = before.checked_sub(1).map_or(0, |at| latest[at].1);
            assert!(seen <= row.token, "{row:?} was accepted after one under token {seen}");
            let highest = latest.last().map_or(0, |(_, token)| *token).max(row.token);
            latest.push((row.ended, highest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(rows: &[(u64, u64)]) -> Ledger {
        let (ledger, mut now) = (Ledger::default(), Instant::now());
        for (number, token) in rows {
            let ended = now + Duration::from_millis(2);
            let row = Row { number: *number, token: *token, began: now, ended };
            ledger.rows.lock().unwrap().push(row);
            now = ended + Duration::from_millis(1);
        }
        ledger
    }

    #[test]
    fn rows_that_all_have_under_tokens_that_grow_are_in_order() {
        let has = BTreeMap::from([(1, 5), (2, 5), (3, 9), (4, 9)]);
        ledger(&[(1, 5), (2, 5), (4, 9)]).judge(&[has.clone(), has]);
    }

    #[test]
    #[should_panic(expected = "server 1 lost Row { number: 2")]
    fn a_row_that_one_server_does_not_have_is_lost() {
        let has = BTreeMap::from([(1, 5), (2, 5)]);
        ledger(&[(1, 5), (2, 5)]).judge(&[has, BTreeMap::from([(1, 5)])]);
    }

    #[test]
    #[should_panic(expected = "was accepted after one under token 9")]
    fn a_row_under_an_earlier_token_after_a_later_one_is_a_second_primary() {
        let has = BTreeMap::from([(1, 9), (2, 5)]);
        ledger(&[(1, 9), (2, 5)]).judge(&[has.clone(), has]);
    }
}
