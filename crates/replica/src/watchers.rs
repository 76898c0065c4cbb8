//! Clients that wait for something to change, on whatever node they asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    slice,
};

use bytes::Bytes;
use synod_machine::{
    Answer, Interest, Machine, Query, Revision, Touched,
    limits::{Misuse, REPLY_BYTES_MAX, check_watches},
};

use crate::ClientId;

/// Changes that are looked at for one call, so that none takes long, however much it waits for and
/// however far behind it is.
const LOOKED_AT_MAX: usize = 4_096;

/// One that waits for something, after a revision.
type Watch = (Interest, Revision);

/// What one call waits for.
#[derive(Debug)]
pub(crate) enum Wanted {
    One(Watch),
    /// Whichever of these changes first.
    Any(Vec<Watch>),
}

/// What there is for one call.
#[derive(Debug)]
pub(crate) enum News {
    One(Answer),
    /// By the place in the call. What is not named has not changed.
    Any(Vec<(u32, Answer)>),
}

/// Who waits for what, found by what may change. Whoever is in here has been told everything that
/// it waits for up to the state's revision.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    waiting: BTreeMap<ClientId, Wanted>,
    index: Index<Spot>,
}

/// Watches, found by what may change.
#[derive(Debug)]
struct Index<T> {
    by_prefix: BTreeMap<Bytes, BTreeSet<T>>,
    /// How long the prefixes are, and how many of each length. A key is looked up once for each.
    lengths: BTreeMap<usize, usize>,
    /// Of those who wait for one thing, by its name.
    by_name: BTreeMap<Interest, BTreeSet<T>>,
}

/// One watch of a call, by its place.
type Spot = (ClientId, u32);

impl Wanted {
    /// Whether it keeps the limits.
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        match self {
            Wanted::One((interest, _)) => interest.check(),
            Wanted::Any(watches) => check_watches(watches),
        }
    }

    fn watches(&self) -> &[Watch] {
        match self {
            Wanted::One(watch) => slice::from_ref(watch),
            Wanted::Any(watches) => watches,
        }
    }

    fn placed(&self) -> impl Iterator<Item = (u32, &Watch)> {
        (0..).zip(self.watches())
    }

    /// What there is for it now, if there is anything.
    pub(crate) fn news(&self, machine: &Machine) -> Option<News> {
        match self {
            Wanted::One(watch) => news_of(watch, machine).map(News::One),
            Wanted::Any(watches) => any(news_of_all(watches, machine)),
        }
    }

    /// The same, where only these may have changed.
    fn news_at(&self, places: impl Iterator<Item = u32>, machine: &Machine) -> Option<News> {
        match self {
            Wanted::One(watch) => news_of(watch, machine).map(News::One),
            Wanted::Any(watches) => any(some_news(watches, places, machine)),
        }
    }

    /// What it is told when nothing has changed.
    pub(crate) fn none(&self, machine: &Machine) -> News {
        match self {
            Wanted::One((_, after)) => News::One(none_upto(machine.revision().max(*after))),
            Wanted::Any(_) => News::Any(Vec::new()),
        }
    }
}

impl<T: Ord + Copy> Index<T> {
    fn add(&mut self, interest: &Interest, watch: T) {
        match interest {
            Interest::Keys { prefix } => {
                let watches = self.by_prefix.entry(prefix.clone()).or_default();
                if watches.is_empty() {
                    *self.lengths.entry(prefix.len()).or_default() += 1;
                }
                watches.insert(watch);
            }
            named => {
                self.by_name.entry(named.clone()).or_default().insert(watch);
            }
        }
    }

    fn strike(&mut self, interest: &Interest, watch: T) {
        match interest {
            Interest::Keys { prefix } => {
                if strike(&mut self.by_prefix, prefix, watch)
                    && let Some(count) = self.lengths.get_mut(&prefix.len())
                {
                    *count -= 1;
                    if *count == 0 {
                        self.lengths.remove(&prefix.len());
                    }
                }
            }
            named => {
                strike(&mut self.by_name, named, watch);
            }
        }
    }

    /// Those that may have to be told of a change.
    fn concerned(&self, touched: &Touched<'_>) -> Vec<T> {
        let mut concerned = Vec::new();
        match touched {
            Touched::Key(key) => {
                for length in self.lengths.keys().take_while(|length| **length <= key.len()) {
                    let watches = self.by_prefix.get(&key[..*length]);
                    concerned.extend(watches.into_iter().flatten().copied());
                }
            }
            Touched::Named(named) => {
                concerned.extend(self.by_name.get(named).into_iter().flatten().copied());
            }
        }
        concerned
    }
}

impl<T> Default for Index<T> {
    fn default() -> Index<T> {
        let (by_prefix, lengths, by_name) = Default::default();
        Index { by_prefix, lengths, by_name }
    }
}

impl Watchers {
    pub(crate) fn wait(&mut self, client: ClientId, wanted: Wanted) {
        for (place, (interest, _)) in wanted.placed() {
            self.index.add(interest, (client, place));
        }
        self.waiting.insert(client, wanted);
    }

    /// It waits no longer; for what it did.
    pub(crate) fn leave(&mut self, client: ClientId) -> Option<Wanted> {
        let wanted = self.waiting.remove(&client)?;
        for (place, (interest, _)) in wanted.placed() {
            self.index.strike(interest, (client, place));
        }
        Some(wanted)
    }

    /// Takes out those for whom something changed after a revision, with what it is.
    pub(crate) fn told(&mut self, since: Revision, machine: &Machine) -> Vec<(ClientId, News)> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let mut concerned: BTreeMap<ClientId, BTreeSet<u32>> = BTreeMap::new();
        for (_, touched) in machine.touched_since(since) {
            for (client, place) in self.index.concerned(&touched) {
                concerned.entry(client).or_default().insert(place);
            }
        }
        let news = |(client, places): (ClientId, BTreeSet<u32>)| {
            let news = self.waiting.get(&client)?.news_at(places.into_iter(), machine)?;
            self.leave(client);
            Some((client, news))
        };
        concerned.into_iter().filter_map(news).collect()
    }

    /// The same of everybody who waits, when all may have changed.
    pub(crate) fn told_by_snapshot(&mut self, machine: &Machine) -> Vec<(ClientId, News)> {
        let all: Vec<ClientId> = self.waiting.keys().copied().collect();
        let news = |client| {
            let news = self.waiting.get(&client)?.news(machine)?;
            self.leave(client);
            Some((client, news))
        };
        all.into_iter().filter_map(news).collect()
    }
}

/// What there is for a watch now, if there is anything.
fn news_of((interest, after): &Watch, machine: &Machine) -> Option<Answer> {
    let query = Query::Changes { interest: interest.clone(), after: *after };
    match machine.query(&query) {
        Answer::Changes { changes, upto } if changes.is_empty() => {
            // One answer looks only so far; what it has not looked at may hold something.
            (upto < machine.revision()).then_some(Answer::Changes { changes, upto })
        }
        news => Some(news),
    }
}

fn any(news: Vec<(u32, Answer)>) -> Option<News> {
    (!news.is_empty()).then_some(News::Any(news))
}

/// What there is for any of these. What came after the oldest of them is looked at once for all,
/// and only so much of it in one answer.
fn news_of_all(watches: &[Watch], machine: &Machine) -> Vec<(u32, Answer)> {
    let (now, forgotten) = (machine.revision(), machine.forgotten());
    let (mut index, mut concerned) = (Index::default(), BTreeSet::new());
    let mut oldest = now;
    for (place, (interest, after)) in (0_u32..).zip(watches) {
        if *after < forgotten {
            concerned.insert(place);
        } else {
            oldest = oldest.min(*after);
            index.add(interest, (place, *after));
        }
    }
    let (mut last, mut cut) = (oldest, false);
    for (looked_at, (at, touched)) in machine.touched_since(oldest).enumerate() {
        cut = looked_at >= LOOKED_AT_MAX && at > last;
        if cut {
            break;
        }
        let later = index.concerned(&touched).into_iter().filter(|(_, after)| *after < at);
        concerned.extend(later.map(|(place, _)| place));
        last = at;
    }
    let mut news = some_news(watches, concerned.iter().copied(), machine);
    if cut {
        let rest = (0..).zip(watches).filter(|(place, _)| !concerned.contains(place));
        news.extend(rest.map(|(place, (_, after))| (place, none_upto(last.max(*after)))));
    }
    news
}

fn none_upto(upto: Revision) -> Answer {
    Answer::Changes { changes: Vec::new(), upto }
}

/// As much of it as one answer may carry. What there is no room for is not looked at: it is asked
/// for again, and there is room then.
fn some_news(
    watches: &[Watch],
    places: impl Iterator<Item = u32>,
    machine: &Machine,
) -> Vec<(u32, Answer)> {
    let (mut all, mut room) = (Vec::new(), Some(REPLY_BYTES_MAX));
    for place in places {
        let Some(watch) = usize::try_from(place).ok().and_then(|at| watches.get(at)) else {
            continue;
        };
        let unseen = none_upto(watch.1);
        let Some(left) = room else {
            all.push((place, unseen));
            continue;
        };
        let Some(news) = news_of(watch, machine) else { continue };
        // One that is beyond all bounds still fits an answer of its own.
        let bytes = postcard::experimental::serialized_size(&news).unwrap_or(usize::MAX);
        room = left.checked_sub(bytes);
        let fits = room.is_some() || left == REPLY_BYTES_MAX;
        all.push((place, if fits { news } else { unseen }));
    }
    all
}

fn strike<K: Ord, T: Ord>(by: &mut BTreeMap<K, BTreeSet<T>>, key: &K, watch: T) -> bool {
    let Some(watches) = by.get_mut(key) else { return false };
    watches.remove(&watch);
    let last = watches.is_empty();
    if last {
        by.remove(key);
    }
    last
}

#[cfg(test)]
mod tests {
    use synod_machine::{
        Batch, ClaimCommand, Command, Name, Request, RequestId, Seq, SessionId, Timestamp,
    };

    use super::*;

    struct World {
        machine: Machine,
        seq: u64,
        watchers: Watchers,
    }

    impl World {
        fn new() -> World {
            let mut machine = Machine::new();
            let open = Command::OpenSession { owner: "app".to_owned(), ttl_ms: 1_000 };
            let request = Request { id: None, acked: Seq::ZERO, command: open };
            machine.apply(Batch { stamp: Timestamp(1), requests: vec![request] });
            World { machine, seq: 0, watchers: Watchers::default() }
        }

        fn watch(&mut self, client: u64, prefix: &'static str) {
            let interest = Interest::Keys { prefix: prefix.into() };
            self.watchers.wait(ClientId(client), Wanted::One((interest, self.machine.revision())));
        }

        /// Whom a write concerns.
        fn put(&mut self, key: &'static str) -> Vec<u64> {
            self.does(Command::Put { key: key.into(), value: "v".into() })
        }

        fn does(&mut self, command: Command) -> Vec<u64> {
            let since = self.machine.revision();
            self.apply(command);
            let told = self.watchers.told(since, &self.machine);
            told.into_iter().map(|(client, _)| client.0).collect()
        }

        fn apply(&mut self, command: Command) {
            self.seq += 1;
            let id = RequestId { session: SessionId::new(1), seq: Seq::new(self.seq) };
            let request = Request { id: Some(id), acked: Seq::new(self.seq), command };
            self.machine.apply(Batch { stamp: Timestamp(1), requests: vec![request] });
        }
    }

    /// A write wakes those who watch a prefix of its key, each once, and nobody else.
    #[test]
    fn a_write_wakes_those_who_watch_a_prefix_of_its_key() {
        let mut world = World::new();
        for (client, prefix) in [(1, ""), (2, "a"), (3, "ab"), (4, "b"), (5, "ab")] {
            world.watch(client, prefix);
        }
        assert_eq!(world.put("ab"), [1, 2, 3, 5]);
        assert_eq!(world.put("ab"), [], "they were told and wait no more");
        assert_eq!(world.put("b"), [4]);
        assert!(
            world.watchers.index.by_prefix.is_empty() && world.watchers.index.lengths.is_empty()
        );
    }

    /// What has a name wakes those who watch that name, of that kind.
    #[test]
    fn what_has_a_name_wakes_those_who_watch_it() {
        let mut world = World::new();
        let name = |name: &str| Name::new(name);
        let interests = [
            Interest::Claim { name: name("a") },
            Interest::Claim { name: name("b") },
            Interest::Lock { name: name("a") },
            Interest::Keys { prefix: "".into() },
            Interest::Claim { name: name("a") },
        ];
        for (client, interest) in (1..).zip(interests) {
            world.watchers.wait(ClientId(client), Wanted::One((interest, Revision::ZERO)));
        }
        let (name, owner) = (name("a"), "alice".to_owned());
        let take = Command::Claim(ClaimCommand::Take { name, owner, lease: None });
        assert_eq!(world.does(take), [1, 5]);
        assert_eq!(world.watchers.index.by_name.len(), 2);
        assert!(world.watchers.leave(ClientId(3)).is_some());
        assert_eq!(world.watchers.index.by_name.len(), 1);
    }

    /// A call that waits for much is told at once which of it has changed, and nothing else of it
    /// is looked at.
    #[test]
    fn a_call_that_waits_for_much_is_told_which_of_it_has_changed() {
        let mut world = World::new();
        let at = world.machine.revision();
        let keys = |prefix: &'static str| (Interest::Keys { prefix: prefix.into() }, at);
        let claim = (Interest::Claim { name: Name::new("a") }, at);
        let watches = vec![keys("a"), keys("b"), claim, keys("a"), keys("ab")];
        world.watchers.wait(ClientId(1), Wanted::Any(watches));
        world.watch(2, "b");
        let put = Command::Put { key: "ab".into(), value: "v".into() };
        let since = world.machine.revision();
        world.apply(put);
        let told = world.watchers.told(since, &world.machine);
        let [(ClientId(1), News::Any(news))] = &told[..] else { panic!("{told:?}") };
        let places: Vec<_> = news.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [0, 3, 4]);
        assert_eq!(world.put("b"), [2], "the call waits no more");
        let Index { by_prefix, lengths, by_name } = &world.watchers.index;
        assert!(by_prefix.is_empty() && lengths.is_empty() && by_name.is_empty());
    }

    /// An answer that carries no more says of the rest that it was not looked at.
    #[test]
    fn what_one_answer_does_not_carry_is_left_for_the_next() {
        let mut world = World::new();
        let at = world.machine.revision();
        let value = Bytes::from(vec![0; REPLY_BYTES_MAX / 3]);
        world.apply(Command::Put { key: "k".into(), value });
        let watch = || (Interest::Keys { prefix: "k".into() }, at);
        let wanted = Wanted::Any((0..5).map(|_| watch()).collect());
        let Some(News::Any(news)) = wanted.news(&world.machine) else { panic!("nothing is told") };
        let told = news.iter().map(|(_, news)| match news {
            Answer::Changes { changes, upto } if changes.is_empty() => {
                assert_eq!(*upto, at);
                false
            }
            Answer::Changes { .. } => true,
            other => panic!("{other:?}"),
        });
        assert_eq!(told.collect::<Vec<_>>(), [true, true, false, false, false]);
    }

    /// Whoever is far behind is told how far was looked, and goes on from there: nothing is skipped
    /// that came later.
    #[test]
    fn one_call_looks_only_so_far() {
        let mut world = World::new();
        let keys = |prefix: &'static str, after| (Interest::Keys { prefix: prefix.into() }, after);
        let begin = world.machine.revision();
        for _ in 0..LOOKED_AT_MAX {
            world.apply(Command::Put { key: "a".into(), value: "v".into() });
        }
        let looked = world.machine.revision();
        world.apply(Command::Put { key: "b".into(), value: "v".into() });
        let now = world.machine.revision();
        let wanted = Wanted::Any(vec![keys("b", begin), keys("c", begin), keys("c", now)]);
        let Some(News::Any(news)) = wanted.news(&world.machine) else { panic!("nothing is told") };
        assert_eq!(
            news,
            [looked, looked, now]
                .map(none_upto)
                .into_iter()
                .enumerate()
                .map(|(place, none)| (place as u32, none))
                .collect::<Vec<_>>()
        );
        let wanted = Wanted::Any(vec![keys("b", looked), keys("c", looked)]);
        let Some(News::Any(news)) = wanted.news(&world.machine) else { panic!("nothing is told") };
        let [(0, Answer::Changes { changes, upto })] = &news[..] else { panic!("{news:?}") };
        assert_eq!((changes.len(), *upto), (1, now));
    }

    /// What is forgotten is a gap to those who were away for so long, and to nobody else.
    #[test]
    fn a_gap_is_told_to_whoever_was_away_for_too_long() {
        let mut world = World::new();
        let keys = |after| (Interest::Keys { prefix: "a".into() }, after);
        let begin = world.machine.revision();
        world.apply(Command::Put { key: "b".into(), value: "v".into() });
        let forgotten = world.machine.revision();
        world.apply(Command::Compact { upto: forgotten });
        let wanted = Wanted::Any(vec![keys(forgotten), keys(begin)]);
        let Some(News::Any(news)) = wanted.news(&world.machine) else { panic!("nothing is told") };
        assert_eq!(news, [(1, Answer::Gap { forgotten })]);
    }

    /// Whoever leaves is not told, and leaves nothing behind.
    #[test]
    fn whoever_leaves_is_not_told() {
        let mut world = World::new();
        world.watch(1, "a");
        world.watch(2, "a");
        assert!(world.watchers.leave(ClientId(1)).is_some());
        assert!(world.watchers.leave(ClientId(1)).is_none());
        assert_eq!(world.put("a"), [2]);
        assert!(world.watchers.waiting.is_empty() && world.watchers.index.lengths.is_empty());
    }
}
