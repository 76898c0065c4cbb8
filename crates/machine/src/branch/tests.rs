use std::collections::BTreeMap;

use super::ended::TOMBSTONES_MAX;
use super::*;
use crate::door::Call;
use crate::participant_door::{NoReason, Vote};
use crate::{AbortCause, Entry, Expect, Proposal, Revision, SessionId};

const GRACE_MS: u64 = 1_000;
const YES: Said = Said::Vote(Vote::Yes { incarnation: BranchIncarnation(7) });

/// A participant with a store in memory. What was not synced is lost in a crash.
struct Shard {
    branches: Branches,
    durable: Durable,
    keys: BTreeMap<Bytes, Entry>,
    now: Moment,
}

/// What came of one call.
#[derive(Debug)]
struct Heard {
    said: Vec<Said>,
    acks: Vec<TxnId>,
    out: Output,
}

impl Shard {
    fn new() -> Shard {
        let durable = Durable::default();
        let branches = Branches::recover(config(), &durable, Moment(0));
        Shard { branches, durable, keys: BTreeMap::new(), now: Moment(0) }
    }

    /// Steps, and hands the envelope over unsynced.
    fn step(&mut self, input: Input) -> Output {
        self.branches.step(self.now, input, |key| self.keys.get(key).cloned())
    }

    fn sync(&mut self, durably: Durably) -> Vec<Word> {
        for write in durably.writes() {
            self.durable.write(write);
            if let Write::Key { key, entry } = write {
                match entry {
                    Some(entry) => drop(self.keys.insert(key.clone(), entry.clone())),
                    None => drop(self.keys.remove(key)),
                }
            }
        }
        durably.synced()
    }

    fn tell(&mut self, input: Input) -> Heard {
        let mut out = self.step(input);
        let mut said: Vec<Said> = out.at_once.drain(..).map(|(_, said)| said).collect();
        let mut acks = Vec::new();
        for word in self.sync(std::mem::take(&mut out.durably)) {
            match word {
                Word::Said { said: more, .. } => said.push(more),
                Word::Acknowledge(txn) => acks.push(txn),
            }
        }
        Heard { said, acks, out }
    }

    fn crash(&mut self) {
        self.branches = Branches::recover(config(), &self.durable, self.now);
    }

    fn prepare(&mut self, txn: TxnId, work: Work) -> Said {
        self.tell(Input::Prepare { asker: Asker(1), txn, work }).said.remove(0)
    }

    fn finish(&mut self, txn: TxnId, verdict: Verdict) -> Heard {
        self.tell(Input::Finish { asker: Some(Asker(1)), txn, verdict })
    }

    fn value(&self, key: &str) -> Option<&[u8]> {
        self.keys.get(key.as_bytes()).map(|entry| &entry.value[..])
    }
}

fn config() -> Config {
    let name = ParticipantName::new("east");
    Config { name, incarnation: BranchIncarnation(7), in_doubt_grace_ms: GRACE_MS }
}

fn txn(n: u64) -> TxnId {
    TxnId { session: SessionId::new(1), n }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str, value: &str) -> Work {
    let mutations = vec![Mutation::Put { key: bytes(key), value: bytes(value) }];
    Work { guards: vec![], mutations }
}

fn guard(key: &str, expect: Expect) -> Work {
    Work { guards: vec![Guard { key: bytes(key), expect }], mutations: vec![] }
}

fn no(reason: NoReason) -> Said {
    Said::Vote(Vote::No { reason })
}

/// *Transactions*, the proof, 4: a yes is a promise, so it is spoken only once it is durable.
#[test]
fn a_yes_is_sealed_behind_its_prepare() {
    let mut shard = Shard::new();
    let prepare = Input::Prepare { asker: Asker(1), txn: txn(1), work: put("a", "1") };
    let out = shard.step(prepare.clone());
    assert!(out.at_once.is_empty());
    assert_eq!(out.durably.writes(), [Write::Prepared { txn: txn(1), work: put("a", "1") }]);
    // A second copy, stepped before the sync, waits for it as well.
    let again = shard.step(prepare);
    assert!(again.at_once.is_empty());
    let mut durably = out.durably;
    durably.merge(again.durably);
    let said = Word::Said { to: Asker(1), said: YES };
    assert_eq!(shard.sync(durably), [said.clone(), said]);
}

/// Who hears that a branch has finished stops telling it how it ended: that must not be lost.
#[test]
fn a_finish_is_sealed_behind_its_end() {
    for verdict in [Verdict::Committed, Verdict::Aborted] {
        let mut shard = Shard::new();
        shard.prepare(txn(1), put("a", "1"));
        let out = shard.step(Input::Finish { asker: Some(Asker(2)), txn: txn(1), verdict });
        assert_eq!(out.at_once, [], "{verdict:?}");
        assert!(out.durably.writes().contains(&Write::Ended { txn: txn(1) }));
        let said = Word::Said { to: Asker(2), said: Said::Finished };
        assert!(shard.sync(out.durably).contains(&said), "{verdict:?}");
    }
}

/// *Transactions* §5, participant restarts: the promise and its locks are there again, and how it
/// ended is asked.
#[test]
fn a_promise_survives_a_crash_with_its_locks() {
    let mut shard = Shard::new();
    assert_eq!(shard.prepare(txn(1), put("a", "1")), YES);
    shard.crash();
    let locked = NoReason::Locked { by: txn(1), key: bytes("a") };
    assert_eq!(shard.prepare(txn(2), put("a", "2")), no(locked));
    let Call::Attend { in_doubt, .. } = shard.branches.attend() else { panic!() };
    assert_eq!(in_doubt, [txn(1)]);
    assert_eq!(shard.finish(txn(1), Verdict::Committed).said, [Said::Finished]);
    assert_eq!(shard.value("a"), Some(&b"1"[..]));
    assert_eq!(shard.prepare(txn(3), put("a", "3")), YES);
}

/// A prepare that was lost with its sync was never spoken of, and holds nothing.
#[test]
fn an_unsynced_prepare_is_lost_with_its_locks() {
    let mut shard = Shard::new();
    let prepare = Input::Prepare { asker: Asker(1), txn: txn(1), work: put("a", "1") };
    let _lost = shard.step(prepare);
    shard.crash();
    assert_eq!(shard.prepare(txn(2), put("a", "2")), YES);
    let heard = shard.finish(txn(1), Verdict::Committed);
    assert_eq!(heard.said, [Said::Unproven]);
    assert_eq!(heard.out.alarms, [Alarm::NeverPrepared { txn: txn(1) }]);
    assert_eq!(shard.value("a"), None);
}

/// A commit comes several times: from the owner, from the log, after a crash. It is done once, and
/// acknowledged each time, only after it is durable.
#[test]
fn a_repeated_commit_is_done_once_and_acknowledged_again() {
    let mut shard = Shard::new();
    shard.prepare(txn(1), put("a", "1"));
    assert_eq!(shard.finish(txn(1), Verdict::Committed).acks, [txn(1)]);
    shard.prepare(txn(2), put("a", "2"));
    shard.finish(txn(2), Verdict::Committed);
    shard.crash();
    let again = shard.finish(txn(1), Verdict::Committed);
    assert_eq!((again.said, again.acks), (vec![Said::Finished], vec![txn(1)]));
    assert_eq!(shard.value("a"), Some(&b"2"[..]));
    assert_eq!(shard.branches.revision(), Revision::new(2));
    let entry = &shard.keys[&b"a"[..]];
    assert_eq!((entry.create, entry.version), (Revision::new(1), 2));
}

/// A late copy of a prepare whose branch has committed must not be promised again: its work would
/// be done twice, over what came after.
#[test]
fn a_late_prepare_of_a_finished_branch_is_refused_even_after_a_crash() {
    let mut shard = Shard::new();
    shard.prepare(txn(1), put("a", "1"));
    shard.finish(txn(1), Verdict::Committed);
    shard.tell(Input::Acknowledged(vec![txn(1)]));
    assert_eq!(shard.prepare(txn(1), put("a", "1")), no(NoReason::Ended));
    shard.crash();
    assert_eq!(shard.prepare(txn(1), put("a", "1")), no(NoReason::Ended));
}

/// An abort that overtakes its prepare leaves a tombstone, so that no lock is taken for it.
#[test]
fn a_prepare_after_its_abort_is_refused() {
    let mut shard = Shard::new();
    assert_eq!(shard.finish(txn(1), Verdict::Aborted).said, [Said::Finished]);
    assert_eq!(shard.prepare(txn(1), put("a", "1")), no(NoReason::Ended));
    assert_eq!(shard.prepare(txn(2), put("a", "2")), YES);
}

/// Without the tombstone, after a crash, it prepares, asks, and is told: safe, only later.
#[test]
fn a_prepare_after_a_forgotten_abort_waits_for_the_log() {
    let mut shard = Shard::new();
    shard.finish(txn(1), Verdict::Aborted);
    shard.crash();
    assert_eq!(shard.prepare(txn(1), put("a", "1")), YES);
    shard.tell(Input::Finish { asker: None, txn: txn(1), verdict: Verdict::Aborted });
    assert_eq!(shard.value("a"), None);
    assert_eq!(shard.prepare(txn(2), put("a", "2")), YES);
}

/// A repeated prepare hears the same vote; with other work it is another question.
#[test]
fn a_repeated_prepare_hears_the_same_vote() {
    let mut shard = Shard::new();
    assert_eq!(shard.prepare(txn(1), put("a", "1")), YES);
    assert_eq!(shard.prepare(txn(1), put("a", "1")), YES);
    assert!(matches!(shard.prepare(txn(1), put("a", "2")), Said::Vote(Vote::No { .. })));
    let locked = no(NoReason::Locked { by: txn(1), key: bytes("a") });
    assert_eq!(shard.prepare(txn(2), put("a", "2")), locked);
    shard.finish(txn(1), Verdict::Aborted);
    assert_eq!(shard.prepare(txn(2), put("a", "2")), locked);
}

/// A guard holds when it is voted for, and nobody may change its key until the verdict; others
/// may guard it as well.
#[test]
fn guards_are_checked_and_locked() {
    let mut shard = Shard::new();
    assert_eq!(shard.prepare(txn(1), guard("a", Expect::Absent)), YES);
    assert_eq!(shard.prepare(txn(2), guard("a", Expect::Absent)), YES);
    let failed = no(NoReason::GuardFailed { place: 0 });
    assert_eq!(shard.prepare(txn(3), guard("a", Expect::Present)), failed);
    let locked = NoReason::Locked { by: txn(1), key: bytes("a") };
    assert_eq!(shard.prepare(txn(4), put("a", "1")), no(locked));
    shard.finish(txn(1), Verdict::Committed);
    let locked = NoReason::Locked { by: txn(2), key: bytes("a") };
    assert_eq!(shard.prepare(txn(5), put("a", "1")), no(locked));
    shard.finish(txn(2), Verdict::Aborted);
    assert_eq!(shard.prepare(txn(6), put("a", "1")), YES);
    assert_eq!(shard.branches.revision(), Revision::ZERO);
}

/// Nothing to do and nothing to hold: nothing is kept.
#[test]
fn empty_work_is_read_only() {
    let mut shard = Shard::new();
    assert_eq!(shard.prepare(txn(1), Work::default()), Said::Vote(Vote::ReadOnly));
    assert_eq!(shard.branches.counts().in_doubt, 0);
}

/// C7: nobody may act on `InProgress`; and `Retired` is no verdict either, so a person must say.
#[test]
fn a_branch_acts_on_verdicts_only() {
    let mut shard = Shard::new();
    shard.prepare(txn(1), put("a", "1"));
    let heard = shard.finish(txn(1), Verdict::InProgress);
    assert!(matches!(heard.said[..], [Said::Refused(_)]));
    let heard = shard.finish(txn(1), Verdict::Retired);
    assert_eq!(heard.out.alarms, [Alarm::Held { txn: txn(1) }]);
    assert_eq!(shard.finish(txn(1), Verdict::Retired).out.alarms, []);
    assert_eq!(shard.branches.counts().held, 1);
    assert_eq!(shard.branches.wake_at(), None);
    assert!(matches!(shard.prepare(txn(2), put("a", "2")), Said::Vote(Vote::No { .. })));
    assert_eq!(shard.finish(txn(1), Verdict::Committed).said, [Said::Finished]);
    assert_eq!(shard.value("a"), Some(&b"1"[..]));
}

/// A branch that heard nothing for its grace asks the log to abort, again and again, and does
/// nothing by itself.
#[test]
fn a_branch_in_doubt_asks_the_log_and_holds_on() {
    let mut shard = Shard::new();
    shard.prepare(txn(1), put("a", "1"));
    assert_eq!(shard.branches.wake_at(), Some(Moment(GRACE_MS)));
    shard.now = Moment(GRACE_MS - 1);
    assert_eq!(shard.tell(Input::Wake).out.propose, []);
    for _ in 0..2 {
        shard.now = shard.branches.wake_at().unwrap();
        let cause = AbortCause::InDoubtGrace { participant: ParticipantName::new("east") };
        let outcome = Proposal::Abort { cause };
        let ask = Command::Decide { txn: txn(1), outcome };
        assert_eq!(shard.tell(Input::Wake).out.propose, [ask]);
    }
    assert_eq!(shard.branches.in_doubt(shard.now)[0].waited_ms, 2 * GRACE_MS);
    assert_eq!(shard.branches.counts().in_doubt, 1);
}

/// What was applied cannot be aborted: somebody is wrong, and it is said, not done.
#[test]
fn an_abort_of_an_applied_branch_is_an_alarm() {
    let mut shard = Shard::new();
    shard.prepare(txn(1), put("a", "1"));
    shard.finish(txn(1), Verdict::Committed);
    let heard = shard.finish(txn(1), Verdict::Aborted);
    assert_eq!(heard.said, [Said::Unproven]);
    assert_eq!(heard.out.alarms, [Alarm::Contradicted { txn: txn(1) }]);
    assert_eq!(shard.value("a"), Some(&b"1"[..]));
}

/// The log names what it waits for in each of its answers, for ever, and owners come several times:
/// a person is called once for each. (A store that took the place of a lost one called 45 times a
/// second for every commit that the lost one had not acknowledged.)
#[test]
fn a_person_is_called_once_for_one_thing() {
    let mut shard = Shard::new();
    shard.prepare(txn(1), put("a", "1"));
    shard.finish(txn(1), Verdict::Committed);
    for round in 0..3 {
        for n in 2..=3 {
            let lost = shard.finish(txn(n), Verdict::Committed);
            let first = (round == 0).then_some(Alarm::NeverPrepared { txn: txn(n) });
            assert_eq!(lost.out.alarms, Vec::from_iter(first), "{n} in round {round}");
            assert_eq!(lost.said, [Said::Unproven]);
        }
        let denied = shard.finish(txn(1), Verdict::Aborted);
        let first = (round == 0).then_some(Alarm::Contradicted { txn: txn(1) });
        assert_eq!(denied.out.alarms, Vec::from_iter(first), "round {round}");
    }
    // In the next life another person may read what it says.
    shard.crash();
    let lost = shard.finish(txn(2), Verdict::Committed);
    assert_eq!(lost.out.alarms, [Alarm::NeverPrepared { txn: txn(2) }]);
}

/// Whoever makes up commits that there never were fills no memory.
#[test]
fn what_a_person_was_called_for_is_bounded() {
    let mut alarmed = alarmed::Alarmed::default();
    let alarm = |n| Alarm::NeverPrepared { txn: txn(n) };
    for n in 0..=crate::transactions::COMMITS_MAX {
        assert!(alarmed.is_new(alarm(n)));
        assert!(!alarmed.is_new(alarm(n)));
    }
    assert!(alarmed.is_new(alarm(0)), "the oldest is forgotten");
    assert!(!alarmed.is_new(alarm(2)));
}

/// Whoever attends names what it has finished until the log has heard of it.
#[test]
fn a_finished_commit_is_named_until_the_log_knows() {
    let mut shard = Shard::new();
    shard.prepare(txn(1), put("a", "1"));
    shard.finish(txn(1), Verdict::Committed);
    let finished = |shard: &Shard| match shard.branches.attend() {
        Call::Attend { finished, .. } => finished,
        other => panic!("{other:?}"),
    };
    assert_eq!(finished(&shard), [txn(1)]);
    shard.tell(Input::Acknowledged(vec![txn(1)]));
    assert_eq!(finished(&shard), []);
}

/// A branch whose work breaks a limit is refused, and one too many as well.
#[test]
fn a_branch_over_a_limit_is_refused() {
    let mut shard = Shard::new();
    let twice = Work {
        mutations: [put("a", "1").mutations, put("a", "2").mutations].concat(),
        guards: vec![],
    };
    assert!(matches!(shard.prepare(txn(1), twice), Said::Vote(Vote::No { .. })));
    assert!(matches!(shard.prepare(txn(2), put("", "1")), Said::Vote(Vote::No { .. })));
    for n in 0..PREPARED_MAX as u64 {
        assert_eq!(shard.prepare(txn(10 + n), put(&format!("k{n}"), "")), YES);
    }
    let many = no(NoReason::TooMany { limit: PREPARED_MAX as u64 });
    assert_eq!(shard.prepare(txn(3), put("z", "1")), many);
}

/// What is forgotten is refused, never promised again; and what the store holds is what memory
/// holds.
#[test]
fn applied_numbers_are_bounded_and_what_is_forgotten_stays_over() {
    let Room { runs_of_one, sessions } = Room::default();
    let busy = sessions as u64 + 9;
    let mut ended = ended::Ended::recover(&Durable::default());
    let mut durable = Durable::default();
    let mut apply = |txn| {
        let mut durably = Durably::default();
        ended.apply(txn, &mut durably);
        durably.writes().iter().for_each(|write| durable.write(write));
    };
    for n in 0..=runs_of_one {
        apply(TxnId { session: SessionId::new(busy), n: 2 * n + 1 });
    }
    for session in 1..=sessions as u64 {
        apply(TxnId { session: SessionId::new(session), n: 5 });
    }
    let again = ended::Ended::recover(&durable);
    for ended in [&ended, &again] {
        let refused =
            |session, n| ended.refusal(TxnId { session: SessionId::new(session), n }).is_some();
        assert!(refused(busy, 1) && refused(busy, 3) && !refused(busy, 2) && !refused(busy, 4));
        assert!(refused(1, 5) && refused(1, 6), "the lowest session is over");
        assert!(refused(2, 5) && !refused(2, 6));
    }
}

/// Tombstones save locks, not safety, so the oldest may go.
#[test]
fn tombstones_are_bounded() {
    let mut ended = ended::Ended::recover(&Durable::default());
    for n in 0..=TOMBSTONES_MAX as u64 {
        ended.bury(txn(n + 1), NoReason::Ended);
        ended.bury(txn(n + 1), NoReason::Ended);
    }
    assert!(ended.refusal(txn(1)).is_none());
    assert!(ended.refusal(txn(2)).is_some());
}

/// A branch that was prepared long ago ends late, below what its participant has forgotten by then:
/// what is forgotten stays so. (The floor fell to the late one, and what had been applied between
/// could have been promised again.)
#[test]
fn what_is_forgotten_stays_so_when_a_branch_ends_late() {
    let txn = |session, n| TxnId { session: SessionId::new(session), n };
    let key = |name: &'static str| Bytes::from_static(name.as_bytes());
    let put = |name| Work {
        guards: Vec::new(),
        mutations: vec![Mutation::Put { key: key(name), value: key("v") }],
    };
    // One run of one session.
    for (room, late, forgotten) in [
        (Room { runs_of_one: 1, ..Room::default() }, txn(5, 1), txn(5, 3)),
        (Room { sessions: 1, ..Room::default() }, txn(1, 9), txn(2, 9)),
    ] {
        let mut shard = Shard::new();
        shard.branches = shard.branches.with_room(room);
        let asker = Some(Asker(1));
        let verdict = Verdict::Committed;
        let prepare = |txn, name| Input::Prepare { asker: Asker(1), txn, work: put(name) };
        let _ = shard.tell(prepare(late, "late"));
        let apart = |n| TxnId { session: SessionId::new(forgotten.session.get() + n), ..forgotten };
        let next = |n| match room.sessions {
            1 => apart(n),
            _ => TxnId { n: forgotten.n + 2 * n, ..forgotten },
        };
        for n in 0..3 {
            let _ = shard.tell(prepare(next(n), "other"));
            let _ = shard.tell(Input::Finish { asker, txn: next(n), verdict });
        }
        // Who asks now and is refused would be remembered for that alone.
        let refused = [Said::Vote(Vote::No { reason: NoReason::Ended })];
        let _ = shard.tell(Input::Finish { asker, txn: late, verdict });
        assert_eq!(shard.tell(prepare(forgotten, "again")).said, refused, "{room:?}");
        // Owner and log both tell a verdict. (The second called for a person.)
        let again = shard.tell(Input::Finish { asker, txn: late, verdict });
        assert_eq!((again.acks, again.out.alarms), (vec![], vec![]), "{room:?}");
        assert_eq!(again.said, [Said::Unproven], "{room:?}");
    }
}
