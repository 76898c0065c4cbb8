//! A lead that several want handed over.

use synod_machine::{
    Command,
    door::{NotApplied, Said, Unfit},
};
use synod_replica::Response;

use crate::world::{World, applied, id, submit, written};

/// A leader that has heard from both others, and those.
fn leader() -> (World, usize, [usize; 2]) {
    let (mut world, leader) = World::serving(3);
    world.run_ms(100);
    (world, leader, [(leader + 1) % 3, (leader + 2) % 3])
}

/// Whoever asks for another successor meanwhile is told whom to ask instead. (He was told that his
/// had been called, and so was whoever had asked before him for one that never was.)
#[test]
fn who_asks_for_another_successor_is_not_told_that_it_was_called() {
    let (mut world, leader, [one, other]) = leader();
    let [first, second, third] = [one, other, one].map(|to| world.move_lead(leader, to));
    world.run_until(500, |world| world.server() == Some(one));
    let kept = Response::Said(Said::Kept);
    assert_eq!(world.responses.get(&first), Some(&kept));
    assert_eq!(
        world.responses.get(&second),
        Some(&Response::NotLeader(Some(world.life(one).node)))
    );
    assert_eq!(world.responses.get(&third), Some(&kept));
}

/// When nothing comes of it, the next one has his turn. (He was told that his successor could not
/// lead either, and then it was called.)
#[test]
fn who_asks_for_another_successor_has_his_turn_when_nothing_comes_of_the_first() {
    let (mut world, leader, [dead, alive]) = leader();
    world.crash(dead);
    let [first, second] = [dead, alive].map(|to| world.move_lead(leader, to));
    world.run_until(1_000, |world| world.server() == Some(alive));
    let unfit = NotApplied::Unfit(Unfit::Silent);
    assert_eq!(world.responses.get(&first), Some(&Response::Said(Said::NotApplied(unfit))));
    assert_eq!(world.responses.get(&second), Some(&Response::Said(Said::Kept)));
}

/// Whoever comes to the next leader before it leads need not wait for a slot of its own: what has
/// gathered is chosen with the start of the reign, behind it.
#[test]
fn what_gathers_until_a_reign_begins_is_chosen_with_its_start() {
    let (mut world, leader, [heir, _]) = leader();
    let session = world.open_session(leader, 10_000);
    world.run_ms(100);
    world.move_lead(leader, heir);
    let called = |world: &World| world.replica(heir).peer().is_called();
    world.run_until(500, called);
    let put = world.ask(heir, submit(session, 1));
    world.run_until(500, |world| world.responses.contains_key(&put));
    assert!(written(&world.responses[&put]).is_some(), "{:?}", world.responses[&put]);
    let batches = applied(&world, heir);
    let [.., (_, last)] = &batches[..] else { panic!("nothing is applied") };
    let [start, asked] = &last.requests[..] else { panic!("{last:?}") };
    assert!(matches!(start.command, Command::LeaderStart { .. }), "{last:?}");
    assert_eq!(asked.id, Some(id(session, 1)));
}
