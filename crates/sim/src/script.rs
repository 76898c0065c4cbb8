use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{
    plan::{MS, Plan},
    trouble::Trouble,
    weather::Weather,
};

/// A universe: a seed, and what is left out of what the seed makes of it.
///
/// As text it is the seed alone, or
/// `SEED:voters=3,clients=1,trouble_ms=900,store=model,no=cut+rot,fair,chance=4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What everything is drawn from.
    pub seed: u64,
    pub(crate) changes: Changes,
}

/// What is other than the seed has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) voters: Option<u16>,
    pub(crate) clients: Option<u16>,
    pub(crate) owners: Option<u16>,
    pub(crate) participants: Option<u16>,
    pub(crate) holders: Option<u16>,
    pub(crate) patrons: Option<u16>,
    pub(crate) trouble_ms: Option<u64>,
    pub(crate) store: Option<Store>,
    pub(crate) without: BTreeSet<Trouble>,
    pub(crate) fair: bool,
    /// Which of the universes that are planned alike.
    pub(crate) chance: u64,
}

/// What the nodes' disks carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The model of the store: fast.
    Model,
    /// The store itself, over a faulty disk.
    Redb,
}

/// Why a text is no script, or part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no seed, and nothing that can be left out of one")]
pub struct NoScript(String);

impl Script {
    /// The universe that a seed makes.
    pub fn of(seed: u64) -> Script {
        Script { seed, changes: Changes::default() }
    }

    /// What it plans.
    pub(crate) fn plan(&self) -> Plan {
        let mut plan = Plan::of(self.seed);
        let changes = &self.changes;
        plan.voters = changes.voters.unwrap_or(plan.voters);
        plan.clients = changes.clients.unwrap_or(plan.clients);
        plan.owners = changes.owners.unwrap_or(plan.owners);
        plan.participants = changes.participants.unwrap_or(plan.participants);
        plan.holders = changes.holders.unwrap_or(plan.holders);
        plan.patrons = changes.patrons.unwrap_or(plan.patrons);
        plan.elections &= plan.holders > 0;
        let watched = plan.holders + plan.patrons > 0;
        plan.observers = if watched { plan.observers.min(plan.voters) } else { 0 };
        plan.trouble_us = changes.trouble_ms.map_or(plan.trouble_us, |ms| ms * MS);
        plan.real_store = changes.store.map_or(plan.real_store, |store| store == Store::Redb);
        plan.gaps_us.retain(|(trouble, _)| !changes.without.contains(trouble));
        if changes.fair {
            plan.network = Weather::fair();
        }
        plan
    }

    /// What its chances are drawn from.
    pub(crate) fn chance(&self) -> u64 {
        self.seed ^ self.changes.chance.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = &self.changes;
        let numbers = [
            ("voters", changes.voters.map(u64::from)),
            ("clients", changes.clients.map(u64::from)),
            ("owners", changes.owners.map(u64::from)),
            ("participants", changes.participants.map(u64::from)),
            ("holders", changes.holders.map(u64::from)),
            ("patrons", changes.patrons.map(u64::from)),
            ("trouble_ms", changes.trouble_ms),
            ("chance", Some(changes.chance).filter(|chance| *chance > 0)),
        ];
        let mut parts: Vec<String> = (numbers.into_iter())
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
            .collect();
        parts.extend(changes.store.map(|store| format!("store={store}")));
        if !changes.without.is_empty() {
            let names: Vec<&str> = changes.without.iter().map(|trouble| trouble.name()).collect();
            parts.push(format!("no={}", names.join("+")));
        }
        parts.extend(changes.fair.then(|| "fair".to_owned()));
        let colon = if parts.is_empty() { "" } else { ":" };
        write!(f, "{}{colon}{}", self.seed, parts.join(","))
    }
}

impl FromStr for Script {
    type Err = NoScript;

    fn from_str(text: &str) -> Result<Script, NoScript> {
        let (seed, parts) = text.split_once(':').unwrap_or((text, ""));
        let seed = seed.parse().map_err(|_| NoScript(seed.to_owned()))?;
        let mut script = Script::of(seed);
        for part in parts.split(',').filter(|part| !part.is_empty()) {
            script.changes.take_in(part).ok_or_else(|| NoScript(part.to_owned()))?;
        }
        Ok(script)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Store::Model => "model",
            Store::Redb => "redb",
        })
    }
}

impl FromStr for Store {
    type Err = NoScript;

    fn from_str(text: &str) -> Result<Store, NoScript> {
        match text {
            "model" => Ok(Store::Model),
            "redb" => Ok(Store::Redb),
            _ => Err(NoScript(text.to_owned())),
        }
    }
}

impl Changes {
    fn take_in(&mut self, part: &str) -> Option<()> {
        match part.split_once('=') {
            None if part == "fair" => self.fair = true,
            Some(("voters", value)) => {
                let voters = value.parse().ok()?;
                self.voters = Some(voters).filter(|voters| matches!(voters, 1 | 3 | 5 | 7));
                self.voters?;
            }
            Some(("clients", value)) => self.clients = Some(value.parse().ok()?),
            Some(("owners", value)) => self.owners = Some(value.parse().ok()?),
            Some(("participants", value)) => {
                self.participants = value.parse().ok().filter(|count| *count >= 2);
                self.participants?;
            }
            Some(("holders", value)) => self.holders = Some(value.parse().ok()?),
            Some(("patrons", value)) => self.patrons = Some(value.parse().ok()?),
            Some(("trouble_ms", value)) => self.trouble_ms = Some(value.parse().ok()?),
            Some(("store", value)) => self.store = Some(value.parse().ok()?),
            Some(("chance", value)) => self.chance = value.parse().ok()?,
            Some(("no", names)) => {
                for name in names.split('+') {
                    self.without.insert(Trouble::named(name)?);
                }
            }
            Some(_) | None => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script comes back from its text, and what is no script is refused.
    #[test]
    fn a_script_is_its_text() {
        for text in [
            "7",
            "7:voters=3,trouble_ms=900,no=crash+cut,fair",
            "7:participants=2,chance=3",
            "7:holders=0,patrons=1",
            "8:store=model",
        ] {
            let script: Script = text.parse().unwrap();
            assert_eq!(script.to_string().parse::<Script>().unwrap(), script, "{text}");
        }
        for text in
            ["", "x", "7:voters=2", "7:participants=1", "7:no=luck", "7:store=x", "7:what=1"]
        {
            assert!(text.parse::<Script>().is_err(), "{text}");
        }
    }

    /// What is left out is not in the plan; the rest is as the seed has it.
    #[test]
    fn what_is_left_out_is_not_planned() {
        let whole = Plan::of(9);
        let (trouble, _) = whole.gaps_us[0];
        let script: Script = format!("9:owners=0,no={}", trouble.name()).parse().unwrap();
        let plan = script.plan();
        assert_eq!(plan.owners, 0);
        assert!(!plan.knows(trouble));
        assert_eq!(plan.gaps_us[..], whole.gaps_us[1..]);
        assert_eq!(plan.trouble_us, whole.trouble_us);
    }
}
