//! Transactions that append their numbers to lists.

use std::collections::{BTreeMap, BTreeSet};

/// What became of a transaction, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It committed, and the answer came at this moment.
    Committed(u64),
    /// It did not.
    Aborted,
    /// Nobody said.
    Unknown,
}

/// A transaction that appends its number to lists.
#[derive(Clone, Debug)]
pub struct Appends {
    /// Its number, which no other has.
    pub number: u64,
    /// When it began, by a clock that all clients share.
    pub began: u64,
    /// What became of it.
    pub fate: Fate,
    /// The lists that it appends to.
    pub lists: BTreeSet<String>,
}

/// A list as somebody read it.
#[derive(Clone, Debug)]
pub struct Read {
    /// Which.
    pub list: String,
    /// What was in it.
    pub numbers: Vec<u64>,
}

/// Why lists cannot be the work of transactions that are atomic and take effect in one order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// A number stands twice in a list.
    #[error("{number} stands twice in {list}")]
    Twice {
        /// Whose.
        number: u64,
        /// Where.
        list: String,
    },
    /// A number stands where no transaction appends it, or one that was aborted.
    #[error("{number} stands in {list}; whose it is does not append there, or was aborted")]
    Stranger {
        /// Whose.
        number: u64,
        /// Where.
        list: String,
    },
    /// A transaction has appended to some of its lists only.
    #[error("{number} stands in some of its lists and not in {list}")]
    Torn {
        /// Whose.
        number: u64,
        /// Where it is missing.
        list: String,
    },
    /// A committed transaction is nowhere.
    #[error("{number} committed, and stands nowhere")]
    Lost {
        /// Whose.
        number: u64,
    },
    /// Somebody read what is no beginning of the list.
    #[error("{list} was read as {read:?}, which is no beginning of {whole:?}")]
    NoPrefix {
        /// Which.
        list: String,
        /// As read.
        read: Vec<u64>,
        /// As it is at the end.
        whole: Vec<u64>,
    },
    /// The lists, and who was answered before whom began, agree with no one order.
    #[error("no order agrees with all lists and times: {among:?} go round in a circle")]
    Circle {
        /// Transactions that each come before the next, and the last before the first.
        among: Vec<u64>,
    },
}

/// Whether the lists at the end, and as they were read meanwhile, are the work of transactions that
/// appended to all of their lists or to none, in one order in which each comes after all that were
/// answered before it began.
pub fn one_order(
    transactions: &[Appends],
    lists: &BTreeMap<String, Vec<u64>>,
    reads: &[Read],
) -> Result<(), Contradiction> {
    let by_number: BTreeMap<u64, &Appends> =
        transactions.iter().map(|appends| (appends.number, appends)).collect();
    for (list, numbers) in lists {
        whose(list, numbers, &by_number)?;
    }
    transactions.iter().try_for_each(|appends| whole(appends, lists))?;
    for Read { list, numbers } in reads {
        let whole = lists.get(list).map(Vec::as_slice).unwrap_or_default();
        if !whole.starts_with(numbers) {
            let (list, whole) = (list.clone(), whole.to_vec());
            return Err(Contradiction::NoPrefix { list, read: numbers.clone(), whole });
        }
    }
    in_a_row(transactions, lists)
}

fn whose(
    list: &str,
    numbers: &[u64],
    by_number: &BTreeMap<u64, &Appends>,
) -> Result<(), Contradiction> {
    let mut seen = BTreeSet::new();
    for number in numbers.iter().copied() {
        let list = || list.to_owned();
        if !seen.insert(number) {
            return Err(Contradiction::Twice { number, list: list() });
        }
        let appends = by_number.get(&number).filter(|appends| appends.lists.contains(&list()));
        if appends.is_none_or(|appends| appends.fate == Fate::Aborted) {
            return Err(Contradiction::Stranger { number, list: list() });
        }
    }
    Ok(())
}

/// All or nothing.
fn whole(appends: &Appends, lists: &BTreeMap<String, Vec<u64>>) -> Result<(), Contradiction> {
    let number = appends.number;
    let stands = |list: &&String| lists.get(*list).is_some_and(|numbers| numbers.contains(&number));
    let missing = appends.lists.iter().find(|list| !stands(list));
    match (appends.lists.iter().any(|list| stands(&list)), missing) {
        (true, Some(list)) => Err(Contradiction::Torn { number, list: list.clone() }),
        (false, Some(_)) if matches!(appends.fate, Fate::Committed(_)) => {
            Err(Contradiction::Lost { number })
        }
        (_, _) => Ok(()),
    }
}

/// What comes before what: a transaction, or a moment of time between transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    Transaction(u64),
    /// Everything that was answered by now comes before everything that begins after it.
    Moment(u64),
}

fn in_a_row(
    transactions: &[Appends],
    lists: &BTreeMap<String, Vec<u64>>,
) -> Result<(), Contradiction> {
    let mut next: BTreeMap<Point, Vec<Point>> = BTreeMap::new();
    for numbers in lists.values() {
        for pair in numbers.windows(2) {
            let (one, other) = (Point::Transaction(pair[0]), Point::Transaction(pair[1]));
            next.entry(one).or_default().push(other);
        }
    }
    let in_lists: BTreeSet<u64> = lists.values().flatten().copied().collect();
    let present = || transactions.iter().filter(|appends| in_lists.contains(&appends.number));
    let answered = present().filter_map(|appends| match appends.fate {
        Fate::Committed(at) => Some((at, appends.number)),
        Fate::Aborted | Fate::Unknown => None,
    });
    let answered: Vec<(u64, u64)> = answered.collect();
    let moments: BTreeSet<u64> = answered.iter().map(|(at, _)| *at).collect();
    let in_order: Vec<u64> = moments.iter().copied().collect();
    for pair in in_order.windows(2) {
        next.entry(Point::Moment(pair[0])).or_default().push(Point::Moment(pair[1]));
    }
    for (at, number) in answered {
        next.entry(Point::Transaction(number)).or_default().push(Point::Moment(at));
    }
    for appends in present() {
        if let Some(last) = moments.range(..appends.began).next_back() {
            let began = Point::Transaction(appends.number);
            next.entry(Point::Moment(*last)).or_default().push(began);
        }
    }
    match circle(&next) {
        Some(among) => Err(Contradiction::Circle { among }),
        None => Ok(()),
    }
}

/// The transactions of a circle, if there is one: what is left when everything that has nothing
/// left before it is taken away, again and again.
fn circle(next: &BTreeMap<Point, Vec<Point>>) -> Option<Vec<u64>> {
    let mut before: BTreeMap<Point, usize> = next.keys().map(|point| (*point, 0)).collect();
    for point in next.values().flatten() {
        *before.entry(*point).or_default() += 1;
    }
    let mut free: Vec<Point> =
        before.iter().filter(|(_, count)| **count == 0).map(|(point, _)| *point).collect();
    let mut left = before.len();
    while let Some(point) = free.pop() {
        left -= 1;
        for after in next.get(&point).into_iter().flatten() {
            let count = before.get_mut(after)?;
            *count -= 1;
            if *count == 0 {
                free.push(*after);
            }
        }
    }
    if left == 0 {
        return None;
    }
    // Every point that is left has one before it that is left: going back from any of them ends in
    // a circle.
    let is_left = |point: &Point| before.get(point).is_some_and(|count| *count > 0);
    let earlier = |of: Point| {
        next.iter().find(|(point, after)| is_left(point) && after.contains(&of)).map(|(p, _)| *p)
    };
    let mut way: Vec<Point> = Vec::new();
    let mut point = before.keys().copied().find(|point| is_left(point))?;
    while !way.contains(&point) {
        way.push(point);
        point = earlier(point)?;
    }
    let start = way.iter().position(|on_the_way| *on_the_way == point)?;
    let among = way[start..].iter().rev().filter_map(|point| match point {
        Point::Transaction(number) => Some(*number),
        Point::Moment(_) => None,
    });
    Some(among.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appends(number: u64, began: u64, fate: Fate, lists: &[&str]) -> Appends {
        let lists = lists.iter().map(|list| (*list).to_owned()).collect();
        Appends { number, began, fate, lists }
    }

    fn lists(of: &[(&str, &[u64])]) -> BTreeMap<String, Vec<u64>> {
        of.iter().map(|(list, numbers)| ((*list).to_owned(), numbers.to_vec())).collect()
    }

    /// Two transactions that both commit, on the same two lists, one after the other.
    fn two() -> Vec<Appends> {
        vec![
            appends(1, 0, Fate::Committed(10), &["a", "b"]),
            appends(2, 20, Fate::Committed(30), &["a", "b"]),
        ]
    }

    fn judged(of: &[(&str, &[u64])]) -> Result<(), Contradiction> {
        one_order(&two(), &lists(of), &[])
    }

    #[test]
    fn what_agrees_is_let_pass() {
        judged(&[("a", &[1, 2]), ("b", &[1, 2])]).unwrap();
        let unknown = [
            two(),
            vec![appends(3, 0, Fate::Unknown, &["a"]), appends(4, 0, Fate::Aborted, &["b"])],
        ]
        .concat();
        one_order(&unknown, &lists(&[("a", &[1, 2]), ("b", &[1, 2])]), &[]).unwrap();
        one_order(&unknown, &lists(&[("a", &[3, 1, 2]), ("b", &[1, 2])]), &[]).unwrap();
    }

    /// Each kind of contradiction is found, by its name.
    #[test]
    fn what_contradicts_is_found() {
        let twice = judged(&[("a", &[1, 2, 1]), ("b", &[1, 2])]);
        assert!(matches!(twice, Err(Contradiction::Twice { number: 1, .. })), "{twice:?}");
        let stranger = judged(&[("a", &[1, 2, 9]), ("b", &[1, 2])]);
        assert!(matches!(stranger, Err(Contradiction::Stranger { number: 9, .. })), "{stranger:?}");
        let torn = judged(&[("a", &[1, 2]), ("b", &[1])]);
        assert!(matches!(torn, Err(Contradiction::Torn { number: 2, .. })), "{torn:?}");
        let lost = judged(&[("a", &[1]), ("b", &[1])]);
        assert!(matches!(lost, Err(Contradiction::Lost { number: 2 })), "{lost:?}");
        let aborted = vec![appends(1, 0, Fate::Aborted, &["a"])];
        let aborted = one_order(&aborted, &lists(&[("a", &[1])]), &[]);
        assert!(matches!(aborted, Err(Contradiction::Stranger { .. })), "{aborted:?}");
        let read = Read { list: "a".into(), numbers: vec![2] };
        let read = one_order(&two(), &lists(&[("a", &[1, 2]), ("b", &[1, 2])]), &[read]);
        assert!(matches!(read, Err(Contradiction::NoPrefix { .. })), "{read:?}");
    }

    /// Two lists that disagree, and one that disagrees with the clock.
    #[test]
    fn orders_that_disagree_are_a_circle() {
        let apart = judged(&[("a", &[1, 2]), ("b", &[2, 1])]);
        assert!(matches!(&apart, Err(Contradiction::Circle { among }) if among.len() == 2));
        let back = judged(&[("a", &[2, 1]), ("b", &[2, 1])]);
        assert!(matches!(back, Err(Contradiction::Circle { .. })), "{back:?}");
        let long: Vec<Appends> =
            (1..=3).map(|number| appends(number, 0, Fate::Unknown, &["a", "b", "c"])).collect();
        let round = [("a", [1, 2, 3]), ("b", [2, 3, 1]), ("c", [3, 1, 2])];
        let round = round.map(|(list, numbers)| (list.to_owned(), numbers.to_vec()));
        let round = one_order(&long, &BTreeMap::from(round), &[]);
        assert!(matches!(round, Err(Contradiction::Circle { .. })), "{round:?}");
    }
}
