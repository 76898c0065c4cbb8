//! A transaction from its first prepare to its verdict.
//!
//! It is owned by one value at a time, and that value ends it whatever happens: dropped before its
//! commit is proposed, the owner gives up and tells everyone who was asked; afterwards a task of
//! its own waits for the log's verdict and tells that.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use synod_machine::{
    Answer, Command, ParticipantName, Query, Reply, TxnId, Verdict,
    branch::Work,
    owner::{GivenUp, Owner, Phase},
    participant_door::{NoReason, Said, Vote},
};
use tokio::{sync::oneshot, task::JoinSet, time::sleep};

use crate::{
    backoff::Backoff,
    core::Core,
    deadline::Deadline,
    error::{Error, Why},
    party::Party,
    phase2::{self, Finishing},
    session::Session,
    shard::Heard,
    tally::{End, UnderWay},
    txn::{Outcome, WhyAborted},
};

/// How long one attempt to learn a verdict in the background lasts.
const ASK_PATIENCE: Duration = Duration::from_secs(10);
/// How long is spent on finding out why the log aborted, which is only nice to know.
const CAUSE_PATIENCE: Duration = Duration::from_millis(500);
/// The first pause before another attempt.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Not yet decided.
pub(crate) struct Undecided(Option<Pending>);

/// What it takes to end it.
struct Pending {
    core: Arc<Core>,
    session: Arc<Session>,
    owner: Owner,
    /// Everyone who may have been asked to prepare.
    asked: BTreeMap<ParticipantName, Arc<Party>>,
    refused: Option<WhyAborted>,
    under_way: UnderWay,
}

/// What became of asking one participant.
enum Cast {
    Vote(Vote),
    /// It certainly holds nothing.
    Without(WhyAborted),
    /// It may hold a prepared branch.
    Lost,
}

impl fmt::Debug for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Undecided").field(&self.0.as_ref().map(|pending| &pending.owner)).finish()
    }
}

impl Undecided {
    pub(crate) fn new(core: Arc<Core>, session: Arc<Session>, owner: Owner) -> Undecided {
        let asked = BTreeMap::new();
        let under_way = core.tally.begin(owner.txn());
        Undecided(Some(Pending { core, session, owner, asked, refused: None, under_way }))
    }

    pub(crate) fn txn(&self) -> TxnId {
        self.pending().owner.txn()
    }

    pub(crate) fn refused(&self) -> Option<&WhyAborted> {
        self.pending().refused.as_ref()
    }

    /// Phase 1. Returns when all have voted for it, or one has not.
    pub(crate) async fn gather_votes(
        &mut self,
        works: &BTreeMap<ParticipantName, Work>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let pending = self.0.as_mut().expect("taken only when it is decided or dropped");
        let mut parties = BTreeMap::new();
        for name in works.keys() {
            parties.insert(name.clone(), pending.core.find(name, deadline).await?);
        }
        pending.asked = parties;
        let mut voting = JoinSet::new();
        for (name, party) in &pending.asked {
            let Some(work) = works.get(name) else { continue };
            let soliciting = Soliciting {
                core: Arc::clone(&pending.core),
                name: name.clone(),
                txn: pending.owner.txn(),
                work: work.clone(),
                deadline,
            };
            voting.spawn(soliciting.run(Arc::clone(party)));
        }
        while pending.owner.phase() == Phase::Voting
            && let Some(joined) = voting.join_next().await
        {
            // A task that is gone without a word is a vote that was not heard.
            let Ok((name, party, cast)) = joined else { continue };
            pending.asked.insert(name.clone(), party);
            pending.count(name, cast);
        }
        Ok(())
    }

    /// Phase 2, unless it cannot commit any more.
    pub(crate) async fn decide(mut self, deadline: Deadline) -> Result<Outcome, Error> {
        let (txn, refused) = (self.txn(), self.refused().cloned());
        if let Some(why) = refused {
            return Ok(Outcome::Aborted { txn, why });
        }
        let mut pending = self.0.take().expect("taken only when it is decided or dropped");
        let Some(command) = pending.owner.proposal() else {
            self.0 = Some(pending);
            return Err(Error::not_applied(Why::VotesMissing));
        };
        let (tell, told) = oneshot::channel();
        let finishing = Finishing::begin(&pending.core);
        tokio::spawn(pending.decide(command, deadline, tell, finishing));
        // The task is gone without a word only when the whole runtime is shutting down.
        told.await.unwrap_or(Err(Error::TxnUnknown { txn }))
    }

    fn pending(&self) -> &Pending {
        self.0.as_ref().expect("taken only when it is decided or dropped")
    }
}

impl Drop for Undecided {
    /// No commit was proposed, so the owner may give up by itself: nobody else can propose one.
    fn drop(&mut self) {
        if let Some(mut pending) = self.0.take() {
            let over = pending.owner.give_up();
            assert!(
                over == GivenUp::Over,
                "{} was proposed and not handed on",
                pending.owner.txn()
            );
            pending.under_way.over(End::Aborted);
            let runtime = pending.core.runtime.clone();
            let finishing = Finishing::begin(&pending.core);
            runtime.spawn(pending.finish(finishing));
        }
    }
}

impl Pending {
    fn count(&mut self, name: ParticipantName, cast: Cast) {
        let participant = name.clone();
        let (vote, why) = match cast {
            Cast::Vote(Vote::No { reason }) => {
                if reason == NoReason::Ended {
                    self.core.put_aside(&self.session);
                }
                (Vote::No { reason: reason.clone() }, Some(WhyAborted::No { participant, reason }))
            }
            Cast::Vote(vote @ (Vote::Yes { .. } | Vote::ReadOnly)) => (vote, None),
            Cast::Without(why) => {
                // What holds nothing is as good as a no.
                let reason = NoReason::Closed(why.to_string());
                (Vote::No { reason }, Some(why))
            }
            Cast::Vote(Vote::Unknown) | Cast::Lost => {
                (Vote::Unknown, Some(WhyAborted::NoVote { participant }))
            }
        };
        self.owner.vote(&name, &vote);
        if self.refused.is_none() {
            self.refused = why;
        }
    }

    async fn decide(
        mut self,
        command: Command,
        deadline: Deadline,
        tell: oneshot::Sender<Result<Outcome, Error>>,
        finishing: Finishing,
    ) {
        let decided = self.propose(command, deadline).await;
        let _nobody_waits = tell.send(decided);
        let core = Arc::clone(&self.core);
        tokio::select! {
            () = self.ask_the_log() => {}
            () = core.closed() => {}
        }
        self.note_end();
        self.finish(finishing).await;
    }

    /// Where the verdict is known, the transaction is over; that the participants are told comes
    /// after it.
    fn note_end(&self) {
        match self.owner.phase() {
            Phase::Committed => self.under_way.over(End::Committed),
            Phase::Aborted => self.under_way.over(End::Aborted),
            Phase::Voting | Phase::Proposed => {}
        }
    }

    async fn propose(&mut self, command: Command, deadline: Deadline) -> Result<Outcome, Error> {
        let txn = self.owner.txn();
        let said = match self.core.submit_in(&self.session, command, verdict, deadline).await {
            // The end of its session has aborted it, if nothing else had decided it before.
            Err(Error::SessionEnded { .. }) => {
                self.ask_the_log_once(deadline).await.map_err(|_| Error::TxnUnknown { txn })
            }
            Err(Error::Unknown { .. }) => Err(Error::TxnUnknown { txn }),
            said => said,
        };
        self.owner.learn(said?);
        self.note_end();
        match self.owner.phase() {
            Phase::Committed => Ok(Outcome::Committed { txn }),
            Phase::Aborted => Ok(Outcome::Aborted { txn, why: self.cause(deadline).await }),
            Phase::Voting | Phase::Proposed => Err(Error::TxnUnknown { txn }),
        }
    }

    async fn cause(&self, deadline: Deadline) -> WhyAborted {
        let query = Query::Txn { txn: self.owner.txn() };
        let view = self.core.read(query, deadline.or_after(CAUSE_PATIENCE)).await;
        WhyAborted::Log(match view {
            Ok(Answer::Txn(view)) => view.cause,
            Ok(_) | Err(_) => None,
        })
    }

    /// Until the log has given its verdict. At once when it has already.
    async fn ask_the_log(&mut self) {
        let mut pause = Backoff::new(PAUSE, PAUSE_MAX);
        while self.owner.phase() == Phase::Proposed {
            let txn = self.owner.txn();
            match self.ask_the_log_once(Deadline::after(ASK_PATIENCE)).await {
                Ok(verdict @ (Verdict::Committed | Verdict::Aborted)) => {
                    self.owner.learn(verdict);
                }
                Ok(said @ (Verdict::InProgress | Verdict::Retired)) => {
                    return tracing::warn!(%txn, ?said, "the log gives no verdict");
                }
                Err(Error::Refused { why }) => {
                    return tracing::warn!(%txn, %why, "the log gives no verdict");
                }
                Err(_) => sleep(pause.next()).await,
            }
        }
    }

    /// Proposes to abort: whatever was decided before stands, and is the answer.
    async fn ask_the_log_once(&mut self, deadline: Deadline) -> Result<Verdict, Error> {
        match self.owner.give_up() {
            GivenUp::AskTheLog(command) => {
                self.core.submit_unnamed(command, verdict, deadline).await
            }
            GivenUp::Over => Err(Error::not_applied(Why::VotesMissing)),
        }
    }

    async fn finish(self, _finishing: Finishing) {
        phase2::finish(&self.core, &self.session, self.owner, &self.asked).await;
    }
}

/// The reply to a proposal, whoever made it.
pub(crate) fn verdict(reply: Reply) -> Option<Verdict> {
    match reply {
        Reply::Verdict(verdict) => Some(verdict),
        _ => None,
    }
}

/// Phase 1 at one participant.
struct Soliciting {
    core: Arc<Core>,
    name: ParticipantName,
    txn: TxnId,
    work: Work,
    deadline: Deadline,
}

impl Soliciting {
    /// Asks; once more where the log says that it is now, when no answer came. A participant that
    /// is asked twice answers the same.
    async fn run(self, party: Arc<Party>) -> (ParticipantName, Arc<Party>, Cast) {
        let mut party = party;
        let mut heard = self.solicit(&party).await;
        let lost = matches!(heard, Heard::Lost);
        if matches!(heard, Heard::Lost | Heard::Unsent(_))
            && let Ok(found) = self.core.find_anew(&self.name, self.deadline).await
        {
            party = found;
            heard = self.solicit(&party).await;
        }
        let cast = match (self.read(heard), lost) {
            // The first time it may have been heard, and what it came to is not known.
            (Cast::Without(_), true) => Cast::Lost,
            (cast, _) => cast,
        };
        (self.name, party, cast)
    }

    async fn solicit(&self, party: &Party) -> Heard {
        self.core.solicit(party, self.txn, &self.work, self.deadline).await
    }

    fn read(&self, heard: Heard) -> Cast {
        let participant = self.name.clone();
        match heard {
            Heard::Said(Said::Vote(vote)) => Cast::Vote(vote),
            Heard::Said(Said::NotApplied(why)) => {
                Cast::Without(WhyAborted::NotNow { participant, why })
            }
            Heard::Said(Said::Refused(why)) => {
                Cast::Without(WhyAborted::Refused { participant, why })
            }
            Heard::Said(_) | Heard::Lost => Cast::Lost,
            Heard::Unsent(unreached) => Cast::Without(WhyAborted::Unreached(unreached)),
        }
    }
}
