//! What people write: configurations, and the names in certificates.

use std::path::Path;

use synod_client::net;

use crate::hunt::{Judged, hunt};

const NODE: &str = include_str!("../../../config/node.toml");
const CLIENT: &str = include_str!("../../../config/client.toml");

/// A text that is no configuration is refused with words that fit on a screen.
#[test]
fn configurations_of_nodes() {
    hunt("node.toml", 20, &[NODE.into()], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let parsed = synod_node::Config::parse(&text, Path::new("node.toml"));
        if let Err(error) = &parsed {
            assert!(!error.to_string().is_empty());
        }
        Judged::of(&parsed)
    });
}

#[test]
fn configurations_of_clients() {
    hunt("client.toml", 20, &[CLIENT.into()], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let parsed = synod_client::Config::parse(Path::new("client.toml"), &text);
        if let Err(error) = &parsed {
            assert!(!error.to_string().is_empty());
        }
        Judged::of(&parsed)
    });
}

/// A name is read only as it is written: there are no two spellings of one identity.
#[test]
fn names() {
    let corpus = [
        "synod://catalog-eu/node/n1",
        "synod://catalog-eu/client/ops?role=admin",
        "synod://c/client/app_7.x?role=write",
    ];
    hunt("names", 1, &corpus.map(Vec::from), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Judged::Refused };
        let parsed = text.parse::<net::Identity>();
        if let Ok(identity) = &parsed {
            assert_eq!(identity.to_string(), text);
        }
        Judged::of(&parsed)
    });
}
