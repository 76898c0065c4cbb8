//! Actors that hear words, and every order in which they may.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt::Debug,
    hash::Hash,
    rc::Rc,
};

use super::{
    breadth::Maze,
    pool::{Key, Pool, Quick},
};
use crate::violation::{Checked, Violation};

/// The most actors on a stage.
const ACTORS_MAX: usize = 5;

/// What comes by itself must come to rest within so many acts.
const REST_ACTS_MAX: usize = 200;

/// Who acts, and by which rules.
pub(super) trait Play {
    /// An actor: the product's code as a value, with the devices around it.
    type Core: Clone + Hash;
    /// What actors say to each other.
    type Word: Clone + Hash;
    /// What befalls an actor besides words.
    type Deed: Copy + Eq + Hash;
    /// What an actor has done, once and for ever.
    type Fact: Clone + Hash + Ord;
    /// How much of what the bounds allow has happened.
    type Spent: Copy + Eq + Hash + Default;

    /// The actors before anything has happened, and the words on their way to them.
    fn cast(&self) -> Vec<(Self::Core, Vec<Self::Word>)>;

    /// What may befall an actor now.
    fn deeds(&self, place: usize, core: &Self::Core, spent: Self::Spent) -> Vec<Self::Deed>;

    /// Whether it can hear now.
    fn hears(&self, core: &Self::Core) -> bool;

    /// What an event makes of an actor, and of the world.
    fn step(&self, core: &mut Self::Core, event: Event<&Self::Word, Self::Deed>) -> Stepped<Self>;

    /// Whether a word is worth hearing for what the hearer says, though nothing in it changes.
    /// `None` when every word stays on its way for ever.
    fn worth_hearing(&self, effects: &Effects<Self::Word, Self::Fact>) -> Option<bool>;

    /// Counts a deed that has changed something.
    fn spend(&self, spent: &mut Self::Spent, deed: Self::Deed);

    /// What must hold of all actors together.
    fn obeys_the_laws(&self, scene: &Scene<'_, Self>) -> Checked;

    /// Whether it matters how things end.
    const RESTS: bool;

    /// Whether a deed comes about by itself in time.
    fn comes_by_itself(&self, deed: Self::Deed) -> bool;

    /// What must hold when whatever was said is heard and what comes by itself has come.
    fn rests_well(&self, scene: &Scene<'_, Self>) -> Checked;

    /// What happens to the actor at `place`, in words.
    fn tell_event(&self, place: usize, event: Event<&Self::Word, Self::Deed>) -> String;

    /// What came of it.
    fn tell_effects(
        &self,
        core: &Self::Core,
        effects: &Effects<Self::Word, Self::Fact>,
    ) -> Vec<String>;
}

/// What a step comes to.
pub(super) type Stepped<P> = Result<EffectsOf<P>, Violation>;

/// What happens to an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event<W, D> {
    /// It hears a word.
    Hear(W),
    /// Anything else.
    Do(D),
}

/// What a step means to the rest of the world.
#[derive(Clone, Debug)]
pub(super) struct Effects<W, F> {
    /// Words that have left, each to an actor by its place.
    pub(super) words: Vec<(usize, W)>,
    /// What is so from now on.
    pub(super) facts: Vec<F>,
    /// What must be so by now.
    pub(super) claims: Vec<F>,
}

impl<W, F> Default for Effects<W, F> {
    fn default() -> Effects<W, F> {
        Effects { words: Vec::new(), facts: Vec::new(), claims: Vec::new() }
    }
}

/// All actors at one moment.
#[derive(Debug)]
pub(super) struct Scene<'s, P: Play + ?Sized> {
    /// Each with what it has done.
    pub(super) actors: Vec<(&'s P::Core, &'s BTreeSet<P::Fact>)>,
    /// What must be so by now.
    pub(super) claims: &'s [P::Fact],
    pub(super) spent: P::Spent,
}

/// All actors, and how much has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct World<S> {
    actors: [Key; ACTORS_MAX],
    spent: S,
}

/// What may happen in a world: to whom, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Act<D> {
    place: u8,
    what: Event<Key, D>,
}

/// An actor with what is on its way to it, and with its past.
#[derive(Clone, Debug, Hash)]
struct Actor<F> {
    core: Key,
    mail: BTreeSet<Key>,
    facts: BTreeSet<F>,
}

/// What an act comes to.
#[derive(Clone, Debug)]
struct Outcome<F> {
    after: Key,
    /// To which places words go.
    letters: Rc<[(u8, Key)]>,
    claims: Rc<[F]>,
    /// Whether there are facts or claims to be looked at.
    news: bool,
}

/// A step that was taken: the core after it, and its effects.
type StepOf<P> = Result<(Key, Rc<EffectsOf<P>>), Violation>;

type EffectsOf<P> = Effects<<P as Play>::Word, <P as Play>::Fact>;
type ActOf<P> = Act<<P as Play>::Deed>;
type OutcomeOf<P> = Outcome<<P as Play>::Fact>;

/// Every world of a play.
///
/// A word that was said can be heard at any later moment, any number of times, or never: one rule
/// that is loss, delay, reordering and duplication at once.
///
/// An actor is a value, and what it does is a function of the value and the event: so each is
/// stepped once for each event, however many worlds it stands in, and the rest is remembered.
pub(super) struct Stage<P: Play> {
    play: P,
    words: Pool<P::Word>,
    cores: Pool<P::Core>,
    actors: Pool<Actor<P::Fact>>,
    steps: Remembered<(Key, ActOf<P>), StepOf<P>>,
    outcomes: Remembered<(Key, ActOf<P>), OutcomeOf<P>>,
    /// An actor with one more word on its way.
    mailed: Remembered<(Key, Key), Key>,
    /// Worlds from which it is known that all comes to a good end.
    restful: HashSet<World<P::Spent>, Quick>,
    /// How many actors there are.
    count: usize,
}

type Remembered<K, V> = HashMap<K, V, Quick>;

impl<P: Play> Stage<P> {
    pub(super) fn new(play: P) -> Stage<P> {
        let count = play.cast().len();
        assert!(count <= ACTORS_MAX, "{count} actors");
        Stage {
            play,
            words: Pool::new(),
            cores: Pool::new(),
            actors: Pool::new(),
            steps: HashMap::default(),
            outcomes: HashMap::default(),
            mailed: HashMap::default(),
            restful: HashSet::default(),
            count,
        }
    }

    fn actor(&self, world: &World<P::Spent>, place: usize) -> &Actor<P::Fact> {
        self.actors.get(world.actors[place])
    }

    fn outcome(&mut self, actor: Key, act: ActOf<P>) -> Result<OutcomeOf<P>, Violation> {
        if let Some(known) = self.outcomes.get(&(actor, act)) {
            return Ok(known.clone());
        }
        let Actor { core, mut mail, mut facts } = self.actors.get(actor).clone();
        let (core, effects) = self.step(core, act)?;
        let mut news = !effects.claims.is_empty();
        for fact in &effects.facts {
            news |= facts.insert(fact.clone());
        }
        let keep = |(place, word): &(usize, P::Word)| (*place as u8, self.words.keep(word.clone()));
        let letters = effects.words.iter().map(keep).collect();
        self.lose_what_is_idle(core, act.place, &mut mail);
        let after = self.actors.keep(Actor { core, mail, facts });
        let outcome = Outcome { after, letters, claims: effects.claims.as_slice().into(), news };
        self.outcomes.insert((actor, act), outcome.clone());
        Ok(outcome)
    }

    /// Where the play says so, a word that changes nothing in its hearer any more is lost.
    fn lose_what_is_idle(&mut self, core: Key, place: u8, mail: &mut BTreeSet<Key>) {
        mail.retain(|word| {
            let act = Act { place, what: Event::Hear(*word) };
            let Ok((after, effects)) = self.step(core, act) else { return true };
            after != core || self.play.worth_hearing(&effects).unwrap_or(true)
        });
    }

    /// A word is on its way to an actor.
    fn mail(&mut self, actor: Key, place: u8, word: Key) -> Key {
        if let Some(known) = self.mailed.get(&(actor, word)) {
            return *known;
        }
        let mut after = self.actors.get(actor).clone();
        let mut mail = BTreeSet::from([word]);
        self.lose_what_is_idle(after.core, place, &mut mail);
        after.mail.append(&mut mail);
        let after = self.actors.keep(after);
        self.mailed.insert((actor, word), after);
        after
    }

    /// Steps the actor itself, once for each event that it meets.
    fn step(&mut self, core: Key, act: ActOf<P>) -> StepOf<P> {
        if let Some(known) = self.steps.get(&(core, act)) {
            return known.clone();
        }
        let mut after = self.cores.get(core).clone();
        let event = self.event(act);
        let stepped = super::guarded(|| self.play.step(&mut after, event));
        let stepped = stepped.map(|effects| (self.cores.keep(after), Rc::new(effects)));
        self.steps.insert((core, act), stepped.clone());
        stepped
    }

    fn event(&self, act: ActOf<P>) -> Event<&P::Word, P::Deed> {
        match act.what {
            Event::Hear(word) => Event::Hear(self.words.get(word)),
            Event::Do(deed) => Event::Do(deed),
        }
    }

    fn scene<'s>(&'s self, world: &World<P::Spent>, claims: &'s [P::Fact]) -> Scene<'s, P> {
        let actors = (0..self.count).map(|place| self.actor(world, place));
        let actors = actors.map(|actor| (self.cores.get(actor.core), &actor.facts)).collect();
        Scene { actors, claims, spent: world.spent }
    }

    /// One thing that comes about by itself and changes something: a word that was not `heard`, or
    /// a deed.
    fn goes_on(
        &mut self,
        world: &World<P::Spent>,
        heard: &[ActOf<P>],
    ) -> Result<Option<ActOf<P>>, Violation> {
        let mut acts = Vec::new();
        self.acts(world, &mut acts);
        for act in acts {
            let comes = match act.what {
                Event::Hear(_) => !heard.contains(&act),
                Event::Do(deed) => self.play.comes_by_itself(deed),
            };
            if comes && self.take(world, act)? != *world {
                return Ok(Some(act));
            }
        }
        Ok(None)
    }
}

impl<P: Play> Maze for Stage<P> {
    type World = World<P::Spent>;
    type Act = ActOf<P>;

    fn start(&mut self) -> World<P::Spent> {
        let mut keys = Vec::new();
        for (place, (core, words)) in self.play.cast().into_iter().enumerate() {
            let core = self.cores.keep(core);
            let (mail, facts) = (BTreeSet::new(), BTreeSet::new());
            let mut actor = self.actors.keep(Actor { core, mail, facts });
            for word in words {
                let word = self.words.keep(word);
                actor = self.mail(actor, place as u8, word);
            }
            keys.push(actor);
        }
        // Places beyond the last actor hold the first one, and nobody looks there.
        let at = |place: usize| keys.get(place).copied().unwrap_or(keys[0]);
        World { actors: std::array::from_fn(at), spent: P::Spent::default() }
    }

    fn acts(&mut self, world: &World<P::Spent>, acts: &mut Vec<ActOf<P>>) {
        for place in 0..self.count {
            let actor = self.actor(world, place);
            let core = self.cores.get(actor.core);
            let deeds = self.play.deeds(place, core, world.spent).into_iter().map(Event::Do);
            let hears = self.play.hears(core);
            let words = actor.mail.iter().filter(|_| hears).map(|word| Event::Hear(*word));
            acts.extend(deeds.chain(words).map(|what| Act { place: place as u8, what }));
        }
    }

    fn take(&mut self, world: &Self::World, act: Self::Act) -> Result<Self::World, Violation> {
        let place = usize::from(act.place);
        let outcome = self.outcome(world.actors[place], act)?;
        let mut after = *world;
        after.actors[place] = outcome.after;
        for (place, word) in outcome.letters.iter() {
            let to = &mut after.actors[usize::from(*place)];
            *to = self.mail(*to, *place, *word);
        }
        if let Event::Do(deed) = act.what
            && after.actors != world.actors
        {
            self.play.spend(&mut after.spent, deed);
        }
        if outcome.news {
            self.play.obeys_the_laws(&self.scene(&after, &outcome.claims))?;
        }
        Ok(after)
    }

    fn settle(&mut self, world: &Self::World) -> Result<(), (Violation, Vec<Self::Act>)> {
        if !P::RESTS {
            return Ok(());
        }
        let (mut now, mut way, mut acts) = (*world, Vec::new(), Vec::new());
        while !self.restful.contains(&now) {
            way.push(now);
            let next = self.goes_on(&now, &acts).map_err(|violation| (violation, acts.clone()))?;
            let Some(act) = next else {
                let rests = self.play.rests_well(&self.scene(&now, &[]));
                rests.map_err(|violation| (violation, acts.clone()))?;
                break;
            };
            acts.push(act);
            if acts.len() > REST_ACTS_MAX {
                let what = format!("nothing rests after {REST_ACTS_MAX} acts");
                return Err((Violation { invariant: "C11", what }, acts));
            }
            now = self.take(&now, act).map_err(|violation| (violation, acts.clone()))?;
        }
        self.restful.extend(way);
        Ok(())
    }

    fn tell(&mut self, world: &Self::World, act: Self::Act) -> Vec<String> {
        let core = self.actor(world, usize::from(act.place)).core;
        let mut lines = vec![self.play.tell_event(usize::from(act.place), self.event(act))];
        match self.step(core, act) {
            Ok((after, effects)) => {
                let told = self.play.tell_effects(self.cores.get(after), &effects);
                lines.extend(told.into_iter().map(|line| format!("    {line}")));
            }
            Err(violation) => lines.push(format!("    {violation}")),
        }
        lines
    }
}
