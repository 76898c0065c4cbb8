use std::{
    collections::HashSet,
    fmt,
    hash::Hash,
    time::{Duration, Instant},
};

use super::pool::Quick;
use crate::violation::Violation;

/// Worlds, and the ways from one to another.
pub(super) trait Maze {
    /// One world; small, for millions of them are held.
    type World: Copy + Eq + Hash;
    /// One thing that may happen in a world.
    type Act: Copy;

    /// The world in which it begins.
    fn start(&mut self) -> Self::World;

    /// Whatever may happen in `world`, appended to `acts`.
    fn acts(&mut self, world: &Self::World, acts: &mut Vec<Self::Act>);

    /// The world after `act`, which is the same one when the act does nothing.
    fn take(&mut self, world: &Self::World, act: Self::Act) -> Result<Self::World, Violation>;

    /// Whether all comes to a good end from here, if nothing more befalls anybody; else what does
    /// not, and the acts that lead there.
    fn settle(&mut self, world: &Self::World) -> Result<(), (Violation, Vec<Self::Act>)>;

    /// What happens, in words.
    fn tell(&mut self, world: &Self::World, act: Self::Act) -> Vec<String>;
}

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Searched {
    /// Worlds, all different.
    pub worlds: u64,
    /// Acts tried in them.
    pub acts: u64,
    /// Acts from the first world to the furthest, or to what was found.
    pub depth: u64,
    /// Whether every world within the bounds was met.
    pub complete: bool,
    /// How long it took.
    pub took: Duration,
    /// The first property that did not hold, and the shortest way to it.
    pub found: Option<(Violation, Vec<String>)>,
}

/// Every world within the bounds, the nearest first: what is found is found by a shortest way.
/// Gives up after `worlds_max` worlds.
pub(super) fn search<M: Maze>(
    maze: &mut M,
    worlds_max: usize,
    mut progress: impl FnMut(&Searched),
) -> Searched {
    let began = Instant::now();
    let mut way = Way { steps: Vec::new(), seen: HashSet::default() };
    let mut searched = Searched::default();
    let mut rim = vec![(way.meet(None, maze.start()).expect("nothing was seen"), maze.start())];
    let (mut next, mut acts) = (Vec::new(), Vec::new());
    'all: while !rim.is_empty() {
        for (place, world) in rim.drain(..) {
            acts.clear();
            maze.acts(&world, &mut acts);
            searched.acts += acts.len() as u64;
            for act in &acts {
                match maze.take(&world, *act) {
                    Ok(after) => {
                        let Some(met) = way.meet(Some((place, *act)), after) else { continue };
                        next.push((met, after));
                        if let Err((violation, end)) = maze.settle(&after) {
                            searched.found = Some((violation, way.story(maze, met, &end)));
                            break 'all;
                        }
                    }
                    Err(violation) => {
                        searched.found = Some((violation, way.story(maze, place, &[*act])));
                        searched.depth += 1;
                        break 'all;
                    }
                }
            }
            if way.steps.len() > worlds_max {
                break 'all;
            }
        }
        searched.complete = next.is_empty();
        searched.depth += u64::from(!next.is_empty());
        std::mem::swap(&mut rim, &mut next);
        searched.worlds = way.steps.len() as u64;
        searched.took = began.elapsed();
        progress(&searched);
    }
    searched.worlds = way.steps.len() as u64;
    searched.took = began.elapsed();
    searched
}

/// Every world that was met, and how.
struct Way<M: Maze> {
    /// From which world, by which act; nothing for the first.
    steps: Vec<Option<(u32, M::Act)>>,
    seen: HashSet<M::World, Quick>,
}

impl<M: Maze> Way<M> {
    /// The place of a world that is met for the first time.
    fn meet(&mut self, from: Option<(u32, M::Act)>, world: M::World) -> Option<u32> {
        self.seen.insert(world).then(|| {
            self.steps.push(from);
            u32::try_from(self.steps.len() - 1).expect("a search has 2^32 worlds at most")
        })
    }

    /// How it came to the world at `place`, and what then came of it.
    fn story(&self, maze: &mut M, mut place: u32, end: &[M::Act]) -> Vec<String> {
        let mut acts: Vec<M::Act> = end.iter().rev().copied().collect();
        while let Some((from, act)) = self.steps[place as usize] {
            acts.push(act);
            place = from;
        }
        let mut world = maze.start();
        let mut story = Vec::new();
        for act in acts.into_iter().rev() {
            story.extend(maze.tell(&world, act));
            match maze.take(&world, act) {
                Ok(after) => world = after,
                Err(_) => break,
            }
        }
        story
    }
}

impl Default for Searched {
    fn default() -> Searched {
        let took = Duration::ZERO;
        Searched { worlds: 0, acts: 0, depth: 0, complete: false, took, found: None }
    }
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Searched { worlds, acts, depth, took, .. } = self;
        let all = if self.complete { "all" } else { "the nearest" };
        write!(f, "{all} {worlds} worlds, {acts} acts, {depth} deep, {:.1} s", took.as_secs_f64())
    }
}
