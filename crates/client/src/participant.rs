use std::time::Duration;

use synod_machine::{
    AbortCause, BranchIncarnation, Command, ParticipantName, Proposal, TxnId, Verdict,
    door::{Call, Said},
};

use crate::{client::Client, core::done, error::Error, undecided::verdict};

/// The participant's side of the log: what a process does that votes.
///
/// The order that keeps transactions atomic: [`register`](Participant::register) before the first
/// vote; vote only what is durable; finish only what [`attend`](Participant::attend) or an owner
/// tells as `Committed` or `Aborted`; [`ack`](Participant::ack) only what is finished durably.
#[derive(Clone, Debug)]
pub struct Participant {
    pub(crate) client: Client,
    name: ParticipantName,
}

impl Participant {
    pub(crate) fn new(client: Client, name: &str) -> Participant {
        Participant { client, name: ParticipantName::new(name) }
    }

    /// Its name.
    pub fn name(&self) -> &ParticipantName {
        &self.name
    }

    /// The same participant with another deadline for each call.
    #[must_use]
    pub fn within(&self, within: Duration) -> Participant {
        Participant { client: self.client.within(within), name: self.name.clone() }
    }

    /// Makes it known where owners reach it, and which store it votes from. To be repeated at every
    /// start: the address may be another.
    pub async fn register(
        &self,
        incarnation: BranchIncarnation,
        address: impl Into<String>,
    ) -> Result<(), Error> {
        let (name, address) = (self.name.clone(), address.into());
        let command = Command::RegisterParticipant { name, incarnation, address };
        self.client.submit(command, done).await
    }

    /// Waits for news: verdicts of branches in doubt, and commits that it has to finish and are not
    /// among `finished`. Empty when the deadline passed without any; then ask again. Any node
    /// answers, also without a quorum: a verdict never changes.
    pub async fn attend(
        &self,
        in_doubt: &[TxnId],
        finished: &[TxnId],
    ) -> Result<Vec<(TxnId, Verdict)>, Error> {
        let call = || Call::Attend {
            participant: self.name.clone(),
            in_doubt: in_doubt.to_vec(),
            finished: finished.to_vec(),
        };
        let deadline = self.client.deadline();
        match self.client.core.route.ask_any_patiently(call, deadline).await {
            crate::ask::Ended::Said(Said::Verdicts(verdicts)) => Ok(verdicts),
            // It was heard, and there was nothing to say.
            crate::ask::Ended::Perhaps(_) => Ok(Vec::new()),
            ended => Err(self.client.core.no_answer(ended)),
        }
    }

    /// The node that answered last knows less than others: the next question goes to another.
    pub fn ask_another(&self) {
        let route = &self.client.core.route;
        route.try_another(route.any());
    }

    /// Tells the log that these branches are finished durably: it need not remember them on this
    /// participant's account. May be repeated.
    pub async fn ack(&self, txns: &[TxnId]) -> Result<(), Error> {
        let command = Command::Ack { participant: self.name.clone(), txns: txns.to_vec() };
        self.client.core.submit_unnamed(command, done, self.client.deadline()).await
    }

    /// A prepared branch has heard nothing for its grace: proposes to abort, through the log. The
    /// verdict that stands, whoever proposed it: it may be `Committed`, and is to be obeyed.
    pub async fn abort_in_doubt(&self, txn: TxnId) -> Result<Verdict, Error> {
        let cause = AbortCause::InDoubtGrace { participant: self.name.clone() };
        let command = Command::Decide { txn, outcome: Proposal::Abort { cause } };
        self.client.core.submit_unnamed(command, verdict, self.client.deadline()).await
    }
}
