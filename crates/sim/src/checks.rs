//! The properties that a universe keeps, one file to a property, held against the ghost state after
//! every step. What several of them share stands in the file that their folder is named after.

pub(crate) mod acceptor;
pub(crate) mod acknowledged;
pub(crate) mod ages;
pub(crate) mod agreement;
pub(crate) mod alone;
mod at_least;
pub(crate) mod beginning;
pub(crate) mod books;
mod budgets;
pub(crate) mod calm;
mod children;
pub(crate) mod clients;
pub(crate) mod current;
pub(crate) mod force;
pub(crate) mod leadership;
pub(crate) mod leases;
pub(crate) mod linear;
mod lives;
mod offices;
pub(crate) mod order;
pub(crate) mod rare;
mod services;
mod shelf;
pub(crate) mod succession;
pub(crate) mod transactions;
pub(crate) mod vows;
mod whatif;

use std::hash::{DefaultHasher, Hash, Hasher};

use synod_machine::{Command, LeaseId, Name, Revision, TxnId, Verdict, branch};
use synod_paxos::{Config, Durable, Envelope, Life, Message, NodeId, Peer, Slot, Tick, Write};
use synod_replica::{ClientId, Replica};

use self::{
    acceptor::never_falls::Promises,
    agreement::believed::Covered,
    beginning::Beginning,
    books::{Books, Standing},
    budgets::Budgets,
    calm::Calm,
    children::Children,
    clients::Clients,
    current::Current,
    force::Force,
    leadership::{Leadership, Times},
    leases::Leases,
    order::Order,
    rare::Rare,
    succession::Succession,
    transactions::Transactions,
    vows::Vows,
    whatif::WhatIf,
};
use crate::{
    ghost::Ghost,
    plan::Plan,
    sights::{Sight, Sights},
    violation::Checked,
};

/// Nodes whose clocks are off by no more run so evenly, beside those of holders, that leases may be
/// counted on.
const CLOCKS_AGREE_PPM: i64 = 500;

/// All checks of one universe, with the ghost state that they share.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) ghost: Ghost,
    promises: Promises,
    covered: Covered,
    pub(crate) order: Order,
    pub(crate) beginning: Beginning,
    pub(crate) leadership: Leadership,
    pub(crate) succession: Succession,
    whatif: WhatIf,
    budgets: Budgets,
    pub(crate) vows: Vows,
    pub(crate) current: Current,
    pub(crate) clients: Clients,
    pub(crate) transactions: Transactions,
    force: Force,
    pub(crate) leases: Leases,
    pub(crate) children: Children,
    pub(crate) books: Books,
    pub(crate) rare: Rare,
    pub(crate) calm: Calm,
    /// The moment of the universe.
    pub(crate) now_us: u64,
    /// What the world counts itself.
    pub(crate) seen: Sights,
}

impl Watch {
    /// The checks of a universe of these voters.
    pub(crate) fn new(voters: &[Life], plan: &Plan, silence_us: u64) -> Watch {
        let ghost = Ghost::new(voters);
        let leadership = Leadership::new(ghost.quorum(), plan.window_slots, silence_us);
        Watch {
            ghost,
            promises: Promises::default(),
            covered: Covered::default(),
            order: Order::new(),
            beginning: Beginning::default(),
            leadership,
            succession: Succession::default(),
            whatif: WhatIf::new(plan.leasing.vow),
            budgets: Budgets::new(plan.queue_bytes),
            vows: Vows::new(plan.leasing),
            current: Current::default(),
            clients: Clients::default(),
            transactions: Transactions::default(),
            force: Force::default(),
            leases: Leases::new(plan.drift_ppm <= CLOCKS_AGREE_PPM),
            children: Children::default(),
            books: Books::default(),
            rare: Rare::default(),
            calm: Calm::default(),
            now_us: 0,
            seen: Sights::default(),
        }
    }

    /// A step has asked the disk for these facts, in this order.
    pub(crate) fn asked(&mut self, life: Life, writes: &[Write]) -> Checked {
        for write in writes {
            agreement::asked(&mut self.ghost, life, write)?;
            acceptor::asked(&self.ghost, life, write)?;
            order::asked(&self.ghost, life, write)?;
            if let Write::Promised { ballot } = write
                && !self.leadership.has_promises(*ballot)
            {
                self.vows.promises(life, *ballot, self.now_us)?;
            }
            self.rare.asked(&self.ghost, life, write);
            if self.beginning.asked(&self.ghost, life, write)? {
                self.seen.see(Sight::Trim);
            }
            self.ghost.ask(life.node, write);
        }
        acceptor::asked_all(&self.ghost, life, writes)
    }

    /// These facts have become durable.
    pub(crate) fn synced(&mut self, life: Life, writes: &[Write]) -> Checked {
        self.ghost.begin_sync(life.node);
        for write in writes {
            if let Some((slot, ballot, decree)) = self.ghost.sync(life, write) {
                self.rare.chosen(&self.ghost, slot, ballot);
                agreement::chosen(&mut self.ghost, slot, ballot, decree)?;
            }
        }
        self.advance()
    }

    /// A word leaves its speaker.
    pub(crate) fn spoken(&mut self, envelope: &Envelope) -> Checked {
        if let Message::Prepare { first, .. } = &envelope.message
            && self.ghost.trimmed_above(*first)
        {
            self.seen.see(Sight::BehindTrim);
        }
        self.rare.spoken(&self.ghost, envelope);
        self.whatif.spoken(envelope);
        self.budgets.spoken(envelope)?;
        self.current.spoken(envelope);
        let promised = self.ghost.asked(envelope.from.node).promised();
        self.vows.spoken(promised, envelope, self.now_us)?;
        acceptor::spoken(&self.ghost, envelope)?;
        agreement::spoken(&mut self.ghost, envelope)?;
        self.leadership.spoken(&self.ghost, envelope)?;
        if let Message::Promise { ballot, page } = &envelope.message {
            self.order.tells(envelope.from.node, page.chosen_upto)?;
            if self.leadership.has_promises(*ballot) {
                self.succession.promised(*ballot);
            }
        }
        Ok(())
    }

    /// A word arrives at a peer.
    pub(crate) fn heard(&mut self, peer: &Peer, now: Tick, envelope: &Envelope) -> Checked {
        self.current.heard(envelope);
        self.whatif.heard(peer, now, envelope)
    }

    /// A linearizable read arrives at a node.
    pub(crate) fn reads(
        &mut self,
        client: ClientId,
        peer: Option<&Peer>,
        node: NodeId,
        now: Tick,
    ) -> Checked {
        self.succession.reads(client);
        let Some(peer) = peer else { return Ok(()) };
        self.whatif.reads(&self.ghost, peer, node, now)
    }

    /// A node starts with `found` on its disk; `in_flight` was under way when it stopped.
    pub(crate) fn recovered(
        &mut self,
        life: Life,
        in_flight: &[Write],
        found: &Durable,
    ) -> Checked {
        let survived = acceptor::found::by_a_start(&mut self.ghost, life.node, in_flight, found)?;
        if !in_flight.is_empty() {
            self.seen.see(if survived.is_empty() { Sight::Lost } else { Sight::Survived });
        }
        self.order.restarted(life.node);
        self.current.started(life.node);
        self.synced(life, survived)?;
        self.ghost.opened(life.node);
        Ok(())
    }

    /// A node is about to start from `durable`, with a state that has come to `applied`.
    pub(crate) fn recovers(config: &Config, durable: &Durable, applied: Slot) -> Checked {
        WhatIf::recovers(config, durable, applied)
    }

    /// A node has taken a step.
    pub(crate) fn stepped(
        &mut self,
        node: NodeId,
        boot: u64,
        replica: &Replica,
        times: Times,
    ) -> Checked {
        let status = replica.status();
        self.rare.stepped(node, &status, times.syncing_us);
        self.current.stepped(status.applied);
        self.promises.stepped(&self.ghost, node, boot, replica.peer().promised())?;
        self.budgets.waits(node, status.bytes_queued)?;
        self.order.stepped(&self.ghost, node, replica)?;
        self.covered.stepped(&self.ghost, node, &status)?;
        self.whatif.stepped(&self.ghost, replica.peer(), node, times.tick)?;
        self.leadership.stepped(&self.ghost, node, boot, &status, times)
    }

    /// The last slot of the gapless chosen prefix.
    pub(crate) fn upto(&self) -> Slot {
        self.ghost.upto()
    }

    /// Everything has come to a good end.
    pub(crate) fn ended(&mut self, opening: &Standing, closing: &Standing) -> Checked {
        let machine = self.order.machine();
        self.transactions.ended(machine)?;
        self.books.ended(opening, closing, |txn| transactions::verdict_of(machine, txn))?;
        self.clients.ended()
    }

    /// The moment of the universe.
    pub(crate) fn tick(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.clients.now_us = now_us;
    }

    /// Somebody hears of a verdict.
    pub(crate) fn told(&self, txn: TxnId, verdict: Verdict) -> Checked {
        transactions::told(self.order.machine(), txn, verdict)
    }

    /// A participant takes something in.
    pub(crate) fn branch_hears(&mut self, place: usize, input: &branch::Input) {
        self.transactions.hears(self.order.machine(), place, input);
    }

    /// A node is asked by a participant to put this into the log.
    pub(crate) fn participant_asks(&mut self, command: &Command) {
        if let Command::Decide { txn, .. } = command {
            self.transactions.asks_to_abort(*txn, self.leadership.reigns());
        }
    }

    /// A participant has the log's answer to its abort.
    pub(crate) fn doubt_ends(&mut self, txn: TxnId, verdict: Verdict) {
        self.transactions.doubt_ends(txn, verdict, self.leadership.reigns());
    }

    /// A holder begins to do something under what it has.
    pub(crate) fn begins(
        &mut self,
        holder: usize,
        lease: LeaseId,
        (name, token): (&Name, Revision),
    ) -> Checked {
        if self.leases.is_broken(lease, name, token) {
            return Ok(());
        }
        let now = self.now_us;
        self.children.begins(holder, (lease, name, token), |other| self.leases.counts(other, now))
    }

    /// A participant asks its disk for facts, in a step that brought it `verdict`.
    pub(crate) fn branch_asked(
        &mut self,
        place: usize,
        verdict: Option<(TxnId, Verdict)>,
        writes: &[branch::Write],
    ) -> Checked {
        self.transactions.asked(self.order.machine(), place, verdict, writes)
    }

    /// How often rare things happened, as far as the checks have seen.
    pub(crate) fn sights(&self) -> Sights {
        let mut seen = self.seen;
        for part in [
            self.clients.sights(),
            self.order.seen,
            self.leadership.seen,
            self.transactions.seen,
            self.force.seen,
            self.leases.seen,
            self.rare.seen,
        ] {
            seen += part;
        }
        seen
    }

    fn advance(&mut self) -> Checked {
        while let Some((_, effect)) = self.order.advance(&self.ghost)? {
            self.clients.applied(&effect, self.now_us)?;
            for request in &effect.batch.requests {
                self.whatif.applied(request, self.order.machine())?;
            }
            self.transactions.applied(&effect, self.order.machine())?;
            self.force.applied(&effect, self.order.machine())?;
            self.leases.applied(&effect, self.order.machine(), self.now_us)?;
            self.children.broken(|lease, name, token| self.leases.is_broken(lease, name, token));
            self.children.applied(&effect)?;
            self.clients.judge(&effect, self.order.machine())?;
        }
        Ok(())
    }
}

/// Values of equal digests answer one word alike.
fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
