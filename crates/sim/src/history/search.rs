//! The search for an order of the operations on one key.
//!
//! It places operations one after the other, goes back when nothing fits, and remembers where it
//! has been: a set of placed operations with what the key holds after them. An operation may be
//! next if no other that is not placed was answered before it was asked.
//!
//! What was never answered is placed only directly before an operation that does not fit without
//! it. (Before one that overwrites it, it is not needed; before one that leaves the key as it is,
//! it can as well come after.) So a history with many unanswered writes that nobody saw costs no
//! more than one without them.

mod order;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;

use self::order::Order;
use super::{Contradiction, Operation, Saw};

/// Steps after which the search is given up: some seconds.
const STEPS_MAX: u64 = 50_000_000;

/// What a key holds: a value by its number, or nothing.
type Held = u32;

const NOTHING: Held = 0;

/// One operation, with numbers for values.
#[derive(Debug)]
struct Op {
    asked: u64,
    /// What the key must hold: all of these.
    fits: Vec<Fit>,
    wrote: Option<Held>,
}

#[derive(Clone, Copy, Debug)]
enum Fit {
    Only(Held),
    AnyBut(Held),
    /// Nobody ever wrote what it saw.
    Never,
}

impl Op {
    fn new(operation: &Operation, numbers: &BTreeMap<&Bytes, Held>) -> Op {
        let number = |value: &Bytes| numbers.get(value).copied();
        let fit = |saw: &Saw| match saw {
            Saw::Held(None) => Some(Fit::Only(NOTHING)),
            Saw::Held(Some(value)) => Some(number(value).map_or(Fit::Never, Fit::Only)),
            Saw::NotHeld(value) => number(value).map(Fit::AnyBut),
            Saw::Present => Some(Fit::AnyBut(NOTHING)),
        };
        let held = |value: &Option<Bytes>| value.as_ref().and_then(number).unwrap_or(NOTHING);
        Op {
            asked: operation.asked,
            fits: operation.saw.iter().filter_map(fit).collect(),
            wrote: operation.wrote.as_ref().map(held),
        }
    }

    /// What the key holds after it, if it fits.
    fn after(&self, held: Held) -> Option<Held> {
        let fits = self.fits.iter().all(|fit| match fit {
            Fit::Only(only) => *only == held,
            Fit::AnyBut(but) => *but != held,
            Fit::Never => false,
        });
        fits.then_some(self.wrote.unwrap_or(held))
    }

    fn fits(&self, held: Held) -> bool {
        self.after(held).is_some()
    }
}

/// Judges the operations on one key.
pub(super) fn judge(key: &Bytes, operations: &[&Operation]) -> Result<(), Contradiction> {
    let mut sorted = operations.to_vec();
    sorted.sort_by_key(|operation| operation.asked);
    let (open, closed): (Vec<&Operation>, Vec<&Operation>) =
        sorted.into_iter().partition(|operation| operation.answered.is_none());
    let mut search = Search::new(&closed, &open);
    match search.run() {
        Found::Order => Ok(()),
        Found::TooMuch => Err(Contradiction::Undecided { key: key.clone(), steps: search.steps }),
        Found::Nothing => {
            let Deepest { placed, held, stuck } = search.deepest;
            let stuck = stuck.into_iter().map(|place| closed[place].clone()).collect();
            Err(Contradiction::NoOrder { key: key.clone(), placed, held, stuck })
        }
    }
}

struct Search<'o> {
    closed: Vec<Op>,
    open: Vec<Op>,
    values: Vec<Option<&'o Bytes>>,
    /// Closed operations that are not placed.
    order: Order,
    used: Vec<bool>,
    /// Which unanswered operations write a value.
    writers: BTreeMap<Held, Vec<usize>>,
    placed: Vec<Placed>,
    now: State,
    been: HashSet<(u128, State)>,
    /// The set of all that is placed, as one number.
    set: u128,
    steps: u64,
    deepest: Deepest,
}

/// Where the search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    held: Held,
    /// An unanswered operation was placed last, and this is what it found: the next must not fit
    /// that.
    owed: Option<Held>,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    what: What,
    before: State,
}

/// The next to be tried, or what was placed: by its number.
#[derive(Clone, Copy, Debug)]
enum What {
    Closed(usize),
    Open(usize),
}

/// See [`Search::wanted`].
#[derive(Debug, Default)]
struct Wanted {
    values: BTreeSet<Held>,
    anything: bool,
}

enum Found {
    Order,
    Nothing,
    TooMuch,
}

#[derive(Debug, Default)]
struct Deepest {
    placed: usize,
    held: Option<Bytes>,
    stuck: Vec<usize>,
}

impl<'o> Search<'o> {
    fn new(closed: &[&'o Operation], open: &[&'o Operation]) -> Search<'o> {
        let mut numbers = BTreeMap::new();
        let mut values = vec![None];
        for operation in closed.iter().chain(open) {
            if let Some(Some(value)) = &operation.wrote {
                numbers.entry(value).or_insert_with(|| {
                    values.push(Some(value));
                    values.len() as Held - 1
                });
            }
        }
        let ops = |side: &[&Operation]| -> Vec<Op> {
            side.iter().map(|operation| Op::new(operation, &numbers)).collect()
        };
        let ends = closed.iter().map(|operation| operation.answered.unwrap_or(u64::MAX));
        let spans = closed.iter().zip(ends).map(|(operation, end)| (operation.asked, end));
        let open_ops = ops(open);
        let mut writers: BTreeMap<Held, Vec<usize>> = BTreeMap::new();
        for (number, op) in open_ops.iter().enumerate() {
            if let Some(value) = op.wrote {
                writers.entry(value).or_default().push(number);
            }
        }
        Search {
            closed: ops(closed),
            open: open_ops,
            writers,
            values,
            order: Order::new(spans),
            used: vec![false; open.len()],
            placed: Vec::new(),
            now: State { held: NOTHING, owed: None },
            been: HashSet::new(),
            set: 0,
            steps: 0,
            deepest: Deepest::default(),
        }
    }

    fn run(&mut self) -> Found {
        let mut next = self.first();
        while !self.order.is_empty() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Found::TooMuch;
            }
            next = match next {
                Some(what) if self.place(what) => self.first(),
                Some(what) => self.following(what),
                None => match self.take_back() {
                    Some(what) => self.following(what),
                    None => return Found::Nothing,
                },
            };
        }
        Found::Order
    }

    /// The first that may be tried here.
    fn first(&self) -> Option<What> {
        self.order.first().map(What::Closed)
    }

    /// What is tried after `what`: the answered in the order in which they were asked, then the
    /// others.
    fn following(&self, what: What) -> Option<What> {
        let open = match what {
            What::Closed(number) => match self.order.after(number) {
                Some(next) => return Some(What::Closed(next)),
                None => 0,
            },
            What::Open(number) => number + 1,
        };
        let until = self.order.first_answer();
        let may_be = |number: &usize| {
            let op = &self.open[*number];
            let after = op.after(self.now.held);
            !self.used[*number] && op.asked <= until && after.is_some_and(|h| h != self.now.held)
        };
        let wanted = self.wanted();
        let number = match wanted.anything {
            true => (open..self.open.len()).find(may_be),
            false => {
                let writers = wanted.values.iter().filter_map(|value| self.writers.get(value));
                let left = writers.flatten().copied().filter(|number| *number >= open);
                left.filter(may_be).min()
            }
        };
        number.map(What::Open)
    }

    /// What the key would have to hold for an operation that may be next and does not fit; or for
    /// an unanswered one that would help such a one, and so on.
    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        let mut values = Vec::new();
        for number in self.order.window() {
            self.want(&self.closed[number], &mut wanted, &mut values);
        }
        while let Some(value) = values.pop() {
            if wanted.values.insert(value) {
                for number in self.writers.get(&value).into_iter().flatten() {
                    self.want(&self.open[*number], &mut wanted, &mut values);
                }
            }
        }
        wanted
    }

    fn want(&self, op: &Op, wanted: &mut Wanted, values: &mut Vec<Held>) {
        if op.fits(self.now.held) {
            return;
        }
        let only = op.fits.iter().find_map(|fit| match fit {
            Fit::Only(value) => Some(*value),
            Fit::AnyBut(_) | Fit::Never => None,
        });
        match only {
            Some(value) => values.push(value),
            None => wanted.anything |= !op.fits.iter().any(|fit| matches!(fit, Fit::Never)),
        }
    }

    /// Places an operation, if it fits and leads to where the search has not been.
    fn place(&mut self, what: What) -> bool {
        let (op, token) = match what {
            What::Closed(number) => (&self.closed[number], token(2 * number as u64)),
            What::Open(number) => (&self.open[number], token(2 * number as u64 + 1)),
        };
        let before = self.now;
        let Some(held) = op.after(before.held) else { return false };
        if before.owed.is_some_and(|earlier| op.fits(earlier)) {
            return false;
        }
        let owed = matches!(what, What::Open(_)).then_some(before.held);
        let now = State { held, owed };
        if !self.been.insert((self.set ^ token, now)) {
            return false;
        }
        match what {
            What::Closed(number) => self.order.take_out(number),
            What::Open(number) => self.used[number] = true,
        }
        self.set ^= token;
        self.now = now;
        self.placed.push(Placed { what, before });
        self.note_depth();
        true
    }

    fn take_back(&mut self) -> Option<What> {
        let Placed { what, before } = self.placed.pop()?;
        self.now = before;
        match what {
            What::Closed(number) => {
                self.set ^= token(2 * number as u64);
                self.order.put_back(number);
            }
            What::Open(number) => {
                self.set ^= token(2 * number as u64 + 1);
                self.used[number] = false;
            }
        }
        Some(what)
    }

    fn note_depth(&mut self) {
        if self.placed.len() > self.deepest.placed || self.placed.is_empty() {
            let held = self.values[self.now.held as usize].cloned();
            let stuck = self.order.window().collect();
            self.deepest = Deepest { placed: self.placed.len(), held, stuck };
        }
    }
}

/// A number for the element of a set: sets are told apart by the sum of theirs (Zobrist hashing),
/// wrongly with a chance of one in 2^128.
fn token(element: u64) -> u128 {
    let mix = |seed: u64| {
        // splitmix64.
        let mut mixed = element.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    u128::from(mix(0x5EED)) << 64 | u128::from(mix(0xF00D))
}

#[cfg(test)]
mod tests;
