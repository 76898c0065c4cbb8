use std::collections::{BTreeMap, BTreeSet};

use synod_machine::{Name, Revision};

/// Rows under names as the simplest model has them, with their past.
#[derive(Debug)]
pub(super) struct Past<V> {
    rows: BTreeMap<Name, Vec<(Revision, Option<V>)>>,
    touched: BTreeSet<Name>,
}

impl<V> Default for Past<V> {
    fn default() -> Past<V> {
        Past { rows: BTreeMap::new(), touched: BTreeSet::new() }
    }
}

impl<V> Past<V> {
    /// The row as it stands.
    pub(super) fn get(&self, name: &Name) -> Option<&V> {
        self.rows.get(name)?.last()?.1.as_ref()
    }

    /// The row as it stood at a revision.
    pub(super) fn as_of(&self, name: &Name, revision: Revision) -> Option<&V> {
        let past = self.rows.get(name)?;
        let count = past.partition_point(|(at, _)| *at <= revision);
        past[..count].last()?.1.as_ref()
    }

    /// Those that stand.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &V)> {
        self.rows.iter().filter_map(|(name, past)| Some((name, past.last()?.1.as_ref()?)))
    }

    /// It stands so from this revision on, or no longer.
    pub(super) fn set(&mut self, name: &Name, at: Revision, row: Option<V>) {
        self.touched.insert(name.clone());
        self.rows.entry(name.clone()).or_default().push((at, row));
    }

    /// Rows touched since the last call.
    pub(super) fn take_touched(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.touched)
    }
}
