use std::{cmp::Ordering, iter::Peekable};

use bytes::Bytes;

/// A key and what stands there; `None` where nothing does any more.
type Line = (Bytes, Option<Bytes>);

/// Two orders of rows as one. Where both have a key, the one above says what stands.
pub(super) struct Over<A: Iterator, B: Iterator> {
    above: Peekable<A>,
    below: Peekable<B>,
}

impl<A: Iterator, B: Iterator> Over<A, B> {
    pub(super) fn new(above: A, below: B) -> Over<A, B> {
        Over { above: above.peekable(), below: below.peekable() }
    }
}

impl<E, A, B> Iterator for Over<A, B>
where
    A: Iterator<Item = Line>,
    B: Iterator<Item = Result<Line, E>>,
{
    type Item = Result<Line, E>;

    fn next(&mut self) -> Option<Result<Line, E>> {
        let order = match (self.above.peek(), self.below.peek()) {
            (Some((above, _)), Some(Ok((below, _)))) => above.cmp(below),
            (_, Some(_)) => Ordering::Greater,
            (_, None) => Ordering::Less,
        };
        match order {
            Ordering::Less => self.above.next().map(Ok),
            Ordering::Greater => self.below.next(),
            Ordering::Equal => {
                let _hidden = self.below.next();
                self.above.next().map(Ok)
            }
        }
    }
}
