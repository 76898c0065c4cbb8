//! A lead that is handed over.

use synod_machine::door::{self, NotApplied, Said};
use synod_paxos::{self as paxos, NodeId, Role, Unfit};

use super::Replica;
use crate::{ClientId, Output, Response};

impl Replica {
    /// Has the peer hand over the lead. Whoever asked for it waits no longer than the peer does.
    pub(super) fn hand_over(
        &mut self,
        to: Option<NodeId>,
        client: Option<ClientId>,
        out: &mut Output,
    ) {
        let leads = matches!(self.peer.role(), Role::Leading { .. });
        match client {
            Some(client) if !leads => return out.responses.push((client, self.not_leader())),
            Some(client) if to == self.peer.leader() => {
                return out.responses.push((client, Response::Said(Said::Kept)));
            }
            client => self.movers.extend(client),
        }
        self.consult(paxos::Input::HandOver(to), out);
    }

    /// Tells those who wait for it what came of it: this node leads on, and why; or another has
    /// been called, or the reign has ended otherwise.
    pub(super) fn tell_movers(&mut self, unfit: Option<Unfit>, out: &mut Output) {
        if self.movers.is_empty() {
            return;
        }
        let leads = matches!(self.peer.role(), Role::Leading { .. });
        let response = match unfit {
            Some(unfit) => Response::Said(Said::NotApplied(NotApplied::Unfit(told(unfit)))),
            None if leads => return,
            None if self.peer.was_handed_over() => Response::Said(Said::Kept),
            None => self.not_leader(),
        };
        out.responses.extend(self.movers.drain(..).map(|client| (client, response.clone())));
    }
}

fn told(unfit: Unfit) -> door::Unfit {
    match unfit {
        Unfit::Silent => door::Unfit::Silent,
        Unfit::DiskStalled => door::Unfit::DiskStalled,
        Unfit::CutOff => door::Unfit::CutOff,
        Unfit::Behind(slots) => door::Unfit::Behind { slots },
    }
}
