//! The rules of owners and participants: `machine/src/owner.rs`, `owner/numbers.rs` and `branch/`.

use super::{super::row::Bug, lines};

pub(super) const LINES: &[&[Bug]] = &[
    lines! { "machine/src/owner.rs":
        "the first vote counts": "if «branch.vote.is_some()» {" => "false",
        "a no ends it":
            "Stance::No | Stance::Unknown => «self.phase = Phase::Aborted»" => "{}",
        "nobody is missing": "branch.vote?" => "branch.vote.unwrap_or(Stance::ReadOnly)",
        "a proposal is noted": "self.phase = Phase::Proposed;" => "",
        "after a proposal the log is asked":
            "return GivenUp::AskTheLog(Command::Decide { txn: self.txn, outcome });" =>
            "drop(outcome); self.phase = Phase::Aborted;",
        "what is over is not proposed":
            "Phase::Committed | Phase::Aborted => «return None»" => "{}",
        "nobody acts on what is not decided":
            "Verdict::InProgress | Verdict::Retired => «return»" => "Phase::Aborted",
        "nobody is told while it is open":
            "Phase::Voting | Phase::Proposed => «return Vec::new()»" =>
            "(Verdict::Aborted, |_| true)",
    },
    lines! { "machine/src/owner/numbers.rs":
        "a number is used once":
            "self.next = n.checked_add(1).expect(\"2^64 transactions cannot be counted\");" => "",
        "open numbers are not retired":
            "self.open.first().copied().unwrap_or(self.next)" => "self.next",
    },
    lines! { "machine/src/branch.rs":
        "guards are locked": "work.guards.iter()" => "work.guards[..0].iter()",
        "whoever changes a key writes it": "(mutation.key(), «true»)" => "false",
    },
    lines! { "machine/src/branch/durable.rs":
        "an end takes the promise from the disk": "self.prepared.remove(txn);" => "let _ = txn;",
        "later writes come later":
            "self.writes.extend(later.writes);" => "drop(self.writes.splice(0..0, later.writes));",
    },
    lines! { "machine/src/branch/branches.rs":
        "a promise is remembered until its verdict":
            "self.prepared.insert(txn, Branch { work, since: now, asks_at: Some(asks_at) });" =>
            "drop(work);",
        "a revision is given once": "self.revision = at;" => "",
        "the same prepare and no other": "branch.work == work" => "true",
        "a repeated yes waits for the first":
            "return out.durably.then_say(asker, yes)" => "return out.at_once.push((asker, yes))",
        "a no is told again": "self.ended.bury(txn, reason.clone());" => "",
        "a key is locked by one": "if let Some((by, key)) = «self.locks.conflict(work)» {" =>
            "None::<(TxnId, Bytes)>",
        "guards hold at the prepare": "match «first_failing(&work.guards, read)» {" =>
            "{ drop(read); None }",
        "what is over is not promised": "if let Some(reason) = «self.ended.refusal(txn)» {" =>
            "None::<NoReason>",
        "a promise is on disk":
            "out.durably.write(Write::Prepared { txn, work: work.clone() });" => "",
        "locks are taken": "self.locks.take(txn, &work);" => "",
        "a commit ends its branch on disk":
            "self.mutate(work.mutations, read, &mut out.durably);\n            \
             «out.durably.write(Write::Ended { txn });»" => "",
        "a commit does its work": "self.mutate(work.mutations, read, &mut out.durably);" =>
            "drop((work, read));",
        "a commit is noted": "self.ended.apply(txn, &mut out.durably);" => "",
        "not found is not done": "else if «!self.ended.applied(txn)» {" => "false",
        "what was never prepared is not acknowledged":
            "«return answer(asker, Said::Unproven, out);»\n        }\n        self.finished" =>
            "answer(asker, Said::Unproven, out);",
        "a commit is acknowledged when it is durable":
            "out.durably.then_acknowledge(txn);\n        if let Some(asker) = asker {\n            \
             «out.durably.then_say(asker, Said::Finished);»" =>
            "out.at_once.push((asker, Said::Finished));",
        "what is applied is not rolled back": "if «self.ended.applied(txn)» {" => "false",
        "who has applied it does not say that it is rolled back":
            "Alarm::Contradicted { txn }, out);\n            \
             «return answer(asker, Said::Unproven, out);»" => "answer(asker, Said::Unproven, out);",
        "a rollback ends its branch on disk":
            "if self.release(txn).is_some() {\n            \
             «out.durably.write(Write::Ended { txn });»" => "",
        "an abort may overtake its prepare": "self.ended.bury(txn, NoReason::Ended);" => "",
        "in progress is no verdict": "Verdict::InProgress => «refuse(asker, &mut out)»" =>
            "self.roll_back(asker, txn, &mut out)",
        "what the log has forgotten is no verdict":
            "Verdict::Retired => «self.await_a_person(asker, txn, &mut out)»" =>
            "self.roll_back(asker, txn, &mut out)",
        "locks go with their branch": "self.locks.release(txn, &branch.work);" => "",
        "a revision is on disk": "durably.write(Write::Revision(at));" => "",
        "promises come back with their locks": "branches.hold(now, *txn, work.clone());" =>
            "let _ = (now, txn, work);",
    },
    lines! { "machine/src/branch/readers.rs":
        "a read waits for who writes its key": "«branches.writer(key)».into_iter()" =>
            "{ let _ = key; None::<TxnId> }",
        "a scan waits for who writes what it reads":
            "branches.writers(prefix, after.as_ref())" =>
            "{ let _ = (prefix, after); BTreeSet::new() }",
        "a read waits until they have ended":
            "behind.retain(|txn| branches.is_prepared(*txn));" => "behind.clear();",
    },
    lines! { "machine/src/branch/ended.rs":
        "an applied number is on disk":
            "durably.write(Write::Run { session, first: grown.first, last: Some(grown.last) });" =>
            "",
        "a run that another takes in is off the disk":
            "= grown.absorbed {\n            \
             «durably.write(Write::Run { session, first, last: None });»" => "let _ = first;",
        "applied numbers come back": "applied.restore(session, first, last);" =>
            "let _ = (first, last);",
        "an applied number is over": "let over = «self.applied(txn)»" => "false",
        "what is forgotten is over": "let over = self.applied(txn) || «self.is_forgotten(txn)»" =>
            "false",
        "a floor is above what is forgotten":
            "row.floor = row.floor.max(last.saturating_add(1));" => "let _ = last;",
        "a floor never falls": "row.floor.max(last.saturating_add(1))" => "last.saturating_add(1)",
        "a floor is on disk":
            "durably.write(Write::Floor { session, below: Some(row.floor) });" => "",
        "floors come back": "sessions.entry(session).or_default().floor = below;" =>
            "let _ = (session, below);",
        "below the floor all is over": "«txn.n < floor» ||" => "{ let _ = floor; false }",
        "sessions that are forgotten are noted":
            "self.sessions_below = self.sessions_below.max(session.next());" => "let _ = session;",
        "sessions that are forgotten stay so":
            "self.sessions_below.max(session.next())" => "session.next()",
        "sessions that are forgotten are on disk":
            "durably.write(Write::SessionsBelow(self.sessions_below));" => "",
        "sessions that were forgotten come back":
            "let sessions_below = «durable.sessions_below»;" => "SessionId::ZERO",
        "a forgotten session is over": "|| «txn.session < self.sessions_below»" => "false",
    },
    lines! { "machine/src/branch/locks.rs":
        "who writes holds alone":
            "Lock::Written(by) => «Some(*by)»,\n                Lock::Guarded(by) if writes" =>
            "{ let _ = by; None }",
        "who is guarded is not written":
            "by.first().copied()" => "{ let _ = by; None }",
        "a scan begins with its prefix":
            "Some(after) if «after >= prefix» =>" => "true",
        "every guard is noted": "Lock::Guarded(by) => «drop(by.insert(txn))»" =>
            "{ let _ = by; }",
        "others' guards are kept": "by.is_empty()" => "true",
        "a lock that is let go is gone": "self.held.remove(key);" => "",
        "who writes is noted": "self.held.insert(key.clone(), Lock::Written(txn));" =>
            "let _ = key;",
    },
];
