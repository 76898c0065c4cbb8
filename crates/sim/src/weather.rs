use fastrand::Rng;

use crate::plan::MS;

/// One universe in so many is stormy: hardly a word comes as it was sent.
const STORM_ONE_IN: u8 = 6;

/// What the network does to each word.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) delay_us: (u64, u64),
    /// Of a thousand words, so many are lost.
    pub(crate) lost: u64,
    /// Of a thousand words, so many come twice.
    pub(crate) doubled: u64,
    /// Of a thousand words, so many come long after those that followed them.
    pub(crate) late: u64,
    pub(crate) late_us: u64,
}

impl Weather {
    /// A network on which nothing goes wrong.
    pub(crate) fn fair() -> Weather {
        Weather { delay_us: (100, 1_000), lost: 0, doubled: 0, late: 0, late_us: 0 }
    }

    /// The weather of one universe.
    pub(crate) fn draw(rng: &mut Rng) -> Weather {
        let most = [500, 2 * MS, 10 * MS, 40 * MS][rng.usize(0..4)];
        let storm = rng.u8(0..STORM_ONE_IN) == 0;
        let mut of_a_thousand = |most| match rng.bool() {
            true if storm => rng.u64(0..4 * most),
            true => rng.u64(0..most),
            false => 0,
        };
        let (lost, doubled, late) = (of_a_thousand(100), of_a_thousand(100), of_a_thousand(50));
        // Now and then so late that a whole reign, or a session, lies between.
        let late_us = [300 * MS, 300 * MS, 3_000 * MS][rng.usize(0..3)];
        Weather { delay_us: (100, most), lost, doubled, late, late_us }
    }
}
