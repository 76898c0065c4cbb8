//! One situation each: who is answered what, and when.

use crate::world::{World, chosen, id, put, read, submit, written};
use synod_machine::door::{NotApplied, Said};
use synod_replica::Response;

/// A request is chosen, applied and answered, and a read that follows sees it on the spot.
#[test]
fn a_write_is_answered_and_a_read_sees_it() {
    let (mut world, leader) = World::serving(3);
    let session = world.open_session(leader, 10_000);
    let revision = written(&world.answer(leader, submit(session, 1))).expect("it is written");
    let Response::Said(Said::Answer(synod_machine::Answer::Key { entry, .. })) =
        world.answer(leader, read(&id(session, 1).to_string()))
    else {
        panic!("no answer to a read")
    };
    assert_eq!(entry.expect("the key is there").modified, revision);
}
