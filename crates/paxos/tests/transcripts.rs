//! Whole stories of one peer, told as inputs and outputs in `testdata`. With `SYNOD_REWRITE=1` the
//! outputs are written anew; read the difference before it is committed.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

mod script;
mod stage;

use std::{fs, path::Path};

/// Every transcript says what the peer does.
#[test]
fn the_transcripts_say_what_the_peer_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut stories = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let told = fs::read_to_string(&path).unwrap();
        let played = script::play(&told);
        if std::env::var_os("SYNOD_REWRITE").is_some() {
            fs::write(&path, &played).unwrap();
        } else {
            assert_eq!(played, told, "{} (SYNOD_REWRITE=1 rewrites it)", path.display());
        }
        stories += 1;
    }
    assert!(stories >= 5, "{stories} transcripts");
}
