mod asks;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use synod_machine::{
    BranchIncarnation, Command, Entry, TxnId, Verdict,
    branch::{
        Asker, Branches, Config, Durable, Durably, Input, Moment, Output, Reader, Readers, Turn,
        Word, Write,
    },
    participant_door as door,
};
use synod_paxos::Tick;

use self::asks::{Enrolled, Purpose};
use super::{
    Acts, Question, Report, Speaker, Teller,
    work::{self, participant_name},
};
use crate::{
    checks::{
        Watch,
        books::{Standing, known},
        transactions::{self, obeyed},
    },
    clock::Clock,
    errand::Errand,
    plan::{MS, Plan},
    planted::Plant,
    sights::Sight,
    violation::{Checked, Violation},
};

/// Stores that a name may have been answered from, for all participants of a universe.
const STORES: u64 = 100;

/// One start in so many is on another store, with everything that the old one held.
const MOVES_ONE_IN: u8 = 4;

/// One participant: a disk that outlives its processes, and a process now and then.
#[derive(Debug)]
pub(crate) struct Participant {
    place: usize,
    rng: Rng,
    voters: u16,
    grace_ms: u64,
    plant: Option<Plant>,
    durable: Facts,
    /// How fast the clocks of its processes run.
    fast_ppm: i64,
    life: u64,
    /// How often it has moved to another store.
    moved: u64,
    up: Option<Process>,
    ill: Option<Ill>,
}

/// What will be wrong with a participant's disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ill {
    /// No sync ends before this moment.
    Stalls { until_us: u64 },
    /// The next sync fails, and with it the process.
    Fails,
    /// A sync that ends before this moment finds no room, and with it ends the process.
    Full { until_us: u64 },
    /// The power goes after the next sync, before what relies on it is said.
    CutAfterSync,
}

/// What comes of a sync.
#[derive(Debug)]
pub(crate) enum Sealed {
    /// What the participant wants.
    Goes(Acts),
    /// It is about to lose its power, or its process.
    Dies(&'static str),
}

/// What stands on a participant's disk.
#[derive(Clone, Debug)]
struct Facts {
    branches: Durable,
    keys: BTreeMap<Bytes, Entry>,
}

#[derive(Debug)]
struct Process {
    branches: Branches,
    clock: Clock,
    /// What the disk will hold when all that was asked for is synced.
    asked: Facts,
    gathered: Durably,
    syncing: Option<Syncing>,
    /// Reads that wait for branches in doubt.
    readers: Readers<Question>,
    /// What has been read, of which some may not be durable yet.
    read: Vec<(Question, door::Said)>,
    /// Branches that it found in doubt when it started.
    found: BTreeSet<TxnId>,
    askers: BTreeMap<Asker, Teller>,
    next_asker: u64,
    enrolled: Enrolled,
    errands: BTreeMap<Purpose, Errand>,
    proposals: Vec<Command>,
    /// Finished commits that the log is to hear of.
    finished: BTreeSet<TxnId>,
}

/// What is on its way to the disk, and what is said when it is there.
#[derive(Debug)]
struct Syncing {
    writes: Vec<Write>,
    durably: Durably,
    read: Vec<(Question, door::Said)>,
}

impl Facts {
    fn write(&mut self, write: &Write) {
        self.branches.write(write);
        if let Write::Key { key, entry } = write {
            match entry {
                Some(entry) => drop(self.keys.insert(key.clone(), entry.clone())),
                None => drop(self.keys.remove(key)),
            }
        }
    }
}

impl Participant {
    /// The participant at `place`, switched off, with the opening balances on its disk.
    pub(crate) fn new(
        place: usize,
        plan: &Plan,
        plant: Option<Plant>,
        mut rng: Rng,
    ) -> Participant {
        let branches = Durable { revision: work::OPENING, ..Durable::default() };
        let durable = Facts { branches, keys: work::opening() };
        let (voters, grace_ms) = (plan.voters, plan.grace_ms);
        let fast_ppm = rng.i64(-plan.drift_ppm..=plan.drift_ppm);
        Participant {
            place,
            rng,
            voters,
            grace_ms,
            plant,
            durable,
            fast_ppm,
            life: 0,
            moved: 0,
            up: None,
            ill: None,
        }
    }

    /// How many processes there have been.
    pub(crate) fn life(&self) -> u64 {
        self.life
    }

    /// Something will be wrong with its disk.
    pub(crate) fn falls(&mut self, ill: Ill) {
        self.ill = Some(ill);
    }

    /// Nothing is wrong with it any more.
    pub(crate) fn heal(&mut self) {
        self.ill = None;
    }

    /// No sync ends before this moment.
    pub(crate) fn stalled_until_us(&self) -> u64 {
        match self.ill {
            Some(Ill::Stalls { until_us }) => until_us,
            Some(Ill::Fails | Ill::Full { .. } | Ill::CutAfterSync) | None => 0,
        }
    }

    /// Facts on their way to its disk.
    pub(crate) fn on_their_way(&self) -> &[Write] {
        let syncing = self.up.as_ref().and_then(|up| up.syncing.as_ref());
        syncing.map(|syncing| &*syncing.writes).unwrap_or_default()
    }

    /// What an owner sees that looks now; nothing while the participant is off. Only what is
    /// durable is shown: a revision that a crash takes back is given out again, to another value.
    pub(crate) fn look(&self) -> Option<&BTreeMap<Bytes, Entry>> {
        self.up.as_ref().map(|_| &self.durable.keys)
    }

    /// Adds what stands in its books, durably.
    pub(crate) fn read(&self, standing: &mut Standing) {
        work::read(self.place, &self.durable.keys, standing);
    }

    /// Whether it waits for nothing: no branch in doubt, no commit that the log has not heard of.
    pub(crate) fn rests(&self) -> bool {
        self.up.as_ref().is_some_and(|up| {
            let counts = up.branches.counts();
            let synced = up.syncing.is_none() && up.gathered.is_empty();
            let answered = counts.in_doubt == 0 && counts.unacknowledged == 0;
            up.enrolled == Enrolled::Yes && synced && answered
        })
    }

    /// What it waits for, for the story.
    pub(crate) fn doing(&self) -> String {
        let counts = self.up.as_ref().map(|up| (up.branches.counts(), up.enrolled));
        format!("participant {}: {counts:?}", self.place)
    }

    /// Switches it on.
    pub(crate) fn start(&mut self, now: u64, watch: &mut Watch) -> Result<Acts, Violation> {
        if self.up.is_some() {
            return Ok(Acts::default());
        }
        watch.transactions.recovered(self.place, &self.durable.branches)?;
        self.life += 1;
        if self.life > 1 && self.rng.u8(0..MOVES_ONE_IN) == 0 {
            self.moved += 1;
        }
        let config = Config {
            name: participant_name(self.place),
            incarnation: self.incarnation(),
            in_doubt_grace_ms: self.grace_ms,
        };
        let clock = Clock::new(now, self.fast_ppm);
        self.up = Some(Process {
            branches: Branches::recover(config, &self.durable.branches, moment(&clock, now)),
            clock,
            asked: self.durable.clone(),
            gathered: Durably::default(),
            syncing: None,
            readers: Readers::default(),
            read: Vec::new(),
            found: self.durable.branches.prepared.keys().copied().collect(),
            askers: BTreeMap::new(),
            next_asker: 0,
            enrolled: Enrolled::No,
            errands: BTreeMap::new(),
            proposals: Vec::new(),
            finished: BTreeSet::new(),
        });
        Ok(self.busy(now))
    }

    /// It loses its power: what was on its way to the disk is there as a whole afterwards or not.
    pub(crate) fn crash(&mut self, watch: &mut Watch) -> Checked {
        let Some(up) = self.up.take() else { return Ok(()) };
        if let Some(syncing) = up.syncing
            && self.rng.bool()
        {
            self.sync(&syncing.writes, watch)?;
        }
        Ok(())
    }

    /// An owner or an auditor speaks.
    pub(crate) fn errand(
        &mut self,
        now: u64,
        from: Speaker,
        call: door::Call,
        watch: &mut Watch,
    ) -> Result<Acts, Violation> {
        let Some(up) = &mut self.up else { return Ok(Acts::default()) };
        let from = match from {
            Speaker::Owner(teller) => teller,
            Speaker::Auditor(question) => return self.question(now, question, call, watch),
        };
        up.next_asker += 1;
        let asker = Asker(up.next_asker);
        up.askers.insert(asker, from);
        let input = match call {
            door::Call::Prepare { txn, work } => Input::Prepare { asker, txn, work },
            door::Call::Finish { txn, verdict } => {
                Input::Finish { asker: Some(asker), txn, verdict }
            }
            _ => return Ok(Acts::default()),
        };
        self.step(now, input, watch)
    }

    /// The sync under way is done.
    pub(crate) fn sealed(&mut self, now: u64, watch: &mut Watch) -> Result<Sealed, Violation> {
        let is_over = |ill: &Ill| matches!(ill, Ill::Full { until_us } if *until_us <= now);
        self.ill.take_if(|ill| is_over(ill));
        let syncs = |ill: &Ill| matches!(ill, Ill::Stalls { .. } | Ill::Full { .. });
        if let Some(Ill::Full { .. }) = self.ill {
            // Nothing of it is there afterwards.
            self.up.iter_mut().for_each(|up| up.syncing = None);
            watch.seen.see(Sight::ShardFull);
            return Ok(Sealed::Dies("finds no room, and ends"));
        }
        let dies = self.ill.take_if(|ill| !syncs(ill));
        if let Some(Ill::Fails) = dies {
            // What was in flight is there afterwards or not, as after a crash.
            watch.seen.see(Sight::ShardFailed);
            return Ok(Sealed::Dies("fails to sync, and ends"));
        }
        let syncing = self.up.as_mut().and_then(|up| up.syncing.take());
        let Some(Syncing { writes, durably, read }) = syncing else {
            return Ok(Sealed::Goes(Acts::default()));
        };
        self.sync(&writes, watch)?;
        if dies.is_some() {
            watch.seen.see(Sight::ShardAfterSync);
            return Ok(Sealed::Dies("loses its power after a sync, before it says a word"));
        }
        let mut acts = Acts::default();
        for word in durably.synced() {
            self.speak(word, &mut acts, watch)?;
        }
        self.read_out(read, &mut acts)?;
        self.flush(&mut acts, watch)?;
        self.errands(now, &mut acts);
        Ok(Sealed::Goes(acts))
    }

    /// Its moment to wake.
    pub(crate) fn wake(&mut self, now: u64, watch: &mut Watch) -> Result<Acts, Violation> {
        let Some(up) = &mut self.up else { return Ok(Acts::default()) };
        let mut acts = Acts::default();
        if up.branches.wake_at().is_some_and(|at| at <= moment(&up.clock, now)) {
            acts = self.step(now, Input::Wake, watch)?;
        }
        self.turn(now, Vec::new());
        self.flush(&mut acts, watch)?;
        self.errands(now, &mut acts);
        Ok(acts)
    }

    fn step(&mut self, now: u64, input: Input, watch: &mut Watch) -> Result<Acts, Violation> {
        let place = self.place;
        let Some(up) = &mut self.up else { return Ok(Acts::default()) };
        watch.branch_hears(place, &input);
        let verdict = match &input {
            Input::Finish { txn, verdict, .. } => Some((*txn, *verdict)),
            _ => None,
        };
        let (keys, heard) = (&up.asked.keys, input.clone());
        if let Some((txn, Verdict::Committed)) = verdict {
            let work = up.asked.branches.prepared.get(&txn);
            work.map_or(Ok(()), |work| transactions::guards_hold(place, txn, work, keys))?;
        }
        let moment = moment(&up.clock, now);
        let Output { durably, at_once, propose, alarms } =
            up.branches.step(moment, input, |key| keys.get(key).cloned());
        watch.branch_asked(place, verdict, durably.writes())?;
        transactions::branch_keeps_its_word(&up.branches, moment, &heard)?;
        for alarm in &alarms {
            obeyed::needs_a_person(place, alarm)?;
        }
        durably.writes().iter().for_each(|write| up.asked.write(write));
        up.gathered.merge(durably);
        // What waits already is not asked for twice, however long nobody answers.
        for command in propose {
            if !up.proposals.contains(&command) {
                up.proposals.push(command);
            }
        }
        let mut acts = Acts::default();
        for (asker, said) in at_once {
            self.speak(Word::Said { to: asker, said }, &mut acts, watch)?;
        }
        self.turn(now, Vec::new());
        self.flush(&mut acts, watch)?;
        self.errands(now, &mut acts);
        Ok(acts)
    }

    /// Hands the disk what has gathered, if it is free.
    fn flush(&mut self, acts: &mut Acts, watch: &mut Watch) -> Checked {
        let Some(up) = &mut self.up else { return Ok(()) };
        let nothing = up.syncing.is_none() && up.gathered.is_empty();
        if nothing || self.plant == Some(Plant::ReadBeforeSync) {
            let read = std::mem::take(&mut up.read);
            self.read_out(read, acts)?;
        }
        let Some(up) = &mut self.up else { return Ok(()) };
        if up.syncing.is_some() || up.gathered.is_empty() {
            return Ok(());
        }
        let durably = std::mem::take(&mut up.gathered);
        let writes = durably.writes().to_vec();
        let read = std::mem::take(&mut up.read);
        acts.sync = true;
        if self.plant == Some(Plant::VoteBeforeSync) {
            up.syncing = Some(Syncing { writes, durably: Durably::default(), read });
            for word in durably.synced() {
                self.speak(word, acts, watch)?;
            }
        } else {
            up.syncing = Some(Syncing { writes, durably, read });
        }
        Ok(())
    }

    /// What is read out.
    fn read_out(&self, read: Vec<(Question, door::Said)>, acts: &mut Acts) -> Checked {
        let (place, durable) = (self.place, self.durable.branches.revision);
        for (to, said) in read {
            if let door::Said::Key { revision, .. } | door::Said::Keys { revision, .. } = &said {
                known::is_durable(place, *revision, durable)?;
            }
            acts.reports.push(Report { to: Speaker::Auditor(to), said });
        }
        Ok(())
    }

    fn sync(&mut self, writes: &[Write], watch: &mut Watch) -> Checked {
        writes.iter().for_each(|write| self.durable.write(write));
        watch.transactions.synced(self.place, writes)
    }

    fn speak(&mut self, word: Word, acts: &mut Acts, watch: &mut Watch) -> Checked {
        let Some(up) = &mut self.up else { return Ok(()) };
        match word {
            Word::Said { to, said } => {
                let Some(to) = up.askers.remove(&to) else { return Ok(()) };
                if let door::Said::Vote(vote) = &said {
                    watch.transactions.votes(self.place, to.txn, vote)?;
                }
                if said == door::Said::Finished {
                    watch.transactions.finishes(self.place, to.txn)?;
                }
                acts.reports.push(Report { to: Speaker::Owner(to), said });
            }
            Word::Acknowledge(txn) => {
                watch.transactions.acknowledges(self.place, txn)?;
                up.finished.insert(txn);
            }
        }
        Ok(())
    }

    /// An auditor reads.
    fn question(
        &mut self,
        now: u64,
        question: Question,
        call: door::Call,
        watch: &mut Watch,
    ) -> Result<Acts, Violation> {
        let Some(up) = &mut self.up else { return Ok(Acts::default()) };
        let (before, writer) = (up.readers.count(), writer(&call, &up.branches));
        // It is told how long its caller waits, and measures that itself.
        let left_us = question.until_us.saturating_sub(now);
        let until = moment_of(up.clock.tick(now).after(Duration::from_micros(left_us)));
        self.turn(now, vec![Reader { call, reply: question, until }]);
        if let Some(up) = &self.up
            && up.readers.count() > before
        {
            watch.seen.see(Sight::ReadWaits);
            if writer.is_some_and(|txn| up.found.contains(&txn)) {
                watch.seen.see(Sight::ReadWaitsForFound);
            }
        }
        let mut acts = Acts::default();
        self.flush(&mut acts, watch)?;
        self.errands(now, &mut acts);
        Ok(acts)
    }

    /// What those read whose turn has come stands after every step so far: they are told when all
    /// of it is durable.
    fn turn(&mut self, now: u64, new: Vec<Reader<Question>>) {
        let Some(up) = &mut self.up else { return };
        for turn in up.readers.turns(new, &up.branches, moment(&up.clock, now)) {
            let (to, said) = match turn {
                Turn::Read(Reader { call, reply, .. }) => {
                    (reply, work::answer(&call, up.branches.revision(), &up.asked.keys))
                }
                Turn::Not(reply, why) => (reply, door::Said::NotApplied(why)),
            };
            up.read.push((to, said));
        }
    }

    fn incarnation(&self) -> BranchIncarnation {
        BranchIncarnation(1 + self.moved + STORES * self.place as u64)
    }
}

/// Who is prepared here and writes the one key that is read.
fn writer(call: &door::Call, branches: &Branches) -> Option<TxnId> {
    match call {
        door::Call::Get { key, .. } => branches.writer(key),
        _ => None,
    }
}

fn moment(clock: &Clock, now_us: u64) -> Moment {
    moment_of(clock.tick(now_us))
}

fn moment_of(tick: Tick) -> Moment {
    Moment(tick.micros() / MS)
}

fn merge(acts: &mut Acts, later: Acts) {
    acts.calls.extend(later.calls);
    acts.errands.extend(later.errands);
    acts.questions.extend(later.questions);
    acts.reports.extend(later.reports);
    acts.sync |= later.sync;
    if let Some(at) = later.wake_us {
        acts.wake_at(at);
    }
}
