//! A universe: one queue of events, one clock, one thread. Whatever happens in it follows from its
//! seed.

mod callers;
mod images;
mod nodes;
mod outputs;
mod outside;
mod shelves;
mod troubles;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use synod_paxos::{Ballot, Life, Members, NodeId};
use synod_store::Identity;

use crate::{
    checks::{
        Watch, acceptor::found::store_failed, books::Standing, calm::learns, transactions::closed,
    },
    client::Client,
    disk::Disk,
    event::{Caller, Event, Queue},
    holder::Holder,
    network::Network,
    node::Node,
    observer::Observer,
    plan::{CLOCKS_OFF_PPM, MS, Plan, SECOND},
    planted::Plant,
    script::Script,
    sights::Sights,
    story::{Story, Told},
    trace::Trace,
    trouble::Trouble,
    txn::{Auditor, Owner, Participant},
    violation::{Checked, Violation, demand},
};

/// How long a serving leader may have heard no quorum: it gives up after two of the longest
/// silences, and notices at its next round.
const SILENCE_US: u64 = 2_500 * MS;

/// Requests that every client has done once trouble has ended.
const LAST_REQUESTS: u32 = 3;

/// A universe that has had this many events is stuck in a loop.
const EVENTS_MAX: u64 = 5_000_000;

/// One universe.
#[derive(Debug)]
pub(crate) struct World {
    now_us: u64,
    events: u64,
    plan: Plan,
    plant: Option<Plant>,
    queue: Queue,
    network: Network,
    members: Members,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    owners: Vec<Owner>,
    participants: Vec<Participant>,
    auditors: Vec<Auditor>,
    holders: Vec<Holder>,
    observers: Vec<Observer>,
    /// When each caller is next woken.
    alarms: BTreeMap<Caller, u64>,
    /// Until when clients, owners and participants stand still.
    dozing: BTreeMap<Caller, u64>,
    /// Nodes whose disks decay: never more than may fail.
    rotten: BTreeSet<NodeId>,
    /// What stood at the participants at first.
    opening: Standing,
    /// The last number given to a call at a node.
    calls: u64,
    /// Whether a node takes a snapshot in at this moment.
    installs: bool,
    watch: Watch,
    story: Story,
    trace: Trace,
    /// Chance of what is no device of its own: syncs, what nodes are seeded with.
    rng: Rng,
    /// The chances of each kind of trouble, so that one less changes nothing about the others.
    chances: BTreeMap<Trouble, Rng>,
    healed: bool,
    /// Before this moment nothing goes wrong: a node is to learn that its disk is older than it.
    calm_until_us: u64,
}

/// What came of a universe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) events: u64,
    pub(crate) digest: u64,
    pub(crate) sights: Sights,
    pub(crate) violation: Option<Violation>,
    pub(crate) story: Vec<String>,
}

impl World {
    /// The universe of `script`, with a bug planted in it or none.
    pub(crate) fn new(
        script: &Script,
        plant: Option<Plant>,
        told: Told,
    ) -> Result<World, Violation> {
        let (plan, seed) = (script.plan(), script.chance());
        let mut rng = Rng::with_seed(seed);
        let lives: Vec<Life> =
            (1..=plan.voters).map(|node| Life::first(NodeId::new(node))).collect();
        let members = Members::new(lives.clone()).expect("a plan has 1, 3, 5 or 7 voters");
        let nodes = lives.iter().map(|life| {
            let fast_ppm = rng.i64(-plan.drift_ppm..=plan.drift_ppm);
            Ok(Node::new(*life, empty_disk(&plan, *life)?, fast_ppm))
        });
        let nodes = nodes.collect::<Result<Vec<Node>, Violation>>()?;
        let chance = |(kind, _): (Trouble, _)| (kind, Rng::with_seed(seed << 8 | kind as u64));
        let network = Network::new(plan.voters, plan.network.clone(), rng.fork());
        let mut clients: Vec<Client> = (0..usize::from(plan.clients))
            .map(|name| Client::new(name, &plan, rng.fork()))
            .collect();
        let mut chance_of_patrons = Rng::with_seed(seed ^ 0x0000_FA72);
        clients.extend((0..usize::from(plan.patrons)).map(|place| {
            let name = usize::from(plan.clients) + place;
            Client::patron(name, &plan, chance_of_patrons.fork())
        }));
        let owners = (0..usize::from(plan.owners))
            .map(|place| Owner::new(place, &plan, rng.fork()))
            .collect();
        let participants = (0..usize::from(plan.participants))
            .map(|place| Participant::new(place, &plan, plant, rng.fork()))
            .collect();
        let mut chance_of_auditors = Rng::with_seed(seed ^ 0x00A0_D174);
        let auditors = (0..usize::from(plan.auditors))
            .map(|place| Auditor::new(place, &plan, chance_of_auditors.fork()))
            .collect();
        // Their chances are drawn apart: what else happens in a universe does not change with them.
        let mut chance_of_holders = Rng::with_seed(seed ^ 0x001E_A5E5);
        let holders = (0..usize::from(plan.holders))
            .map(|place| Holder::new(place, &plan, plant, chance_of_holders.fork()))
            .collect();
        let observers = (0..usize::from(plan.observers))
            .map(|place| Observer::new(place, &plan, chance_of_holders.fork()))
            .collect();
        let nodes = set_clocks(&plan, seed, nodes);
        let mut world = World {
            now_us: 0,
            events: 0,
            watch: Watch::new(&lives, &plan, SILENCE_US),
            plan,
            plant,
            queue: Queue::default(),
            network,
            members,
            nodes,
            clients,
            owners,
            participants,
            auditors,
            holders,
            observers,
            alarms: BTreeMap::new(),
            dozing: BTreeMap::new(),
            rotten: BTreeSet::new(),
            opening: Standing::default(),
            calls: 0,
            installs: false,
            story: Story::new(told),
            trace: Trace::new(),
            rng,
            chances: Trouble::ALL.into_iter().map(chance).collect(),
            healed: false,
            calm_until_us: 0,
        };
        world.watch.clients.has_stale_history = plant == Some(Plant::StaleHistory);
        world.begin();
        Ok(world)
    }

    /// Runs to the end, or to the first property that does not hold.
    pub(crate) fn run(&mut self) -> Checked {
        while let Some((at_us, event)) = self.queue.next() {
            self.now_us = at_us;
            self.watch.tick(at_us);
            self.events += 1;
            self.trace.happens(at_us, event.label());
            self.happen(event)?;
            let upto = self.watch.upto();
            self.watch.calm.passes(at_us, upto)?;
            if self.healed && self.is_well() && self.is_quiet()? {
                return self.ended();
            }
            let late = self.now_us > self.plan.trouble_us + self.plan.healing_us;
            let well = !late && self.events < EVENTS_MAX;
            demand!(well, self.breaks(), "{}", self.what_is_not_well());
        }
        demand!(false, self.breaks(), "nothing happens any more: {}", self.what_is_not_well());
        Ok(())
    }

    /// What came of it.
    pub(crate) fn outcome(&mut self, checked: Checked) -> Outcome {
        let upto = self.watch.upto().get();
        self.trace.ends(upto, self.watch.order.machine().hash().0);
        let violation = checked.err();
        Outcome {
            events: self.events,
            digest: self.trace.digest(),
            sights: self.watch.sights(),
            story: self.story.lines(violation.as_ref().map(|violation| &*violation.what)),
            violation,
        }
    }

    fn begin(&mut self) {
        self.opening = self.standing();
        for node in 0..self.nodes.len() {
            let node = self.nodes[node].id();
            let at_us = self.rng.u64(0..20 * MS);
            self.queue.plan(at_us, Event::Start { node });
        }
        for client in 0..self.clients.len() {
            let at_us = self.rng.u64(0..300 * MS);
            self.queue.plan(at_us, Event::Alarm { caller: Caller::Client(client) });
        }
        for participant in 0..self.participants.len() {
            let at_us = self.rng.u64(0..300 * MS);
            self.queue.plan(at_us, Event::Return { participant });
        }
        for owner in 0..self.owners.len() {
            let at_us = self.rng.u64(200 * MS..500 * MS);
            self.queue.plan(at_us, Event::Alarm { caller: Caller::Owner(owner) });
        }
        for auditor in 0..self.auditors.len() {
            let at_us = 250 * MS + 31 * MS * auditor as u64;
            self.queue.plan(at_us, Event::Alarm { caller: Caller::Auditor(auditor) });
        }
        for holder in 0..self.holders.len() {
            let at_us = 200 * MS + 37 * MS * holder as u64;
            self.queue.plan(at_us, Event::Alarm { caller: Caller::Holder(holder) });
        }
        for observer in 0..self.observers.len() {
            let at_us = 100 * MS + 23 * MS * observer as u64;
            self.queue.plan(at_us, Event::Alarm { caller: Caller::Observer(observer) });
        }
        for (trouble, gap_us) in self.plan.gaps_us.clone() {
            self.plan_trouble(trouble, gap_us);
        }
        self.queue.plan(self.plan.trouble_us, Event::Heal);
    }

    fn happen(&mut self, event: Event) -> Checked {
        let dozes = event.caller().and_then(|caller| self.dozing.get(&caller));
        if let Some(until_us) = dozes.copied().filter(|until_us| *until_us > self.now_us) {
            self.queue.plan(until_us, event);
            return Ok(());
        }
        match event {
            Event::Word(envelope) => self.word(envelope),
            Event::Checkpoint { from, to, checkpoint } => self.checkpoint(from, to, checkpoint),
            Event::Carried { from, to, carried } => self.carried(from, to, carried),
            Event::Shelved { node, boot } => self.shelved(node, boot),
            Event::Synced { node, boot } => self.synced(node, boot),
            Event::Known { node } => self.known(node),
            Event::DiskFree { node, boot } => self.disk_free(node, boot),
            Event::Fetched { node, boot, fetch } => self.fetched(node, boot, fetch),
            Event::Wake { node, boot } => self.wake(node, boot),
            Event::Start { node } => self.start(node),
            Event::Call { node, caller, call, ask } => self.call(node, caller, call, ask),
            Event::Answer { caller, call, response } => self.answer(caller, call, &response),
            Event::Alarm { caller } => self.alarm(caller),
            Event::Errand { from, to, call } => self.errand(from, to, call),
            Event::Report { from, to, said } => self.report(from, to, &said),
            Event::Sealed { participant, life } => self.sealed(participant, life),
            Event::Return { participant } => self.switch_on(participant),
            Event::Trouble(trouble) => self.trouble(trouble),
            Event::Retry { node, boot } => self.retry(node, boot),
            Event::Room { node } => {
                self.room(node);
                Ok(())
            }
            Event::Heal => self.heal(),
        }
    }

    /// The end of trouble: everything is switched on, connected and quick, and the clients finish.
    fn heal(&mut self) -> Checked {
        self.healed = true;
        let upto = self.watch.upto();
        self.watch.calm.healed(self.now_us, upto);
        self.network.heal();
        self.story.tell(self.now_us, || "trouble ends".into());
        for client in &mut self.clients {
            client.wind_up(LAST_REQUESTS);
        }
        for owner in &mut self.owners {
            owner.wind_up(LAST_REQUESTS);
        }
        for holder in &mut self.holders {
            holder.wind_up(1);
        }
        for auditor in &mut self.auditors {
            auditor.wind_up(LAST_REQUESTS);
        }
        self.dozing.clear();
        for place in 0..self.participants.len() {
            self.participants[place].heal();
        }
        for place in 0..self.nodes.len() {
            self.nodes[place].heal(self.now_us);
            // Whatever was under way when the disk stood still ends now.
            let (node, boot) = (self.nodes[place].id(), self.nodes[place].boot);
            self.queue.plan(self.now_us + MS, Event::Synced { node, boot });
            self.queue.plan(self.now_us + MS, Event::Shelved { node, boot });
            self.sync(node)?;
        }
        Ok(())
    }

    /// Whether everything has come to a good end: every client rests, and every node has applied
    /// all that is chosen.
    fn is_well(&self) -> bool {
        let upto = self.watch.upto();
        self.clients.iter().all(Client::rests)
            && self.owners.iter().all(Owner::rests)
            && self.participants.iter().all(Participant::rests)
            && self.auditors.iter().all(Auditor::rests)
            && self.holders.iter().all(Holder::rests)
            && self
                .nodes
                .iter()
                .filter(|node| !node.gone)
                .all(|node| node.up.as_ref().is_some_and(|up| up.replica.status().applied == upto))
    }

    /// Whether all has been well for a while, and nobody campaigns. It counts from when somebody
    /// serves, and the last word of the troubled time has been read.
    fn is_quiet(&mut self) -> Result<bool, Violation> {
        let weather = &self.plan.network;
        // The second copy of a word may come as late as a word that is late.
        let late_us = if weather.late + weather.doubled > 0 { weather.late_us } else { 0 };
        let held_us = troubles::PAUSE_US.1.max(troubles::JAM_US.1);
        let late_us = late_us.max(held_us) + weather.delay_us.1;
        let settled = self.now_us > self.plan.trouble_us + late_us;
        if !settled || !self.nodes.iter().any(|node| self.watch.rare.serves(node.id())) {
            return Ok(false);
        }
        let up = self.nodes.iter().filter_map(|node| node.up.as_ref());
        let highest = up.map(|up| up.replica.peer().promised()).max().unwrap_or(Ballot::ZERO);
        self.watch.calm.is_quiet(self.now_us, highest)
    }

    /// The last properties, of a universe that has come to a good end.
    fn ended(&mut self) -> Checked {
        let closing = self.standing();
        self.watch.ended(&self.opening, &closing)
    }

    fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        self.participants.iter().for_each(|participant| participant.read(&mut standing));
        standing
    }

    /// What a universe breaks that comes to no end: somebody does not learn what is chosen, a
    /// branch stays open, or somebody else waits.
    fn breaks(&self) -> &'static str {
        let upto = self.watch.upto();
        let up = self.nodes.iter().filter_map(|node| node.up.as_ref());
        let rest = self.participants.iter().map(Participant::rests);
        learns::broken(up.map(|up| up.replica.status().applied), upto)
            .or_else(|| closed::broken(rest))
            .unwrap_or("L")
    }

    fn what_is_not_well(&self) -> String {
        let upto = self.watch.upto();
        let mut lines = vec![format!("not well {} after trouble ended; chosen up to {upto}", {
            let seconds = self.now_us.saturating_sub(self.plan.trouble_us) / SECOND;
            format!("{seconds} s and {} events", self.events)
        })];
        for node in &self.nodes {
            let status = node.up.as_ref().map(|up| up.replica.status());
            lines.push(format!("{}: {status:?}", node.id()));
        }
        let awake = self.clients.iter().filter(|client| !client.rests());
        lines.extend(awake.map(Client::doing));
        let awake = self.owners.iter().filter(|owner| !owner.rests());
        lines.extend(awake.map(Owner::doing));
        let awake = self.participants.iter().filter(|participant| !participant.rests());
        lines.extend(awake.map(Participant::doing));
        let awake = self.auditors.iter().filter(|auditor| !auditor.rests());
        lines.extend(awake.map(Auditor::doing));
        let awake = self.holders.iter().filter(|holder| !holder.rests());
        lines.extend(awake.map(Holder::doing));
        lines.join("\n    ")
    }

    fn node(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[usize::from(node.get()) - 1]
    }
}

/// Where leases trust the rates of clocks, most are as far off as they may be.
fn set_clocks(plan: &Plan, seed: u64, mut nodes: Vec<Node>) -> Vec<Node> {
    if plan.reading && plan.drift_ppm == CLOCKS_OFF_PPM {
        let mut rng = Rng::with_seed(seed ^ 0x00C1_0CC5);
        for node in &mut nodes {
            let off = rng.i64(-CLOCKS_OFF_PPM..=CLOCKS_OFF_PPM);
            node.fast_ppm = [off, CLOCKS_OFF_PPM, -CLOCKS_OFF_PPM][rng.usize(0..3)];
        }
    }
    nodes
}

fn empty_disk(plan: &Plan, life: Life) -> Result<Disk, Violation> {
    if !plan.real_store {
        return Ok(Disk::model());
    }
    let identity = Identity { cluster: "universe".into(), cluster_id: 1, life };
    Disk::real(identity).map_err(|error| store_failed(life.node, &error))
}

#[cfg(test)]
mod tests;
