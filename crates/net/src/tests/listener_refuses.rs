//! Who may not come in is told why, and the next honest one is served.

use std::sync::Arc;

use quinn::{Endpoint, crypto::rustls::QuicClientConfig};
use rustls::sign::SingleCertAndKey;

use super::world::*;
use crate::{
    AskError, Credentials, Dialer, Identity, Leaf, Role,
    bye::Bye,
    expect::{ExpectIdentity, Refusal},
    hello::Hello,
    limits::Limits,
    tls,
};

const DAY: i64 = 86_400;

/// Calls n1 with these credentials and says hello.
async fn enter(
    world: &World,
    credentials: &Credentials,
    alpn: &[u8],
    hello: &Hello,
) -> Result<(), AskError> {
    let mesh = world.alone("n1").await;
    let entered = match world.ring(credentials, alpn, mesh.address(), "n1").await {
        Ok((_endpoint, call)) => call.greet(hello, Limits::DEFAULT.hello).await.map(drop),
        Err(error) => Err(error),
    };
    world.assert_serves(mesh.address()).await;
    entered
}

fn hello(identity: Identity) -> Hello {
    Hello { cluster_id: CLUSTER_ID, identity }
}

/// A client's honest leaf, bent in one thing.
async fn assert_leaf_refused(bend: impl FnOnce(&mut Leaf), word: &str) {
    let world = World::new();
    let mut leaf = world.leaf(app());
    bend(&mut leaf);
    let credentials = world.bent(&leaf, app());
    let hello = hello(world.identity(app()));
    assert_refused(enter(&world, &credentials, tls::ALPN_CLIENT, &hello).await, word);
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let expire = |leaf: &mut Leaf| {
        leaf.ends_at -= 2 * DAY;
        leaf.begins_at -= 3 * DAY;
    };
    assert_leaf_refused(expire, "it refused: the certificate has expired").await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused() {
    let postpone = |leaf: &mut Leaf| {
        leaf.begins_at += 2 * DAY;
        leaf.ends_at += 3 * DAY;
    };
    assert_leaf_refused(postpone, "it refused: the certificate has expired, or is not valid").await;
}

#[tokio::test]
async fn a_certificate_that_may_only_answer_cannot_call() {
    let mute = |leaf: &mut Leaf| (leaf.client, leaf.server) = (false, true);
    assert_leaf_refused(mute, "it refused: the certificate may not be used for this").await;
}

#[tokio::test]
async fn a_certificate_that_names_nobody_two_or_something_strange_is_refused() {
    assert_leaf_refused(|leaf| leaf.uris.clear(), "your certificate: the certificate names nobody")
        .await;
    let double = |leaf: &mut Leaf| leaf.uris.push(leaf.uris[0].clone());
    assert_leaf_refused(double, "2 URI names").await;
    for (uri, word) in [
        ("https://eu/client/app?role=write", "scheme \"https\""),
        ("synod://eu/client/app?role=king", "unknown role \"king\""),
        ("synod://eu/client/%61pp?role=write", "percent-encoding"),
        ("synod://eu/client/?role=write", "an empty name"),
    ] {
        assert_leaf_refused(|leaf| leaf.uris = vec![uri.to_owned()], word).await;
    }
}

#[tokio::test]
async fn the_same_name_in_another_cluster_of_the_same_authority_is_refused_by_its_name() {
    let emigrate =
        |leaf: &mut Leaf| leaf.uris = vec!["synod://us/client/app?role=write".to_owned()];
    assert_leaf_refused(emigrate, "this is cluster eu, and your certificate is of us").await;
}

#[tokio::test]
async fn a_client_of_a_foreign_authority_is_refused() {
    let (world, twin) = (World::new(), World::new());
    let mesh = world.alone("n1").await;
    // It trusts our authority and shows a certificate of its own.
    let stranger = twin.credentials(app());
    let ours = world.identity(node("n1"));
    let mut tls = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ExpectIdentity::new(
            world.credentials(app()).roots(),
            ours.clone(),
            Refusal::default(),
        )))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(stranger.certified())));
    tls.alpn_protocols = vec![tls::ALPN_CLIENT.to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::client(ANY).unwrap();
    let connecting = endpoint.connect_with(config, mesh.address(), "synod").unwrap();
    let error = match connecting.await {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    assert!(Bye::is_identity(&error), "{error}");
    assert!(Bye::words(&error).contains("unknown authority"), "{}", Bye::words(&error));
    world.assert_serves(mesh.address()).await;
    assert_eq!(mesh.counters().handshakes_failed, 1);
}

#[tokio::test]
async fn a_clients_certificate_cannot_open_a_connection_between_nodes() {
    let world = World::new();
    for role in [Role::Read, Role::Participant, Role::Write, Role::Admin] {
        let who = client("n0", role);
        let hello = hello(world.identity(who.clone()));
        let entered = enter(&world, &world.credentials(who), tls::ALPN_PEER, &hello).await;
        assert_refused(entered, "may not act as a node");
    }
}

#[tokio::test]
async fn a_nodes_certificate_cannot_act_as_a_client() {
    let world = World::new();
    let hello = hello(world.identity(node("n2")));
    let entered = enter(&world, &world.credentials(node("n2")), tls::ALPN_CLIENT, &hello).await;
    assert_refused(entered, "node n2 may not act as a client");
}

#[tokio::test]
async fn a_node_that_is_no_peer_is_refused() {
    let world = World::new();
    let hello = hello(world.identity(node("n0")));
    let entered = enter(&world, &world.credentials(node("n0")), tls::ALPN_PEER, &hello).await;
    assert_refused(entered, "node n0 is no peer of this node");
}

/// Of two nodes one dials and the other may knock, and only so: else both would dial, and take each
/// other's connection away for ever.
#[tokio::test]
async fn a_peer_that_should_wait_to_be_dialled_is_refused_and_so_is_a_knock_of_one_that_dials() {
    let world = World::new();
    for (own, other, alpn, word) in [
        ("n1", "n2", tls::ALPN_PEER, "the one whose name sorts lower dials"),
        ("n2", "n1", tls::ALPN_KNOCK, "who is to dial this node need not knock"),
    ] {
        let config = world.config(own, ANY, &[peer(other, free())]);
        let (mesh, _events) = crate::Mesh::open_with(config, Limits::DEFAULT).unwrap();
        let credentials = world.credentials(node(other));
        let called = world.ring(&credentials, alpn, mesh.address(), own).await;
        let (_endpoint, call) = called.unwrap();
        let entered = call.greet(&hello(world.identity(node(other))), Limits::DEFAULT.hello).await;
        assert_refused(entered, word);
    }
}

/// A knock has this node dial: only a peer may ask that of it.
#[tokio::test]
async fn whoever_is_no_peer_knocks_in_vain() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    for (who, word) in [(app(), "may not act as a node"), (node("n9"), "is no peer of this node")] {
        let credentials = world.credentials(who.clone());
        let called = world.ring(&credentials, tls::ALPN_KNOCK, mesh.address(), "n1").await;
        let (_endpoint, call) = called.unwrap();
        let entered = call.greet(&hello(world.identity(who)), Limits::DEFAULT.hello).await;
        assert_refused(entered, word);
    }
}

#[tokio::test]
async fn another_clusters_number_is_refused_and_so_is_a_forged_name() {
    let world = World::new();
    let credentials = world.credentials(app());
    let stranger = Hello { cluster_id: 8, identity: world.identity(app()) };
    let entered = enter(&world, &credentials, tls::ALPN_CLIENT, &stranger).await;
    assert_refused(entered, "cluster id 0000000000000008; ours is 0000000000000007");
    let forged = hello(world.identity(client("admin", Role::Admin)));
    let entered = enter(&world, &credentials, tls::ALPN_CLIENT, &forged).await;
    assert_refused(entered, "under the certificate of");
}

/// The listener's number is checked as well: its answer could be a relic of another cluster.
#[tokio::test]
async fn a_dialer_learns_of_another_clusters_number_before_it_asks() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    let dialer = Dialer::new(world.credentials(app()), CLUSTER_ID + 1).unwrap();
    let dialled = dialer.connect(&mesh.address().to_string(), &node("n1")).await;
    assert_refused(dialled, "cluster id 0000000000000008; ours is 0000000000000007");
}

#[tokio::test]
async fn a_protocol_that_is_not_spoken_there_is_refused_in_the_handshake() {
    let world = World::new();
    for alpn in [tls::ALPN_PARTICIPANT, b"h3", b"synod-client/2"] {
        let hello = hello(world.identity(app()));
        let entered = enter(&world, &world.credentials(app()), alpn, &hello).await;
        assert_refused(entered, "no protocol in common");
    }
}

/// A dialler that would resume and send early finds nothing to do it with.
#[tokio::test]
async fn nobody_is_given_a_ticket_to_come_back_with_and_nothing_is_heard_early() {
    let world = World::new();
    let mesh = world.alone("n1").await;
    let credentials = world.credentials(app());
    let ours = world.identity(node("n1"));
    let verifier = ExpectIdentity::new(credentials.roots(), ours.clone(), Refusal::default());
    let mut tls = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(credentials.certified())));
    tls.alpn_protocols = vec![tls::ALPN_CLIENT.to_vec()];
    tls.enable_early_data = true;
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::client(ANY).unwrap();
    for _again in 0..2 {
        let connecting = endpoint.connect_with(config.clone(), mesh.address(), "synod").unwrap();
        let Err(connecting) = connecting.into_0rtt() else { panic!("a ticket was given") };
        let connection = connecting.await.unwrap();
        let said = hello(world.identity(app()));
        said.say(&connection, &ours, Limits::DEFAULT.hello).await.unwrap();
        connection.close(0_u32.into(), b"");
    }
}

/// The same call that is refused above, with nothing bent.
#[tokio::test]
async fn an_honest_client_is_let_in() {
    let world = World::new();
    let said = hello(world.identity(app()));
    enter(&world, &world.credentials(app()), tls::ALPN_CLIENT, &said).await.unwrap();
}
