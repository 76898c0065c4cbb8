//! What goes wrong, one thing after the other: never more nodes at once than a quorum can miss.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use fastrand::Rng;
use synod_client::net::Conditions;

use crate::{money::SHARDS, stage::Stage};

/// What was done, and how often.
#[derive(Debug, Default)]
pub(crate) struct Told(BTreeMap<&'static str, u32>);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
        f.write_str(&all.join(", "))
    }
}

impl Told {
    fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// Makes trouble until it is over, and leaves the stage whole.
pub(crate) fn make(mut stage: Stage, seed: u64, over: &AtomicBool) -> (Stage, Told) {
    let (mut rng, mut told) = (Rng::with_seed(seed), Told::default());
    while !over.load(Ordering::Relaxed) {
        rest(&mut rng, (300, 1_500));
        match rng.u8(0..7) {
            0 | 1 => kill_nodes(&mut stage, &mut rng, &mut told),
            2 => stop_a_node(&mut stage, &mut rng, &mut told),
            3 => kill_the_leader(&mut stage, &mut rng, &mut told),
            4 => cut_links(&stage, &mut rng, &mut told),
            5 => stop_a_shard(&mut stage, &mut rng, &mut told),
            _ => kill_a_shard(&mut stage, &mut rng, &mut told),
        }
    }
    (stage, told)
}

fn rest(rng: &mut Rng, (least, most): (u64, u64)) {
    thread::sleep(Duration::from_millis(rng.u64(least..most)));
}

fn kill_nodes(stage: &mut Stage, rng: &mut Rng, told: &mut Told) {
    let mut names = stage.names();
    rng.shuffle(&mut names);
    names.truncate(rng.usize(1..=(names.len() - 1) / 2));
    for name in &names {
        stage.cluster.kill(name);
        told.note("nodes killed");
    }
    rest(rng, (50, 1_500));
    for name in &names {
        stage.cluster.start_node(name);
    }
}

fn kill_the_leader(stage: &mut Stage, rng: &mut Rng, told: &mut Told) {
    let leader = stage.cluster.await_leader();
    stage.cluster.kill(&leader);
    told.note("leaders killed");
    rest(rng, (50, 1_500));
    stage.cluster.start_node(&leader);
}

/// A node stands still for longer than anybody waits, and goes on as if nothing had been.
fn stop_a_node(stage: &mut Stage, rng: &mut Rng, told: &mut Told) {
    let names = stage.names();
    let name = &names[rng.usize(0..names.len())];
    stage.cluster.process(name).signal("STOP");
    told.note("nodes stopped");
    rest(rng, (100, 2_500));
    stage.cluster.process(name).signal("CONT");
}

fn stop_a_shard(stage: &mut Stage, rng: &mut Rng, told: &mut Told) {
    let shard = SHARDS[rng.usize(0..SHARDS.len())];
    stage.cluster.process(shard).signal("STOP");
    told.note("shards stopped");
    rest(rng, (100, 2_500));
    stage.cluster.process(shard).signal("CONT");
}

fn cut_links(stage: &Stage, rng: &mut Rng, told: &mut Told) {
    for place in 0..stage.links() {
        if rng.bool() {
            let cut = rng.bool();
            let slow = Conditions {
                delay: Duration::from_millis(rng.u64(5..60)),
                loss: 0.1,
                damage: 0.1,
                ..Conditions::default()
            };
            let conditions = if cut { Conditions { cut, ..Conditions::default() } } else { slow };
            stage.set_link(place, conditions);
            told.note(if cut { "links cut" } else { "links slow, lossy and damaging" });
        }
    }
    rest(rng, (100, 3_000));
    for place in 0..stage.links() {
        stage.set_link(place, Conditions::default());
    }
}

fn kill_a_shard(stage: &mut Stage, rng: &mut Rng, told: &mut Told) {
    let shard = SHARDS[rng.usize(0..SHARDS.len())];
    stage.cluster.kill(shard);
    told.note("shards killed");
    rest(rng, (50, 800));
    stage.cluster.start_shard(shard);
}
