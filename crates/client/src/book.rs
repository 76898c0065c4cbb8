use std::collections::BTreeMap;

use synod_machine::Seq;

/// The numbers of a session's requests: which are open, and below which none is.
///
/// The cluster keeps the reply of every request that is not below [`Book::acked`]. Invariant: a
/// number below it is never sent again, and its fate is known here or it certainly has none.
#[derive(Debug)]
pub(crate) struct Book {
    next: Seq,
    held: BTreeMap<Seq, Held>,
}

/// Why a number holds the watermark back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Its answer is awaited, or its fate is being found out.
    Open,
    /// As `Open`, and its caller was told `Unknown`.
    Told,
    /// Its caller was told `Unknown`. The fate is known here by now; it is still kept in the
    /// cluster, as long as there is room, for whoever else was handed the id.
    Settled,
}

impl Book {
    pub(crate) fn new() -> Book {
        Book { next: Seq::ZERO.next(), held: BTreeMap::new() }
    }

    /// The next number.
    pub(crate) fn open(&mut self) -> Seq {
        let seq = self.next;
        self.next = seq.next();
        self.held.insert(seq, Held::Open);
        seq
    }

    /// Every number below it is answered and will not be sent again.
    pub(crate) fn acked(&self) -> Seq {
        self.held.keys().next().copied().unwrap_or(self.next)
    }

    /// The request was answered, or certainly never heard. By how much the watermark rose.
    pub(crate) fn close(&mut self, seq: Seq) -> u64 {
        self.rise(|book| {
            book.held.remove(&seq);
        })
    }

    /// The caller has heard `Unknown`, and the id may be handed on.
    pub(crate) fn tell(&mut self, seq: Seq) {
        if let Some(held) = self.held.get_mut(&seq) {
            *held = Held::Told;
        }
    }

    /// The fate of a request is known that was not answered. By how much the watermark rose: not at
    /// all when somebody has its id.
    pub(crate) fn settle(&mut self, seq: Seq) -> u64 {
        match self.held.get_mut(&seq) {
            Some(held @ Held::Told) => {
                *held = Held::Settled;
                0
            }
            Some(Held::Open) => self.close(seq),
            Some(Held::Settled) | None => 0,
        }
    }

    /// There is no room to keep settled ones for others. By how much the watermark rose.
    pub(crate) fn release_settled(&mut self) -> u64 {
        self.rise(|book| book.held.retain(|_, held| *held != Held::Settled))
    }

    fn rise(&mut self, change: impl FnOnce(&mut Book)) -> u64 {
        let before = self.acked();
        change(self);
        let after = self.acked();
        assert!(before <= after, "the watermark fell from {before} to {after}");
        after.get() - before.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(number: u64) -> Seq {
        Seq::new(number)
    }

    /// A number above an open one is not acknowledged: its neighbour below may still be repeated.
    #[test]
    fn the_watermark_waits_for_the_lowest_open_number() {
        let mut book = Book::new();
        let (first, second) = (book.open(), book.open());
        assert_eq!((first, second, book.acked()), (seq(1), seq(2), seq(1)));
        assert_eq!(book.close(second), 0);
        assert_eq!(book.acked(), seq(1));
        assert_eq!(book.close(first), 2);
        assert_eq!(book.acked(), seq(3));
    }

    /// A request never acknowledges itself (the machine refuses one that does).
    #[test]
    fn a_fresh_number_is_not_below_its_own_watermark() {
        let mut book = Book::new();
        for _ in 0..3 {
            let seq = book.open();
            assert!(book.acked() <= seq);
            book.close(seq);
        }
    }

    #[test]
    fn a_settled_number_is_kept_until_there_is_no_room() {
        let mut book = Book::new();
        let (unknown, open) = (book.open(), book.open());
        book.tell(unknown);
        assert_eq!(book.release_settled(), 0, "it is not settled yet");
        assert_eq!(book.settle(unknown), 0);
        assert_eq!(book.acked(), unknown);
        assert_eq!(book.release_settled(), 1);
        assert_eq!(book.acked(), open);
    }

    /// Its caller is gone: nobody has the id.
    #[test]
    fn a_number_that_nobody_was_told_of_is_closed_when_it_is_settled() {
        let mut book = Book::new();
        let seq = book.open();
        assert_eq!(book.settle(seq), 1);
        book.tell(seq);
        assert_eq!(book.acked(), seq.next());
    }

    #[test]
    fn closing_twice_changes_nothing() {
        let mut book = Book::new();
        let seq = book.open();
        assert_eq!(book.close(seq), 1);
        assert_eq!(book.close(seq), 0);
        book.settle(seq);
        assert_eq!(book.acked(), seq.next());
    }
}
