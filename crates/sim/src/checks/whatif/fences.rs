//! F3 at a copy of the machine: what a leader took for silence in a reign that is over ends no
//! session.

use synod_machine::{
    Batch, Command, FenceCause, FenceGuard, Machine, Rejection, Reply, Request, Seq, Timestamp,
};

use super::WhatIf;
use crate::violation::{Checked, demand};

impl WhatIf {
    /// A request is applied by `machine`. A fence of the reign before may come behind the start of
    /// a new one, adopted from an acceptor that alone had it: it is overruled.
    pub(crate) fn applied(&mut self, request: &Request, machine: &Machine) -> Checked {
        let Command::LeaderStart { reign } = request.command else { return Ok(()) };
        demand!(
            machine.reign() >= reign,
            "F3",
            "{reign:?} has begun, and the log knows {:?}",
            machine.reign()
        );
        let before = std::mem::replace(&mut self.reign, machine.reign());
        let Some((session, _, renewals)) = machine.live_sessions().next() else { return Ok(()) };
        if before == machine.reign() {
            return Ok(());
        }
        let guard = Some(FenceGuard { reign: before, renewals });
        let command = Command::Fence { session, cause: FenceCause::Expired, guard };
        let requests = vec![Request { id: None, acked: Seq::ZERO, command }];
        let results = machine.clone().apply(Batch { stamp: Timestamp(0), requests });
        let reply = results.first().map(|result| &result.reply);
        demand!(
            reply == Some(&Reply::Rejected(Rejection::FenceOverruled)),
            "F3",
            "{session} would end by a fence of {before:?} under {:?}: {reply:?}",
            machine.reign()
        );
        Ok(())
    }
}
