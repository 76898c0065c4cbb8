//! The first proposal to a register stands, and every later proposer is told it.

use bytes::Bytes;
use proptest::prelude::*;
use synod_machine::{
    Answer, Change, Command, Counted, Interest, LeaseId, Machine, Name, Query, REGISTER_BYTES_MAX,
    RegisterCommand, RegisterReply, RegisterView, Rejection, Reply, Timestamp,
};

use crate::model::{
    Ledger, Model, a_client_fills_its_own_share, a_restored_one_goes_on, histories, is_its_history,
    leases, watches_are_told,
};
use crate::{OWNERS, World, names, place};

/// Every proposal that was ever made.
#[derive(Default)]
struct Registers {
    ledger: Ledger,
    proposed: Vec<RegisterView>,
}

impl Registers {
    fn first(&self, name: &Name) -> Option<&RegisterView> {
        self.proposed.iter().find(|proposal| proposal.name == *name)
    }
}

impl Model for Registers {
    fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn serve(&mut self, by: u64, command: &Command, now: Timestamp) -> Reply {
        let Command::Register(RegisterCommand::Propose { name, value }) = command else {
            panic!("the model does not know {command:?}")
        };
        let ours = self.first(name).is_none();
        if ours {
            self.ledger.next();
            self.ledger.note(Change::Register { name: name.clone(), value: value.clone() });
        }
        self.proposed.push(RegisterView {
            name: name.clone(),
            value: value.clone(),
            at: self.ledger.now(),
            by: OWNERS[place(by)].to_owned(),
            chosen_at_ms: now.0,
        });
        let RegisterView { value, at, by, .. } = self.first(name).expect("proposed").clone();
        Reply::Register(RegisterReply::Chosen { value, at, by, ours })
    }

    fn lease_ends(&mut self, _: LeaseId, _: Timestamp) -> bool {
        false
    }

    fn agrees(&self, machine: &Machine, _: Timestamp) -> Result<(), TestCaseError> {
        let revision = self.ledger.now();
        for name in names() {
            let register = self.first(&name).cloned();
            let answer = machine.query(&Query::Register { name });
            prop_assert_eq!(answer, Answer::Register { revision, register });
        }
        let registers: Vec<_> =
            names().iter().filter_map(|name| self.first(name)).cloned().collect();
        prop_assert_eq!(machine.census().registers, registers.len() as u64);
        let all = Query::Registers { prefix: String::new(), after: None, limit: 9 };
        let expected = Answer::Registers { revision, registers, more: false };
        prop_assert_eq!(machine.query(&all), expected);
        Ok(())
    }
}

fn propose(name: Name, value: Bytes) -> Command {
    Command::Register(RegisterCommand::Propose { name, value })
}

fn commands() -> impl Strategy<Value = Command> {
    let name = prop::sample::select(names().to_vec());
    let value = prop::sample::select(vec!["", "v", "w"]).prop_map(Bytes::from);
    let registers = (name, value).prop_map(|(name, value)| propose(name, value));
    prop_oneof![1 => leases(), 4 => registers]
}

fn interests() -> Vec<Interest> {
    names().map(|name| Interest::Register { name }).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// What the first proposed is what all are told.
    #[test]
    fn registers_are_what_the_history_says(history in histories(commands())) {
        is_its_history::<Registers>(history)?;
    }

    #[test]
    fn watches_of_registers_are_told_everything_once(
        history in histories(commands()), restored in any::<bool>(),
    ) {
        watches_are_told::<Registers>(history, &interests(), restored)?;
    }

    #[test]
    fn restored_registers_go_on_as_the_original_do(
        history in histories(commands()), at in 0usize..30,
    ) {
        a_restored_one_goes_on(history, at)?;
    }
}

#[test]
fn a_client_fills_its_own_share_of_registers_only() {
    let full = Rejection::TooMany { what: Counted::RegistersOfOwner, limit: 65_536 };
    let command = |number: u64| propose(Name::new(number.to_string()), Bytes::new());
    a_client_fills_its_own_share(65_536, command, &full);
}

/// However few they are: values of 64 KiB, each under a name of 256 bytes.
#[test]
fn a_client_fills_its_own_share_of_the_bytes_of_registers_only() {
    let value = Bytes::from(vec![7; REGISTER_BYTES_MAX]);
    let command = |number: u64| propose(Name::new(format!("{number:0256}")), value.clone());
    let full = Rejection::TooMany { what: Counted::RegisterBytesOfOwner, limit: 32 << 20 };
    a_client_fills_its_own_share((32 << 20) / ((64 << 10) + 256), command, &full);
}

/// A page holds as many as fit a reply with the largest values, and the next begins behind it.
#[test]
fn pages_of_registers_fit_a_reply() {
    let mut world = World::new();
    let value = Bytes::from(vec![7; REGISTER_BYTES_MAX]);
    let asked: Vec<_> = (0..20)
        .map(|number| (1, propose(Name::new(format!("p{number:02}")), value.clone())))
        .collect();
    let batch = world.batch(&asked);
    world.machine.apply(batch);
    let page = |after: Option<Name>| {
        let query = Query::Registers { prefix: "p".to_owned(), after, limit: u32::MAX };
        let Answer::Registers { registers, more, .. } = world.machine.query(&query) else {
            panic!("registers were asked for")
        };
        (registers.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), more)
    };
    let (first, more) = page(None);
    assert_eq!((first.len(), more), (16, true));
    let (rest, more) = page(first.last().cloned());
    assert_eq!((rest.len(), more), (4, false));
    assert_eq!(rest.first(), Some(&Name::new("p16")));
}
