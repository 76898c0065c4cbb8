//! Calls of clients: role and limits at the door, then to the replica; the answer back.

use synod_machine::Query;
use synod_machine::door::{Ask, Call, Freshness, NotApplied, Refusal, Said};
use synod_net::{Asked, Who};
use synod_paxos::NodeId;
use synod_replica::{ClientId, Input};
use tokio::sync::oneshot;
use tracing::debug;

use super::Driver;
use crate::{
    calls::{self, Op, Way},
    door,
};

/// The longest that a call may wait here: whoever waits longer asks again.
const WITHIN_MS_MAX: u32 = 10 * 60 * 1_000;

/// How long a health page's read may take.
const PROBE_WITHIN_MS: u32 = 1_000;

impl Driver {
    /// Takes a call in, or says at once why not.
    pub(super) fn asked(&mut self, asked: Asked) {
        let Asked { from, body, reply } = asked;
        let way = Way::Client(reply);
        let ask = match decode(&body) {
            Ok(ask) => ask,
            Err(refusal) => return self.turn_away(way, "malformed", Said::Refused(refusal)),
        };
        let op = Op::of(&ask.call);
        if let Err(refusal) = door::admit(&from, &ask, self.replica.machine()) {
            debug!(op = op.as_str(), %refusal, "refused at the door");
            return self.turn_away(way, op.as_str(), Said::Refused(refusal));
        }
        if let Some(said) = self.at_once(&ask) {
            return self.turn_away(way, op.as_str(), said);
        }
        let (Who::Client { name, .. } | Who::Node(name)) = &from.who;
        match self.calls.open(name, op, way) {
            Ok(client) => self.step(match ask.call {
                Call::HandOver { to } => {
                    Input::HandOver { to: self.roster.named(&to), client: Some(client) }
                }
                _ => Input::Client { client, ask },
            }),
            Err(way) => self.turn_away(way, op.as_str(), calls::overloaded()),
        }
    }

    /// What needs no replica: status, and calls that come too late.
    fn at_once(&mut self, ask: &Ask) -> Option<Said> {
        if ask.call == Call::Status {
            return Some(Said::Status(Box::new(self.status())));
        }
        if let Call::HandOver { to } = &ask.call
            && self.roster.named(to).is_none()
        {
            let why = format!("the cluster has no node named {to:?}");
            return Some(Said::Refused(Refusal::Misuse(why)));
        }
        if ask.within_ms == 0 {
            return Some(Said::NotApplied(NotApplied::Deadline));
        }
        if self.is_closed_to(&ask.call) {
            return Some(Said::NotApplied(NotApplied::Stopping));
        }
        let writes = matches!(ask.call, Call::Submit(_));
        (writes && self.disk.is_full()).then_some(Said::NotApplied(NotApplied::DiskFull))
    }

    fn turn_away(&self, way: Way, op: &'static str, said: Said) {
        self.metrics.request(op, &said, None);
        way.say(said);
    }

    /// Answers a call that waits, when everything else is under way that the step wants.
    pub(super) fn answer(&mut self, client: ClientId, said: Said) {
        let Some(waiting) = self.calls.close(client) else { return };
        self.metrics.request(waiting.op.as_str(), &said, Some(waiting.began.elapsed()));
        self.state.answers.push((waiting.way, said));
    }

    /// Forgets a call whose caller has gone.
    pub(super) fn gone(&mut self, client: ClientId) {
        if self.calls.close(client).is_some() {
            self.step(Input::Gone(client));
        }
    }

    pub(super) fn not_leader(&self, leader: Option<NodeId>) -> Said {
        let name = leader.and_then(|node| self.roster.name(node));
        Said::NotLeader { leader: name.map(|name| name.as_str().to_owned()) }
    }

    /// A linearizable read of nothing in particular, asked by the node's own health page.
    pub(super) fn probe(&mut self, answer: oneshot::Sender<Said>) {
        if self.state.stopping.is_some() {
            return Way::Page(answer).say(Said::NotApplied(NotApplied::Stopping));
        }
        let own = self.roster.own_name().clone();
        match self.calls.open(&own, Op::Read, Way::Page(answer)) {
            Ok(client) => {
                let query = Query::Verdicts { txns: Vec::new() };
                let call = Call::Read { query, freshness: Freshness::Linearizable };
                let ask = Ask { within_ms: PROBE_WITHIN_MS, call };
                self.step(Input::Client { client, ask });
            }
            Err(page) => page.say(calls::overloaded()),
        }
    }
}

fn decode(body: &[u8]) -> Result<Ask, Refusal> {
    let malformed = |why: &str| Refusal::Malformed(why.to_owned());
    let (mut ask, rest): (Ask, &[u8]) =
        postcard::take_from_bytes(body).map_err(|error| malformed(&error.to_string()))?;
    if !rest.is_empty() {
        return Err(malformed("bytes after its end"));
    }
    ask.within_ms = ask.within_ms.min(WITHIN_MS_MAX);
    Ok(ask)
}
