//! Which lists of voters are a cluster: others are tried beside the one of each node that starts.

use synod_paxos::{Config, ConfigError, Incarnation, Life, Members, NodeId};

use crate::violation::{Checked, demand};

/// How voters become a cluster.
pub(super) type Founding = fn(Vec<Life>) -> Result<Members, ConfigError>;

/// Nobody is none, and with one voter more their number is even: such a cluster tolerates no more
/// failures than before. Where two lives of one node vote, in whatever order they are named, a
/// majority of voters may be no majority of nodes. And who is no voter does not start as one.
pub(super) fn no_other_is_one(config: &Config, founding: Founding) -> Checked {
    let (me, stranger) = (config.life, Life::first(NodeId::new(u16::MAX)));
    let later = Life { incarnation: Incarnation::new(u64::MAX), ..me };
    let even = config.members.iter().chain([stranger]).collect();
    for voters in [Vec::new(), even, vec![me, stranger, later]] {
        demand!(founding(voters.clone()).is_err(), "B5", "{voters:?} would be a cluster");
    }
    demand!(
        Config::new(stranger, config.members.clone()).is_err(),
        "B5",
        "{stranger} would start as one of {:?}",
        config.members
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the number of voters, one that founds more than clusters is seen.
    #[test]
    fn a_cluster_that_may_not_be_is_seen() {
        let twice: Founding = |voters| match voters[..] {
            [one, _, other] if one.node == other.node => Members::new(vec![one]),
            _ => Members::new(voters),
        };
        let even: Founding = |voters| {
            let odd = voters.len().saturating_sub(1) | 1;
            Members::new(voters[..odd.min(voters.len())].to_vec())
        };
        let nobody: Founding = |voters| match voters[..] {
            [] => Members::new(vec![Life::first(NodeId::new(1))]),
            _ => Members::new(voters),
        };
        let voters: Vec<Life> = (1..=7).map(|id| Life::first(NodeId::new(id))).collect();
        for count in [1, 3, 5, 7] {
            let members = Members::new(voters[..count].to_vec()).unwrap();
            let config = Config::new(voters[0], members).unwrap();
            assert_eq!(no_other_is_one(&config, Members::new), Ok(()));
            for founding in [twice, even, nobody] {
                let seen = no_other_is_one(&config, founding).err();
                assert_eq!(seen.map(|violation| violation.invariant), Some("B5"), "{count}");
            }
        }
    }
}
