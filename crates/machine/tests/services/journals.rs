//! A journal is what was appended to it, in one order; no position is given twice.

use bytes::Bytes;
use proptest::prelude::*;
use synod_machine::{
    Answer, Change, Command, Counted, GROUPS_MAX, Interest, JournalCommand, JournalEntry,
    JournalReply, JournalView, LeaseId, Machine, Name, Position, Query, Rejection, Reply, TRIM_MAX,
    Timestamp,
};

use crate::model::{
    Ledger, Model, a_client_fills_its_own_share, a_restored_one_goes_on, client, histories,
    is_its_history, leases, watches_are_told,
};
use crate::{OWNERS, World, names, place};

/// Everything that was ever appended, and everything that was ever said of it.
#[derive(Default)]
struct Journals {
    ledger: Ledger,
    appended: Vec<(Name, u64, JournalEntry)>,
    trims: Vec<(Name, Position)>,
    /// Where a group got to; `None` when it was forgotten.
    offsets: Vec<(Name, Name, Option<Position>)>,
}

impl Journals {
    fn last(&self, name: &Name) -> Option<Position> {
        let of_name = self.appended.iter().filter(|(of, _, _)| of == name);
        of_name.last().map(|(_, _, entry)| entry.position)
    }

    fn trimmed(&self, name: &Name) -> Position {
        let of_name = self.trims.iter().filter(|(of, _)| of == name).map(|(_, upto)| *upto);
        of_name.max().unwrap_or(Position::ZERO)
    }

    fn entries(&self, name: &Name, after: Position) -> Vec<JournalEntry> {
        let from = after.max(self.trimmed(name));
        let of_name = self.appended.iter().filter(|(of, _, _)| of == name);
        let entries = of_name.map(|(_, _, entry)| entry).filter(|entry| entry.position > from);
        entries.cloned().collect()
    }

    fn offset(&self, name: &Name, group: &Name) -> Option<Position> {
        let mut said = self.offsets.iter().rev();
        let said = said.find(|(of, by, _)| of == name && by == group);
        said.and_then(|(_, _, position)| *position)
    }

    fn offsets(&self, name: &Name) -> Vec<(Name, Position)> {
        let all = names().into_iter();
        all.filter_map(|group| self.offset(name, &group).map(|at| (group, at))).collect()
    }

    fn view(&self, name: &Name) -> Option<JournalView> {
        let last = self.last(name)?;
        let first = self.appended.iter().find(|(of, _, _)| of == name)?;
        let weight = |entry: JournalEntry| name.as_str().len() + entry.value.len() + entry.by.len();
        let bytes = self.entries(name, Position::ZERO).into_iter().map(weight).sum::<usize>();
        Some(JournalView {
            name: name.clone(),
            last,
            trimmed: self.trimmed(name),
            bytes: bytes as u64,
            owner: OWNERS[place(first.1)].to_owned(),
        })
    }

    fn append(&mut self, by: u64, name: &Name, value: &Bytes, now: Timestamp) -> JournalReply {
        let position = self.last(name).unwrap_or(Position::ZERO).next();
        let at = self.ledger.next();
        let (value, by_client) = (value.clone(), client(by).to_owned());
        let entry = JournalEntry { position, value, at, by: by_client, appended_at_ms: now.0 };
        self.appended.push((name.clone(), by, entry));
        self.ledger.note(Change::Journal { name: name.clone(), position });
        JournalReply::Appended { position, revision: at }
    }

    fn trim(&mut self, name: &Name, upto: Position) -> JournalReply {
        let Some(last) = self.last(name) else { return JournalReply::Absent };
        let (before, upto) = (self.trimmed(name), upto.min(last));
        self.trims.push((name.clone(), upto));
        if upto > before {
            self.ledger.next();
        }
        JournalReply::Trimmed { upto: upto.max(before), revision: self.ledger.now() }
    }

    fn commit(&mut self, name: &Name, group: &Name, position: Position) -> JournalReply {
        let Some(last) = self.last(name) else { return JournalReply::Absent };
        if position > last {
            return JournalReply::Beyond { last };
        }
        let before = self.offset(name, group);
        if let Some(stands) = before.filter(|stands| *stands > position) {
            return JournalReply::Behind { position: stands };
        }
        if before != Some(position) {
            self.ledger.next();
            self.offsets.push((name.clone(), group.clone(), Some(position)));
        }
        JournalReply::Committed { position, revision: self.ledger.now() }
    }

    fn forget(&mut self, name: &Name, group: &Name) -> JournalReply {
        let Some(position) = self.offset(name, group) else { return JournalReply::Absent };
        self.offsets.push((name.clone(), group.clone(), None));
        JournalReply::Forgotten { position, revision: self.ledger.next() }
    }
}

impl Model for Journals {
    fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn serve(&mut self, by: u64, command: &Command, now: Timestamp) -> Reply {
        let Command::Journal(command) = command else {
            panic!("the model does not know {command:?}")
        };
        Reply::Journal(match command {
            JournalCommand::Append { name, value } => self.append(by, name, value, now),
            JournalCommand::Trim { name, upto } => self.trim(name, *upto),
            JournalCommand::Commit { name, group, position } => self.commit(name, group, *position),
            JournalCommand::Forget { name, group } => self.forget(name, group),
        })
    }

    fn lease_ends(&mut self, _: LeaseId, _: Timestamp) -> bool {
        false
    }

    fn agrees(&self, machine: &Machine, _: Timestamp) -> Result<(), TestCaseError> {
        let revision = self.ledger.now();
        for name in names() {
            let journal = self.view(&name);
            for after in [0, 1, 2, 5, u64::MAX].map(Position::new) {
                let all = self.entries(&name, after);
                let (entries, more) = (all.iter().take(2).cloned().collect(), all.len() > 2);
                let query = Query::Journal { name: name.clone(), after, limit: 2 };
                let expected =
                    Answer::Journal { revision, journal: journal.clone(), entries, more };
                prop_assert_eq!(machine.query(&query), expected);
            }
            let offsets = self.offsets(&name);
            let answer = machine.query(&Query::Offsets { name });
            prop_assert_eq!(answer, Answer::Offsets { revision, offsets });
        }
        let journals: Vec<_> = names().iter().filter_map(|name| self.view(name)).collect();
        let entries = names().map(|name| self.entries(&name, Position::ZERO).len() as u64);
        let census = machine.census();
        prop_assert_eq!(
            (census.journals, census.journal_entries),
            (journals.len() as u64, entries.iter().sum())
        );
        let all = Query::Journals { prefix: String::new(), after: None, limit: 9 };
        let expected = Answer::Journals { revision, journals, more: false };
        prop_assert_eq!(machine.query(&all), expected);
        Ok(())
    }
}

fn append(name: &Name, value: &Bytes) -> Command {
    let (name, value) = (name.clone(), value.clone());
    Command::Journal(JournalCommand::Append { name, value })
}

fn commands() -> impl Strategy<Value = Command> {
    let name = || prop::sample::select(names().to_vec());
    let position =
        || prop::sample::select(vec![0, 1, 2, 3, 4, 9, u64::MAX]).prop_map(Position::new);
    let value = prop::sample::select(vec!["", "v", "long"]).prop_map(Bytes::from);
    let journals = prop_oneof![
        5 => (name(), value).prop_map(|(name, value)| JournalCommand::Append { name, value }),
        1 => (name(), position()).prop_map(|(name, upto)| JournalCommand::Trim { name, upto }),
        4 => (name(), name(), position()).prop_map(|(name, group, position)| {
            JournalCommand::Commit { name, group, position }
        }),
        1 => (name(), name()).prop_map(|(name, group)| JournalCommand::Forget { name, group }),
    ];
    prop_oneof![1 => leases(), 8 => journals.prop_map(Command::Journal)]
}

fn interests() -> Vec<Interest> {
    names().map(|name| Interest::Journal { name }).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// What was appended and not trimmed is read, in order; an offset never goes back.
    #[test]
    fn journals_are_what_the_history_says(history in histories(commands())) {
        is_its_history::<Journals>(history)?;
    }

    #[test]
    fn watches_of_journals_are_told_everything_once(
        history in histories(commands()), restored in any::<bool>(),
    ) {
        watches_are_told::<Journals>(history, &interests(), restored)?;
    }

    #[test]
    fn restored_journals_go_on_as_the_original_do(
        history in histories(commands()), at in 0usize..30,
    ) {
        a_restored_one_goes_on(history, at)?;
    }
}

#[test]
fn a_client_fills_its_own_share_of_journals_only() {
    let full = Rejection::TooMany { what: Counted::JournalsOfOwner, limit: 2_048 };
    let command = |number: u64| append(&Name::new(number.to_string()), &Bytes::new());
    a_client_fills_its_own_share(2_048, command, &full);
}

/// Whosever journal it is: whoever appends takes its own room.
#[test]
fn a_client_fills_its_own_share_of_entries_only() {
    let full = Rejection::TooMany { what: Counted::JournalEntriesOfOwner, limit: 65_536 };
    a_client_fills_its_own_share(65_536, |_| append(&Name::new("j"), &Bytes::new()), &full);
}

#[test]
fn a_client_fills_its_own_share_of_the_bytes_of_journals_only() {
    // With its names, "j" and "app", an entry is of half a mebibyte.
    let value = Bytes::from(vec![7; (1 << 19) - 4]);
    let full = Rejection::TooMany { what: Counted::JournalBytesOfOwner, limit: 64 << 20 };
    a_client_fills_its_own_share(128, |_| append(&Name::new("j"), &value), &full);
}

fn ask(world: &mut World, commands: impl IntoIterator<Item = Command>) -> Vec<Reply> {
    let asked: Vec<_> = commands.into_iter().map(|command| (1, command)).collect();
    let batch = world.batch(&asked);
    world.machine.apply(batch).into_iter().map(|applied| applied.reply).collect()
}

/// A reply holds a mebibyte, or one entry however long; whoever reads on misses none.
#[test]
fn a_long_journal_is_read_piece_by_piece() {
    let (mut world, name) = (World::new(), Name::new("j"));
    let values = [1 << 20, 1, (1 << 20) - 200, 100, 1].map(|length| Bytes::from(vec![7; length]));
    ask(&mut world, values.iter().map(|value| append(&name, value)));
    let (mut after, mut pieces) = (Position::ZERO, Vec::new());
    loop {
        let query = Query::Journal { name: name.clone(), after, limit: u32::MAX };
        let Answer::Journal { entries, more, .. } = world.machine.query(&query) else {
            panic!("a journal was asked for")
        };
        after = entries.last().expect("each piece holds something").position;
        pieces.push(entries.len());
        if !more {
            break;
        }
    }
    assert_eq!(pieces, [1, 2, 2]);
}

/// One trim goes only so far and says so; what it freed is there for other entries.
#[test]
fn a_long_journal_is_trimmed_piece_by_piece() {
    let (mut world, name) = (World::new(), Name::new("j"));
    let many = TRIM_MAX + 10;
    ask(&mut world, (0..many).map(|_| append(&name, &Bytes::from_static(b"v"))));
    let trim = || {
        let (name, upto) = (name.clone(), Position::new(many - 1));
        Command::Journal(JournalCommand::Trim { name, upto })
    };
    let upto = |replies: Vec<Reply>| match replies[..] {
        [Reply::Journal(JournalReply::Trimmed { upto, .. })] => upto.get(),
        _ => panic!("{replies:?}"),
    };
    assert_eq!(upto(ask(&mut world, [trim()])), TRIM_MAX);
    assert_eq!(upto(ask(&mut world, [trim()])), many - 1);
    assert_eq!(world.machine.census().journal_entries, 1);
    let again = ask(&mut world, (0..65_535).map(|_| append(&name, &Bytes::new())));
    assert!(!again.iter().any(|reply| matches!(reply, Reply::Rejected(_))));
}

/// A journal has room for so many groups; one that is forgotten makes room for another.
#[test]
fn a_journal_has_so_many_groups() {
    let (mut world, name) = (World::new(), Name::new("j"));
    ask(&mut world, [append(&name, &Bytes::new())]);
    let commit = |group: u64| {
        let (name, group) = (name.clone(), Name::new(group.to_string()));
        Command::Journal(JournalCommand::Commit { name, group, position: Position::new(1) })
    };
    let all = ask(&mut world, (0..GROUPS_MAX).map(commit));
    assert!(!all.iter().any(|reply| matches!(reply, Reply::Rejected(_))));
    let full = Rejection::TooMany { what: Counted::GroupsOfJournal, limit: GROUPS_MAX };
    assert_eq!(ask(&mut world, [commit(GROUPS_MAX)]), [Reply::Rejected(full)]);
    let forget = JournalCommand::Forget { name: name.clone(), group: Name::new("0") };
    let replies = ask(&mut world, [Command::Journal(forget), commit(GROUPS_MAX)]);
    assert!(matches!(replies[1], Reply::Journal(JournalReply::Committed { .. })), "{replies:?}");
}
