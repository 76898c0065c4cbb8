//! Participants that wait for news of their branches, on whatever node they asked.

use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{
    Applied, BarrierCommand, Batch, ClaimCommand, Command, LeaseId, LockCommand, Machine,
    ParticipantName, Proposal, Rejection, Reply, SessionId, TxnId, Verdict,
};

use crate::ClientId;

/// Who waits for what, found by what may bring news: the end of a session, or a commit.
#[derive(Debug, Default)]
pub(crate) struct Attendants {
    waiting: BTreeMap<ClientId, Attendant>,
    by_session: BTreeSet<(SessionId, ClientId)>,
    by_participant: BTreeSet<(ParticipantName, ClientId)>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Attendant {
    pub(crate) participant: ParticipantName,
    pub(crate) in_doubt: Vec<TxnId>,
    pub(crate) finished: Vec<TxnId>,
}

impl Attendant {
    /// What there is for it now.
    pub(crate) fn news(&self, machine: &Machine) -> Vec<(TxnId, Verdict)> {
        machine.news_for(&self.participant, &self.in_doubt, &self.finished)
    }
}

impl Attendants {
    pub(crate) fn wait(&mut self, client: ClientId, attendant: Attendant) {
        self.by_participant.insert((attendant.participant.clone(), client));
        for txn in &attendant.in_doubt {
            self.by_session.insert((txn.session, client));
        }
        self.waiting.insert(client, attendant);
    }

    pub(crate) fn leave(&mut self, client: ClientId) {
        let Some(attendant) = self.waiting.remove(&client) else { return };
        for txn in &attendant.in_doubt {
            self.by_session.remove(&(txn.session, client));
        }
        self.by_participant.remove(&(attendant.participant, client));
    }

    /// Takes out those for whom a batch brought news, with it.
    pub(crate) fn told(
        &mut self,
        touched: &Touched,
        machine: &Machine,
    ) -> Vec<(ClientId, Vec<(TxnId, Verdict)>)> {
        let mut told = Vec::new();
        for client in self.concerned(touched) {
            let news = self.waiting.get(&client).map(|attendant| attendant.news(machine));
            if let Some(news) = news.filter(|news| !news.is_empty()) {
                self.leave(client);
                told.push((client, news));
            }
        }
        told
    }

    /// The same of everybody who waits, when all may have changed.
    pub(crate) fn told_by_snapshot(
        &mut self,
        machine: &Machine,
    ) -> Vec<(ClientId, Vec<(TxnId, Verdict)>)> {
        let news = self.waiting.iter().map(|(client, waiting)| (*client, waiting.news(machine)));
        let told: Vec<_> = news.filter(|(_, news)| !news.is_empty()).collect();
        told.iter().for_each(|(client, _)| self.leave(*client));
        told
    }

    fn concerned(&self, touched: &Touched) -> BTreeSet<ClientId> {
        let (all, none) = (ClientId(u64::MAX), ClientId(0));
        let mut concerned = BTreeSet::new();
        for session in &touched.sessions {
            let range = (*session, none)..=(*session, all);
            concerned.extend(self.by_session.range(range).map(|(_, client)| *client));
        }
        for name in &touched.participants {
            let range = (name.clone(), none)..=(name.clone(), all);
            concerned.extend(self.by_participant.range(range).map(|(_, client)| *client));
        }
        concerned
    }
}

/// Whom a batch may bring news: sessions of which some transaction may be decided now, and
/// participants of new commits. (What the machine retires for age it tells nobody: whoever still
/// waits for that hears it when it asks again.)
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    sessions: BTreeSet<SessionId>,
    participants: BTreeSet<ParticipantName>,
    /// By place: the session of a request, which ends if it asks once too often.
    owners: Vec<Option<SessionId>>,
    /// By place: the lease that a request uses, if it may.
    leases: Vec<Option<LeaseId>>,
}

impl Touched {
    /// What the commands may touch; to be completed with what they came to.
    pub(crate) fn by(batch: &Batch) -> Touched {
        let mut touched = Touched::default();
        for request in &batch.requests {
            let own = request.id.map(|id| id.session);
            touched.owners.push(own);
            touched.leases.push(used(&request.command));
            match &request.command {
                Command::CloseSession | Command::Retire { .. } => touched.sessions.extend(own),
                Command::Fence { session, .. } => touched.sessions.extend([*session]),
                Command::Decide { txn, outcome } => {
                    touched.sessions.insert(txn.session);
                    if let Proposal::Commit { parts, .. } = outcome {
                        let names = parts.iter().map(|part| part.participant.clone());
                        touched.participants.extend(names);
                    }
                }
                Command::OpenSession { .. }
                | Command::Put { .. }
                | Command::Delete { .. }
                | Command::Cas { .. }
                | Command::Multi(_)
                | Command::Settle { .. }
                | Command::RegisterParticipant { .. }
                | Command::Ack { .. }
                | Command::LeaderStart { .. }
                | Command::ForgetParticipant { .. }
                | Command::Lease(_)
                | Command::Lock(_)
                | Command::Compact { .. }
                | Command::Claim(_)
                | Command::Register(_)
                | Command::Counter(_)
                | Command::Barrier(_)
                | Command::Journal(_)
                | Command::Election(_)
                | Command::Once(_) => {}
            }
        }
        touched
    }

    /// Sessions whose requests the batch held.
    pub(crate) fn owners(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.owners.iter().copied().flatten()
    }

    /// Leases that were used, as these results of the batch say.
    pub(crate) fn leases<'a>(
        &'a self,
        applied: &'a [Applied],
    ) -> impl Iterator<Item = LeaseId> + 'a {
        let done = |applied: &Applied| !matches!(applied.reply, Reply::Rejected(_));
        let used = self.leases.iter().zip(applied).filter(move |(_, applied)| done(applied));
        used.filter_map(|(lease, _)| *lease)
    }

    /// A request may also have been the one too many that ended its session.
    pub(crate) fn and_by(mut self, applied: &[Applied]) -> Touched {
        for (own, applied) in self.owners.iter().zip(applied) {
            if applied.reply == Reply::Rejected(Rejection::SessionEnded) {
                self.sessions.extend(*own);
            }
        }
        self
    }
}

/// The lease that a command uses, which is a sign of its owner's life.
fn used(command: &Command) -> Option<LeaseId> {
    match command {
        Command::Lock(LockCommand::Acquire { lease, .. } | LockCommand::Release { lease, .. }) => {
            Some(*lease)
        }
        Command::Claim(ClaimCommand::Take { lease, .. }) => *lease,
        Command::Barrier(
            BarrierCommand::Arrive { lease, .. } | BarrierCommand::Leave { lease, .. },
        ) => Some(*lease),
        Command::Election(command) => command.lease(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::{BranchIncarnation, FenceCause, Part, Request, RequestId, Seq, Timestamp};

    use super::*;

    fn txn(session: u64, n: u64) -> TxnId {
        TxnId { session: SessionId::new(session), n }
    }

    fn batch(requests: Vec<(Option<u64>, Command)>) -> Batch {
        let named = |session| RequestId { session: SessionId::new(session), seq: Seq::new(1) };
        let request = |(session, command): (Option<u64>, Command)| Request {
            id: session.map(named),
            acked: Seq::ZERO,
            command,
        };
        Batch { stamp: Timestamp(1), requests: requests.into_iter().map(request).collect() }
    }

    fn waits(attendants: &mut Attendants, client: u64, name: &str, in_doubt: Vec<TxnId>) {
        let participant = ParticipantName::new(name);
        let attendant = Attendant { participant, in_doubt, finished: Vec::new() };
        attendants.wait(ClientId(client), attendant);
    }

    /// Only those are looked at whom the batch may concern.
    #[test]
    fn a_batch_concerns_its_sessions_and_participants_alone() {
        let mut attendants = Attendants::default();
        waits(&mut attendants, 1, "east", vec![txn(1, 1), txn(1, 2), txn(2, 1)]);
        waits(&mut attendants, 2, "west", vec![txn(3, 1)]);
        waits(&mut attendants, 3, "south", vec![]);
        let concerned = |commands| {
            let touched = Touched::by(&batch(commands));
            attendants.concerned(&touched).into_iter().map(|client| client.0).collect::<Vec<_>>()
        };
        let fence = |session| Command::Fence {
            session: SessionId::new(session),
            cause: FenceCause::Closed,
            guard: None,
        };
        assert_eq!(concerned(vec![(None, fence(2))]), [1]);
        assert_eq!(concerned(vec![(None, fence(9))]), []);
        assert_eq!(concerned(vec![(Some(3), Command::CloseSession)]), [2]);
        assert_eq!(
            concerned(vec![(Some(3), Command::Put { key: "k".into(), value: "v".into() })]),
            []
        );
        let participant = ParticipantName::new("south");
        let part = Part { participant, incarnation: BranchIncarnation(1) };
        let outcome = Proposal::Commit { parts: vec![part], multi: None };
        assert_eq!(concerned(vec![(Some(1), Command::Decide { txn: txn(1, 1), outcome })]), [1, 3]);
    }

    /// A request that came once too often ends its session: that is news too.
    #[test]
    fn the_end_of_a_session_by_overrun_is_news() {
        let put = Command::Put { key: "k".into(), value: "v".into() };
        let applied =
            [Applied { reply: Reply::Rejected(Rejection::SessionEnded), repeated: false }];
        let touched = Touched::by(&batch(vec![(Some(3), put)])).and_by(&applied);
        assert!(touched.sessions.contains(&SessionId::new(3)));
    }

    /// Who has gone is nowhere any more.
    #[test]
    fn leaving_leaves_nothing_behind() {
        let mut attendants = Attendants::default();
        waits(&mut attendants, 1, "east", vec![txn(1, 1), txn(1, 2)]);
        attendants.leave(ClientId(1));
        assert!(attendants.waiting.is_empty());
        assert!(attendants.by_session.is_empty() && attendants.by_participant.is_empty());
    }
}
