//! What happens to the primary, and what is done about it afterwards.

use std::{collections::BTreeSet, fs, process::Command};

use crate::pair::{ELECTION, Pair, SERVERS};

/// One way to lose a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server's own process is killed; its supervisor lives.
    ServerKilled,
    /// Its supervisor is killed, and takes the server with it.
    MachineKilled,
    /// Everything on it stands still for longer than its lease.
    MachineStopped,
    /// It does not reach the cluster.
    Cut,
    /// The node that leads the cluster is killed in the same moment.
    LeaderKilledToo,
    /// Nothing is wrong: a person asks for it.
    Switchover,
}

impl Trouble {
    pub(crate) const ALL: [Trouble; 6] = [
        Trouble::ServerKilled,
        Trouble::MachineKilled,
        Trouble::MachineStopped,
        Trouble::Cut,
        Trouble::LeaderKilledToo,
        Trouble::Switchover,
    ];

    /// Makes it; what has to be done to make it good again.
    pub(crate) fn make(self, pair: &mut Pair, primary: usize) -> Repair {
        match self {
            Trouble::ServerKilled => {
                signal("KILL", &[pair.postmaster(primary)]);
                Repair::Start
            }
            Trouble::MachineKilled => {
                pair.kill(primary);
                Repair::Start
            }
            Trouble::MachineStopped => {
                let mut all = Vec::new();
                // Whoever is started meanwhile is found by the next look.
                for _ in 0..3 {
                    all = family(pair.supervisor(primary));
                    signal("STOP", &all);
                }
                Repair::Continue(all)
            }
            Trouble::Cut => {
                pair.cut(primary, true);
                Repair::Join
            }
            Trouble::LeaderKilledToo => {
                let leader = pair.cluster.await_leader();
                pair.cluster.kill(&leader);
                pair.kill(primary);
                Repair::StartWith(leader)
            }
            Trouble::Switchover => {
                let to = SERVERS[1 - primary];
                let why = ["--reason", "an upgrade", "--timeout", "60s"];
                let args = [&["election", "switchover", ELECTION, "--to", to][..], &why].concat();
                // It is refused until the standby has reported that it may be granted.
                pair.eventually("the switchover", || pair.cluster.tool(&args).code == 0);
                Repair::Nothing
            }
        }
    }
}

/// What makes it good again.
pub(crate) enum Repair {
    Nothing,
    Start,
    Continue(Vec<u32>),
    Join,
    StartWith(String),
}

impl Repair {
    pub(crate) fn make(self, pair: &mut Pair, place: usize) {
        match self {
            Repair::Nothing => {}
            Repair::Start => pair.run(place),
            Repair::Continue(all) => signal("CONT", &all),
            Repair::Join => pair.cut(place, false),
            Repair::StartWith(leader) => {
                pair.cluster.start_node(&leader);
                pair.run(place);
            }
        }
    }
}

/// Some may have ended meanwhile.
fn signal(name: &str, processes: &[u32]) {
    let ids = processes.iter().map(u32::to_string);
    let _some_gone = Command::new("kill").arg(format!("-{name}")).args(ids).output().unwrap();
}

/// A process and all that descend from it, whatever group or session they are in.
fn family(head: u32) -> Vec<u32> {
    let mut family = BTreeSet::from([head]);
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id: u32| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?;
            Some((id, parent.parse().ok()?))
        })
        .collect();
    let mut size = 0;
    while size < family.len() {
        size = family.len();
        let children = parents.iter().filter(|(_, parent)| family.contains(parent));
        let children: Vec<u32> = children.map(|(id, _)| *id).collect();
        family.extend(children);
    }
    family.into_iter().collect()
}
