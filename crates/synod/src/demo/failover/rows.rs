//! Rows that were acknowledged, and what must hold of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

/// One row that somebody was told to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) number: u64,
    /// Of the reign under which it was written.
    pub(super) token: u64,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    /// Whether it must never be lost; else it only shows that somebody is primary.
    pub(super) kept: bool,
}

/// One row as it is found in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) number: u64,
    pub(super) token: u64,
}

/// All that were acknowledged so far. Clones share them.
#[derive(Clone)]
pub(super) struct Rows {
    list: Arc<Mutex<Vec<Row>>>,
    /// Set anew with every row, so that whoever waits looks again.
    changed: Arc<watch::Sender<usize>>,
}

impl Rows {
    pub(super) fn new() -> Rows {
        let (changed, _) = watch::channel(0);
        Rows { list: Arc::default(), changed: Arc::new(changed) }
    }

    pub(super) fn enter(&self, row: Row) {
        // Rows are whole, whoever panicked beside them.
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(row);
        self.changed.send_modify(|version| *version += 1);
    }

    pub(super) fn all(&self) -> Vec<Row> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a row for which that holds; the first of them.
    pub(super) async fn first(
        &self,
        patience: Duration,
        holds: impl Fn(&Row) -> bool,
    ) -> Option<Row> {
        let mut changed = self.changed.subscribe();
        let look = async {
            loop {
                changed.mark_unchanged();
                if let Some(found) = self.all().iter().find(|row| holds(row)) {
                    return Some(*found);
                }
                changed.changed().await.ok()?;
            }
        };
        timeout(patience, look).await.ok().flatten()
    }

    /// When the last was acknowledged under this token.
    pub(super) fn last_under(&self, token: u64) -> Option<Instant> {
        self.all().iter().filter(|row| row.token == token).map(|row| row.ended).max()
    }
}

/// Those that must be in a store and are not, or under another token.
pub(super) fn lost(acknowledged: &[Row], store: &[Stored]) -> Vec<u64> {
    let found: BTreeMap<_, _> = store.iter().map(|row| (row.number, row.token)).collect();
    let kept = acknowledged.iter().filter(|row| row.kept);
    kept.filter(|row| found.get(&row.number) != Some(&row.token)).map(|row| row.number).collect()
}

/// Whatever was acknowledged under a token after a row under a later one had been: a second primary
/// that nothing stopped.
pub(super) fn out_of_turn(mut acknowledged: Vec<Row>) -> Vec<String> {
    acknowledged.sort_by_key(|row| row.ended);
    let mut complaints = Vec::new();
    // The latest token at the end of each row.
    let mut latest: Vec<(Instant, u64)> = Vec::new();
    for row in &acknowledged {
        let before = latest.partition_point(|(ended, _)| *ended < row.began);
        let seen = before.checked_sub(1).map_or(0, |at| latest[at].1);
        if seen > row.token {
            let Row { number, token, .. } = row;
            complaints
                .push(format!("row {number} was taken under token {token}, after token {seen}"));
        }
        let highest = latest.last().map_or(0, |(_, token)| *token).max(row.token);
        latest.push((row.ended, highest));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each takes two milliseconds, one after the other.
    fn rows(written: &[(u64, u64)]) -> Vec<Row> {
        let start = Instant::now();
        let at = |step: usize| start + Duration::from_millis(step as u64);
        let row = |(step, (number, token)): (usize, &(u64, u64))| {
            let (began, ended) = (at(3 * step), at(3 * step + 2));
            Row { number: *number, token: *token, began, ended, kept: true }
        };
        written.iter().enumerate().map(row).collect()
    }

    fn store(written: &[(u64, u64)]) -> Vec<Stored> {
        written.iter().map(|(number, token)| Stored { number: *number, token: *token }).collect()
    }

    #[test]
    fn a_row_that_is_not_there_or_is_anothers_is_lost() {
        let acknowledged = rows(&[(1, 5), (2, 5), (3, 9)]);
        assert_eq!(lost(&acknowledged, &store(&[(1, 5), (2, 5), (3, 9), (4, 9)])), [0; 0]);
        assert_eq!(lost(&acknowledged, &store(&[(1, 5), (3, 9)])), [2]);
        assert_eq!(lost(&acknowledged, &store(&[(1, 5), (2, 9), (3, 9)])), [2]);
    }

    #[test]
    fn a_row_that_only_shows_life_may_be_lost() {
        let mut acknowledged = rows(&[(1, 5)]);
        acknowledged[0].kept = false;
        assert_eq!(lost(&acknowledged, &[]), [0; 0]);
    }

    #[test]
    fn an_earlier_token_after_a_later_one_is_a_second_primary() {
        assert_eq!(out_of_turn(rows(&[(1, 5), (2, 5), (3, 9), (4, 9)])), [""; 0]);
        let complaints = out_of_turn(rows(&[(1, 5), (2, 9), (3, 5)]));
        assert_eq!(complaints, ["row 3 was taken under token 5, after token 9"]);
    }

    /// Which of two that were under way at once came first nobody can say.
    #[test]
    fn rows_that_overlap_may_come_in_any_order() {
        let mut both = rows(&[(1, 9), (2, 5)]);
        both[1].began = both[0].began;
        assert_eq!(out_of_turn(both), [""; 0]);
    }
}
