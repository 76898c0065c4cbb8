use std::time::Duration;

/// When clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each as soon as it has its last answer. The load follows the system: when that stalls, fewer
    /// requests feel it than users would.
    Closed,
    /// So many a second of all clients together, each at its time, whatever became of those before
    /// it. Latency counts from when a request was due and not from when it could be sent: a stall
    /// is felt by every request that was due in it (Tene, "coordinated omission").
    Open {
        /// How many.
        per_s: u32,
    },
}

impl Pace {
    /// When a client's request of this number is due, from the round's beginning; of a closed loop
    /// none is.
    pub(super) fn due(self, client: usize, clients: usize, number: u64) -> Option<Duration> {
        let Pace::Open { per_s } = self else { return None };
        // Clients take turns, so that requests come evenly.
        let place = number.saturating_mul(clients as u64).saturating_add(client as u64);
        let nanos = u128::from(place) * 1_000_000_000 / u128::from(per_s.max(1));
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Together the clients ask evenly and as often as told.
    #[test]
    fn an_open_loop_is_even_over_all_clients() {
        let pace = Pace::Open { per_s: 1_000 };
        let mut due: Vec<_> = (0..4)
            .flat_map(|client| (0..5).map(move |number| pace.due(client, 4, number).unwrap()))
            .collect();
        due.sort_unstable();
        let even: Vec<_> = (0..20).map(Duration::from_millis).collect();
        assert_eq!(due, even);
        assert_eq!(Pace::Closed.due(0, 1, 7), None);
    }
}
