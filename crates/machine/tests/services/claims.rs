//! A name that is claimed is one owner's, and stands until it is released or its lease ends.

use proptest::prelude::*;
use synod_machine::{
    Act, Answer, Change, ClaimCommand, ClaimReply, ClaimView, Command, Counted, Interest,
    LeaseCommand, LeaseId, LockCommand, Machine, Name, Query, Rejection, Reply, Revision,
    Timestamp, owner_name,
};

use crate::model::{
    Ledger, Model, a_client_fills_its_own_share, a_restored_one_goes_on, client, histories,
    is_its_history, lease, leases, watches_are_told,
};
use crate::{OWNERS, World, names, place};

/// Every claim that was ever taken, and whether it is over.
#[derive(Default)]
struct Claims {
    ledger: Ledger,
    taken: Vec<(ClaimView, bool)>,
}

impl Claims {
    fn standing(&self, name: &Name) -> Option<ClaimView> {
        let stand = self.taken.iter().filter(|(_, over)| !over);
        stand.map(|(claim, _)| claim).find(|claim| claim.name == *name).cloned()
    }

    fn end(&mut self, name: &Name) {
        let claims = self.taken.iter_mut().filter(|(claim, _)| claim.name == *name);
        claims.for_each(|(_, over)| *over = true);
        self.ledger.note(Change::Claim { name: name.clone(), claim: None });
    }

    fn take(
        &mut self,
        by: u64,
        (name, owner): (&Name, &String),
        lease: Option<LeaseId>,
        now: Timestamp,
    ) -> Reply {
        if let Some(why) = lease.and_then(|lease| self.ledger.may_use(by, lease).err()) {
            return Reply::Rejected(why);
        }
        let stands = self.standing(name);
        let (at, since_ms) = match &stands {
            Some(claim) if claim.owner != *owner || owner_name(&claim.client) != client(by) => {
                return Reply::Claim(ClaimReply::TakenBy(claim.clone()));
            }
            Some(claim) if claim.lease == lease => {
                return Reply::Claim(ClaimReply::Taken { at: claim.at });
            }
            Some(claim) => (claim.at, claim.since_ms),
            None => (Revision::new(self.ledger.revision + 1), now.0),
        };
        self.ledger.next();
        self.taken.retain(|(claim, over)| *over || claim.name != *name);
        let (owner, client) = (owner.clone(), OWNERS[place(by)].to_owned());
        let claim = ClaimView { name: name.clone(), owner, client, lease, at, since_ms };
        self.taken.push((claim.clone(), false));
        self.ledger.note(Change::Claim { name: name.clone(), claim: Some(claim) });
        Reply::Claim(ClaimReply::Taken { at })
    }

    fn release(&mut self, by: u64, name: &Name, owner: &str) -> Reply {
        match self.standing(name) {
            None => Reply::Claim(ClaimReply::Absent),
            Some(claim) if owner_name(&claim.client) != client(by) => {
                Reply::Rejected(Rejection::ForeignClaim)
            }
            Some(claim) if claim.owner != owner => Reply::Claim(ClaimReply::TakenBy(claim)),
            Some(_) => {
                let revision = self.ledger.next();
                self.end(name);
                Reply::Claim(ClaimReply::Released { revision })
            }
        }
    }
}

impl Model for Claims {
    fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn serve(&mut self, by: u64, command: &Command, now: Timestamp) -> Reply {
        match command {
            Command::Claim(ClaimCommand::Take { name, owner, lease }) => {
                self.take(by, (name, owner), *lease, now)
            }
            Command::Claim(ClaimCommand::Release { name, owner }) => self.release(by, name, owner),
            Command::Claim(ClaimCommand::Break { name, .. }) => match self.standing(name) {
                None => Reply::Claim(ClaimReply::Absent),
                Some(_) => {
                    let revision = self.ledger.next();
                    self.end(name);
                    Reply::Claim(ClaimReply::Released { revision })
                }
            },
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn lease_ends(&mut self, lease: LeaseId, _: Timestamp) -> bool {
        let all = names().into_iter().filter_map(|name| self.standing(&name));
        let gone: Vec<_> = all.filter(|claim| claim.lease == Some(lease)).collect();
        gone.iter().for_each(|claim| self.end(&claim.name));
        !gone.is_empty()
    }

    fn agrees(&self, machine: &Machine, _: Timestamp) -> Result<(), TestCaseError> {
        let revision = self.ledger.now();
        for name in names() {
            let claim = self.standing(&name);
            prop_assert_eq!(
                machine.query(&Query::Claim { name }),
                Answer::Claim { revision, claim }
            );
        }
        let claims: Vec<_> = names().into_iter().filter_map(|name| self.standing(&name)).collect();
        prop_assert_eq!(machine.census().claims, claims.len() as u64);
        let first = Query::Claims { prefix: String::new(), after: None, limit: 1 };
        let page = claims.iter().take(1).cloned().collect();
        let more = claims.len() > 1;
        prop_assert_eq!(machine.query(&first), Answer::Claims { revision, claims: page, more });
        let rest = Query::Claims { prefix: String::new(), after: Some(Name::new("a")), limit: 9 };
        let page = claims.into_iter().filter(|claim| claim.name.as_str() > "a").collect();
        prop_assert_eq!(
            machine.query(&rest),
            Answer::Claims { revision, claims: page, more: false }
        );
        Ok(())
    }
}

fn commands() -> impl Strategy<Value = Command> {
    let name = || prop::sample::select(names().to_vec());
    let owner = || prop::sample::select(vec!["alice", "bob"]).prop_map(str::to_owned);
    let lease = prop_oneof![1 => Just(None), 2 => lease().prop_map(Some)];
    let claims = prop_oneof![
        6 => (name(), owner(), lease)
            .prop_map(|(name, owner, lease)| ClaimCommand::Take { name, owner, lease }),
        3 => (name(), owner()).prop_map(|(name, owner)| ClaimCommand::Release { name, owner }),
        1 => name().prop_map(|name| ClaimCommand::Break {
            name, actor: "ops".to_owned(), reason: "lost".to_owned(),
        }),
    ];
    prop_oneof![2 => leases(), 3 => claims.prop_map(Command::Claim)]
}

fn interests() -> Vec<Interest> {
    names().map(|name| Interest::Claim { name }).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// A name is whose it was first, until that one gives it back, its lease ends or it is broken.
    #[test]
    fn claims_are_what_the_history_says(history in histories(commands())) {
        is_its_history::<Claims>(history)?;
    }

    #[test]
    fn watches_of_claims_are_told_everything_once(
        history in histories(commands()), restored in any::<bool>(),
    ) {
        watches_are_told::<Claims>(history, &interests(), restored)?;
    }

    #[test]
    fn restored_claims_go_on_as_the_original_do(
        history in histories(commands()), at in 0usize..30,
    ) {
        a_restored_one_goes_on(history, at)?;
    }
}

fn take(name: &str, lease: Option<u64>) -> Command {
    let lease = lease.map(LeaseId::new);
    let (name, owner) = (Name::new(name), "alice".to_owned());
    Command::Claim(ClaimCommand::Take { name, owner, lease })
}

/// What hangs on a lease, of whatever service, is over at one revision.
#[test]
fn what_hangs_on_a_lease_ends_at_one_revision() {
    let mut world = World::new();
    let acquire =
        LockCommand::Acquire { name: Name::new("a"), lease: LeaseId::new(1), wait: false };
    let asked = [
        (1, Command::Lease(LeaseCommand::Grant { ttl_ms: 1_000 })),
        (1, Command::Lock(acquire)),
        (1, take("a", Some(1))),
        (1, take("b", Some(1))),
        (1, take("stands", None)),
    ];
    let batch = world.batch(&asked);
    world.machine.apply(batch);
    let before = world.machine.revision();
    let revoke = Command::Lease(LeaseCommand::Revoke { lease: LeaseId::new(1) });
    let batch = world.batch(&[(1, revoke)]);
    world.machine.apply(batch);
    assert_eq!(world.machine.revision(), before.next());
    let name = Name::new("a");
    let over = [
        Change::Lock { name: name.clone(), holder: None },
        Change::Claim { name, claim: None },
        Change::Claim { name: Name::new("b"), claim: None },
    ];
    let changes = world.machine.changes_since(before).map(|(_, change)| change);
    assert_eq!(changes.collect::<Vec<_>>(), over);
    assert_eq!(world.machine.census().claims, 1);
}

/// What a person takes away is on record as it stood, with who and why.
#[test]
fn a_broken_claim_is_on_record() {
    let mut world = World::new();
    let (actor, reason) = ("ops".to_owned(), "lost".to_owned());
    let name = Name::new("n");
    let broken = ClaimCommand::Break { name: name.clone(), actor, reason };
    let batch = world.batch(&[(1, take("n", None)), (3, Command::Claim(broken))]);
    let since_ms = batch.stamp.0;
    world.machine.apply(batch);
    let Answer::Audit(audit) = world.machine.query(&Query::Audit) else {
        panic!("the audit was asked for")
    };
    let (owner, client) = ("alice".to_owned(), OWNERS[0].to_owned());
    let claim = ClaimView { name, owner, client, lease: None, at: Revision::new(1), since_ms };
    let (actor, reason) = ("ops".to_owned(), "lost".to_owned());
    let acts: Vec<_> = audit.into_iter().map(|entry| entry.act).collect();
    assert_eq!(acts, [Act::ClaimBroken { claim, actor, reason }]);
}

#[test]
fn a_client_fills_its_own_share_of_claims_only() {
    let full = Rejection::TooMany { what: Counted::ClaimsOfOwner, limit: 65_536 };
    a_client_fills_its_own_share(65_536, |number| take(&number.to_string(), None), &full);
}
