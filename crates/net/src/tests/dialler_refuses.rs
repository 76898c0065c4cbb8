//! Who answers must be who was dialled. Everything else about each of these is right.

use super::world::*;
use crate::{Identity, Leaf, Mesh, Role, Server, limits::Limits};

const DAY: i64 = 86_400;

/// Dials n1 where a node with this leaf listens.
async fn dial(world: &World, leaf: &Leaf) -> Result<crate::Channel, crate::AskError> {
    let mut config = world.config("n1", ANY, &[]);
    config.credentials = world.bent(leaf, node("n1"));
    let (mesh, events) = Mesh::open_with(config, Limits::DEFAULT).unwrap();
    drop(echo(events));
    world.channel(app(), mesh.address()).await
}

async fn assert_leaf_refused(bend: impl FnOnce(&mut Leaf), word: &str) {
    let world = World::new();
    let mut leaf = world.leaf(node("n1"));
    bend(&mut leaf);
    assert_refused(dial(&world, &leaf).await, word);
}

/// What the others differ from in one thing each.
#[tokio::test]
async fn an_honest_node_is_accepted() {
    let world = World::new();
    let leaf = world.leaf(node("n1"));
    assert!(dial(&world, &leaf).await.is_ok());
}

#[tokio::test]
async fn a_node_whose_certificate_has_expired_is_refused() {
    let expire = |leaf: &mut Leaf| {
        leaf.ends_at -= 2 * DAY;
        leaf.begins_at -= 3 * DAY;
    };
    assert_leaf_refused(expire, "its certificate has expired").await;
}

#[tokio::test]
async fn a_node_whose_certificate_is_not_valid_yet_is_refused() {
    let postpone = |leaf: &mut Leaf| {
        leaf.begins_at += 2 * DAY;
        leaf.ends_at += 3 * DAY;
    };
    assert_leaf_refused(postpone, "its certificate is not valid yet").await;
}

#[tokio::test]
async fn a_node_of_a_foreign_authority_is_refused() {
    let (world, twin) = (World::new(), World::new());
    let mesh = twin.alone("n1").await;
    let dialled = world.channel(app(), mesh.address()).await;
    assert_refused(dialled, "its certificate is not signed by our authority");
}

#[tokio::test]
async fn the_right_chain_with_another_nodes_name_is_refused() {
    let rename = |leaf: &mut Leaf| leaf.uris = vec!["synod://eu/node/n2".to_owned()];
    assert_leaf_refused(rename, "node n2 answers there, not node n1").await;
}

#[tokio::test]
async fn the_right_name_in_another_cluster_is_refused_by_the_clusters_name() {
    let emigrate = |leaf: &mut Leaf| leaf.uris = vec!["synod://us/node/n1".to_owned()];
    assert_leaf_refused(emigrate, "it belongs to cluster us, not to ours, eu").await;
}

#[tokio::test]
async fn a_clients_certificate_cannot_answer_for_a_node() {
    let demote = |leaf: &mut Leaf| leaf.server = false;
    assert_leaf_refused(demote, "its certificate may not be used for this").await;
}

#[tokio::test]
async fn a_certificate_that_names_nobody_or_two_is_refused() {
    assert_leaf_refused(|leaf| leaf.uris.clear(), "names nobody").await;
    let double = |leaf: &mut Leaf| leaf.uris.push("synod://eu/node/n2".to_owned());
    assert_leaf_refused(double, "2 URI names").await;
}

#[tokio::test]
async fn a_participant_answers_under_its_own_name_only() {
    let world = World::new();
    let east = client("east", Role::Participant);
    let credentials = world.credentials(east.clone());
    let (server, mut asked) = Server::open(ANY, credentials, CLUSTER_ID).await.unwrap();
    tokio::spawn(async move {
        while let Some(asked) = asked.recv().await {
            asked.reply.send(asked.body);
        }
    });
    let (dialer, at) = (world.dialer(app()), server.address().to_string());
    let channel = dialer.connect(&at, &east).await.unwrap();
    assert_eq!(channel.peer(), &world.identity(east));
    assert_eq!(channel.ask("hello".into()).await.unwrap(), &b"hello"[..]);
    let west = client("west", Role::Participant);
    let dialled = dialer.connect(&at, &west).await;
    assert_refused(dialled, "client east with role participant answers there");
}

/// The identity that credentials claim is not believed on either side; only the certificate is.
#[tokio::test]
async fn a_claimed_name_counts_for_nothing() {
    let world = World::new();
    let honest: Identity = "synod://eu/node/n2".parse().unwrap();
    let mut config = world.config("n1", ANY, &[]);
    config.credentials = world.bent(&Leaf::of(&honest, 1), node("n1"));
    let (mesh, events) = Mesh::open_with(config, Limits::DEFAULT).unwrap();
    drop(echo(events));
    let dialled = world.channel(app(), mesh.address()).await;
    assert_refused(dialled, "node n2 answers there");
    let dialled = world.dialer(app()).connect(&mesh.address().to_string(), &node("n2")).await;
    assert_refused(dialled, "\"synod://eu/node/n1\" under the certificate of");
}

/// TLS 1.2 cannot be negotiated by a program that does not contain it.
#[test]
fn only_tls_1_3_is_compiled_in() {
    assert_eq!(rustls::ALL_VERSIONS, [&rustls::version::TLS13]);
}
