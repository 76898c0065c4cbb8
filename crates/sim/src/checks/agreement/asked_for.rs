//! A5: only what somebody asked is chosen.

use bytes::Bytes;
use synod_machine::{Batch, Command, Request, RequestId};
use synod_paxos::Slot;

use crate::violation::{Checked, Violation, demand};

/// A value is chosen: nobody asks for what is no batch.
pub(in crate::checks) fn is_a_batch(
    slot: Slot,
    bytes: &Bytes,
    batch: Option<Batch>,
) -> Result<Batch, Violation> {
    batch.ok_or_else(|| Violation {
        invariant: "A5",
        what: format!("slot {slot}: nobody proposes what is no batch: {bytes:?}"),
    })
}

/// A request is chosen, of which its client `asked` this.
pub(in crate::checks) fn is_its_clients(
    id: RequestId,
    request: &Request,
    asked: Option<&Command>,
) -> Checked {
    demand!(
        asked == Some(&request.command),
        "A5",
        "{id} is chosen as {:?}; its client asked {asked:?}",
        request.command
    );
    Ok(())
}
