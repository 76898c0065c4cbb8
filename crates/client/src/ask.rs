//! One question, asked of whoever leads until it is answered or the deadline passes.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use bytes::Bytes;
use synod_machine::{
    Query,
    door::{Ask, Call, NotApplied, Refusal, Said},
};
use synod_net::AskError;
use tokio::{
    sync::watch,
    time::{sleep_until, timeout, timeout_at},
};

use crate::{
    backoff::Backoff,
    deadline::Deadline,
    error::Why,
    route::{Place, Route},
    wire::{decode, encode},
};

/// A leader that owes an answer for longer than this is doubted: others are asked whether it leads
/// still, while the question stays open. Longer than a slow sync; as long as nodes of steady rhythm
/// give a silent leader, so that the first looks meet its successor.
const DOUBT_AFTER: Duration = Duration::from_millis(100);
/// A node that has nothing to wait for and owes an answer for longer than this is passed over.
const ANY_PATIENCE: Duration = Duration::from_secs(1);
/// A node that is to wait for news is given so many round trips more than it may wait: one that is
/// far away may have a moment of trouble, too.
const TRIPS_PATIENCE: u32 = 2;
/// The first pause after a "not now".
const PAUSE: Duration = Duration::from_millis(10);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_millis(300);

/// The first pause before a node is asked for the third time that has yet to hear that it is to
/// lead. The second time needs none: the word that it waits for is shorter than the way to it and
/// back.
const WORD_PAUSE: Duration = Duration::from_millis(1);
/// The longest.
const WORD_PAUSE_MAX: Duration = Duration::from_millis(16);

/// What a question came to.
#[derive(Debug)]
pub(crate) enum Ended {
    /// An answer that stands.
    Said(Said),
    /// It was refused by the door of a node, and no attempt before may have been heard.
    Refused(Refusal),
    /// No attempt had any effect, and none will.
    Nothing(Why),
    /// Some attempt may have been heard, and what became of it is not known.
    Perhaps(Why),
}

/// What one attempt came to.
#[derive(Debug)]
pub(crate) enum Attempt {
    Said(Said),
    /// Nothing was sent.
    Unsent,
    /// It may have been heard.
    Lost,
    /// Before its end, another node was found to lead. It may have been heard.
    Moved,
    /// The deadline passed while it was open. It may have been heard.
    Late,
}

/// What all attempts so far came to. Kept by the caller, who may stop at any await and still knows.
pub(crate) struct Tries {
    /// Whether some attempt may have been heard. True from the moment at which one is sent until
    /// its answer says that nothing was done.
    pub(crate) perhaps: bool,
    redirected: bool,
    why: Why,
    pause: Backoff,
    /// Of questions to one node that has yet to hear that it is to lead; until it was asked again.
    word: Option<Backoff>,
}

impl Tries {
    pub(crate) fn new() -> Tries {
        let pause = Backoff::new(PAUSE, PAUSE_MAX);
        Tries { perhaps: false, redirected: false, why: Why::NoLeader, pause, word: None }
    }

    pub(crate) fn give_up(&self) -> Ended {
        if self.perhaps {
            Ended::Perhaps(self.why.clone())
        } else {
            Ended::Nothing(self.why.clone())
        }
    }
}

impl Route {
    /// Asks whoever leads. `call` is made anew for every attempt.
    pub(crate) async fn ask_leader(
        &self,
        tries: &mut Tries,
        call: impl Fn() -> Call,
        deadline: Deadline,
    ) -> Ended {
        let mut attempted = false;
        while let Some(place) = self.leader(deadline).await {
            // Nobody would hear the answer, and what was not sent has certainly not been heard.
            if deadline.passed() {
                // There is a leader, and there was no time to ask it.
                if !attempted {
                    tries.why = Why::NoAnswer;
                }
                break;
            }
            attempted = true;
            let before = tries.perhaps;
            let attempt = self.attempt(tries, place, &call, deadline).await;
            if nothing_done(&attempt) {
                tries.perhaps = before;
            }
            let attempt = match attempt {
                Attempt::Said(said) if stands(&said) => return Ended::Said(said),
                attempt => attempt,
            };
            // Hardly ever: so in a box, or each question would carry it along.
            if let Some(ended) = Box::pin(self.learn(tries, place, attempt, deadline)).await {
                return ended;
            }
        }
        tries.give_up()
    }

    /// Asks what any node can answer at once: one after the other, until one does.
    pub(crate) async fn ask_any(&self, call: impl Fn() -> Call, deadline: Deadline) -> Ended {
        self.ask_around(call, deadline, ANY_PATIENCE).await
    }

    /// Asks what any node may take until the deadline to answer. `Perhaps` means that a node heard
    /// it and had nothing to say.
    pub(crate) async fn ask_any_patiently(
        &self,
        call: impl Fn() -> Call,
        deadline: Deadline,
    ) -> Ended {
        self.ask_around(call, deadline, deadline.left()).await
    }

    async fn ask_around(
        &self,
        call: impl Fn() -> Call,
        deadline: Deadline,
        patience: Duration,
    ) -> Ended {
        let mut tries = Tries::new();
        let mut failed = 0;
        while !deadline.passed() {
            let place = self.any();
            tries.perhaps = false;
            match self.ask_node(place, call(), deadline.or_after(patience)).await {
                Attempt::Said(Said::Refused(why)) => return Ended::Refused(why),
                Attempt::Said(Said::NotApplied(why)) => tries.why = Why::Node(why),
                Attempt::Said(Said::NotLeader { .. } | Said::Unknown) => {}
                Attempt::Said(said) => return Ended::Said(said),
                Attempt::Unsent | Attempt::Lost | Attempt::Moved => {}
                Attempt::Late => {
                    tries.perhaps = true;
                    // What a node said says more than that somebody said nothing.
                    if !matches!(tries.why, Why::Node(_)) {
                        tries.why = Why::NoAnswer;
                    }
                }
            }
            self.try_another(place);
            failed += 1;
            if failed % self.nodes().len() == 0 {
                tries.pause.wait(deadline).await;
            }
        }
        tries.give_up()
    }

    /// Asks one node, once; waits until the deadline for its answer.
    pub(crate) async fn ask_node(&self, place: Place, call: Call, deadline: Deadline) -> Attempt {
        let asking = async {
            let Ok(line) = self.node(place).line(&self.wire).await else { return Attempt::Unsent };
            let ask = Ask { within_ms: deadline.within_ms(), call };
            said(line.ask(encode(&ask)).await)
        };
        timeout_at(deadline.at(), asking).await.unwrap_or(Attempt::Late)
    }

    /// Asks one node to say within that time whether there is news, and waits for its answer as
    /// much longer as that has to travel.
    pub(crate) async fn ask_node_for_news(
        &self,
        place: Place,
        call: Call,
        within: Duration,
    ) -> Attempt {
        let dialling = timeout(within, self.node(place).line(&self.wire)).await;
        let Ok(Ok(line)) = dialling else { return Attempt::Unsent };
        let within_ms = Deadline::after(within).within_ms();
        let deadline = Deadline::after(within + line.rtt() * TRIPS_PATIENCE);
        let asking = line.ask(encode(&Ask { within_ms, call }));
        timeout_at(deadline.at(), asking).await.map_or(Attempt::Late, said)
    }

    /// Draws the conclusion of an attempt: the end, or nothing and the next attempt may begin.
    async fn learn(
        &self,
        tries: &mut Tries,
        place: Place,
        attempt: Attempt,
        deadline: Deadline,
    ) -> Option<Ended> {
        match attempt {
            Attempt::Said(Said::NotLeader { leader })
                if self.has_yet_to_hear(place, leader.as_deref()) =>
            {
                let Some(word) = &mut tries.word else {
                    tries.word = Some(Backoff::new(WORD_PAUSE, WORD_PAUSE_MAX));
                    return None;
                };
                let until = deadline.or_after(word.next());
                let mut leader = self.watch();
                let another = another_leads(&mut leader, place);
                // Nothing comes of it but the next attempt, at whoever leads then.
                let _whoever_leads = timeout_at(until.at(), another).await;
            }
            Attempt::Said(Said::NotLeader { leader }) => {
                tries.word = None;
                // The first hint is followed at once; nodes that point at each other are not.
                if !self.not_leading(place, leader.as_deref()) || tries.redirected {
                    tries.pause.wait(deadline).await;
                }
                tries.redirected = true;
            }
            Attempt::Said(Said::NotApplied(why)) => {
                tries.why = Why::Node(why);
                if why == NotApplied::DiskFull {
                    self.node(place).note_disk_full(true);
                }
                self.not_now(place, why, &mut tries.pause, deadline).await;
            }
            Attempt::Said(Said::Unknown) => {
                self.doubt(place);
                tries.pause.wait(deadline).await;
            }
            Attempt::Said(Said::Refused(why)) if !tries.perhaps => {
                return Some(Ended::Refused(why));
            }
            Attempt::Said(Said::Refused(_)) => tries.pause.wait(deadline).await,
            Attempt::Said(said) => return Some(Ended::Said(said)),
            Attempt::Unsent => {
                self.not_leading(place, None);
                tries.pause.wait(deadline).await;
            }
            Attempt::Lost => {
                tries.why = Why::NoAnswer;
                self.not_leading(place, None);
                tries.pause.wait(deadline).await;
            }
            Attempt::Moved => {}
            Attempt::Late => {
                tries.why = Why::NoAnswer;
                return Some(tries.give_up());
            }
        }
        None
    }

    async fn not_now(
        &self,
        place: Place,
        why: NotApplied,
        pause: &mut Backoff,
        deadline: Deadline,
    ) {
        match why {
            NotApplied::Overloaded { retry_after_ms } => {
                let asked = Duration::from_millis(retry_after_ms.into());
                sleep_until(deadline.or_after(asked).at()).await;
            }
            NotApplied::NoQuorum | NotApplied::Stopping | NotApplied::DiskFull => {
                self.doubt(place);
            }
            // `Deadline`, and whatever a later node adds: repeat as for any other reason.
            _ => {}
        }
        pause.wait(deadline).await;
    }

    async fn attempt(
        &self,
        tries: &mut Tries,
        place: Place,
        call: &impl Fn() -> Call,
        deadline: Deadline,
    ) -> Attempt {
        let mut leader = self.watch();
        // A line that stands is the rule: no timer is set where there is nothing to wait for.
        let line = tokio::select! {
            biased;
            line = self.node(place).line(&self.wire) => line,
            // As good as a hint: there is nothing to wait for.
            () = another_leads(&mut leader, place) => return Attempt::Moved,
            () = sleep_until(deadline.at()) => return Attempt::Unsent,
        };
        let Ok(line) = line else { return Attempt::Unsent };
        tries.perhaps = true;
        // In a scope of its own, or it would be kept for as long as the answer is waited for.
        let (together, asked) = {
            let ask = Ask { within_ms: deadline.within_ms(), call: call() };
            (is_brief(&ask.call), encode(&ask))
        };
        let asking = pin!(async {
            if together { line.ask_together(asked).await } else { Box::pin(line.ask(asked)).await }
        });
        self.wait_for_answer(asking, place, deadline, leader).await
    }

    async fn wait_for_answer(
        &self,
        mut asking: Pin<&mut impl Future<Output = Result<Bytes, AskError>>>,
        place: Place,
        deadline: Deadline,
        mut leader: watch::Receiver<Option<Place>>,
    ) -> Attempt {
        loop {
            // One timer for whichever comes first: nearly every answer comes before both.
            let until = deadline.or_after(DOUBT_AFTER);
            tokio::select! {
                biased;
                answer = &mut asking => return said(answer),
                () = another_leads(&mut leader, place) => return Attempt::Moved,
                () = sleep_until(until.at()) => {}
            }
            if until == deadline {
                return Attempt::Late;
            }
            self.doubt(place);
        }
    }
}

/// Whether the node that was asked did nothing and will do nothing on account of this attempt.
fn nothing_done(attempt: &Attempt) -> bool {
    match attempt {
        Attempt::Unsent => true,
        Attempt::Said(said) => !stands(said) && !matches!(said, Said::Unknown),
        Attempt::Lost | Attempt::Moved | Attempt::Late => false,
    }
}

/// Whether it is answered at once, and not at length: others do not wait behind it, nor it behind
/// them.
fn is_brief(call: &Call) -> bool {
    match call {
        Call::Submit(_) | Call::KeepAlive { .. } | Call::Renew { .. } => true,
        Call::Read { query, .. } => matches!(query, Query::Get { .. } | Query::Verdicts { .. }),
        Call::Attend { .. } | Call::Status | Call::HandOver { .. } => false,
        Call::Watch { .. } | Call::WatchAny { .. } => false,
    }
}

/// Whether it answers what was asked, and nothing more is to be tried.
fn stands(said: &Said) -> bool {
    !matches!(said, Said::NotLeader { .. } | Said::NotApplied(_) | Said::Refused(_) | Said::Unknown)
}

fn said(answer: Result<Bytes, AskError>) -> Attempt {
    match answer {
        // Bytes that are no answer are as good as none: it may have been heard.
        Ok(bytes) => decode(&bytes).map_or(Attempt::Lost, Attempt::Said),
        Err(AskError::Connect { .. }) => Attempt::Unsent,
        Err(_) => Attempt::Lost,
    }
}

/// Resolves when somebody else is believed to lead; that nobody is, is no news.
async fn another_leads(leader: &mut watch::Receiver<Option<Place>>, than: Place) {
    let another = |leader: &Option<Place>| leader.is_some_and(|place| place != than);
    if leader.wait_for(another).await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    /// Every request is a task of its own, as large as all that it may come to, and is moved about
    /// as such. To dial is the rarest of it, and was most of it; to ask alone was most of the rest.
    #[tokio::test(start_paused = true)]
    async fn a_question_does_not_carry_along_what_is_rare() {
        let client = Stage::new().client().await;
        let (route, mut tries) = (&client.core.route, Tries::new());
        let deadline = Deadline::after(Duration::from_secs(1));
        let dialling = size_of_val(&route.node(0).line(&route.wire));
        let line = route.node(0).line(&route.wire).await.unwrap();
        let together = size_of_val(&line.ask_together(Bytes::new()));
        let question = size_of_val(&route.ask_leader(&mut tries, || Call::Status, deadline));
        assert!(dialling <= 256, "{dialling} bytes of {question}");
        assert!(together <= 320, "{together} bytes of {question}");
        assert!(question <= 1_280, "{question} bytes");
    }
}
