//! What the log answers to what comes to it out of turn: a copy of its machine is asked.

use synod_machine::{
    AbortCause, Batch, Command, Machine, Proposal, Reply, Request, RequestId, Seq, SessionId,
    Timestamp, TxnId, Verdict,
};

use super::{Transactions, verdict_of};
use crate::violation::{Checked, demand};

/// A number that no request of a universe has.
const LATE: Seq = Seq::new(u64::MAX - 1);

impl Transactions {
    /// Whatever comes to the log now, what is decided stands, and only an owner commits.
    pub(super) fn stands_whatever_comes(&self, machine: &Machine) -> Checked {
        self.only_owners_commit(machine)?;
        self.news_is_what_is_decided(machine)?;
        self.marks_stand(machine)?;
        stamps_only_rise(machine)?;
        self.a_leap_forgets_nothing(machine)
    }

    fn only_owners_commit(&self, machine: &Machine) -> Checked {
        let commit = || Proposal::Commit { parts: Vec::new(), multi: None };
        let open = self.verdicts.iter().find(|(txn, verdict)| {
            **verdict == Verdict::InProgress && machine.session_owner(txn.session).is_some()
        });
        let another = |txn: &TxnId| {
            let mut others = machine.live_sessions().map(|(session, _, _)| session);
            others.find(|session| *session != txn.session)
        };
        if let Some((txn, session)) = open.and_then(|(txn, _)| Some((txn, another(txn)?))) {
            let id = Some(RequestId { session, seq: LATE });
            let reply = told(machine, id, Command::Decide { txn: *txn, outcome: commit() });
            demand!(
                !matches!(reply, Reply::Verdict(Verdict::Committed)),
                "H2",
                "{txn} commits for somebody that is not its owner"
            );
        }
        let early = TxnId { session: SessionId::new(u64::MAX), n: 1 };
        let outcome = Proposal::Abort { cause: AbortCause::Owner };
        let reply = told(machine, None, Command::Decide { txn: early, outcome });
        demand!(
            !matches!(reply, Reply::Verdict(_)),
            "H1",
            "{early} is decided before its session is opened: {reply:?}"
        );
        let decided = self.verdicts.iter().find(|(txn, verdict)| {
            let live = machine.session_owner(txn.session).is_some();
            !live && matches!(verdict, Verdict::Committed | Verdict::Aborted)
        });
        let Some((txn, verdict)) = decided else { return Ok(()) };
        let own = RequestId { session: txn.session, seq: LATE };
        let reply = told(machine, Some(own), Command::Decide { txn: *txn, outcome: commit() });
        demand!(
            reply == Reply::Verdict(*verdict),
            "H1",
            "the owner of {txn}, which is {verdict:?}, comes late and is told {reply:?}"
        );
        Ok(())
    }

    /// Who attends hears of what is decided, and of every commit that waits for it.
    fn news_is_what_is_decided(&self, machine: &Machine) -> Checked {
        let known: Vec<TxnId> = self.verdicts.keys().copied().collect();
        for name in self.stores.keys() {
            let mut news = machine.news_for(name, &known, &[]).into_iter();
            let open = news.find(|(_, verdict)| *verdict == Verdict::InProgress);
            demand!(open.is_none(), "H3", "{name} is told as news: {open:?}");
            let news = machine.news_for(name, &[], &[]);
            for (txn, _) in self.unacked.iter().filter(|(_, names)| names.contains(name)) {
                demand!(
                    news.contains(&(*txn, Verdict::Committed)),
                    "C11",
                    "{txn} waits for {name}, which does not hear of it"
                );
            }
        }
        Ok(())
    }

    /// An owner retires what is below a number, and then, by an old request, below a lower one.
    fn marks_stand(&self, machine: &Machine) -> Checked {
        let Some((session, _, _)) = machine.live_sessions().last() else { return Ok(()) };
        let txn = TxnId { session, n: u64::MAX - 1 };
        let mut later = machine.clone();
        for (seq, below) in [(LATE, u64::MAX), (Seq::new(u64::MAX), 0)] {
            let id = Some(RequestId { session, seq });
            apply(&mut later, id, Command::Retire { below });
        }
        let verdict = verdict_of(&later, txn);
        demand!(
            verdict == Verdict::Aborted,
            "H1",
            "{txn} was retired, and after a retire of less it is {verdict:?}"
        );
        Ok(())
    }

    /// The clock of one leader leaps.
    fn a_leap_forgets_nothing(&self, machine: &Machine) -> Checked {
        let mut later = machine.clone();
        later.apply(Batch { stamp: Timestamp(u64::MAX), requests: Vec::new() });
        for (txn, verdict) in &self.verdicts {
            let then = verdict_of(&later, *txn);
            demand!(
                then == *verdict,
                "H1",
                "{txn} was {verdict:?}, and after one leap of a clock it is {then:?}"
            );
        }
        Ok(())
    }
}

/// The clock of one leader is behind.
fn stamps_only_rise(machine: &Machine) -> Checked {
    let mut later = machine.clone();
    later.apply(Batch { stamp: Timestamp(0), requests: Vec::new() });
    demand!(
        later.hash() == machine.hash(),
        "F3",
        "a stamp from before changes what the log has made of the ones it had"
    );
    Ok(())
}

fn told(machine: &Machine, id: Option<RequestId>, command: Command) -> Reply {
    apply(&mut machine.clone(), id, command)
}

fn apply(machine: &mut Machine, id: Option<RequestId>, command: Command) -> Reply {
    let requests = vec![Request { id, acked: Seq::ZERO, command }];
    let mut results = machine.apply(Batch { stamp: Timestamp(0), requests });
    results.remove(0).reply
}
