//! The transaction rules of the log: `machine/src/machine.rs`, `machine/decide.rs`,
//! `machine/multi.rs`, `transactions.rs` and `participants.rs`.

use super::{super::row::Bug, lines};

pub(super) const LINES: &[&[Bug]] = &[
    lines! { "machine/src/machine.rs":
        "a reply is kept": "self.sessions.keep(id, reply.clone());" => "",
        "a reign that begins is noted": "self.reign = self.reign.max(reign);" => "let _ = reign;",
        "who comes late hears what stands":
            "verdict => «Reply::Verdict(verdict)»" => "{ let _ = verdict; Reply::Rejected(late) }",
    },
    lines! { "machine/src/machine/decide.rs":
        "no decision for a session yet to come":
            "if «self.sessions.standing(txn.session) == Standing::Unopened» {" => "false",
        "no fence for a session yet to come":
            "Standing::Unopened => «return Reply::Rejected(Rejection::UnknownSession)»,\n\
             \x20           Standing::Ended" => "None",
        "no request settles itself": "if «own == Some(request)» {" => "{ let _ = own; false }",
        "who is not waited for is not forgotten":
            "if «!self.transactions.awaits(txn, &participant)» {" => "false",
        "a commit has room":
            "if let Err(rejection) = self.transactions.has_room_for_a_commit() {\n            \
             return Reply::Rejected(rejection);\n        }" => "",
        "only the owner commits": "for_the_owner && own != txn.session" => "{ let _ = own; false }",
        "the first verdict stands":
            "match «self.verdict(txn)» {\n            Verdict::InProgress => {}\n            \
             stands" => "Verdict::InProgress",
        "a yes of another store is none":
            "self.participants.lost_vote(&parts).cloned()" => "None::<ParticipantName>",
    },
    lines! { "machine/src/machine/multi.rs":
        "guards hold at the commit": "«self.failing(multi).is_none()» && self.keys" => "true",
    },
    lines! { "machine/src/machine/decide.rs":
        "a commit writes what rode with it":
            "self.keys.multi(multi, None, &mut self.revision, &mut self.history);" =>
            "drop(multi);",
        "a commit is recorded": "self.transactions.commit(txn, parts, self.clock.now);" =>
            "drop(parts);",
        "an abort is recorded": "self.transactions.abort(txn, cause, self.clock.now);" =>
            "drop(cause);",
        "a fence is of this reign": "guard.reign == self.reign" => "true",
        "a fence is of a silent session": "Some(guard.renewals) == renewals" =>
            "renewals.is_some()",
        "an abort without room ends its session":
            "self.end(txn.session, FenceCause::Overrun);" => "",
        "an end fences": "self.transactions.fence(session, self.clock.age);" => "",
        "an acknowledgement counts":
            "for txn in txns {\n            «self.transactions.ack(*txn, participant);»" =>
            "let _ = txn;",
    },
    lines! { "machine/src/transactions.rs":
        "what is on record is not past the horizon": "past && !self.records.contains(&txn)" =>
            "past",
        "past the horizon nothing is told": "return Verdict::Retired;" =>
            "return Verdict::Aborted;",
        "a record is the verdict":
            "if let Some(record) = «self.records.get(&txn)» {\n            return" =>
            "self.records.get(&txn).filter(|_| false)",
        "a committed number is committed":
            "if «self.committed.contains(txn)» {\n            return" => "false",
        "an ended session aborts": "standing == Standing::Ended || txn.n < lwm" => "txn.n < lwm",
        "a retired number aborts": "txn.n < lwm" => "{ let _ = lwm; false }",
        "a record stands below a mark":
            "if let Some(record) = «self.records.get(&txn)» {\n            return" =>
            "self.records.get(&txn).filter(|_| self.marks.get(&txn.session)\
             .is_none_or(|marks| marks.lwm <= txn.n))",
        "a committed number stands below a mark":
            "if «self.committed.contains(txn)» {\n            return" =>
            "self.committed.contains(txn) && self.marks.get(&txn.session)\
             .is_none_or(|marks| marks.lwm <= txn.n)",
        "a mark covers what is below it": "below.checked_sub(1)" => "Some(below)",
        "what is forgotten is not aborted": "«txn.n < forgotten» ||" =>
            "{ let _ = forgotten; false }",
        "what a retired session did is not aborted":
            "«self.retired.contains(session_row(txn.session.get()))»;" => "false",
        "what is let go is noted":
            "marks.forgotten = last.saturating_add(1);" => "let _ = last;",
        "what was forgotten is not noted again":
            "if «txn.n >= self.marks.get(&txn.session).map_or(0, |marks| marks.forgotten)» {" =>
            "true",
        "a session that retires is noted": "self.retired.insert(session_row(session.get()));" =>
            "",
        "the end of a session is noted":
            "self.marks.change(&session, |marks| marks.ended_at = Some(now));" => "let _ = now;",
        "who waits for the horizon follows from the marks":
            "sessions.into_iter().for_each(|session| self.enqueue(session));" =>
            "drop(sessions);",
        "aborts are counted at a start":
            "Decision::Aborted(_) => «self.aborts += 1»" => "{}",
        "who has acknowledged is not waited for": "«!acked»" => "{ let _ = acked; true }",
        "a commit counts": "marks.commits = marks.commits.saturating_add(1)" =>
            "{ let _ = marks; }",
        "parts are waited for":
            "self.unacked.entry(part.participant.clone()).or_default().insert(txn);" => "",
        "a commit record stands":
            "self.records.insert(txn, Record { at: now, decision });" => "drop((now, decision));",
        "an abort record stands":
            "self.records.insert(txn, Record { at: now, decision: Decision::Aborted(cause) });" =>
            "drop((cause, now));",
        "the last acknowledgement keeps the number":
            "record.at));\n            «self.acknowledged(txn);»" => "",
        "retire leaves its mark":
            "self.mark(session, |marks| marks.lwm = marks.lwm.max(below));" =>
            "",
        "a mark never falls": "marks.lwm.max(below)" => "below",
        "only aborts are dropped": "|(_, record)| «aborted(record)»" => "{ let _ = record; true }",
        "a session that committed is not vacuous":
            "marks.runs == 0 && marks.commits == 0 && marks.forgotten == 0" =>
            "{ let _ = marks; true }",
        "a session of which something is forgotten is not vacuous":
            "&& «marks.forgotten == 0»" => "true",
        "what is not old is kept": "now.since(at) >= HORIZON_MS" => "now >= at",
        "what is unacknowledged is kept":
            "if let Some(Marks { commits: 0, ended_at: Some(at), .. }) = \
             self.marks.get(&session) {\n            \
             self.queue.insert((*at, session));\n        }" =>
            "if let Some(Marks { ended_at: Some(at), .. }) = self.marks.get(&session) {\n\
             self.queue.insert((*at, session)); }",
        "an acknowledged number is kept": "self.committed.insert(txn);" => "",
        "only what is decided is news": "*verdict != Verdict::InProgress" => "true",
        "every commit that waits is news":
            "!named.contains(txn)" => "{ let _ = txn; false }",
        "who waits follows from the records":
            "self.unacked.entry(participant.clone()).or_default().insert(*txn);" =>
            "let _ = (participant, txn);",
        "every part has acknowledged": "parts.iter().all(|(_, acked)| *acked)" =>
            "{ let _ = parts; true }",
        "a part acknowledges for itself": "*acked |= part == participant;" =>
            "{ let _ = part; *acked = true; }",
        "sessions that live are not joined": "«!live» && self.marks" => "true",
        "sessions that may commit are not joined":
            "!live && self.marks.range(gap).next().is_none()" => "{ let _ = (live, gap); true }",
    },
    lines! { "machine/src/machine/decide.rs":
        "who is waited for no more is on record":
            "self.audit.note(self.clock.now, Act::Forgot { txn, participant: who, actor, reason });"
            => "drop((who, actor, reason));",
        "another store is on record": "self.audit.note(self.clock.now, replaced);" =>
            "drop(replaced);",
    },
    lines! { "machine/src/sessions.rs":
        "what is acknowledged is not done again":
            "if «id.seq < held.acked» {\n            return Admission" =>
            "{ let _ = held.acked; false }",
        "what is settled as never is not done":
            "Some(Kept::Never) => «return Admission::Refused(Rejection::SettledNever)»," =>
            "return Admission::Fresh",
        "what is refused for want of room is not done later":
            "if held.tombstones < TOMBSTONES_MAX {\n            «self.bury(id);»" => "",
        "what is acknowledged is not settled as never":
            "(_, Some(held)) if «id.seq < held.acked» => Reply::Rejected" =>
            "{ let _ = held.acked; false }",
        "what is settled as never is remembered":
            "(Standing::Live, Some(_)) => {\n                «self.bury(id);»" => "",
    },
    lines! { "machine/src/clock.rs":
        "time never runs backwards": "self.now = self.now.max(stamp);" => "self.now = stamp;",
        "a leap ages the log little": "step.min(LEAP_MS)" => "step",
    },
    lines! { "machine/src/participants.rs":
        "a store is known by its incarnation": "*now == part.incarnation" =>
            "{ let _ = now; true }",
    },
];
