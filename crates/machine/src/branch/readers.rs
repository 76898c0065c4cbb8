//! Reads that wait for transactions in doubt.

use std::collections::BTreeSet;

use super::{Branches, Moment};
use crate::{
    TxnId,
    door::NotApplied,
    participant_door::{Call, Freshness},
};

/// Reads that wait at once; beyond it a caller is told to try again.
const WAITING_MAX: usize = 1_024;
/// How long such a caller waits before it does.
const RETRY_AFTER_MS: u32 = 20;

/// One of them. `R` is the driver's way to its caller.
#[derive(Clone, Debug)]
pub struct Reader<R> {
    /// What it reads.
    pub call: Call,
    /// Whom to tell.
    pub reply: R,
    /// Its caller waits no longer than this.
    pub until: Moment,
}

/// What became of one.
#[derive(Clone, Debug)]
pub enum Turn<R> {
    /// It may read now: what stands after every step so far, once all of that is durable.
    Read(Reader<R>),
    /// It may not, and this is why.
    Not(R, NotApplied),
}

/// Those that wait, each behind the transactions that held what it reads when it came.
///
/// A transaction that anybody was told has committed was prepared here before, since it could not
/// have committed otherwise; so whoever waits for those that are prepared when it comes sees it.
/// Those that come later are waited for by nobody, so a read ends although locks never do.
#[derive(Debug)]
pub struct Readers<R> {
    waiting: Vec<(Reader<R>, BTreeSet<TxnId>)>,
}

impl<R> Default for Readers<R> {
    fn default() -> Readers<R> {
        Readers { waiting: Vec::new() }
    }
}

impl<R> Readers<R> {
    /// Takes reads in and hands out those whose turn it is, with those for whom it comes too late.
    pub fn turns(&mut self, new: Vec<Reader<R>>, branches: &Branches, now: Moment) -> Vec<Turn<R>> {
        let mut turns = Vec::new();
        for reader in new {
            let behind = behind(&reader.call, branches);
            if self.waiting.len() >= WAITING_MAX && !behind.is_empty() {
                let full = NotApplied::Overloaded { retry_after_ms: RETRY_AFTER_MS };
                turns.push(Turn::Not(reader.reply, full));
            } else {
                self.waiting.push((reader, behind));
            }
        }
        for (reader, mut behind) in std::mem::take(&mut self.waiting) {
            behind.retain(|txn| branches.is_prepared(*txn));
            match behind.first() {
                None => turns.push(Turn::Read(reader)),
                Some(by) if reader.until <= now => {
                    turns.push(Turn::Not(reader.reply, NotApplied::Locked { by: *by }));
                }
                Some(_) => self.waiting.push((reader, behind)),
            }
        }
        turns
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.waiting.len()
    }

    /// When the first of those that wait waits no longer.
    pub fn first_until(&self) -> Option<Moment> {
        self.waiting.iter().map(|(reader, _)| reader.until).min()
    }
}

/// The transactions that may have committed, for all that is known here, and write what is read.
fn behind(call: &Call, branches: &Branches) -> BTreeSet<TxnId> {
    match call {
        Call::Get { key, freshness: Freshness::Committed } => {
            branches.writer(key).into_iter().collect()
        }
        Call::Scan { prefix, after, freshness: Freshness::Committed, .. } => {
            branches.writers(prefix, after.as_ref())
        }
        Call::Get { freshness: Freshness::Finished, .. }
        | Call::Scan { freshness: Freshness::Finished, .. }
        | Call::Prepare { .. }
        | Call::Finish { .. }
        | Call::InDoubt
        | Call::Info => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Asker, Config, Durable, Input, Work};
    use super::*;
    use crate::{BranchIncarnation, Mutation, ParticipantName, SessionId, Verdict};

    fn txn(n: u64) -> TxnId {
        TxnId { session: SessionId::new(1), n }
    }

    fn branches() -> Branches {
        let name = ParticipantName::new("east");
        let config = Config { name, incarnation: BranchIncarnation(1), in_doubt_grace_ms: 1_000 };
        Branches::recover(config, &Durable::default(), Moment(0))
    }

    fn step(branches: &mut Branches, input: Input) {
        let _ = branches.step(Moment(0), input, |_| None);
    }

    fn prepare(branches: &mut Branches, n: u64, keys: &[&'static str]) {
        let put = |key: &&'static str| Mutation::Put { key: (*key).into(), value: "v".into() };
        let work = Work { guards: Vec::new(), mutations: keys.iter().map(put).collect() };
        step(branches, Input::Prepare { asker: Asker(n), txn: txn(n), work });
    }

    fn finish(branches: &mut Branches, n: u64) {
        let verdict = Verdict::Committed;
        step(branches, Input::Finish { asker: None, txn: txn(n), verdict });
    }

    fn get(key: &'static str, freshness: Freshness) -> Call {
        Call::Get { key: key.into(), freshness }
    }

    fn scan(prefix: &'static str, after: Option<&'static str>) -> Call {
        let (prefix, after) = (prefix.into(), after.map(Into::into));
        Call::Scan { prefix, after, limit: 10, freshness: Freshness::Committed }
    }

    /// Who reads, and who is told why not, of readers that are called by numbers.
    fn turns(
        readers: &mut Readers<u32>,
        new: Vec<(u32, Call)>,
        branches: &Branches,
        late: bool,
    ) -> (Vec<u32>, Vec<(u32, NotApplied)>) {
        let until = Moment(9_000);
        let new = new.into_iter().map(|(reply, call)| Reader { call, reply, until }).collect();
        let now = if late { until } else { Moment(0) };
        let (mut read, mut not) = (Vec::new(), Vec::new());
        for turn in readers.turns(new, branches, now) {
            match turn {
                Turn::Read(reader) => read.push(reader.reply),
                Turn::Not(reply, why) => not.push((reply, why)),
            }
        }
        (read, not)
    }

    /// H5: whoever was told "committed" finds it, also where the verdict has not arrived yet.
    #[test]
    fn a_read_waits_for_the_transaction_that_writes_its_key_and_for_no_other() {
        let (mut branches, mut readers) = (branches(), Readers::default());
        prepare(&mut branches, 1, &["a"]);
        let new = vec![
            (1, get("a", Freshness::Committed)),
            (2, get("b", Freshness::Committed)),
            (3, get("a", Freshness::Finished)),
            (4, scan("", None)),
            (5, scan("b", None)),
            (6, scan("", Some("a"))),
        ];
        let (read, not) = turns(&mut readers, new, &branches, false);
        assert_eq!((read, not.len()), (vec![2, 3, 5, 6], 0));
        // Another one on its way does not hold up those who came before.
        prepare(&mut branches, 2, &["b"]);
        finish(&mut branches, 1);
        prepare(&mut branches, 3, &["a"]);
        let (read, not) = turns(&mut readers, Vec::new(), &branches, false);
        assert_eq!((read, not.len()), (vec![1, 4], 0));
    }

    /// By its deadline it is told which transaction it waited for.
    #[test]
    fn a_read_that_waits_too_long_is_told_for_whom_it_waited() {
        let (mut branches, mut readers) = (branches(), Readers::default());
        prepare(&mut branches, 1, &["a"]);
        let new = vec![(1, get("a", Freshness::Committed))];
        assert_eq!(turns(&mut readers, new, &branches, false), (vec![], vec![]));
        let locked = NotApplied::Locked { by: txn(1) };
        let late = turns(&mut readers, Vec::new(), &branches, true);
        assert_eq!(late, (vec![], vec![(1, locked)]));
    }

    /// Only so many wait; one that need not wait is served all the same.
    #[test]
    fn reads_that_wait_are_bounded() {
        let (mut branches, mut readers) = (branches(), Readers::default());
        prepare(&mut branches, 1, &["a"]);
        let crowd = (0..=WAITING_MAX as u32).map(|one| (one, get("a", Freshness::Committed)));
        let (read, not) = turns(&mut readers, crowd.collect(), &branches, false);
        let full = NotApplied::Overloaded { retry_after_ms: RETRY_AFTER_MS };
        assert_eq!((read, not), (vec![], vec![(WAITING_MAX as u32, full)]));
        let free = vec![(9_999, get("b", Freshness::Committed))];
        assert_eq!(turns(&mut readers, free, &branches, false).0, [9_999]);
    }
}
