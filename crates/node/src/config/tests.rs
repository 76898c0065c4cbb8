use std::path::Path;

use synod_net::settings::{Origin, flat};

use super::*;

const EXAMPLE: &str = include_str!("../../../../config/node.toml");

fn example() -> Config {
    Config::parse(EXAMPLE, Path::new("config/node.toml")).unwrap()
}

/// The example with one thing changed, which must be there.
fn changed(from: &str, to: &str) -> Result<Config, ConfigError> {
    assert!(EXAMPLE.contains(from), "the example has no {from:?}");
    Config::parse(&EXAMPLE.replacen(from, to, 1), Path::new("n1.toml"))
}

fn said(from: &str, to: &str) -> String {
    changed(from, to).unwrap_err().to_string()
}

/// The keys of a table; those of one `[[peer]]` stand for those of all.
fn keys_of(table: &toml::Table) -> Vec<String> {
    let rows = flat(table).into_iter().map(|(key, _)| key);
    rows.filter(|key| !key.starts_with("peer[") || key.starts_with("peer[0]")).collect()
}

/// Interfaces §2.2: the example has every key, each with its default.
#[test]
fn the_example_names_every_key() {
    let example = example();
    let effective = toml::Table::try_from(&example.keys).unwrap();
    assert_eq!(keys_of(&example.written), keys_of(&effective));
}

/// Every key of the example that has a default shows it, and its comment says it.
#[test]
fn the_example_shows_the_defaults() {
    let example = example();
    let least: String = EXAMPLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .scan("", |table, line| {
            if line.starts_with('[') {
                *table = line;
            }
            Some((*table, line))
        })
        .filter(|(table, line)| match *table {
            "[http]" | "[network]" | "[timing]" | "[limits]" | "[snapshots]" | "[reads]"
            | "[log]" => false,
            "[door]" => !line.starts_with("tls") && !line.starts_with("connections_max"),
            _ => !line.starts_with("incarnation"),
        })
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    let least = Config::parse(&least, Path::new("config/node.toml")).unwrap();
    for (shown, default) in example.describe().iter().zip(least.describe()) {
        assert_eq!((&shown.key, &shown.value), (&default.key, &default.value));
        assert!(shown.origin == Origin::File || shown.key.contains("incarnation"));
        if default.origin == Origin::Default && !shown.key.starts_with("peer") {
            let plain = shown.value.trim_matches('"');
            let said = format!("Default: {plain}");
            assert!(EXAMPLE.contains(&said), "no comment says {said:?} for {}", shown.key);
        }
    }
}

/// A file's row says "file", the rest "default".
#[test]
fn describe_tells_where_a_value_comes_from() {
    let config = changed("heartbeat_ms = 20\n", "").unwrap();
    let origin = |key: &str| {
        let rows = config.describe();
        let row = rows.iter().find(|row| row.key == key).unwrap();
        (row.value.clone(), row.origin)
    };
    assert_eq!(origin("timing.heartbeat_ms"), ("20".to_owned(), Origin::Default));
    assert_eq!(origin("timing.suspect_min_ms"), ("100".to_owned(), Origin::File));
    assert_eq!(origin("peer[1].name"), ("\"n2\"".to_owned(), Origin::File));
    assert_eq!(origin("peer[1].incarnation"), ("1".to_owned(), Origin::Default));
}

/// Paths are relative to the file, wherever the node is started from.
#[test]
fn relative_paths_are_below_the_files_directory() {
    let config = Config::parse(EXAMPLE, Path::new("/etc/synod/n1.toml")).unwrap();
    assert_eq!(config.data(), Path::new("/etc/synod/n1"));
    let config = Config::parse(EXAMPLE, Path::new("n1.toml")).unwrap();
    assert_eq!(config.data(), Path::new("n1"));
}

/// The limits of the replica are those of the file.
#[test]
fn the_replica_is_told_what_the_file_says() {
    let config = changed("window_slots = 1024", "window_slots = 77").unwrap();
    assert_eq!(config.replica().paxos.window_slots, 77);
    assert_eq!(config.replica().paxos.life, Life::first(NodeId::new(1)));
    assert_eq!(config.replica().paxos.members.count(), 3);
    assert_eq!(config.peer_addresses().len(), 2);
}

/// Security §8: two nodes with one id, name or address.
#[test]
fn two_voters_with_one_id_name_or_address_are_refused() {
    let one_id = said("id = 2\n", "id = 1\n");
    assert!(one_id.contains("two [[peer]] tables have id = 1: n1 (id 1"), "{one_id}");
    let one_name = said("name = \"n3\"", "name = \"n2\"");
    assert!(one_name.contains("have name = \"n2\""), "{one_name}");
    let one_address = said("127.0.0.1:7413", "127.0.0.1:7412");
    assert!(one_address.contains("have address = \"127.0.0.1:7412\""), "{one_address}");
}

/// Security §8: own id absent.
#[test]
fn a_node_that_is_no_voter_is_refused() {
    let said = said("id = 1\n# Directory", "id = 9\n# Directory");
    assert!(said.contains("node.id = 9, and no [[peer]] has this id"), "{said}");
    assert!(said.contains("(listed: 1, 2, 3)"), "{said}");
}

/// One number, two names: whose certificate is right?
#[test]
fn a_node_whose_own_entry_has_another_name_is_refused() {
    let said = said("name = \"n1\"\n# This node's number", "name = \"n7\"\n# This node's number");
    assert!(said.contains("node.name = n7, but the [[peer]] with id 1 is named n1"), "{said}");
}

/// An even cluster tolerates no more than one less.
#[test]
fn an_even_number_of_voters_is_refused() {
    let two = "[[peer]]\nid = 3\nname = \"n3\"\naddress = \"127.0.0.1:7413\"\n";
    assert!(said(two, "").contains("2 [[peer]] tables; a cluster has 1, 3, 5 or 7 voters"));
}

/// Security §6: plain text beyond loopback needs a line that says so in its name.
#[test]
fn a_health_page_beyond_loopback_needs_to_be_meant() {
    let beyond = ("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:8080\"");
    assert!(said(beyond.0, beyond.1).contains("expose_plaintext_beyond_loopback"));
    let meant =
        EXAMPLE.replacen(beyond.0, beyond.1, 1).replacen("loopback = false", "loopback = true", 1);
    assert!(Config::parse(&meant, Path::new("n1.toml")).is_ok());
}

/// Numbers that make no sense are refused with what would.
/// Who may come without a certificate comes over loopback, and what he may do is written down.
#[test]
fn a_door_says_who_may_come() {
    let door = example().door().cloned().unwrap();
    assert_eq!((door.tls, door.plain_role), (false, Some(DoorRole::Write)));
    let role = "plain_role = \"write\"\n";
    let table = "listen = \"127.0.0.1:7410\"";
    let everywhere = table.replace("127.0.0.1", "0.0.0.0");
    for (from, to, what) in [
        (role, "", "plain_role: says what"),
        (role, "plain_role = \"king\"\n", "unknown variant `king`"),
        ("tls = false", "tls = true", "plain_role: with tls = true"),
        (table, &everywhere, "it may only be loopback"),
        ("tls = false", "tsl = false", "unknown key `tsl`"),
        ("tls = false\n", "tls = true\nplain_token_file = \"t\"\n", "plain_role: with tls = true"),
    ] {
        let said = said(from, to);
        assert!(said.contains(what), "{said}");
    }
    let certified =
        EXAMPLE.replace(role, "").replace("tls = false", "tls = true").replace(table, &everywhere);
    let certified = Config::parse(&certified, Path::new("/etc/synod/n1.toml")).unwrap();
    let files = certified.door_files().unwrap();
    assert_eq!(files.cert, Path::new("/etc/synod/certs/n1-door.crt"));
    let (before, door) = EXAMPLE.split_once("[door]").unwrap();
    let (_, after) = door.split_once("[timing]").unwrap();
    let without = format!("{before}[timing]{after}");
    assert!(Config::parse(&without, Path::new("n1.toml")).unwrap().door().is_none());
}

#[test]
fn numbers_out_of_range_or_out_of_order_are_refused() {
    let none = said("window_slots = 1024", "window_slots = 0");
    assert!(none.contains("limits.window_slots = 0; 1 to 16384 are allowed"), "{none}");
    let large = said("batch_bytes_max = 1048576", "batch_bytes_max = 2097152");
    assert!(large.contains("4096 to 1572864"), "{large}");
    let order = said("suspect_min_ms = 100", "suspect_min_ms = 5");
    assert!(order.contains("timing.heartbeat_ms = 20 must be at most"), "{order}");
}

/// Ids and addresses that are none.
#[test]
fn ids_and_addresses_are_checked_for_their_form() {
    for wrong in ["", "5e1f0c0ffee5ca1e0", "+5", "wombat"] {
        let text = said("\"5e1f0c0ffee5ca1e\"", &format!("{wrong:?}"));
        assert!(text.contains("hexadecimal"), "{text}");
    }
    for wrong in ["127.0.0.1", "127.0.0.1:0", ":7413", "127.0.0.1:99999"] {
        let text = said("\"127.0.0.1:7413\"", &format!("{wrong:?}"));
        assert!(text.contains("peer 3: address"), "{text}");
    }
    assert!(said("cluster = \"catalog-eu\"", "cluster = \"a b\"").contains("cluster: "));
}

/// Security §8: a misspelt key names its place and the key that was meant.
#[test]
fn a_misspelt_key_is_named_with_line_column_and_nearest() {
    let text = said("heartbeat_ms = 20", "heartbeet_ms = 20");
    let line = EXAMPLE.lines().position(|line| line == "heartbeat_ms = 20").unwrap() + 1;
    assert!(text.contains(&format!("line {line}, column 1")), "{text}");
    assert!(text.contains("heartbeet_ms") && text.contains("`heartbeat_ms`"), "{text}");
}

/// A key of the wrong type and one that is missing are named.
#[test]
fn a_wrong_type_and_a_missing_key_are_named() {
    let text = said("id = 1\n# Directory", "id = \"one\"\n# Directory");
    let line = EXAMPLE.lines().position(|line| line == "id = 1").unwrap() + 1;
    assert!(text.contains(&format!("line {line}, column 6")), "{text}");
    assert!(said("cluster = \"catalog-eu\"\n", "").contains("`cluster`"));
}

fn of_node(id: u16) -> Config {
    let text = EXAMPLE
        .replacen("id = 1\n# Directory", &format!("id = {id}\n# Directory"), 1)
        .replacen("name = \"n1\"", &format!("name = \"n{id}\""), 1)
        .replacen("data = \"n1\"", &format!("data = \"n{id}\""), 1);
    Config::parse(&text, Path::new(&format!("n{id}.toml"))).unwrap()
}

fn cross(from: &str, to: &str) -> String {
    let text = EXAMPLE
        .replacen("id = 1\n# Directory", "id = 2\n# Directory", 1)
        .replacen("name = \"n1\"", "name = \"n2\"", 1)
        .replacen("data = \"n1\"", "data = \"n2\"", 1)
        .replacen(from, to, 1);
    let two = Config::parse(&text, Path::new("n2.toml")).unwrap();
    check_many(&[of_node(1), two]).unwrap_err().to_string()
}

/// Files of one cluster agree on it and claim nothing twice.
#[test]
fn files_of_one_cluster_are_checked_against_each_other() {
    check_many(&[of_node(1), of_node(2), of_node(3)]).unwrap();
    assert!(cross("5e1f0c0ffee5ca1e", "5e1f0c0ffee5ca1f").contains("differ in cluster_id"));
    assert!(cross("\"catalog-eu\"", "\"catalog-us\"").contains("differ in cluster:"));
    assert!(cross("127.0.0.1:7413", "127.0.0.1:9413").contains("differ in voter 3"));
    assert!(cross("data = \"n2\"", "data = \"n1\"").contains("both have node.data"));
    let twice = check_many(&[of_node(1), of_node(1)]).unwrap_err().to_string();
    assert!(twice.contains("both have node.id = 1"), "{twice}");
}
