use std::collections::BTreeMap;

use crate::{Counted, Rejection, owner_name};

/// How much there may be of something, and of one client: whoever takes more than it gives back
/// takes its own room only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) what: Counted,
    pub(crate) max: u64,
    pub(crate) of_owner: Counted,
    pub(crate) of_owner_max: u64,
}

/// How much of it each client has. Follows from the rows of whoever keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    limits: &'static Limits,
    all: u64,
    of: BTreeMap<String, u64>,
}

impl Shares {
    pub(crate) fn new(limits: &'static Limits) -> Shares {
        Shares { limits, all: 0, of: BTreeMap::new() }
    }

    /// Whether the client of this owner may have so much more.
    pub(crate) fn have_room(&self, owner: &str, more: u64) -> Result<(), Rejection> {
        let Limits { what, max, of_owner, of_owner_max } = *self.limits;
        if self.all.saturating_add(more) > max {
            return Err(Rejection::TooMany { what, limit: max });
        }
        let has = self.of.get(owner_name(owner)).copied().unwrap_or(0);
        if has.saturating_add(more) > of_owner_max {
            return Err(Rejection::TooMany { what: of_owner, limit: of_owner_max });
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, owner: &str, more: u64) {
        self.all = self.all.saturating_add(more);
        let has = self.of.entry(owner_name(owner).to_owned()).or_default();
        *has = has.saturating_add(more);
    }

    pub(crate) fn give_back(&mut self, owner: &str, less: u64) {
        self.all = self.all.saturating_sub(less);
        let Some(has) = self.of.get_mut(owner_name(owner)) else { return };
        *has = has.saturating_sub(less);
        if *has == 0 {
            self.of.remove(owner_name(owner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Limits =
        Limits { what: Counted::Leases, max: 5, of_owner: Counted::LeasesOfOwner, of_owner_max: 3 };

    /// A client fills its own share, whatever its processes are called; all together fill the room;
    /// what is given back is there again, and whoever has nothing is not remembered.
    #[test]
    fn a_client_takes_its_own_room_only() {
        let mut shares = Shares::new(&FEW);
        shares.take("app/1", 2);
        shares.take("app/2", 1);
        let full = Rejection::TooMany { what: Counted::LeasesOfOwner, limit: 3 };
        assert_eq!(shares.have_room("app/3", 1), Err(full));
        assert_eq!(shares.have_room("ops", 2), Ok(()));
        let full = Rejection::TooMany { what: Counted::Leases, limit: 5 };
        assert_eq!(shares.have_room("ops", 3), Err(full));
        assert_eq!(shares.have_room("ops", u64::MAX), shares.have_room("ops", 3));
        shares.give_back("app/9", 3);
        assert_eq!((shares.all, shares.of.len()), (0, 0));
        assert_eq!(shares.have_room("app", 3), Ok(()));
    }
}
