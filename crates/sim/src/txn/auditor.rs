use fastrand::Rng;
use synod_machine::{
    Revision,
    door::NotApplied,
    participant_door::{self as door, Freshness},
};

use super::{Acts, Question, work};
use crate::{
    checks::{Watch, books::known},
    plan::{MS, Plan, SECOND},
    sights::Sight,
    violation::Checked,
};

/// How long a read waits for transactions in doubt, at least and at most; once trouble has ended,
/// until all of them must have ended.
const PATIENCE_US: (u64, u64) = (20 * MS, 900 * MS);
const LAST_PATIENCE_US: u64 = 5 * SECOND;

/// One read in so many is content with what has finished.
const CONTENT_ONE_IN: u8 = 4;

/// One that reads participants' lists, a question at a time, and writes nothing.
#[derive(Debug)]
pub(crate) struct Auditor {
    place: usize,
    rng: Rng,
    participants: usize,
    think_us: (u64, u64),
    asked: u64,
    doing: Doing,
    /// Reads still to be answered once trouble has ended; `None` before.
    left: Option<u32>,
}

#[derive(Debug)]
enum Doing {
    Thinking { until_us: u64 },
    Waiting(Box<Read>),
}

/// A read under way.
#[derive(Debug)]
struct Read {
    question: Question,
    of: usize,
    call: door::Call,
    asked_us: u64,
    /// The revision that reads of this participant had shown by then.
    shown: Revision,
}

impl Auditor {
    /// The auditor at `place`.
    pub(crate) fn new(place: usize, plan: &Plan, rng: Rng) -> Auditor {
        Auditor {
            place,
            rng,
            participants: usize::from(plan.participants),
            think_us: plan.think_us,
            asked: 0,
            doing: Doing::Thinking { until_us: 0 },
            left: None,
        }
    }

    /// Trouble has ended: a few more reads, each of which must be answered, and then rest.
    pub(crate) fn wind_up(&mut self, reads: u32) {
        self.left = Some(reads);
    }

    /// Whether it has read all it wanted.
    pub(crate) fn rests(&self) -> bool {
        self.left == Some(0)
    }

    /// What it is doing, for the story.
    pub(crate) fn doing(&self) -> String {
        format!("auditor {}: {:?}", self.place, self.doing)
    }

    /// Its moment to wake.
    pub(crate) fn wake(&mut self, now: u64, watch: &Watch) -> Acts {
        let mut acts = Acts::default();
        match &self.doing {
            _ if self.rests() => {}
            Doing::Thinking { until_us } if now < *until_us => acts.wake_at(*until_us),
            Doing::Waiting(read) if now < read.question.until_us => {
                acts.wake_at(read.question.until_us);
            }
            // Nobody has answered in time: it asks something else.
            Doing::Thinking { .. } | Doing::Waiting(_) => self.ask(now, watch, &mut acts),
        }
        acts
    }

    fn ask(&mut self, now: u64, watch: &Watch, acts: &mut Acts) {
        self.asked += 1;
        let patience_us = match self.left {
            Some(_) => LAST_PATIENCE_US,
            None => self.rng.u64(PATIENCE_US.0..PATIENCE_US.1),
        };
        let until_us = now + patience_us;
        let question = Question { auditor: self.place, number: self.asked, until_us };
        let of = self.rng.usize(0..self.participants);
        let freshness = match self.rng.u8(0..CONTENT_ONE_IN) {
            0 => Freshness::Finished,
            _ => Freshness::Committed,
        };
        let call = work::question(freshness, &mut self.rng);
        acts.questions.push((of, question, call.clone()));
        acts.wake_at(until_us);
        let shown = watch.books.shown(of);
        self.doing = Doing::Waiting(Box::new(Read { question, of, call, asked_us: now, shown }));
    }

    /// A participant answers.
    pub(crate) fn report(
        &mut self,
        now: u64,
        question: Question,
        said: &door::Said,
        acts: &mut Acts,
        watch: &mut Watch,
    ) -> Checked {
        let Doing::Waiting(read) = &self.doing else { return Ok(()) };
        if read.question != question {
            return Ok(());
        }
        let (place, of) = (self.place, read.of);
        match said {
            door::Said::Key { revision, .. } | door::Said::Keys { revision, .. } => {
                watch.books.shows(of, read.shown, *revision)?;
                let fresh = work::freshness(&read.call) == Some(Freshness::Committed);
                for (list, numbers) in work::lists_of(of, &read.call, said) {
                    match fresh {
                        true => watch.books.finds(list, numbers, read.asked_us)?,
                        false => watch.books.read(list, numbers),
                    }
                }
                self.left = self.left.map(|left| left.saturating_sub(1));
            }
            door::Said::NotApplied(NotApplied::Locked { .. }) => {
                watch.seen.see(Sight::ReadInVain);
            }
            said => known::is_no_answer(place, of, said)?,
        }
        let until_us = now + self.rng.u64(self.think_us.0..=self.think_us.1);
        self.doing = Doing::Thinking { until_us };
        acts.wake_at(until_us);
        Ok(())
    }
}
