//! The questions and answers of operations in the order of time, as a list from which operations
//! can be taken out and put back at once (Lowe).

/// The list. Its element 0 is before everything.
#[derive(Debug)]
pub(super) struct Order {
    elements: Vec<Element>,
    /// Where the question and the answer of each operation stand.
    places: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug)]
struct Element {
    at: u64,
    operation: usize,
    is_answer: bool,
    before: usize,
    after: usize,
}

const HEAD: usize = 0;

impl Order {
    /// The list of operations asked and answered at these times. What is asked at the very moment
    /// of an answer is not after it.
    pub(super) fn new(spans: impl Iterator<Item = (u64, u64)>) -> Order {
        let mut times = Vec::new();
        for (operation, (asked, answered)) in spans.enumerate() {
            times.push((asked, false, operation));
            times.push((answered.max(asked), true, operation));
        }
        times.sort_unstable();
        let mut places = vec![(HEAD, HEAD); times.len() / 2];
        let head = Element { at: 0, operation: 0, is_answer: false, before: HEAD, after: 1 };
        let mut elements = vec![head];
        for (place, (at, is_answer, operation)) in times.into_iter().enumerate() {
            let (before, after) = (place, place + 2);
            elements.push(Element { at, operation, is_answer, before, after });
            let places = &mut places[operation];
            *(if is_answer { &mut places.1 } else { &mut places.0 }) = place + 1;
        }
        let last = elements.len() - 1;
        elements[last].after = HEAD;
        elements[HEAD].before = last;
        Order { elements, places }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.elements[HEAD].after == HEAD
    }

    /// The operation that was asked first.
    pub(super) fn first(&self) -> Option<usize> {
        self.question(self.elements[HEAD].after)
    }

    /// The operation that was asked next after this one, if nothing was answered between.
    pub(super) fn after(&self, operation: usize) -> Option<usize> {
        self.question(self.elements[self.places[operation].0].after)
    }

    /// Those that were asked before anything was answered.
    pub(super) fn window(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.first(), |operation| self.after(*operation))
    }

    /// When the first answer came, if anything is left.
    pub(super) fn first_answer(&self) -> u64 {
        let mut place = self.elements[HEAD].after;
        while place != HEAD && !self.elements[place].is_answer {
            place = self.elements[place].after;
        }
        if place == HEAD { 0 } else { self.elements[place].at }
    }

    pub(super) fn take_out(&mut self, operation: usize) {
        let (question, answer) = self.places[operation];
        self.unlink(question);
        self.unlink(answer);
    }

    /// Puts back what was taken out last and is not back yet.
    pub(super) fn put_back(&mut self, operation: usize) {
        let (question, answer) = self.places[operation];
        self.link(answer);
        self.link(question);
    }

    fn question(&self, place: usize) -> Option<usize> {
        let element = self.elements[place];
        (place != HEAD && !element.is_answer).then_some(element.operation)
    }

    fn unlink(&mut self, place: usize) {
        let Element { before, after, .. } = self.elements[place];
        self.elements[before].after = after;
        self.elements[after].before = before;
    }

    fn link(&mut self, place: usize) {
        let Element { before, after, .. } = self.elements[place];
        self.elements[before].after = place;
        self.elements[after].before = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken out is gone, with its answer; what is put back is where it was.
    #[test]
    fn operations_are_taken_out_and_put_back() {
        let mut order = Order::new([(1, 5), (2, 3), (3, 9), (4, 6)].into_iter());
        let window = |order: &Order| order.window().collect::<Vec<_>>();
        assert_eq!(window(&order), [0, 1, 2]);
        assert_eq!(order.first_answer(), 3);
        order.take_out(1);
        assert_eq!(window(&order), [0, 2, 3]);
        order.take_out(0);
        assert_eq!((window(&order), order.first_answer()), (vec![2, 3], 6));
        order.put_back(0);
        order.put_back(1);
        assert_eq!(window(&order), [0, 1, 2]);
        (0..4).for_each(|operation| order.take_out(operation));
        assert!(order.is_empty());
        assert_eq!(order.first(), None);
    }
}
