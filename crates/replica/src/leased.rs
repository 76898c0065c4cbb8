use synod_paxos::Tick;

use crate::{ClientId, Response, reads::Question};

/// An answer for which only the leader's lease vouches.
///
/// The time that a step is told was read before its input was taken up, and the process may have
/// stood still since. So the answer is sealed, and what opens it is a look at the clock that comes
/// after the state was read: if the lease still runs then, it ran when the state was read, and
/// nobody else had acknowledged anything by then.
#[must_use = "an answer that is dropped leaves a caller without one"]
#[derive(Clone, Debug)]
pub struct Leased {
    pub(crate) client: ClientId,
    pub(crate) response: Response,
    pub(crate) until: Tick,
    pub(crate) again: Lapsed,
}

/// A question whose answer came too late: it is to be stepped in again, as
/// [`Input::Lapsed`](crate::Input::Lapsed).
#[derive(Clone, Debug)]
pub struct Lapsed {
    pub(crate) client: ClientId,
    pub(crate) deadline: Tick,
    pub(crate) question: Question,
}

impl Leased {
    /// What to say to whom, if the node's clock, read for this, shows a moment of the lease.
    pub fn open(self, now: Tick) -> Result<(ClientId, Response), Lapsed> {
        if now < self.until { Ok((self.client, self.response)) } else { Err(self.again) }
    }
}
