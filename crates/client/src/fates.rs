use std::collections::{BTreeMap, VecDeque};

use synod_machine::{Reply, RequestId};

/// Fates that are remembered here after the cluster was told that it may forget them. Each was an
/// `Unknown` of this very client: whoever has so many has not been asking about the oldest.
const FATES_MAX: usize = 256;

/// What became of a request, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It took effect, and this was its reply.
    Applied(Reply),
    /// It did not take effect and never will, even if a copy of it is still under way.
    Never,
}

/// What became of requests whose callers were told `Unknown`.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    known: BTreeMap<RequestId, Settled>,
    oldest_first: VecDeque<RequestId>,
}

impl Fates {
    pub(crate) fn keep(&mut self, request: RequestId, settled: Settled) {
        if self.known.insert(request, settled).is_none() {
            self.oldest_first.push_back(request);
        }
        if self.oldest_first.len() > FATES_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(crate) fn of(&self, request: RequestId) -> Option<Settled> {
        self.known.get(&request).cloned()
    }
}

#[cfg(test)]
mod tests {
    use synod_machine::{Seq, SessionId};

    use super::*;

    #[test]
    fn the_oldest_fate_is_forgotten_first_and_no_other() {
        let request = |seq| RequestId { session: SessionId::new(1), seq: Seq::new(seq as u64) };
        let mut fates = Fates::default();
        for seq in 1..=FATES_MAX + 1 {
            fates.keep(request(seq), Settled::Never);
            fates.keep(request(seq), Settled::Never);
        }
        assert_eq!(fates.of(request(1)), None);
        assert_eq!(fates.of(request(2)), Some(Settled::Never));
        assert_eq!(fates.of(request(FATES_MAX + 1)), Some(Settled::Never));
    }
}
