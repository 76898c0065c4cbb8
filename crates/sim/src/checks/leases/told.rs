//! L7: whoever watches is told everything, once, in order, or that there is a gap.

use std::{collections::BTreeMap, fmt};

use synod_machine::{Answer, Interest, Revision, door::Said};

use super::Leases;
use crate::{
    event::Caller,
    sights::Sight,
    violation::{Checked, Violation, demand},
};

impl Leases {
    /// A watch that had been told everything up to `after` hears this: up to where it has been told
    /// everything since.
    pub(crate) fn watched(
        &mut self,
        who: Caller,
        interest: &Interest,
        after: Revision,
        said: &Said,
    ) -> Result<Revision, Violation> {
        let Said::Watched { news, .. } = said else {
            demand!(false, "L7", "{who:?}: a watch is answered with {said:?}");
            return Ok(after);
        };
        self.judge(who, interest, after, news)
    }

    /// The same of a call for many, each of which had been told everything up to a revision of its
    /// own. Whichever is not named has not changed up to the revision of the answer.
    pub(crate) fn watched_any(
        &mut self,
        who: Caller,
        asked: &[(Interest, Revision)],
        said: &Said,
    ) -> Result<Vec<Revision>, Violation> {
        let Said::WatchedAny { news, upto, .. } = said else {
            demand!(false, "L7", "{who:?}: a watch of many is answered with {said:?}");
            return Ok(Vec::new());
        };
        is_of_each_once(who, asked.len(), news)?;
        let mut news: BTreeMap<u32, &Answer> =
            news.iter().map(|(place, answer)| (*place, answer)).collect();
        self.see_many(asked, &news);
        let mut uptos = Vec::new();
        for (place, (interest, after)) in (0_u32..).zip(asked) {
            let none = Answer::Changes { changes: Vec::new(), upto: (*upto).max(*after) };
            let answer = news.remove(&place).unwrap_or(&none);
            uptos.push(self.judge(who, interest, *after, answer)?);
        }
        Ok(uptos)
    }

    fn see_many(&mut self, asked: &[(Interest, Revision)], news: &BTreeMap<u32, &Answer>) {
        let told: Vec<u32> =
            news.iter().filter(|(_, one)| is_told(one)).map(|(place, _)| *place).collect();
        if told.len() > 1 {
            self.seen.see(Sight::WatchedMany);
        }
        let furthest = asked.iter().map(|(_, after)| *after).max().unwrap_or_default();
        let is_behind = |place: &u32| asked[*place as usize].1 < furthest;
        if told.iter().any(is_behind) {
            self.seen.see(Sight::WatchJoins);
        }
    }

    fn judge(
        &mut self,
        who: Caller,
        interest: &Interest,
        after: Revision,
        news: &Answer,
    ) -> Result<Revision, Violation> {
        match news {
            Answer::Changes { changes, upto } => {
                let told = changes.iter().flat_map(|(at, row)| row.iter().map(|one| (*at, one)));
                let from = self.changes.partition_point(|(at, _)| *at <= after);
                let later = self.changes[from..].iter().take_while(|(at, _)| *at <= *upto);
                let expected = later.filter(|(_, change)| interest.is_of(change));
                let told: Vec<_> = told.collect();
                let expected: Vec<_> = expected.map(|(at, change)| (*at, change)).collect();
                demand!(
                    told == expected && *upto >= after,
                    "L7",
                    "{who:?} watches {interest:?} after {after} and is told up to {upto}: \
                     {told:?}; there were {expected:?}"
                );
                if !told.is_empty() {
                    self.seen.see(Sight::Watched);
                }
                Ok(*upto)
            }
            Answer::Gap { forgotten } => {
                demand!(
                    after < *forgotten && *forgotten <= self.forgotten,
                    "L7",
                    "{who:?} hears of a gap up to {forgotten}; it was told up to {after}, \
                     and what came up to {} is forgotten",
                    self.forgotten
                );
                self.seen.see(Sight::Gap);
                Ok(*forgotten)
            }
            other => {
                demand!(false, "L7", "{who:?}: a watch hears {other:?}");
                Ok(after)
            }
        }
    }
}

/// Somebody who waits for news hears what is none.
pub(crate) fn is_no_news(hears: fmt::Arguments<'_>, said: &impl fmt::Debug) -> Checked {
    Err(Violation { invariant: "L7", what: format!("{hears} {said:?}") })
}

/// Whether it tells of anything.
fn is_told(news: &Answer) -> bool {
    matches!(news, Answer::Changes { changes, .. } if !changes.is_empty())
}

/// No watch of a call is told twice of anything, and none of what was not asked for.
fn is_of_each_once(who: Caller, asked: usize, news: &[(u32, Answer)]) -> Checked {
    let mut places: Vec<u32> = news.iter().map(|(place, _)| *place).collect();
    places.sort_unstable();
    let each_once = places.windows(2).all(|pair| pair[0] < pair[1]);
    demand!(
        each_once && places.last().is_none_or(|last| (*last as usize) < asked),
        "L7",
        "{who:?} asks for {asked} watches, and is told of {places:?}"
    );
    Ok(())
}
