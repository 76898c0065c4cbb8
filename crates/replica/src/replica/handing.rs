//! A lead that is handed over.

use std::{collections::VecDeque, mem};

use synod_machine::door::{self, NotApplied, Said};
use synod_paxos::{self as paxos, NodeId, Role, Unfit};

use super::Replica;
use crate::{ClientId, Output, Response};

/// Whoever wants the lead handed over: a client, or this node, which stops.
#[derive(Clone, Debug)]
pub(super) struct Mover {
    client: Option<ClientId>,
    /// To whom; `None` is whoever is fit for it best.
    to: Option<NodeId>,
}

impl Replica {
    /// Has the peer hand over the lead. Whoever asked for it waits no longer than the peer does;
    /// whoever asks while that is under way has his turn when nothing comes of it.
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
            client => self.movers.push_back(Mover { client, to }),
        }
        if self.movers.len() == 1 {
            self.consult(paxos::Input::HandOver(to), out);
        }
    }

    /// Tells those who wait for it what came of it: this node leads on, and why; or another has
    /// been called, or the reign has ended otherwise.
    pub(super) fn tell_movers(&mut self, unfit: Option<Unfit>, out: &mut Output) {
        let leads = matches!(self.peer.role(), Role::Leading { .. });
        if let Some(why) = unfit {
            let Some(Mover { to: judged, .. }) = self.movers.front().cloned() else { return };
            let response = Response::Said(Said::NotApplied(NotApplied::Unfit(told(why))));
            let (theirs, others): (VecDeque<_>, VecDeque<_>) =
                mem::take(&mut self.movers).into_iter().partition(|mover| mover.to == judged);
            self.movers = others;
            let clients = theirs.into_iter().filter_map(|mover| mover.client);
            out.responses.extend(clients.map(|client| (client, response.clone())));
            if let Some(Mover { to, .. }) = self.movers.front().cloned() {
                self.consult(paxos::Input::HandOver(to), out);
            }
        } else if !leads {
            let heir = self.peer.leader_or_heir().filter(|_| self.peer.was_handed_over());
            for Mover { client, to } in mem::take(&mut self.movers) {
                let called = heir.is_some() && to.is_none_or(|to| heir == Some(to));
                let response = if called { Response::Said(Said::Kept) } else { self.not_leader() };
                out.responses.extend(client.map(|client| (client, response)));
            }
        }
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
